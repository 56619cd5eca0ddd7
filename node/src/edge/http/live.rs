//! HTTP-FLV. A connection whose first request asks for it leaves hyper and becomes a viewer of a shard (`serve` sees
//! to that); what comes here is the rest: a second request on a connection, HEAD, and everything that is refused. HTTP/2
//! is: one connection would be a hundred viewers, and no player asks for it.

use super::body::Body;
use super::connection::Connection;
use super::reply::{self, Problem};
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
use std::sync::atomic::Ordering::Relaxed;
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
    if connection.multiplexed {
        return reply::problem(Problem::FlvNeedsHttp1);
    }
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
    /// The first key frame was handed to the connection.
    shown: bool,
    counted: bool,
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.counted {
            self.stream.flv_viewers.fetch_sub(1, Relaxed);
        }
    }
}

fn frames(stream: &Arc<Stream>, merge_window: Duration) -> impl futures::Stream<Item = Bytes> + Send + use<> {
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
        shown: false,
        counted: false,
    };
    futures::stream::unfold(watching, |mut watching| async move {
        loop {
            if let Some(bytes) = watching.ready.pop_front() {
                return Some((bytes, watching));
            }
            if watching.over {
                return None;
            }
            watching.count();
            watching.ticks.tick().await;
            watching.collect();
        }
    })
}

impl Watching {
    /// A connection is a viewer once it asks for more after its first key frame.
    fn count(&mut self) {
        if self.shown && !std::mem::replace(&mut self.counted, true) {
            self.stream.flv_viewers.fetch_add(1, Relaxed);
        }
    }

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
                    self.shown = true;
                }
            }
        }
    }
}
