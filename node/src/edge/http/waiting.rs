//! Requests that are a little ahead of the stream are held until it gets there: this hides the milliseconds between
//! edges. So are requests for segments that this edge does not know: it may have stood still, or be cut off, and
//! players give up on a segment that they were told does not exist.

use super::Site;
use super::answer::{Asked, send_playlist, send_segment};
use super::body::Body;
use super::connection::Connection;
use super::reply::{self, Why};
use crate::edge::stream::hub::Stream;
use crate::edge::stream::snapshot::{Lookup, Playlist, Segment, Snapshot};
use http::Response;
use lectern_media::ledger::{Entry, SegmentName};
use std::sync::Arc;
use tokio::time::timeout;

/// Requests that are held at one moment on one node (design section 4, point 10).
pub const HELD_MAX: usize = 4_096;

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
    fn stream(&self) -> &Arc<Stream> {
        match self {
            Self::Index(stream) | Self::Media(stream) | Self::Segment(stream, _) => stream,
        }
    }
}

/// Waits for it and answers.
pub async fn wait(site: &Site, connection: &Connection, asked: &Asked, wanted: Wanted) -> Response<Body> {
    let Ok(_held) = site.held.try_acquire() else { return reply::why(Why::TooManyWait) };
    let hold = wanted.stream().snapshot.load().hold();
    let waiting = async {
        match &wanted {
            Wanted::Index(stream) => playlist(connection, asked, stream, |s| s.index.as_ref()).await,
            Wanted::Media(stream) => playlist(connection, asked, stream, |s| s.media.as_ref()).await,
            Wanted::Segment(stream, name) => segment(site, asked, stream, *name).await,
        }
    };
    timeout(hold, waiting).await.unwrap_or_else(|_| reply::why(Why::TooLate))
}

async fn playlist(
    connection: &Connection,
    asked: &Asked,
    stream: &Stream,
    which: impl Fn(&Snapshot) -> Option<&Arc<Playlist>>,
) -> Response<Body> {
    // Subscribed before the first look, so that no change falls between.
    let mut changed = stream.changed.subscribe();
    loop {
        {
            let snapshot = stream.snapshot.load();
            match which(&snapshot) {
                Some(playlist) => return send_playlist(connection, asked, playlist),
                None if snapshot.expects_media() => {}
                None => return reply::why(Why::NotLive),
            }
        }
        if changed.changed().await.is_err() {
            return reply::why(Why::NoSuchStream);
        }
    }
}

async fn segment(site: &Site, asked: &Asked, stream: &Stream, name: SegmentName) -> Response<Body> {
    let mut changed = stream.changed.subscribe();
    let mut asked_ms = site.hub.clock.now_ms();
    let mut inquired = false;
    loop {
        let mut elsewhere = None;
        match stream.snapshot.load().lookup(&name, asked_ms) {
            Lookup::Held(segment) => return send_segment(asked, segment),
            Lookup::Nowhere => return reply::why(Why::NoSuchSegment),
            Lookup::Elsewhere(entry) => elsewhere = Some(entry.clone()),
            // Whether it can still come is a new question from here on.
            Lookup::Ahead => (asked_ms, inquired) = (site.hub.clock.now_ms(), false),
            Lookup::Unsure => {
                if !std::mem::replace(&mut inquired, true) {
                    stream.inquiry.notify_one();
                }
            }
        }
        if let Some(entry) = elsewhere {
            return fetch(site, asked, stream, entry).await;
        }
        if changed.changed().await.is_err() {
            return reply::why(Why::NoSuchStream);
        }
    }
}

async fn fetch(site: &Site, asked: &Asked, stream: &Stream, entry: Entry) -> Response<Body> {
    match site.elsewhere.fetch(stream.name.clone(), entry.clone()).await {
        Some(bytes) => send_segment(asked, &Arc::new(Segment::new(entry, bytes, site.hub.clock.now_ms()))),
        None => reply::why(Why::NotFetched),
    }
}
