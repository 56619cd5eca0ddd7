//! One connection of the HTTP port: what it is doing, how long it may take, and what it has written.
//!
//! The state is shared between the socket wrapper that hyper drives and the answers. With HTTP/1.1 both run in the
//! connection's own task, so the atomics are never contended. With HTTP/2 each answer has a task, and only what answers
//! make of it renews a deadline (`progress`).

use super::body::{Body, Piece};
use super::progress::{Answers, Review, Sending};
use crate::edge::counting::Protocol;
use crate::edge::stream::hub::Hub;
use crate::edge::stream::snapshot::Segment;
use crate::edge::stream::stored::Stored;
use crate::net::places::Seat;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// From the first byte of a request head to its last: longer is a slow loris.
pub const HEAD_MS_MAX: u64 = 10_000;
/// A kept-alive connection without a request: longer than the reload of any playlist.
pub const IDLE_MS_MAX: u64 = 75_000;
/// A peer that takes no byte of an answer.
pub const WRITE_STALL_MS_MAX: u64 = 10_000;
/// The longest that one answer may take, except HTTP-FLV. A reader slower than this watches nothing, and each answer keeps its
/// segment in memory: so an edge holds the segments of its lists and of the last minute, whatever readers do.
pub const ANSWER_MS_MAX: u64 = 60_000;
/// Age at which a playlist answer ends the connection, so that new edges get their share.
pub const AGE_MS: u64 = 60_000;
/// The same while this edge has more than the autoscaler aims at.
pub const AGE_ABOVE_TARGET_MS: u64 = 10_000;
/// Spread of both ages either way, so that a crowd that came together does not move together.
pub const AGE_SPREAD_PERCENT: u64 = 20;

const NEVER: u64 = u64::MAX;
const IDLE: u8 = 0;
const READING_HEAD: u8 = 1;
const ANSWERING: u8 = 2;

/// Deadlines and byte counts of one HTTP connection.
#[derive(Debug)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// HTTP/2: many answers at once, so that written bytes belong to none of them.
    pub multiplexed: bool,
    hub: Arc<Hub>,
    seat: Arc<Seat>,
    opened_ms: u64,
    age_permille: u64,
    phase: AtomicU8,
    deadline_ms: AtomicU64,
    written: AtomicU64,
    answered_at: AtomicU64,
    answer_ends_ms: AtomicU64,
    answers: Mutex<Answers>,
    counts: Mutex<Option<Arc<Segment>>>,
    retired: AtomicBool,
    given_up: AtomicBool,
}

impl Connection {
    /// A connection that was accepted just now, in that seat of the port. `nonce` spreads ages: any number that differs between connections.
    #[must_use]
    pub fn new(hub: Arc<Hub>, seat: Arc<Seat>, peer: SocketAddr, multiplexed: bool, nonce: u64) -> Arc<Self> {
        let now = hub.clock.now_ms();
        Arc::new(Self {
            peer,
            multiplexed,
            hub,
            seat,
            opened_ms: now,
            age_permille: spread_permille(nonce),
            phase: AtomicU8::new(READING_HEAD),
            deadline_ms: AtomicU64::new(now + if multiplexed { IDLE_MS_MAX } else { HEAD_MS_MAX }),
            written: AtomicU64::new(0),
            answered_at: AtomicU64::new(NEVER),
            answer_ends_ms: AtomicU64::new(NEVER),
            answers: Mutex::default(),
            counts: Mutex::new(None),
            retired: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        })
    }

