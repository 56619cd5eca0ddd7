//! From the path of a request to what it names: an answer at once, or something to wait for.

use super::body::Body;
use super::connection::Connection;
use super::reply::{self, Problem};
use super::request::RequestHead;
use super::route::{self, Route};
use super::send::{send_playlist, send_segment};
use super::state::HttpState;
use super::{live, page};
use crate::edge::counting::Protocol;
use crate::edge::door;
use crate::edge::stream::hub::Stream;
use crate::edge::stream::snapshot::{Lookup, Playlist, Snapshot};
use http::{Method, Response, StatusCode};
use lectern_media::rendition::{Rendition, SegmentKey};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What is not there yet.
#[derive(Debug)]
pub enum Wanted {
    /// The multivariant playlist, before the first segment.
    Index(Arc<Stream>),
    /// The media playlist of a rendition, before its first segment.
    Media(Arc<Stream>, Rendition),
    /// A segment that this edge does not hold.
    Segment(Arc<Stream>, SegmentKey),
}

impl Wanted {
    /// The stream that it belongs to.
    #[must_use]
    pub fn stream(&self) -> &Arc<Stream> {
        match self {
            Self::Index(stream) | Self::Media(stream, _) | Self::Segment(stream, _) => stream,
        }
    }
}

/// Finds what `path` names.
///
/// # Errors
/// What to wait for, if the answer is not known yet.
pub fn find(
    state: &Arc<HttpState>,
    connection: &Arc<Connection>,
    head: &RequestHead,
    path: &str,
) -> Result<Response<Body>, Wanted> {
    if head.method == Method::OPTIONS {
        return Ok(reply::empty(StatusCode::NO_CONTENT));
    }
    if head.method != Method::GET && head.method != Method::HEAD {
        return Ok(reply::problem(Problem::Method));
    }
    let Some(route) = route::parse(path) else { return Ok(page::answer(state, connection, head, path)) };
    // A rendition that the stream does not have is a path that means nothing, like any other.
    let offers = |stream: Arc<Stream>| stream.snapshot.load().offers(route.rendition());
    if route.rendition() != Rendition::Source && !state.hub.stream(route.stream()).is_some_and(offers) {
        return Ok(page::answer(state, connection, head, path));
    }
    let stream = match door::find(&state.hub, route.stream()) {
        Ok(stream) => stream,
        Err(refusal) => return Ok(reply::refusal(connection, refusal)),
    };
    stream.asked_ms.store(state.hub.clock.now_ms(), Relaxed);
    match route {
        Route::Index(_) => index(state, connection, head, &stream),
        Route::Media(_, rendition) => {
            // A viewer reloads the list of one rendition at a time, so that the requests of all add up to the viewers.
            if head.is_get() {
                stream.reloads.add();
            }
            let wanted = |stream| Wanted::Media(stream, rendition);
            playlist(connection, head, &stream, |snapshot| snapshot.media.get(&rendition), wanted)
        }
        Route::Segment(_, key) => segment(state, head, &stream, key),
        Route::Flv(_) => Ok(live::answer(state, connection, head, &stream)),
    }
}

/// The one HLS URL that a full edge refuses: a new viewer asks for it, viewers who already watch ask for the others.
fn index(
    state: &HttpState,
    connection: &Connection,
    head: &RequestHead,
    stream: &Arc<Stream>,
) -> Result<Response<Body>, Wanted> {
    let answer = if head.is_get() {
        door::admit(&state.hub, stream, Protocol::Hls, head.credentials(connection.peer.ip())).map(drop)
    } else {
        door::ask(&state.hub, stream, Protocol::Hls)
    };
    if let Err(refusal) = answer {
        return Ok(reply::refusal(connection, refusal));
    }
    playlist(connection, head, stream, |snapshot| snapshot.index.as_ref(), Wanted::Index)
}

fn playlist(
    connection: &Connection,
    head: &RequestHead,
    stream: &Arc<Stream>,
    which: impl Fn(&Snapshot) -> Option<&Arc<Playlist>>,
    wanted: impl Fn(Arc<Stream>) -> Wanted,
) -> Result<Response<Body>, Wanted> {
    let snapshot = stream.snapshot.load();
    match which(&snapshot) {
        Some(playlist) => Ok(send_playlist(connection, head, playlist)),
        None if snapshot.expects_media() => Err(wanted(Arc::clone(stream))),
        None => Ok(reply::problem(Problem::NotLive)),
    }
}

fn segment(
    state: &HttpState,
    head: &RequestHead,
    stream: &Arc<Stream>,
    key: SegmentKey,
) -> Result<Response<Body>, Wanted> {
    match stream.snapshot.load().lookup(&key, state.hub.clock.now_ms()) {
        Lookup::Held(segment) => Ok(send_segment(head, segment)),
        Lookup::Nowhere => Ok(reply::problem(Problem::NoSuchSegment)),
        Lookup::Elsewhere(_) | Lookup::Ahead | Lookup::Unsure => Err(Wanted::Segment(Arc::clone(stream), key)),
    }
}
