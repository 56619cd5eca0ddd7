//! The URLs that viewers open, sorted into streams: the same path at several hosts is one stream at several edges.

use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::rc::Rc;

/// Protocol of a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `http://…/index.m3u8`.
    Hls,
    /// `http://….flv`.
    Flv,
    /// `rtmp://…`.
    Rtmp,
}

/// One host of a stream.
#[derive(Clone, Debug)]
pub struct Host {
    /// As written in the URL, for the `Host` header and for reports.
    pub authority: Rc<str>,
    /// Where to connect to.
    pub address: SocketAddr,
}

/// What one URL, or several that differ in the host only, stand for.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Protocol.
    pub kind: Kind,
    /// Path with its leading slash, and query.
    pub path: Rc<str>,
    /// Where it is served.
    pub hosts: Rc<[Host]>,
}

/// Reads `urls` and resolves their hosts once.
pub async fn streams(urls: &[String]) -> Result<Vec<Stream>> {
    let mut streams: Vec<(Kind, &str, Vec<Host>)> = Vec::new();
    for url in urls {
        let (kind, authority, path) = split(url)?;
        let port = if kind == Kind::Rtmp { 1935 } else { 80 };
        let named = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:{port}") };
        let address = tokio::net::lookup_host(&named)
            .await
            .with_context(|| format!("failed to resolve {named:?}"))?
            .next()
            .with_context(|| format!("{named:?} has no address"))?;
        let host = Host { authority: authority.into(), address };
        match streams.iter_mut().find(|s| s.0 == kind && s.1 == path) {
            Some(known) => known.2.push(host),
            None => streams.push((kind, path, vec![host])),
        }
    }
    Ok(streams.into_iter().map(|(kind, path, hosts)| Stream { kind, path: path.into(), hosts: hosts.into() }).collect())
}

fn split(url: &str) -> Result<(Kind, &str, &str)> {
    let (scheme, rest) = url.split_once("://").with_context(|| format!("{url:?} is no URL"))?;
    let at = rest.find('/').with_context(|| format!("{url:?} has no path"))?;
    let (authority, path) = rest.split_at(at);
    let file = path.split('?').next().unwrap_or_default();
    let kind = match scheme {
        "rtmp" => Kind::Rtmp,
        "http" if file.ends_with(".flv") => Kind::Flv,
        "http" if file.ends_with(".m3u8") => Kind::Hls,
        _ => bail!("{url:?} is neither http://….m3u8 nor http://….flv nor rtmp://…"),
    };
    Ok((kind, authority, path))
}

/// `uri` of a playlist at `base`, as a path.
pub fn resolve(base: &str, uri: &str) -> String {
    if let Some((_, rest)) = uri.split_once("://") {
        return rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/").to_owned();
    }
    if uri.starts_with('/') {
        return uri.to_owned();
    }
    let file = base.split('?').next().unwrap_or_default();
    let folder = file.rfind('/').and_then(|at| file.get(..=at)).unwrap_or("/");
    format!("{folder}{uri}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn urls_that_differ_in_the_host_are_one_stream() {
        let urls =
            ["http://127.0.0.1:1/live/a/index.m3u8", "http://127.0.0.1:2/live/a/index.m3u8", "rtmp://127.0.0.1/live/a"];
        let found = streams(&urls.map(String::from)).await.expect("reads");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, &*found[0].path, found[0].hosts.len()), (Kind::Hls, "/live/a/index.m3u8", 2));
        assert_eq!((found[1].kind, found[1].hosts[0].address.port()), (Kind::Rtmp, 1935));
        for wrong in ["live/a", "http://127.0.0.1:1", "http://127.0.0.1:1/a.mp4"] {
            assert!(streams(&[wrong.to_owned()]).await.is_err(), "{wrong}");
        }
    }

    #[test]
    fn uris_are_resolved_against_their_playlist() {
        for (uri, path) in [("media.m3u8", "/live/a/media.m3u8"), ("/x.ts", "/x.ts"), ("http://h/y/z.ts", "/y/z.ts")] {
            assert_eq!(resolve("/live/a/index.m3u8?q=/", uri), path);
        }
    }
}