    /// Unix milliseconds at which it has taken too long, [`u64::MAX`] while there is no limit.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms.load(Relaxed).min(self.answer_ends_ms.load(Relaxed))
    }

    /// A request was read.
    pub fn request_begins(&self) {
        self.finish_answer();
        let now_ms = self.hub.clock.now_ms();
        self.enter_answering(now_ms);
        if !self.multiplexed {
            self.deadline_ms.store(NEVER, Relaxed);
        } else if self.answers().is_empty() {
            self.deadline_ms.store(now_ms + IDLE_MS_MAX, Relaxed);
        }
    }

    /// An answer goes out. Where written bytes show when it is sent, they also count the segment; gives the body as it
    /// is to be sent.
    pub fn answer_begins(self: &Arc<Self>, body: Body) -> Body {
        if self.multiplexed {
            return self.stream_begins(body);
        }
        let (bytes, segment, body) = match body {
            Body::Empty => (0, None, Body::Empty),
            Body::Full(bytes) => (bytes.len() as u64, None, Body::Full(bytes)),
            Body::Counted(bytes, segment) => {
                segment.fetches.begin();
                (bytes.len() as u64, Some(segment), Body::Full(bytes))
            }
            Body::Live(_) | Body::Watched(_) => {
                self.seat.watches();
                return body;
            }
        };
        self.answer_ends_ms.store(self.hub.clock.now_ms() + ANSWER_MS_MAX, Relaxed);
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = segment;
        // The head comes first: with one byte more than the body, no more than a head's length is still to come.
        self.answered_at.store(self.written.load(Relaxed).saturating_add(bytes + 1), Relaxed);
        body
    }

    /// The same on a connection with many answers.
    fn stream_begins(self: &Arc<Self>, body: Body) -> Body {
        let (bytes, segment) = match body {
            Body::Full(bytes) => (bytes, None),
            Body::Counted(bytes, segment) => (bytes, Some(segment)),
            Body::Empty | Body::Live(_) | Body::Watched(_) => {
                self.rest_if_idle(&self.answers());
                return body;
            }
        };
        let sending = Sending::begin(Arc::clone(self), bytes.len() as u64, segment);
        Body::Watched(Piece::watched(bytes, sending))
    }

    /// A body of HTTP/2 begins, which `begin` notes.
    pub(super) fn body_begins<T>(&self, begin: impl FnOnce(&mut Answers, u64) -> T) -> T {
        let mut answers = self.answers();
        let now_ms = self.hub.clock.now_ms();
        self.enter_answering(now_ms);
        self.deadline_ms.fetch_min(now_ms + WRITE_STALL_MS_MAX, Relaxed);
        begin(&mut answers, now_ms)
    }

    /// See [`Connection::body_begins`]: it is sent, or the peer wants no more of it.
    pub(super) fn body_ends(&self, id: u64) {
        let mut answers = self.answers();
        answers.end(id);
        self.rest_if_idle(&answers);
    }

    /// Requests that are held do not count here: they end by themselves in seconds.
    fn rest_if_idle(&self, answers: &Answers) {
        if answers.is_empty() {
            let now_ms = self.hub.clock.now_ms();
            self.leave_answering(now_ms);
            self.deadline_ms.store(now_ms + IDLE_MS_MAX, Relaxed);
        }
    }

    /// Whether a connection whose deadline has come has taken too long; if not, the deadline has moved on.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        let mut answers = self.answers();
        let now_ms = self.hub.clock.now_ms();
        match answers.review(now_ms) {
            Review::Until(next_ms) => self.deadline_ms.store(next_ms, Relaxed),
            Review::Stalled => return true,
            Review::Nothing => {}
        }
        now_ms >= self.deadline_ms()
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a playlist answer should be the last on this connection.
    #[must_use]
    pub fn is_old(&self) -> bool {
        let age = if self.hub.load.above_target() { AGE_ABOVE_TARGET_MS } else { AGE_MS };
        self.hub.clock.now_ms() - self.opened_ms >= age * self.age_permille / 1_000
    }

    /// Ends an HTTP/2 connection after what is in flight; HTTP/1.1 says it in the answer.
    pub fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// See [`Connection::retire`].
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// It has taken too long. In the middle of an answer the kernel is to forget what it has not sent when the socket is
    /// closed; a connection that only waits for a request has nothing unsent, and is closed in good order.
    pub fn give_up(&self) {
        let in_an_answer = self.phase.load(Relaxed) == ANSWERING;
        self.hub.totals.http_stalled.fetch_add(u64::from(in_an_answer), Relaxed);
        self.given_up.store(in_an_answer || self.multiplexed, Relaxed);
    }

    /// See [`Connection::give_up`].
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Relaxed) || (self.seat.has_to_close() && self.phase.load(Relaxed) == ANSWERING)
    }

    /// The file of the segment that is being sent, and where in it `part` lies.
    pub(super) fn stored(&self, part: &[u8]) -> Option<(Arc<Stored>, usize)> {
        let sending = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = sending.as_ref()?.stored.as_ref()?;
        Some((Arc::clone(stored), stored.position_of(part)?))
    }

    /// Bytes of the peer came.
    pub(super) fn read(&self) {
        if !self.multiplexed && self.phase.load(Relaxed) == IDLE {
            self.phase.store(READING_HEAD, Relaxed);
            self.deadline_ms.store(self.hub.clock.now_ms() + HEAD_MS_MAX, Relaxed);
        }
    }

    /// The socket took that many bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.hub.totals.wrote(Protocol::Hls, bytes);
        if self.multiplexed {
            return;
        }
        let written = self.written.load(Relaxed) + bytes;
        self.written.store(written, Relaxed);
        if written >= self.answered_at.load(Relaxed) {
            self.finish_answer();
            let now_ms = self.hub.clock.now_ms();
            self.leave_answering(now_ms);
            self.deadline_ms.store(now_ms + IDLE_MS_MAX, Relaxed);
        } else {
            self.deadline_ms.store(NEVER, Relaxed);
        }
    }

    /// The socket is full.
    pub(super) fn write_blocked(&self) {
        if self.multiplexed {
            return;
        }
        let stalled = self.hub.clock.now_ms() + WRITE_STALL_MS_MAX;
        if self.deadline_ms.load(Relaxed) > stalled {
            self.deadline_ms.store(stalled, Relaxed);
        }
    }

    fn finish_answer(&self) {
        if self.answered_at.swap(NEVER, Relaxed) == NEVER {
            return;
        }
        self.answer_ends_ms.store(NEVER, Relaxed);
        if let Some(segment) = self.counts.lock().unwrap_or_else(PoisonError::into_inner).take() {
            segment.fetches.complete();
        }
    }

    fn enter_answering(&self, now_ms: u64) {
        self.seat.answers(now_ms);
        if self.phase.swap(ANSWERING, Relaxed) != ANSWERING {
            self.hub.answering.fetch_add(1, Relaxed);
        }
    }

    fn leave_answering(&self, now_ms: u64) {
        self.seat.is_idle(now_ms);
        if self.phase.swap(IDLE, Relaxed) == ANSWERING {
            self.hub.answering.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.leave_answering(0);
    }
}

/// 1000 ± [`AGE_SPREAD_PERCENT`], evenly over nonces (the finaliser of SplitMix64 scatters them).
fn spread_permille(nonce: u64) -> u64 {
    let mut x = nonce.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let spread = AGE_SPREAD_PERCENT * 10;
    1_000 - spread + (x ^ (x >> 31)) % (2 * spread + 1)
}

#[cfg(test)]
mod tests {
    use super::spread_permille;

    #[test]
    fn ages_are_spread_over_twenty_per_cent_either_way() {
        let values: Vec<_> = (0..10_000).map(spread_permille).collect();
        assert!(values.iter().all(|v| (800..=1_200).contains(v)));
        assert!(values.iter().filter(|v| **v < 850).count() > 500);
        assert!(values.iter().filter(|v| **v > 1_150).count() > 500);
    }
}
