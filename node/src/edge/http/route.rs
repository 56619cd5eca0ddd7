//! The URLs that viewers use.

use lectern_media::ledger::SegmentName;
use lectern_media::rendition::{self, Rendition, SegmentKey};
use std::borrow::Cow;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/live/STREAM/index.m3u8`: the multivariant playlist.
    Index(&'a str),
    /// `/live/STREAM/media.m3u8`, or `/live/STREAM/RENDITION/media.m3u8`: a media playlist.
    Media(&'a str, Rendition),
    /// `/live/STREAM/PROFILE-EPOCH-MSN.ts`, or `/live/STREAM/RENDITION/PROFILE-EPOCH-MSN.ts`.
    Segment(&'a str, SegmentKey),
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
        Some((stream, path)) => match rendition::split(path)? {
            (rendition, "media.m3u8") => Route::Media(stream, rendition),
            (rendition, file) => Route::Segment(stream, SegmentKey { rendition, name: SegmentName::parse(file)? }),
        },
    };
    (!route.stream().is_empty()).then_some(route)
}

impl<'a> Route<'a> {
    /// The stream it belongs to.
    #[must_use]
    pub fn stream(&self) -> &'a str {
        match self {
            Self::Index(stream) | Self::Media(stream, _) | Self::Segment(stream, _) | Self::Flv(stream) => stream,
        }
    }

    /// Of which picture it is.
    #[must_use]
    pub fn rendition(&self) -> Rendition {
        match self {
            Self::Index(_) | Self::Flv(_) => Rendition::Source,
            Self::Media(_, rendition) => *rendition,
            Self::Segment(_, key) => key.rendition,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, normal, parse};
    use lectern_media::ledger::{Profile, SegmentName};
    use lectern_media::rendition::{Name, Rendition, SegmentKey};

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
        let small = Rendition::Named(Name::parse("720p").unwrap());
        let cases = [
            ("/live/hall-a/index.m3u8", Some(Route::Index("hall-a"))),
            ("/live/hall-a/media.m3u8", Some(Route::Media("hall-a", Rendition::Source))),
            ("/live/hall-a/720p/media.m3u8", Some(Route::Media("hall-a", small))),
            ("/live/hall-a/1-1790000000000-42.ts", Some(Route::Segment("hall-a", SegmentKey::source(name)))),
            (
                "/live/hall-a/720p/1-1790000000000-42.ts",
                Some(Route::Segment("hall-a", SegmentKey { rendition: small, name })),
            ),
            ("/live/hall-a/720p/index.m3u8", None),
            ("/live/hall-a/720p/480p/media.m3u8", None),
            ("/live/hall-a/media/media.m3u8", None),
            ("/live/hall-a//media.m3u8", None),
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
