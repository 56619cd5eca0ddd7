//! Requests that are a little ahead of the stream are held until it gets there: this hides the milliseconds between
//! edges. So are requests for segments that this edge does not know: it may have stood still, or be cut off, and
//! players give up on a segment that they were told does not exist.

use super::body::Body;
use super::connection::Connection;
use super::find::Wanted;
use super::reply::{self, Problem};
use super::request::RequestHead;
use super::send::{send_playlist, send_segment};
use super::state::HttpState;
use crate::edge::stream::hub::Stream;
use crate::edge::stream::snapshot::{Lookup, Playlist, Segment, Snapshot};
use crate::edge::stream::source;
use http::Response;
use lectern_media::ledger::Entry;
use lectern_media::rendition::SegmentKey;
use std::sync::Arc;
use tokio::time::timeout;

/// Waits for it and answers.
pub async fn wait(state: &HttpState, connection: &Connection, head: &RequestHead, wanted: Wanted) -> Response<Body> {
    let place = state.held.enter(connection.peer.ip());
    let evicted = place.evicted();
    let hold = wanted.stream().snapshot.load().hold();
    let waiting = async {
        match &wanted {
            Wanted::Index(stream) => playlist(connection, head, stream, |s| s.index.as_ref()).await,
            Wanted::Media(stream, rendition) => playlist(connection, head, stream, |s| s.media.get(rendition)).await,
            Wanted::Segment(stream, key) => segment(state, head, stream, *key).await,
        }
    };
    tokio::select! {
        answer = timeout(hold, waiting) => answer.unwrap_or_else(|_| reply::problem(Problem::TooLate)),
        () = evicted.cancelled() => reply::problem(Problem::TooManyWait),
    }
}

async fn playlist(
    connection: &Connection,
    head: &RequestHead,
    stream: &Stream,
    which: impl Fn(&Snapshot) -> Option<&Arc<Playlist>>,
) -> Response<Body> {
    // Subscribed before the first look, so that no change falls between.
    let mut changed = stream.changed.subscribe();
    loop {
        {
            let snapshot = stream.snapshot.load();
            match which(&snapshot) {
                Some(playlist) => return send_playlist(connection, head, playlist),
                None if snapshot.expects_media() => {}
                None => return reply::problem(Problem::NotLive),
            }
        }
        if changed.changed().await.is_err() {
            return reply::problem(Problem::NoSuchStream);
        }
    }
}

async fn segment(state: &HttpState, head: &RequestHead, stream: &Stream, key: SegmentKey) -> Response<Body> {
    let mut changed = stream.changed.subscribe();
    let mut asked_ms = state.hub.clock.now_ms();
    let mut inquired = false;
    loop {
        let mut elsewhere = None;
        match stream.snapshot.load().lookup(&key, asked_ms) {
            Lookup::Held(segment) => return send_segment(head, segment),
            Lookup::Nowhere => return reply::problem(Problem::NoSuchSegment),
            Lookup::Elsewhere(entry) => elsewhere = Some(entry.clone()),
            // Whether it can still come is a new question from here on.
            Lookup::Ahead => (asked_ms, inquired) = (state.hub.clock.now_ms(), false),
            Lookup::Unsure => {
                if !std::mem::replace(&mut inquired, true) {
                    stream.inquiry.notify_one();
                }
            }
        }
        if let Some(entry) = elsewhere {
            return fetch(state, head, stream, key, entry).await;
        }
        if changed.changed().await.is_err() {
            return reply::problem(Problem::NoSuchStream);
        }
    }
}

async fn fetch(
    state: &HttpState,
    head: &RequestHead,
    stream: &Stream,
    key: SegmentKey,
    entry: Entry,
) -> Response<Body> {
    let wanted = source::Wanted { stream: stream.name.clone(), rendition: key.rendition, entry: entry.clone() };
    match state.source.fetch(wanted).await {
        Some(bytes) => send_segment(head, &Arc::new(Segment::new(entry, bytes, state.hub.clock.now_ms()))),
        None => reply::problem(Problem::NotFetched),
    }
}
