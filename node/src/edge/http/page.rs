//! The pages, their scripts and what they are told: everything of the HTTP port that is neither playlist nor media. It
//! admits and counts no viewer, and a full edge answers it all the same: a page has to be able to say that.

use super::body::Body;
use super::connection::Connection;
use super::reply::{self, Problem};
use super::request::RequestHead;
use super::send::send_document;
use super::state::HttpState;
use crate::edge::stream::pages::Pages;
use crate::edge::stream::snapshot::Playlist;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use lectern_api::limits::NAME_BYTES_MAX;
use lectern_api::names::is_label;
use lectern_media::programme::{State, state_json};
use lectern_web::{Found, PAGES, Page};
use std::sync::OnceLock;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// A page of another release may name other scripts: it is asked for again after a minute.
const CACHE_PAGE: HeaderValue = HeaderValue::from_static("public, max-age=60");
/// A name with the hash of these bytes stands for them for ever.
const CACHE_EXACT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// All who look at the page ask for it every few seconds.
const CACHE_PROGRAMME: HeaderValue = HeaderValue::from_static("public, max-age=2");
/// As a playlist: those who wait should not wait for a cache.
const CACHE_STATE: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted<'a> {
    Page(Page),
    Asset(Found),
    Programme,
    State(&'a str),
    /// `/live/STREAM`, which is `/live/STREAM/`.
    Hall(&'a str),
}

fn parse(path: &str) -> Option<Wanted<'_>> {
    match path {
        "/" => return Some(Wanted::Page(Page::Programme)),
        "/programme.json" => return Some(Wanted::Programme),
        _ => {}
    }
    if let Some(name) = path.strip_prefix("/-/") {
        return lectern_web::find(name).map(Wanted::Asset);
    }
    if let Some(stream) = path.strip_prefix("/embed/") {
        return is_label(stream.strip_suffix('/').unwrap_or(stream), NAME_BYTES_MAX)
            .then_some(Wanted::Page(Page::Embed));
    }
    let rest = path.strip_prefix("/live/")?;
    let (stream, wanted) = match rest.split_once('/') {
        None => (rest, Wanted::Hall(rest)),
        Some((stream, "")) => (stream, Wanted::Page(Page::Hall)),
        Some((stream, "state.json")) => (stream, Wanted::State(stream)),
        Some(_) => return None,
    };
    is_label(stream, NAME_BYTES_MAX).then_some(wanted)
}

/// Answers a path that names no playlist and no media.
pub fn answer(state: &HttpState, connection: &Connection, head: &RequestHead, path: &str) -> Response<Body> {
    let Some(wanted) = parse(path) else { return reply::problem(Problem::NoSuchUrl) };
    let playback = state.hub.playback.load();
    let Some(pages) = &playback.pages else {
        return reply::problem(if playback.known { Problem::NoSuchUrl } else { Problem::NotYetWired });
    };
    let mut response = match wanted {
        Wanted::Page(page) => send_page(head, pages, page),
        Wanted::Asset(found) => send_asset(head, found),
        Wanted::Programme => send_json(head, &pages.document(&state.hub.streams.load()).1, CACHE_PROGRAMME),
        Wanted::State(name) => match state.hub.stream(name) {
            None => return reply::problem(Problem::NoSuchStream),
            Some(stream) => {
                let state = State::of(&stream.snapshot.load().view.ledger);
                send_json(head, &Playlist::new(state_json(name, state)), CACHE_STATE)
            }
        },
        Wanted::Hall(name) => moved(name),
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    if connection.is_old() {
        connection.retire();
        reply::close(headers);
    }
    response
}

fn send_page(head: &RequestHead, pages: &Pages, page: Page) -> Response<Body> {
    static MADE: OnceLock<Vec<Playlist>> = OnceLock::new();
    let all = MADE.get_or_init(|| PAGES.iter().map(|page| Playlist::new(Bytes::from_static(page.html()))).collect());
    let index = PAGES.iter().position(|one| *one == page).unwrap_or_default();
    let mut response = send_document(head, &all[index]);
    let policy = if page == Page::Embed { &pages.policy_embed } else { &pages.policy };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(CONTENT_TYPE, HTML);
    headers.insert(CACHE_CONTROL, CACHE_PAGE);
    response
}

fn send_asset(head: &RequestHead, found: Found) -> Response<Body> {
    static MADE: OnceLock<Vec<Playlist>> = OnceLock::new();
    let made = || lectern_web::assets().map(|asset| Playlist::new(Bytes::from_static(asset.bytes))).collect();
    let mut response = send_document(head, &MADE.get_or_init(made)[found.index]);
    let kind = lectern_web::assets().nth(found.index).map_or("", lectern_web::Asset::content_type);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, if found.exact { CACHE_EXACT } else { CACHE_PAGE });
    response
}

fn send_json(head: &RequestHead, document: &Playlist, cache: HeaderValue) -> Response<Body> {
    let mut response = send_document(head, document);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(CACHE_CONTROL, cache);
    response
}

fn moved(stream: &str) -> Response<Body> {
    let mut response = reply::empty(StatusCode::PERMANENT_REDIRECT);
    let location = HeaderValue::try_from(format!("/live/{stream}/")).ok();
    response.headers_mut().extend(location.map(|location| (LOCATION, location)));
    response.headers_mut().insert(CACHE_CONTROL, CACHE_PAGE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_pages_are_told_apart() {
        let cases = [
            ("/", Some(Wanted::Page(Page::Programme))),
            ("/programme.json", Some(Wanted::Programme)),
            ("/live/hall-a/", Some(Wanted::Page(Page::Hall))),
            ("/live/hall-a", Some(Wanted::Hall("hall-a"))),
            ("/live/hall-a/state.json", Some(Wanted::State("hall-a"))),
            ("/embed/hall-a", Some(Wanted::Page(Page::Embed))),
            ("/embed/hall-a/", Some(Wanted::Page(Page::Embed))),
            ("/-/page.js", Some(Wanted::Asset(lectern_web::find("page.js").unwrap()))),
            ("/live/", None),
            ("/live//", None),
            ("/live//state.json", None),
            ("/live/hall-a/x.json", None),
            ("/live/Hall/", None),
            ("/live/a%2fb/", None),
            ("/live/../", None),
            ("/embed/", None),
            ("/embed/a/b", None),
            ("/-/", None),
            ("/-/../page.js", None),
            ("/other", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(parse(path), expected, "{path}");
        }
    }
}
