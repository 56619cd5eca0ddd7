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
use lectern_media::ledger::SegmentName;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What is not there yet.
#[derive(Debug)]
pub enum Wanted {
    /// The multivariant playlist, before the first segment.
    Index(Arc<Stream>),
    /// The media playlist, before the first segment.
    Media(Arc<Stream>),
    /// A segment that this edge does not hold.
    Segment(Arc<Stream>, SegmentName),
}

impl Wanted {
    /// The stream that it belongs to.
    #[must_use]
    pub fn stream(&self) -> &Arc<Stream> {
        match self {
            Self::Index(stream) | Self::Media(stream) | Self::Segment(stream, _) => stream,
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
    let stream = match door::find(&state.hub, route.stream()) {
        Ok(stream) => stream,
        Err(refusal) => return Ok(reply::refusal(connection, refusal)),
    };
    stream.asked_ms.store(state.hub.clock.now_ms(), Relaxed);
    match route {
        Route::Index(_) => index(state, connection, head, &stream),
        Route::Media(_) => {
            if head.is_get() {
                stream.reloads.add();
            }
            playlist(connection, head, &stream, |snapshot| snapshot.media.as_ref(), Wanted::Media)
        }
        Route::Segment(_, name) => segment(state, head, &stream, name),
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
    let credentials = head.credentials(connection.peer.ip());
    if let Err(refusal) = door::admit(&state.hub, stream, Protocol::Hls, credentials) {
        return Ok(reply::refusal(connection, refusal));
    }
    playlist(connection, head, stream, |snapshot| snapshot.index.as_ref(), Wanted::Index)
}

fn playlist(
    connection: &Connection,
    head: &RequestHead,
    stream: &Arc<Stream>,
    which: impl Fn(&Snapshot) -> Option<&Arc<Playlist>>,
    wanted: fn(Arc<Stream>) -> Wanted,
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
    name: SegmentName,
) -> Result<Response<Body>, Wanted> {
    match stream.snapshot.load().lookup(&name, state.hub.clock.now_ms()) {
        Lookup::Held(segment) => Ok(send_segment(head, segment)),
        Lookup::Nowhere => Ok(reply::problem(Problem::NoSuchSegment)),
        Lookup::Elsewhere(_) | Lookup::Ahead | Lookup::Unsure => Err(Wanted::Segment(Arc::clone(stream), name)),
    }
}
