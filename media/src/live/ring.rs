//! The ingest's ring: everything that was sent on the relay, from a mark that covers the list up to now.
//!
//! Every link is a cursor into it. Nothing is ever dropped for one link: a link that fell out of the ring is cut and
//! greets again.

use crate::ledger::Msn;
use crate::relay::{self, Epoch, RelayMessage};
use crate::track::Frame;
use std::collections::VecDeque;
use std::sync::Arc;

/// Position in a ring; grows by one with each item.
pub type Seq = u64;

/// Bytes that an item costs in addition to what it carries.
const ITEM_BYTES: usize = 256;

/// One thing that goes to every edge in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Epoch, mark, end, life or announcement.
    Message(RelayMessage),
    /// Media.
    Frame(Frame),
}

/// An item and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its position.
    pub seq: Seq,
    /// The message or frame.
    pub content: Content,
}

/// The cursor fell out of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("position {from} is before the ring, which begins at {oldest}")]
pub struct Behind {
    /// The position that was read from.
    pub from: Seq,
    /// The oldest position in the ring.
    pub oldest: Seq,
}

/// Where a replay can begin.
#[derive(Clone, Debug)]
struct MarkAt {
    seq: Seq,
    msn: Msn,
    epoch: Arc<Epoch>,
}

/// The items, their positions, and the marks among them at which a replay can begin.
#[derive(Debug)]
pub struct Ring {
    /// Each with what it costs.
    items: VecDeque<(Arc<Item>, usize)>,
    next: Seq,
    bytes: usize,
    bytes_max: usize,
    marks: VecDeque<MarkAt>,
    epoch: Option<Arc<Epoch>>,
}

impl Ring {
    /// An empty ring that never holds more than `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { items: VecDeque::new(), next: 0, bytes: 0, bytes_max, marks: VecDeque::new(), epoch: None }
    }

    /// The position that the next item will have.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.next
    }

    /// Bytes held, as counted against the cap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Up to `items_max` items from `from` on; empty at the end of the ring.
    ///
    /// # Errors
    /// [`Behind`] if `from` has left the ring.
    pub fn read(&self, from: Seq, items_max: usize) -> Result<impl Iterator<Item = &Arc<Item>>, Behind> {
        let oldest = self.oldest();
        if from < oldest {
            return Err(Behind { from, oldest });
        }
        let skip = usize::try_from(from - oldest).unwrap_or(usize::MAX).min(self.items.len());
        Ok(self.items.range(skip..).take(items_max).map(|(item, _)| item))
    }

    /// Milliseconds of media between `from` and the end, where both stand at frames of one epoch.
    #[must_use]
    pub fn lag_ms(&self, from: Seq) -> u64 {
        let time = |item: &Arc<Item>| match &item.content {
            Content::Frame(frame) => Some(frame.t_ms),
            Content::Message(_) => None,
        };
        let behind = self.read(from, usize::MAX).ok().and_then(|mut items| items.find_map(time));
        let newest = self.items.iter().rev().map(|(item, _)| item).find_map(time);
        behind.zip(newest).map_or(0, |(b, n)| n.saturating_sub(b))
    }

    pub(super) fn push(&mut self, content: Content) {
        match &content {
            Content::Message(RelayMessage::Epoch(epoch)) => self.epoch = Some(Arc::new(epoch.clone())),
            Content::Message(RelayMessage::Mark(mark)) => {
                if let Some(epoch) = &self.epoch {
                    self.marks.push_back(MarkAt { seq: self.next, msn: mark.msn, epoch: epoch.clone() });
                }
            }
            // Who joins after it is past begins with it.
            Content::Message(RelayMessage::Metadata(change)) => {
                if let Some(epoch) = &mut self.epoch {
                    Arc::make_mut(epoch).metadata = Some(change.metadata.clone());
                }
            }
            Content::Message(_) | Content::Frame(_) => {}
        }
        let cost = cost(&content);
        self.bytes += cost;
        self.items.push_back((Arc::new(Item { seq: self.next, content }), cost));
        self.next += 1;
        while self.bytes > self.bytes_max && self.items.len() > 1 {
            self.pop();
        }
    }

    /// Forgets what lies before the mark of `msn`: no edge will need it.
    pub(super) fn forget_before(&mut self, msn: Msn) {
        let Some(keep) = self.marks.iter().rev().find(|m| m.msn <= msn).map(|m| m.seq) else { return };
        while self.oldest() < keep {
            self.pop();
        }
    }

    /// Where a link starts that holds everything before `need`: the mark of `need`, else the oldest mark after it.
    pub(super) fn replay(&self, need: Msn) -> Option<Replay> {
        let mark = self.marks.iter().find(|m| m.msn >= need)?;
        Some(Replay { from: mark.seq, msn: mark.msn, epoch: mark.epoch.clone() })
    }

    fn oldest(&self) -> Seq {
        self.items.front().map_or(self.next, |(item, _)| item.seq)
    }

    fn pop(&mut self) {
        let Some((item, cost)) = self.items.pop_front() else { return };
        self.bytes -= cost;
        while self.marks.front().is_some_and(|m| m.seq <= item.seq) {
            self.marks.pop_front();
        }
    }
}

