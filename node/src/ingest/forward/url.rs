//! `rtmp://HOST[:PORT]/APP/STREAM` taken apart. Pure. No error repeats any of it: it ends in a key.

use lectern_api::ports::RTMP;

/// Longest URL in bytes, as for all names in RTMP commands.
const URL_BYTES_MAX: usize = 1_024;

/// Where to push, and as what.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// Name or address, without brackets.
    pub(super) host: String,
    /// Port, 1935 unless given.
    pub(super) port: u16,
    /// Everything between host and the last segment.
    pub(super) app: String,
    /// The last segment, with its query.
    pub(super) stream: String,
    /// The URL up to the application.
    pub(super) tc_url: String,
}

/// Why a text is no URL to push to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    /// Longer than [`URL_BYTES_MAX`], or with characters that no URL has.
    #[error("the URL is longer than {URL_BYTES_MAX} bytes or has spaces in it")]
    Text,
    /// Another protocol.
    #[error("the URL does not begin with rtmp:// (rtmps is not supported)")]
    Scheme,
    /// No host, a bad port, or a user name.
    #[error("the URL has no host, a bad port, or a user name")]
    Authority,
    /// Application or stream missing.
    #[error("the URL is not of the form rtmp://HOST[:PORT]/APP/STREAM")]
    Path,
}

impl Url {
    /// Reads a URL.
    pub(super) fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > URL_BYTES_MAX || text.bytes().any(|b| !b.is_ascii_graphic()) {
            return Err(UrlError::Text);
        }
        let rest = text.strip_prefix("rtmp://").ok_or(UrlError::Scheme)?;
        let (authority, path) = rest.split_once('/').ok_or(UrlError::Path)?;
        let (host, port) = authority_of(authority).ok_or(UrlError::Authority)?;
        // A query may contain slashes: it belongs to the stream.
        let (path, query) = path.find('?').map_or((path, ""), |at| path.split_at(at));
        let (app, name) = path.rsplit_once('/').ok_or(UrlError::Path)?;
        if app.is_empty() || name.is_empty() {
            return Err(UrlError::Path);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            app: app.to_owned(),
            stream: format!("{name}{query}"),
            tc_url: format!("rtmp://{authority}/{app}"),
        })
    }
}

fn authority_of(text: &str) -> Option<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(RTMP), |port| port.parse().ok().filter(|p| *p > 0))?;
    (!host.is_empty() && !host.contains('@')).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_and_stream_are_told_apart() {
        for (text, host, port, app, stream) in [
            ("rtmp://a.example/live2/k-e-y", "a.example", 1935, "live2", "k-e-y"),
            ("rtmp://127.0.0.1:1936/app/instance/name?sign=a/b", "127.0.0.1", 1936, "app/instance", "name?sign=a/b"),
            ("rtmp://[::1]:99/app/name", "::1", 99, "app", "name"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host.as_str(), url.port), (host, port));
            assert_eq!((url.app.as_str(), url.stream.as_str()), (app, stream));
        }
        assert_eq!(Url::parse("rtmp://h:5/a/b?c").unwrap().tc_url, "rtmp://h:5/a");
    }

    #[test]
    fn what_cannot_be_pushed_to_is_refused_without_repeating_it() {
        for (text, error) in [
            ("rtmps://h/a/secret", UrlError::Scheme),
            ("rtmp://h/secret", UrlError::Path),
            ("rtmp://h/a/", UrlError::Path),
            ("rtmp:///a/secret", UrlError::Authority),
            ("rtmp://u@h/a/secret", UrlError::Authority),
            ("rtmp://h:0/a/secret", UrlError::Authority),
            ("rtmp://h/a/sec ret", UrlError::Text),
        ] {
            let found = Url::parse(text).err().unwrap();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("secret"));
        }
    }
}
