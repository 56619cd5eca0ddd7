//! Heads of answers: what is constant is a constant.

use super::body::Body;
use super::connection::Connection;
use crate::edge::door::Refusal;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use lectern_media::ledger::Profile;

/// RFC 8216, section 10.
const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A playlist is news for a second.
const CACHE_PLAYLIST: HeaderValue = HeaderValue::from_static("public, max-age=1");
/// A name stands for the same bytes for ever; an hour is longer than players ask for them.
const CACHE_SEGMENT: HeaderValue = HeaderValue::from_static("public, max-age=3600, immutable");
/// One cached 404 poisons a CDN.
const CACHE_NEVER: HeaderValue = HeaderValue::from_static("no-store");

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Why there is nothing to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The path is no URL of ours.
    NoSuchUrl,
    /// The event has no such stream.
    NoSuchStream,
    /// The ingest has not yet told this edge what the event is.
    NotYetWired,
    /// No encoder publishes.
    NotLive,
    /// The segment is not, or not any more, or lies further ahead.
    NoSuchSegment,
    /// It was waited for, and did not come.
    TooLate,
    /// No sibling could provide it.
    NotFetched,
    /// Too many requests wait.
    TooManyWait,
    /// The edge carries as many viewers as it can.
    Full,
    /// HTTP-FLV is switched off for this event.
    NoFlv,
    /// Not GET, HEAD or OPTIONS.
    Method,
    /// HTTP-FLV over HTTP/2.
    FlvNeedsHttp1,
    /// HTTP/1.1 without one Host header.
    NoHost,
}

impl Problem {
    fn parts(self) -> (StatusCode, &'static str, Option<HeaderValue>) {
        const SOON: Option<HeaderValue> = Some(HeaderValue::from_static("1"));
        const LATER: Option<HeaderValue> = Some(HeaderValue::from_static("5"));
        let (not_found, unavailable) = (StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE);
        match self {
            Self::NoSuchUrl => (not_found, "no such URL; try /live/STREAM/index.m3u8\n", None),
            Self::NoSuchStream => (not_found, "this event has no such stream\n", None),
            Self::NotYetWired => (unavailable, "this edge has not heard from the ingest yet\n", SOON),
            Self::NotLive => (not_found, "the stream is not live\n", LATER),
            Self::NoSuchSegment => (not_found, "no such segment: too old, too far ahead, or never made\n", None),
            Self::TooLate => (unavailable, "it did not come in time\n", SOON),
            Self::NotFetched => (unavailable, "no other edge could provide the segment\n", SOON),
            Self::TooManyWait => (unavailable, "too many requests are waiting\n", SOON),
            Self::Full => (unavailable, "this edge is full; others may have room\n", SOON),
            Self::NoFlv => (not_found, "HTTP-FLV is switched off for this event\n", None),
            Self::FlvNeedsHttp1 => {
                (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "HTTP-FLV is served over HTTP/1.1 only\n", None)
            }
            Self::NoHost => (StatusCode::BAD_REQUEST, "a request of HTTP/1.1 has one Host header\n", None),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "only GET, HEAD and OPTIONS\n", None),
        }
    }
}

/// An answer that says in one line why there is nothing.
#[must_use]
pub fn problem(problem: Problem) -> Response<Body> {
    let (status, line, retry_after) = problem.parts();
    let mut response = Response::new(Body::Full(Bytes::from_static(line.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT);
    headers.insert(CACHE_CONTROL, CACHE_NEVER);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(line.len()));
    headers.extend(retry_after.map(|seconds| (RETRY_AFTER, seconds)));
    match problem {
        Problem::Full => close(headers),
        Problem::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        }
        _ => {}
    }
    response
}

/// The answer to a viewer whom the door turned away. A full edge also ends the connection, so that the next try may reach
/// another edge.
#[must_use]
pub fn refusal(connection: &Connection, refusal: Refusal) -> Response<Body> {
    if refusal == Refusal::Full {
        connection.retire();
    }
    problem(match refusal {
        Refusal::NotYetWired => Problem::NotYetWired,
        Refusal::NoSuchStream => Problem::NoSuchStream,
        Refusal::SwitchedOff => Problem::NoFlv,
        Refusal::NotLive => Problem::NotLive,
        Refusal::Full => Problem::Full,
    })
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

/// What a playlist says of itself.
pub fn playlist_headers(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, PLAYLIST);
    headers.insert(CACHE_CONTROL, CACHE_PLAYLIST);
}

/// The headers of a segment of this profile.
pub fn segment_headers(headers: &mut HeaderMap, profile: Profile) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(profile.content_type()));
    headers.insert(CACHE_CONTROL, CACHE_SEGMENT);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

/// This answer is the last on its connection.
pub fn close(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, CLOSE);
}

/// The headers are those of a playlist.
#[must_use]
pub fn is_playlist(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE) == Some(&PLAYLIST)
}

/// The headers are those of a full edge.
#[must_use]
pub fn is_refusal(headers: &HeaderMap) -> bool {
    headers.get(CONNECTION) == Some(&CLOSE)
}