/// Where a replay begins, and the epoch in force there.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    pub(super) from: Seq,
    pub(super) msn: Msn,
    pub(super) epoch: Arc<Epoch>,
}

fn cost(content: &Content) -> usize {
    ITEM_BYTES
        + match content {
            Content::Frame(frame) => frame.body.len(),
            // An epoch carries configurations and metadata of the publisher, an announcement a ledger.
            Content::Message(message) => relay::encode(message).len(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{Mark, Metadata};
    use crate::track::{Message, Track};
    use bytes::Bytes;

    fn frame(t_ms: u64) -> Content {
        Content::Frame(Message::read(Track::Video, Bytes::from_static(&[0; 744])).at(t_ms))
    }

    fn mark(msn: Msn) -> Content {
        Content::Message(RelayMessage::Mark(Mark { msn, ..Mark::default() }))
    }

    fn ring(bytes_max: usize) -> Ring {
        let mut ring = Ring::new(bytes_max);
        ring.push(Content::Message(RelayMessage::Epoch(Epoch { epoch: 9, ..Epoch::default() })));
        ring
    }

    #[test]
    fn a_replay_starts_at_the_first_mark_that_is_needed() {
        let mut ring = ring(1 << 20);
        for msn in 5..8 {
            ring.push(mark(msn));
            ring.push(frame(msn));
        }
        for (need, msn) in [(0, Some(5)), (6, Some(6)), (7, Some(7)), (8, None)] {
            assert_eq!(ring.replay(need).map(|r| r.msn), msn, "need {need}");
        }
        ring.forget_before(6);
        assert_eq!(ring.replay(0).map(|r| (r.msn, r.epoch.epoch)), Some((6, 9)), "the epoch outlives its item");
    }

    #[test]
    fn a_replay_begins_with_the_metadata_in_force_there() {
        let mut ring = ring(1 << 20);
        ring.push(mark(5));
        ring.push(Content::Message(RelayMessage::Metadata(Metadata { epoch: 9, metadata: "00".into() })));
        ring.push(mark(6));
        let metadata = |need| ring.replay(need).and_then(|replay| replay.epoch.metadata.clone());
        assert_eq!((metadata(5), metadata(6)), (None, Some("00".to_owned())));
    }

    #[test]
    fn messages_count_by_their_length() {
        let mut ring = Ring::new(100_000);
        for epoch in 0..100 {
            let metadata = Some("00".repeat(10_000));
            ring.push(Content::Message(RelayMessage::Epoch(Epoch { epoch, metadata, ..Epoch::default() })));
        }
        assert_eq!(ring.read(96, 10).map(Iterator::count), Ok(4), "a hundred epochs of 20 KB are not held");
        assert!(ring.read(95, 10).is_err());
        assert!((80_000..=100_000).contains(&ring.bytes()));
    }

    #[test]
    fn the_cap_holds_and_a_cursor_that_fell_out_is_told() {
        let mut ring = ring(10_000);
        for t in 0..100 {
            ring.push(frame(t));
            assert!(ring.bytes() <= 10_000);
        }
        assert_eq!(ring.read(0, 10).map(|_| ()), Err(Behind { from: 0, oldest: 91 }));
        assert_eq!(ring.read(91, 3).map(Iterator::count), Ok(3));
        assert_eq!(ring.read(ring.end(), 3).map(Iterator::count), Ok(0));
        assert_eq!(ring.lag_ms(91), 9);
    }
}
