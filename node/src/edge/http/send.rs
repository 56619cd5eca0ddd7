//! Answers that are made from the bytes of a snapshot: whole, a part, or the news that the client has them already.

use super::body::Body;
use super::connection::Connection;
use super::range::{self, Ranged};
use super::reply;
use super::request::RequestHead;
use crate::edge::stream::snapshot::{Encoded, Playlist, Segment};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::sync::Arc;

/// A playlist that is there.
pub fn send_playlist(connection: &Connection, head: &RequestHead, playlist: &Playlist) -> Response<Body> {
    let mut response = send_document(head, playlist);
    reply::playlist_headers(response.headers_mut());
    if connection.is_old() {
        connection.retire();
        reply::close(response.headers_mut());
    }
    response
}

/// A text that is there, compressed for clients that take that, or the news that the client has it.
pub fn send_document(head: &RequestHead, playlist: &Playlist) -> Response<Body> {
    // Chromium's player of HLS asks for a part of a list, with the validator of the compressed list that the page got
    // before, and would take "not changed" for a list that is not compressed.
    let gzip = accepts_gzip(&head.headers) && !head.headers.contains_key(RANGE);
    let body = if gzip { playlist.gzip() } else { &playlist.plain };
    let mut response = if matches_any(head.headers.get(IF_NONE_MATCH), &body.etag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        send_whole(head, body, None)
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
pub fn send_segment(head: &RequestHead, segment: &Arc<Segment>) -> Response<Body> {
    let data = &segment.data;
    let mut response = if matches_any(head.headers.get(IF_NONE_MATCH), &data.etag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        match ranged(head, data) {
            Ranged::Whole => send_whole(head, data, Some(segment)),
            Ranged::Part { start, end } => send_part(head, segment, start, end),
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

fn ranged(head: &RequestHead, data: &Encoded) -> Ranged {
    let Some(range) = head.headers.get(RANGE).and_then(|range| range.to_str().ok()) else { return Ranged::Whole };
    // Names are never used again for other bytes, so a date in If-Range cannot be told from "unchanged" either way;
    // only our own validator counts (RFC 9110, 13.1.5).
    if !head.is_get() || head.headers.get(IF_RANGE).is_some_and(|validator| validator != data.etag) {
        return Ranged::Whole;
    }
    range::parse(range, data.bytes.len() as u64)
}

fn send_whole(head: &RequestHead, data: &Encoded, segment: Option<&Arc<Segment>>) -> Response<Body> {
    let mut response = Response::new(body_of(head, data.bytes.clone(), segment));
    response.headers_mut().reserve(HEADERS_USUAL);
    response.headers_mut().insert(CONTENT_LENGTH, data.length.clone());
    response
}

fn send_part(head: &RequestHead, segment: &Arc<Segment>, start: u64, end: u64) -> Response<Body> {
    let length = segment.data.bytes.len();
    // `range::parse` keeps both within the length, which is a usize.
    let at = |position: u64| usize::try_from(position).unwrap_or(length);
    let bytes = segment.data.bytes.slice(at(start)..at(end));
    // Ranges count once: the one that has the last byte. A viewer gets the picture with it; a few bytes at the end of a
    // segment show nothing.
    let is_much = (end - start) * LAST_PART_MIN >= length as u64;
    let counts = (end == length as u64 && is_much).then_some(segment);
    let mut response = Response::new(body_of(head, bytes, counts));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.reserve(HEADERS_USUAL);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
    let range = format!("bytes {start}-{}/{length}", end - 1);
    headers.extend(HeaderValue::try_from(range).ok().map(|range| (CONTENT_RANGE, range)));
    response
}

/// The last range of a segment counts as a viewer's from this part of it on, a quarter: players that fetch in parts take
/// two or three.
const LAST_PART_MIN: u64 = 4;

/// Room for the headers of a usual answer, so that the map never grows.
const HEADERS_USUAL: usize = 12;

fn body_of(head: &RequestHead, bytes: Bytes, segment: Option<&Arc<Segment>>) -> Body {
    match segment {
        _ if !head.is_get() => Body::Empty,
        Some(segment) => Body::Counted(bytes, Arc::clone(segment)),
        None => Body::Full(bytes),
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
