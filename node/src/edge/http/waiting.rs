//! Requests that are a little ahead of the stream are held until it gets there: this hides the milliseconds between
//! edges (design section 4, point 10).

use super::Site;
use super::answer::{Asked, send_playlist, send_segment};
use super::body::Body;
use super::connection::Connection;
use super::reply::{self, Why};
use crate::edge::stream::hub::Stream;
use crate::edge::stream::snapshot::{Lookup, Segment, Snapshot};
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
    /// A segment that comes next, or next but one.
    Ahead(Arc<Stream>, SegmentName),
    /// A segment that a sibling may have.
    Elsewhere(Arc<Stream>, Entry),
}

impl Wanted {
    fn stream(&self) -> &Arc<Stream> {
        match self {
            Self::Index(stream) | Self::Media(stream) | Self::Ahead(stream, _) | Self::Elsewhere(stream, _) => stream,
        }
    }
}

/// Waits for it and answers.
pub async fn wait(site: &Site, connection: &Connection, asked: &Asked, wanted: Wanted) -> Response<Body> {
    let Ok(_held) = site.held.try_acquire() else { return reply::why(Why::TooManyWait) };
    if let Wanted::Elsewhere(stream, entry) = &wanted {
        return fetch(site, asked, stream, entry).await;
    }
    let stream = wanted.stream();
    // Subscribed before the first look, so that no change falls between.
    let mut changed = stream.changed.subscribe();
    let hold = stream.snapshot.load().hold();
    let watching = async {
        loop {
            match try_now(connection, asked, &wanted, &stream.snapshot.load()) {
                Some(response) => return response,
                None if changed.changed().await.is_err() => return reply::why(Why::NoSuchStream),
                None => {}
            }
        }
    };
    timeout(hold, watching).await.unwrap_or_else(|_| reply::why(Why::TooLate))
}

/// The answer, if it is known by now.
fn try_now(connection: &Connection, asked: &Asked, wanted: &Wanted, snapshot: &Snapshot) -> Option<Response<Body>> {
    let playlist = match wanted {
        Wanted::Index(_) => snapshot.index.as_ref(),
        Wanted::Media(_) => snapshot.media.as_ref(),
        Wanted::Ahead(_, name) => {
            return match snapshot.lookup(name) {
                Lookup::Held(segment) => Some(send_segment(asked, segment)),
                // Listed, its bytes are on their way from a sibling.
                Lookup::Ahead | Lookup::Elsewhere(_) => None,
                Lookup::Unknown => Some(reply::why(Why::OtherEpoch)),
            };
        }
        Wanted::Elsewhere(..) => return None,
    };
    match playlist {
        Some(playlist) => Some(send_playlist(connection, asked, playlist)),
        None if snapshot.expects_media() => None,
        None => Some(reply::why(Why::NotLive)),
    }
}

async fn fetch(site: &Site, asked: &Asked, stream: &Arc<Stream>, entry: &Entry) -> Response<Body> {
    let hold = stream.snapshot.load().hold();
    match timeout(hold, site.elsewhere.fetch(stream.name.clone(), entry.clone())).await {
        Ok(Some(bytes)) => {
            let segment = Arc::new(Segment::new(entry.clone(), bytes, site.hub.clock.now_ms()));
            send_segment(asked, &segment)
        }
        Ok(None) => reply::why(Why::NotFetched),
        Err(_) => reply::why(Why::TooLate),
    }
}
