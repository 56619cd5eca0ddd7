//! What an edge knows of the event for its pages, and `programme.json` as it was last asked for.

use super::hub::Stream;
use super::snapshot::Playlist;
use arc_swap::ArcSwapOption;
use http::HeaderValue;
use lectern_media::programme::{Programme, State, programme_json};
use lectern_web::POLICY;
use std::collections::HashMap;
use std::sync::Arc;

/// What pages show of the event, and what browsers are told about them.
#[derive(Debug)]
pub struct Pages {
    programme: Programme,
    /// Content security policy of a page.
    pub policy: HeaderValue,
    /// The same of the player for frames of other sites.
    pub policy_embed: HeaderValue,
    /// The document as it was last asked for, and what the streams' states were then.
    last: ArcSwapOption<(Vec<State>, Playlist)>,
}

impl Pages {
    /// Pages of `programme` that sites at `origins` may frame.
    #[must_use]
    pub fn new(programme: Programme, origins: &[String]) -> Self {
        let logo = programme.look.logo.as_deref().and_then(origin).unwrap_or_default();
        let with = |ancestors: &str| {
            let policy = format!("{POLICY}; img-src 'self' data:{logo}; frame-ancestors {ancestors}");
            // What cannot be a header is an origin that no browser has: then nothing is allowed.
            HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
        };
        let sites = origins.iter().filter(|origin| !origin.contains([';', ',', ' '])).cloned();
        let sites: Vec<_> = std::iter::once("'self'".to_owned()).chain(sites).collect();
        let policy_embed = with(&sites.join(" "));
        Self { policy: with("'self'"), policy_embed, programme, last: ArcSwapOption::empty() }
    }

    /// `programme.json` as the streams are now: made again only when one of them changed.
    #[must_use]
    pub fn document(&self, streams: &HashMap<String, Arc<Stream>>) -> Arc<(Vec<State>, Playlist)> {
        let state = |name: &String| {
            streams.get(name).map_or(State::Idle, |stream| State::of(&stream.snapshot.load().view.ledger))
        };
        let states: Vec<_> = self.programme.streams.iter().map(|stream| state(&stream.name)).collect();
        if let Some(last) = self.last.load_full().filter(|last| last.0 == states) {
            return last;
        }
        let document = Playlist::new(programme_json(&self.programme, &states));
        let next = Arc::new((states, document));
        self.last.store(Some(Arc::clone(&next)));
        next
    }
}

/// The origin of an http(s) URL, with a space before it, as a source of a content security policy.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme))?;
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    plain.then(|| format!(" {scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_who_may_frame_and_where_the_logo_is_and_nothing_else() {
        let pages = |logo: &str, origins: &[&str]| {
            let mut programme = Programme::default();
            programme.look.logo = Some(logo.to_owned()).filter(|logo| !logo.is_empty());
            let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
            let pages = Pages::new(programme, &origins);
            let tail = |policy: &HeaderValue| policy.to_str().unwrap().strip_prefix(POLICY).unwrap().to_owned();
            (tail(&pages.policy), tail(&pages.policy_embed))
        };
        let own = "; img-src 'self' data:; frame-ancestors 'self'";
        assert_eq!(pages("", &[]), (own.into(), own.into()));
        assert_eq!(pages("", &["*"]).1, "; img-src 'self' data:; frame-ancestors 'self' *");
        assert_eq!(
            pages("https://example.org/a/logo.svg?x=1", &[]).0,
            "; img-src 'self' data: https://example.org; frame-ancestors 'self'"
        );
        for logo in ["data:image/png;base64,AA==", "https://a;b/", "https:// x", "javascript://x", "https://user@x/"] {
            assert_eq!(pages(logo, &[]).0, own, "{logo}");
        }
        assert_eq!(
            pages("", &["https://a; script-src *", "https://b.example"]).1,
            "; img-src 'self' data:; frame-ancestors 'self' https://b.example"
        );
    }
}
