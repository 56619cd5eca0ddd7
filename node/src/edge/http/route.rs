//! The URLs that viewers use.

use lectern_media::ledger::SegmentName;
use std::borrow::Cow;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/live/STREAM/index.m3u8`: the multivariant playlist.
    Index(&'a str),
    /// `/live/STREAM/media.m3u8`: the media playlist.
    Media(&'a str),
    /// `/live/STREAM/PROFILE-EPOCH-MSN.ts`.
    Segment(&'a str, SegmentName),
    /// `/live/STREAM.flv`.
    Flv(&'a str),
}

/// The path with encoded unreserved characters decoded: the two are equivalent (RFC 3986, 6.2.2.2).
#[must_use]
pub fn normal(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let mut parts = path.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(unreserved);
        match byte {
            Some(byte) => {
                out.push(char::from(byte));
                out.push_str(&part[2..]);
            }
            None => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    Cow::Owned(out)
}

/// Reads a path. `None` for everything that is no URL of ours.
///
/// Names are DNS labels and decimal numbers, so that no percent-encoding is ever needed; [`normal`] takes away what is
/// there all the same.
#[must_use]
pub fn parse(path: &str) -> Option<Route<'_>> {
    let rest = path.strip_prefix("/live/")?;
    let route = match rest.split_once('/') {
        None => Route::Flv(rest.strip_suffix(".flv")?),
        Some((stream, "index.m3u8")) => Route::Index(stream),
        Some((stream, "media.m3u8")) => Route::Media(stream),
        Some((stream, file)) => Route::Segment(stream, SegmentName::parse(file)?),
    };
    (!route.stream().is_empty()).then_some(route)
}

impl<'a> Route<'a> {
    /// The stream it belongs to.
    #[must_use]
    pub fn stream(&self) -> &'a str {
        match self {
            Self::Index(stream) | Self::Media(stream) | Self::Segment(stream, _) | Self::Flv(stream) => stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, normal, parse};
    use lectern_media::ledger::{Profile, SegmentName};

    #[test]
    fn encoded_characters_that_need_no_encoding_are_decoded_and_no_others() {
        for (path, expected) in [
            ("/live/hall-a/index.m3u8", "/live/hall-a/index.m3u8"),
            ("/live/%68all%2Da/index%2Em3u8", "/live/hall-a/index.m3u8"),
            ("/live/hall%2fa/%00%zz%", "/live/hall%2fa/%00%zz%"),
            ("/%é/%2", "/%é/%2"),
        ] {
            assert_eq!(normal(path), expected);
        }
    }

    #[test]
    fn paths_are_told_apart() {
        let name = SegmentName::media(Profile::ONE, 1_790_000_000_000, 42);
        let cases = [
            ("/live/hall-a/index.m3u8", Some(Route::Index("hall-a"))),
            ("/live/hall-a/media.m3u8", Some(Route::Media("hall-a"))),
            ("/live/hall-a/1-1790000000000-42.ts", Some(Route::Segment("hall-a", name))),
            ("/live/hall-a.flv", Some(Route::Flv("hall-a"))),
            ("/live/hall-a/1-1790000000000-042.ts", None),
            ("/live/hall-a/x.ts", None),
            ("/live/hall-a/", None),
            ("/live/hall-a", None),
            ("/live/.flv", None),
            ("/live//index.m3u8", None),
            ("/live/hall-a/sub/index.m3u8", None),
            ("/other/hall-a/index.m3u8", None),
            ("/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(parse(path), expected, "{path}");
        }
    }
}
