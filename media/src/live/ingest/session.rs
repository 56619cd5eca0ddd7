//! One publish: its clock, the messages that are early, and what is wrong with it.

use crate::live::timeline::{Clock, Jumps};
use crate::track::{Message, Track, TrackSet};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Media may run ahead of the clock by this much: messages that would be further ahead wait here. The shell stops
/// reading from a publisher that is 5 s ahead; what one read may bring beyond is less than this at ordinary bit rates.
pub(super) const LEAD_MS_MAX: u64 = 15_000;
/// Early messages have at most so many bytes; a publisher that sends more is closed. One read of the shell is a
/// fraction of it.
const EARLY_BYTES_MAX: usize = 16 << 20;
/// Bytes that an early message costs beside its body.
const EARLY_ITEM_BYTES: usize = 64;
/// A stream that is published and lists nothing for this long is reported.
const NOTHING_LISTED_MS: u64 = 10_000;
/// A configuration that could not be read, and frames that no segment can carry, are reported for this long.
const UNREADABLE_MS: u64 = 60_000;

/// A message of a publisher, in the order in which it came.
#[derive(Debug)]
pub(super) enum Input {
    Media(u32, Message),
    Metadata(Bytes),
}

impl Input {
    pub(super) fn cost(&self) -> usize {
        EARLY_ITEM_BYTES
            + match self {
                Self::Media(_, message) => message.body.len(),
                Self::Metadata(payload) => payload.len(),
            }
    }
}

/// State of one publish, from its acceptance to its end.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) clock: Clock,
    pub(super) jumps: Jumps,
    pub(super) early: VecDeque<Input>,
    early_bytes: usize,
    /// When the first early message may go on.
    pub(super) early_due_ms: u64,
    since_ms: u64,
    listed_ms: Option<u64>,
    unreadable: Option<(u64, String)>,
    /// When the last frame came that no segment can carry, and how many came.
    left_out: BTreeMap<Track, (u64, u64)>,
    /// When and by how much time last jumped.
    pub(super) jump: Option<(u64, i64)>,
    /// What the next epoch is to have, where it differs from the open one.
    pub(super) next: Option<TrackSet>,
    /// Metadata that the open epoch is to have, and when it last got some.
    pub(super) metadata: Option<Bytes>,
    pub(super) metadata_ms: Option<u64>,
}

impl Session {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { since_ms: now_ms, ..Self::default() }
    }

    /// Puts a message behind those that wait. `false` if there are too many.
    pub(super) fn wait(&mut self, message: Input) -> bool {
        self.early_bytes += message.cost();
        self.early.push_back(message);
        self.early_bytes <= EARLY_BYTES_MAX
    }

    /// The first that waits is to go on.
    pub(super) fn go_on(&mut self) -> Option<Input> {
        let message = self.early.pop_front()?;
        self.early_bytes -= message.cost();
        Some(message)
    }

    /// A segment was listed.
    pub(super) fn listed(&mut self, now_ms: u64) {
        self.listed_ms = Some(now_ms);
    }

    /// [`Session::go_on`] was too soon for this message.
    pub(super) fn put_back(&mut self, message: Input) {
        self.early_bytes += message.cost();
        self.early.push_front(message);
    }

    /// The tracks of the next epoch, to be changed; `now` are those of the open one.
    pub(super) fn next_tracks(&mut self, now: &TrackSet) -> &mut TrackSet {
        self.next.get_or_insert_with(|| now.clone())
    }

    /// The time of a track jumped.
    pub(super) fn jumped(&mut self, now_ms: u64, by_ms: i64) {
        self.jump = Some((now_ms, by_ms));
    }

    /// A configuration could not be read and was passed over. Returns whether that is news.
    pub(super) fn unreadable(&mut self, now_ms: u64, words: &str) -> bool {
        let known = self.unreadable_words(now_ms).is_some_and(|known| known == words);
        self.unreadable = Some((now_ms, words.to_owned()));
        !known
    }

    /// For how many milliseconds nothing was listed, if that is worth a word. `target_ms`: how long a segment may last.
    pub(super) fn nothing_listed_ms(&self, now_ms: u64, target_ms: u64) -> Option<u64> {
        let (since_ms, patience_ms) = match self.listed_ms {
            Some(listed_ms) => (listed_ms, NOTHING_LISTED_MS + target_ms),
            None => (self.since_ms, NOTHING_LISTED_MS),
        };
        let lasting_ms = now_ms.saturating_sub(since_ms);
        (lasting_ms >= patience_ms).then_some(lasting_ms)
    }

    /// A frame came that no segment can carry.
    pub(super) fn left_out(&mut self, now_ms: u64, track: Track) {
        let count = self.left_out_of(now_ms, track).unwrap_or(0);
        self.left_out.insert(track, (now_ms, count + 1));
    }

    /// How many frames of a track no segment could carry, for a while after the last of them.
    pub(super) fn left_out_of(&self, now_ms: u64, track: Track) -> Option<u64> {
        let (at_ms, count) = self.left_out.get(&track)?;
        (now_ms.saturating_sub(*at_ms) < UNREADABLE_MS).then_some(*count)
    }

    /// The last configuration that could not be read, for a while.
    pub(super) fn unreadable_words(&self, now_ms: u64) -> Option<&str> {
        let (at_ms, words) = self.unreadable.as_ref()?;
        (now_ms.saturating_sub(*at_ms) < UNREADABLE_MS).then_some(words)
    }
}
