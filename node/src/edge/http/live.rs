//! HTTP-FLV. A connection whose first request asks for it leaves hyper and becomes a viewer of a shard (`serve` sees
//! to that); what comes here is the rest: a second request on a connection, HTTP/2, HEAD, and everything that is
//! refused.

use super::body::Body;
use super::connection::Connection;
use super::reply;
use super::request::RequestHead;
use super::state::HttpState;
use crate::edge::counting::Protocol;
use crate::edge::door;
use crate::edge::stream::hub::Stream;
use crate::edge::stream::ring::RingCopy;
use crate::edge::stream::wire::Form;
use crate::edge::viewers::{Cursor, Next};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Content type of HTTP-FLV (no registered one exists; this is what players and servers use).
pub const FLV_TYPE: &str = "video/x-flv";

/// Answers a request for HTTP-FLV.
pub fn answer(
    state: &Arc<HttpState>,
    connection: &Connection,
    head: &RequestHead,
    stream: &Arc<Stream>,
) -> Response<Body> {
    let hub = &state.hub;
    let admitted = if head.method == Method::HEAD {
        door::check(hub, stream, Protocol::Flv).map(|()| None)
    } else {
        door::admit(hub, stream, Protocol::Flv, head.credentials(connection.peer.ip())).map(Some)
    };
    let mut response = match admitted {
        Ok(None) => reply::empty(StatusCode::OK),
        Ok(Some(viewer)) => Response::new(Body::Live(Box::pin(frames(&viewer.stream, state.merge_window)))),
        Err(refusal) => return reply::refusal(connection, refusal),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(FLV_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

struct Watching {
    stream: Arc<Stream>,
    mirror: RingCopy,
    cursor: Cursor,
    ticks: Interval,
    ready: VecDeque<Bytes>,
    over: bool,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stream.flv_viewers.fetch_sub(1, Relaxed);
    }
}

fn frames(stream: &Arc<Stream>, merge_window: Duration) -> impl futures::Stream<Item = Bytes> + Send + use<> {
    count(&stream.flv_viewers);
    let mut ticks = interval(merge_window.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mirror = RingCopy::new(Arc::clone(&stream.ring));
    let watching = Watching {
        stream: Arc::clone(stream),
        mirror,
        cursor: Cursor::Waiting,
        ticks,
        ready: VecDeque::new(),
        over: false,
    };
    futures::stream::unfold(watching, |mut watching| async move {
        loop {
            if let Some(bytes) = watching.ready.pop_front() {
                return Some((bytes, watching));
            }
            if watching.over {
                return None;
            }
            watching.ticks.tick().await;
            watching.collect();
        }
    })
}

fn count(viewers: &AtomicU64) {
    viewers.fetch_add(1, Relaxed);
}

impl Watching {
    fn collect(&mut self) {
        self.mirror.refresh();
        loop {
            match self.cursor.next(&self.mirror, Form::Flv).0 {
                Next::Nothing => return,
                Next::Over => {
                    self.over = true;
                    return;
                }
                Next::Headers(headers) => self.ready.push_back(headers),
                Next::Frame(item) => {
                    self.ready.push_back(item.wire(Form::Flv).clone());
                    self.cursor.sent();
                }
            }
        }
    }
}
