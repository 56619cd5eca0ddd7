//! From a request to its answer. Nearly all are answered at once from a snapshot; the few that are a little ahead of
//! the stream wait (`waiting`).

use super::body::Body;
use super::connection::Connection;
use super::range::{self, Ranged};
use super::reply::{self, Why};
use super::route::{self, Route};
use super::waiting::{self, Wanted};
use super::{Site, live, page};
use crate::edge::counting::Answered;
use crate::edge::stream::hub::Stream;
use crate::edge::stream::snapshot::{Encoded, Lookup, Playlist, Segment, Snapshot};
use bytes::Bytes;
use futures::future::{Either, Ready, ready};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HOST, IF_NONE_MATCH, IF_RANGE, RANGE,
    USER_AGENT, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use lectern_media::ledger::SegmentName;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// An answer, now or a little later.
pub type Answer = Either<
    Ready<Result<Response<Body>, Infallible>>,
    Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>,
>;

/// Answers one request. The request's body, if it has any, is not looked at.
pub fn answer<B>(site: &Arc<Site>, connection: &Arc<Connection>, request: Request<B>) -> Answer {
    connection.request_begins();
    let (head, _) = request.into_parts();
    let asked = Asked { method: head.method, headers: head.headers };
    let found = if has_its_host(head.version, &asked.headers) {
        find(site, connection, &asked, &route::normal(head.uri.path()))
    } else {
        Ok(reply::why(Why::NoHost))
    };
    match found {
        Ok(response) => Either::Left(ready(Ok(finish(site, connection, &asked, response)))),
        Err(wanted) => {
            let (site, connection) = (Arc::clone(site), Arc::clone(connection));
            Either::Right(Box::pin(async move {
                let response = waiting::wait(&site, &connection, &asked, wanted).await;
                Ok(finish(&site, &connection, &asked, response))
            }))
        }
    }
}

/// HTTP/1.1 wants exactly one Host (RFC 9112, 3.2); HTTP/1.0 and HTTP/2 do not.
fn has_its_host(version: Version, headers: &HeaderMap) -> bool {
    version != Version::HTTP_11 || headers.get_all(HOST).iter().count() == 1
}

/// The parts of a request that answers depend on besides its path.
#[derive(Debug)]
pub struct Asked {
    /// GET or HEAD; others end early.
    pub method: Method,
    /// All headers.
    pub headers: HeaderMap,
}

impl Asked {
    fn is_get(&self) -> bool {
        self.method == Method::GET
    }
}

fn find(site: &Arc<Site>, connection: &Arc<Connection>, asked: &Asked, path: &str) -> Result<Response<Body>, Wanted> {
    if asked.method == Method::OPTIONS {
        return Ok(reply::empty(StatusCode::NO_CONTENT));
    }
    if asked.method != Method::GET && asked.method != Method::HEAD {
        return Ok(reply::why(Why::Method));
    }
    let Some(route) = route::parse(path) else { return Ok(page::answer(site, connection, asked, path)) };
    let Some(stream) = site.hub.stream(route.stream()) else {
        let known = site.hub.playback.load().known;
        return Ok(reply::why(if known { Why::NoSuchStream } else { Why::NotYetWired }));
    };
    stream.asked_ms.store(site.hub.clock.now_ms(), Relaxed);
    match route {
        Route::Index(_) => index(site, connection, asked, &stream),
        Route::Media(_) => {
            if asked.is_get() {
                stream.reloads.add();
            }
            playlist(connection, asked, &stream, |snapshot| snapshot.media.as_ref(), Wanted::Media)
        }
        Route::Segment(_, name) => segment(site, asked, &stream, name),
        Route::Flv(_) => Ok(live::answer(site, connection, asked, &stream)),
    }
}

/// The one HLS URL that a full edge refuses: behind it is a newcomer, behind the others somebody who watches.
fn index(site: &Site, connection: &Connection, asked: &Asked, stream: &Arc<Stream>) -> Result<Response<Body>, Wanted> {
    if !site.hub.load.admit() {
        return Ok(refuse(site, connection, asked));
    }
    playlist(connection, asked, stream, |snapshot| snapshot.index.as_ref(), Wanted::Index)
}

/// Sends a newcomer away, and remembers the demand.
pub fn refuse(site: &Site, connection: &Connection, asked: &Asked) -> Response<Body> {
    let agent = asked.headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    site.hub.refused.record(connection.peer.ip(), agent, site.hub.clock.now_ms());
    connection.retire();
    reply::why(Why::Full)
}

