//! The answers that one HTTP/2 connection is sending: how much of each the socket has taken, and whether one stands still.
//!
//! What the peer says does not matter here, neither PING nor WINDOW_UPDATE: only bytes of bodies that went into the socket do.

use super::connection::{ANSWER_MS_MAX, Connection, WRITE_STALL_MS_MAX};
use crate::edge::stream::snapshot::Segment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a body that has more to send has to send in each [`WRITE_STALL_MS_MAX`]: one frame of HTTP/2 of the usual size (RFC
/// 9113, 4.2). It is 13 kbit/s, less than any audio stream.
pub const PROGRESS_BYTES_MIN: u64 = 16 << 10;

/// The bodies that are being sent. No socket, no clock.
#[derive(Debug, Default)]
pub struct Answers {
    next: u64,
    open: BTreeMap<u64, Standing>,
}

#[derive(Debug)]
struct Standing {
    taken: Arc<AtomicU64>,
    begun_ms: u64,
    /// What was taken at `since_ms`.
    mark: u64,
    since_ms: u64,
}

/// How the bodies of a connection are getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// Nothing is being sent.
    Nothing,
    /// None stands still, and none can before this time (milliseconds of the node's clock).
    Until(u64),
    /// One has taken too little, or has taken too long in all.
    Stalled,
}

impl Answers {
    fn begin(&mut self, now_ms: u64) -> (u64, Arc<AtomicU64>) {
        self.next += 1;
        let taken = Arc::<AtomicU64>::default();
        let standing = Standing { taken: Arc::clone(&taken), begun_ms: now_ms, mark: 0, since_ms: now_ms };
        self.open.insert(self.next, standing);
        (self.next, taken)
    }

    /// That body is sent, or was given up by the peer.
    pub fn end(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// Whether nothing is being sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Looks at all bodies.
    pub fn review(&mut self, now_ms: u64) -> Review {
        let mut next = Review::Nothing;
        for body in self.open.values_mut() {
            let taken = body.taken.load(Relaxed);
            if taken - body.mark >= PROGRESS_BYTES_MIN {
                (body.mark, body.since_ms) = (taken, now_ms);
            }
            let ends_ms = (body.since_ms + WRITE_STALL_MS_MAX).min(body.begun_ms + ANSWER_MS_MAX);
            if ends_ms <= now_ms {
                return Review::Stalled;
            }
            next = match next {
                Review::Until(earlier) => Review::Until(earlier.min(ends_ms)),
                _ => Review::Until(ends_ms),
            };
        }
        next
    }
}

/// The end of one body that is being sent: dropped when the last byte is out, or when the stream is reset.
#[derive(Debug)]
pub struct Sending {
    connection: Arc<Connection>,
    id: u64,
    taken: Arc<AtomicU64>,
    length: u64,
    segment: Option<Arc<Segment>>,
    begun: bool,
}

impl Sending {
    /// A body of `length` bytes, of which none is sent yet. The first frame of them shows that `segment` is fetched, so that a
    /// hundred requests in one packet are no viewers; the last byte completes it.
    #[must_use]
    pub fn begin(connection: Arc<Connection>, length: u64, segment: Option<Arc<Segment>>) -> Box<Self> {
        let (id, taken) = connection.body_begins(Answers::begin);
        Box::new(Self { connection, id, taken, length, segment, begun: false })
    }

    /// The socket took `bytes` more.
    pub fn took(&mut self, bytes: usize) {
        let taken = self.taken.fetch_add(bytes as u64, Relaxed) + bytes as u64;
        let Some(segment) = &self.segment else { return };
        if taken >= PROGRESS_BYTES_MIN.min(self.length) && !std::mem::replace(&mut self.begun, true) {
            segment.fetches.begin();
        }
        if taken >= self.length {
            segment.fetches.complete();
            self.segment = None;
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.connection.body_ends(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_takes_a_frame_in_each_ten_seconds_goes_on_for_a_minute_and_no_other_does() {
        let mut answers = Answers::default();
        assert_eq!(answers.review(0), Review::Nothing);
        let (_, steady) = answers.begin(0);
        for second in 1..60 {
            steady.fetch_add(PROGRESS_BYTES_MIN / 10 + 1, Relaxed);
            assert!(matches!(answers.review(second * 1_000), Review::Until(_)), "after {second} s");
        }
        assert_eq!(answers.review(ANSWER_MS_MAX), Review::Stalled);
    }

    #[test]
    fn one_body_that_stands_still_is_seen_among_others() {
        let mut answers = Answers::default();
        let (_, quick) = answers.begin(0);
        let (still, _) = answers.begin(1_000);
        quick.store(1 << 20, Relaxed);
        assert_eq!(answers.review(5_000), Review::Until(1_000 + WRITE_STALL_MS_MAX));
        quick.store(2 << 20, Relaxed);
        assert_eq!(answers.review(1_000 + WRITE_STALL_MS_MAX), Review::Stalled);
        answers.end(still);
        assert!(matches!(answers.review(1_000 + WRITE_STALL_MS_MAX), Review::Until(_)));
    }
}