fn playlist(
    connection: &Connection,
    asked: &Asked,
    stream: &Arc<Stream>,
    which: impl Fn(&Snapshot) -> Option<&Arc<Playlist>>,
    wanted: fn(Arc<Stream>) -> Wanted,
) -> Result<Response<Body>, Wanted> {
    let snapshot = stream.snapshot.load();
    match which(&snapshot) {
        Some(playlist) => Ok(send_playlist(connection, asked, playlist)),
        None if snapshot.expects_media() => Err(wanted(Arc::clone(stream))),
        None => Ok(reply::why(Why::NotLive)),
    }
}

fn segment(site: &Site, asked: &Asked, stream: &Arc<Stream>, name: SegmentName) -> Result<Response<Body>, Wanted> {
    match stream.snapshot.load().lookup(&name, site.hub.clock.now_ms()) {
        Lookup::Held(segment) => Ok(send_segment(asked, segment)),
        Lookup::Nowhere => Ok(reply::why(Why::NoSuchSegment)),
        Lookup::Elsewhere(_) | Lookup::Ahead | Lookup::Unsure => Err(Wanted::Segment(Arc::clone(stream), name)),
    }
}

/// A playlist that is there.
pub fn send_playlist(connection: &Connection, asked: &Asked, playlist: &Playlist) -> Response<Body> {
    let mut response = send_document(asked, playlist);
    reply::playlist_headers(response.headers_mut());
    if connection.is_old() {
        connection.retire();
        reply::close(response.headers_mut());
    }
    response
}

/// A text that is there, compressed for clients that take that, or the news that the client has it.
pub fn send_document(asked: &Asked, playlist: &Playlist) -> Response<Body> {
    // Chromium's player of HLS asks for a part of a list, with the validator of the compressed list that the page got
    // before, and would take "not changed" for a list that is not compressed.
    let gzip = accepts_gzip(&asked.headers) && !asked.headers.contains_key(RANGE);
    let body = if gzip { playlist.gzip() } else { &playlist.plain };
    let mut response = if matches_any(asked.headers.get(IF_NONE_MATCH), &body.etag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        send_whole(asked, body, None)
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, body.etag.clone());
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if gzip && response.status() == StatusCode::OK {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// A segment that is there: whole, a part of it, or the news that the client has it.
pub fn send_segment(asked: &Asked, segment: &Arc<Segment>) -> Response<Body> {
    let data = &segment.data;
    let mut response = if matches_any(asked.headers.get(IF_NONE_MATCH), &data.etag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        match ranged(asked, data) {
            Ranged::Whole => send_whole(asked, data, Some(segment)),
            Ranged::Part { start, end } => send_part(asked, segment, start, end),
            Ranged::Unsatisfiable => {
                let mut response = reply::empty(StatusCode::RANGE_NOT_SATISFIABLE);
                let range = format!("bytes */{}", data.bytes.len());
                response.headers_mut().extend(HeaderValue::try_from(range).ok().map(|range| (CONTENT_RANGE, range)));
                response
            }
        }
    };
    response.headers_mut().insert(ETAG, data.etag.clone());
    reply::segment_headers(response.headers_mut(), segment.entry.profile);
    response
}

fn ranged(asked: &Asked, data: &Encoded) -> Ranged {
    let Some(range) = asked.headers.get(RANGE).and_then(|range| range.to_str().ok()) else { return Ranged::Whole };
    // Names are never used again for other bytes, so a date in If-Range cannot be told from "unchanged" either way;
    // only our own validator counts (RFC 9110, 13.1.5).
    if !asked.is_get() || asked.headers.get(IF_RANGE).is_some_and(|validator| validator != data.etag) {
        return Ranged::Whole;
    }
    range::parse(range, data.bytes.len() as u64)
}

fn send_whole(asked: &Asked, data: &Encoded, segment: Option<&Arc<Segment>>) -> Response<Body> {
    let mut response = Response::new(body_of(asked, data.bytes.clone(), segment));
    response.headers_mut().reserve(HEADERS_USUAL);
    response.headers_mut().insert(CONTENT_LENGTH, data.length.clone());
    response
}

fn send_part(asked: &Asked, segment: &Arc<Segment>, start: u64, end: u64) -> Response<Body> {
    let length = segment.data.bytes.len();
    // `range::parse` keeps both within the length, which is a usize.
    let at = |position: u64| usize::try_from(position).unwrap_or(length);
    let bytes = segment.data.bytes.slice(at(start)..at(end));
    // Ranges count once: the one that has the last byte.
    let counts = (end == length as u64).then_some(segment);
    let mut response = Response::new(body_of(asked, bytes, counts));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.reserve(HEADERS_USUAL);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
    let range = format!("bytes {start}-{}/{length}", end - 1);
    headers.extend(HeaderValue::try_from(range).ok().map(|range| (CONTENT_RANGE, range)));
    response
}

/// Room for the headers of a usual answer, so that the map never grows.
const HEADERS_USUAL: usize = 12;

fn body_of(asked: &Asked, bytes: Bytes, segment: Option<&Arc<Segment>>) -> Body {
    match segment {
        _ if !asked.is_get() => Body::Empty,
        Some(segment) => {
            segment.fetches.begin();
            Body::Counted(bytes, Arc::clone(segment))
        }
        None => Body::Full(bytes),
    }
}

/// The headers and counts that every answer has.
fn finish(site: &Site, connection: &Connection, asked: &Asked, response: Response<Body>) -> Response<Body> {
    if let Some(class) = classify(response.status(), response.headers()) {
        site.hub.totals.answered(class);
    }
    let (mut head, body) = response.into_parts();
    let playback = site.hub.playback.load();
    if asked.method == Method::OPTIONS {
        playback.origins.preflight(&asked.headers, &mut head.headers);
    } else {
        playback.origins.allow(&asked.headers, &mut head.headers);
    }
    // A client that is to come again does better to come to another edge.
    let comes_again = head.status == StatusCode::SERVICE_UNAVAILABLE;
    if comes_again || site.hub.closing.load(Relaxed) {
        connection.retire();
        reply::close(&mut head.headers);
    }
    if connection.multiplexed {
        // HTTP/2 has no such header: the connection says goodbye itself.
        head.headers.remove(http::header::CONNECTION);
    }
    Response::from_parts(head, connection.answer_begins(body))
}

fn classify(status: StatusCode, headers: &HeaderMap) -> Option<Answered> {
    match status {
        StatusCode::OK if reply::is_playlist(headers) => Some(Answered::Playlist),
        StatusCode::OK if headers.contains_key(X_CONTENT_TYPE_OPTIONS) => Some(Answered::Page),
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Some(Answered::Segment),
        StatusCode::NOT_MODIFIED => Some(Answered::NotModified),
        StatusCode::SERVICE_UNAVAILABLE if reply::is_refusal(headers) => Some(Answered::Refused),
        status if status.is_server_error() => Some(Answered::Unavailable),
        status if status.is_client_error() => Some(Answered::NotFound),
        _ => None,
    }
}

/// `If-None-Match` names this validator or everything (RFC 9110, 13.1.2). A weak form of ours names the same bytes.
fn matches_any(header: Option<&HeaderValue>, etag: &HeaderValue) -> bool {
    let Some((list, etag)) = header.and_then(|list| list.to_str().ok()).zip(etag.to_str().ok()) else { return false };
    list.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
}

/// `Accept-Encoding` takes gzip (RFC 9110, 12.5.3), by name or by `*`, with a weight above zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let Some(list) = headers.get(ACCEPT_ENCODING).and_then(|list| list.to_str().ok()) else { return false };
    let takes = |wanted: &str| {
        list.split(',').find_map(|one| {
            let (name, weight) = one.split_once(';').unwrap_or((one, ""));
            let zero = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0_f32));
            name.trim().eq_ignore_ascii_case(wanted).then_some(!zero)
        })
    };
    takes("gzip").or_else(|| takes("*")).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::{accepts_gzip, matches_any};
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn gzip_is_sent_to_who_takes_it_only() {
        let cases = [
            ("gzip, deflate, br", true),
            ("br;q=1.0, gzip;q=0.8", true),
            ("GZIP", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, *", false),
            ("identity", false),
            ("", false),
        ];
        for (header, expected) in cases {
            let headers: HeaderMap =
                [(http::header::ACCEPT_ENCODING, HeaderValue::from_static(header))].into_iter().collect();
            assert_eq!(accepts_gzip(&headers), expected, "{header:?}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_validator_is_found_in_a_list() {
        let etag = HeaderValue::from_static("\"abc\"");
        for (header, expected) in
            [("\"abc\"", true), ("\"x\", W/\"abc\"", true), ("*", true), ("\"abc-gz\"", false), ("abc", false)]
        {
            assert_eq!(matches_any(Some(&HeaderValue::from_static(header)), &etag), expected, "{header}");
        }
    }
}
