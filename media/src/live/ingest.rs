//! One stream at the ingest: epochs, marks and the ledger are decided here and nowhere else.
//!
//! The caller's loop: call one method with the time, then `while let Some(output) = ingest.poll()`, then let every link
//! read [`Ingest::ring`] from its cursor, and call [`Ingest::tick`] no later than [`Ingest::next_wake`].

use super::LinkId;
use super::epoch::OpenEpoch;
use super::opening::Opening;
use super::ring::{Content, Ring, Seq};
use crate::ledger::{EpochId, Ledger, Life, Msn};
use crate::relay::{Closed, Greeting, IngestId, LifeMark, RelayMessage};
use crate::track::{Message, TrackSet};
use bytes::Bytes;
use lists::Lists;
use session::{Input, Session};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod feed;
mod links;
mod lists;
mod meaning;
mod session;
mod warnings;

pub use super::epoch::{Cutting, Written};
pub use warnings::Warning;

/// A new ingest waits this long after its start for the greetings of all serving addresses.
pub const GREETINGS_MS_MAX: u64 = 1_000;
/// An ended presentation is gone after this, or three list lengths if that is longer.
const GONE_MS_MIN: u64 = 60_000;
/// Messages that are held while greetings are awaited; at the highest accepted bit rate one second is a quarter of it.
const HELD_BYTES_MAX: usize = 16 << 20;

/// Settings that an ingest has from its start.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Identity of this process.
    pub ingest: IngestId,
    /// How segments are cut and listed.
    pub cutting: Cutting,
    /// Milliseconds without a publisher after which the presentation ends.
    pub end_after_ms: u64,
    /// Cap of the ring.
    pub ring_bytes_max: usize,
}

/// What the caller has to do.
#[derive(Debug)]
pub enum Output {
    /// The link is greeted: send `preamble`, then the ring from `from` on.
    Open {
        /// The link.
        link: LinkId,
        /// The announcement and, if a replay follows, the epoch in force there.
        preamble: Vec<RelayMessage>,
        /// Where its cursor starts.
        from: Seq,
    },
    /// Close every encoder of the stream: another ingest has it, and they are to find that one.
    Yield {
        /// The reason, for the log and the encoders.
        reason: String,
    },
    /// Close the encoder on air: what it sends cannot go on.
    ClosePublisher {
        /// The reason, for the log and the encoder.
        reason: String,
    },
    /// An epoch opened or ended, for the log.
    Note(String),
}

/// Whether the past is known.
#[derive(Debug)]
enum Memory {
    /// Greetings are awaited.
    Learning { until_ms: u64, expected: Option<usize>, held: Vec<(u64, Input)>, held_bytes: usize },
    /// The ledger is the truth.
    Known,
}

/// The publisher's side.
#[derive(Debug)]
enum Source {
    /// No encoder publishes.
    Absent { since_ms: u64 },
    /// An encoder publishes; no epoch is open yet.
    Opening(Opening),
    /// An epoch is open.
    Live(Box<OpenEpoch>),
}

/// What is known of a link.
#[derive(Debug, Default)]
struct Link {
    greeting: Option<Greeting>,
    missing: BTreeSet<Msn>,
}

/// The machine of one stream at the ingest.
#[derive(Debug)]
pub struct Ingest {
    settings: Settings,
    memory: Memory,
    ledger: Ledger,
    source: Source,
    /// What is known of the publisher; of the last one while there is none.
    session: Session,
    links: BTreeMap<LinkId, Link>,
    ring: Ring,
    outputs: VecDeque<Output>,
    /// No epoch begins before this.
    epoch_floor_ms: u64,
    /// When the last epoch was opened.
    opened_ms: Option<u64>,
    /// Since when the presentation's life is what it is.
    life_since_ms: u64,
    announcements: u64,
    lists: Lists,
    /// Of the epochs that have ended.
    written: Written,
}

impl Ingest {
    /// A stream of an ingest process that starts at `now_ms`.
    #[must_use]
    pub fn new(settings: Settings, now_ms: u64) -> Self {
        let until_ms = now_ms + GREETINGS_MS_MAX;
        Self {
            settings,
            memory: Memory::Learning { until_ms, expected: None, held: Vec::new(), held_bytes: 0 },
            ledger: Ledger::default(),
            source: Source::Absent { since_ms: now_ms },
            session: Session::default(),
            links: BTreeMap::new(),
            ring: Ring::new(settings.ring_bytes_max),
            outputs: VecDeque::new(),
            epoch_floor_ms: 0,
            opened_ms: None,
            life_since_ms: now_ms,
            announcements: 0,
            lists: Lists::new(now_ms),
            written: Written::default(),
        }
    }

    /// What every link reads.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The ledger as decided so far.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The open epoch.
    #[must_use]
    pub fn open_epoch(&self) -> Option<EpochId> {
        match &self.source {
            Source::Live(epoch) => Some(epoch.id()),
            Source::Opening(_) | Source::Absent { .. } => None,
        }
    }

    /// The configurations of the open epoch.
    #[must_use]
    pub fn tracks(&self) -> Option<&TrackSet> {
        match &self.source {
            Source::Live(epoch) => Some(epoch.tracks()),
            Source::Opening(_) | Source::Absent { .. } => None,
        }
    }

    /// Segments of the open epoch that ended without a key frame.
    #[must_use]
    pub fn forced_cuts(&self) -> u64 {
        match &self.source {
            Source::Live(epoch) => epoch.forced_cuts(),
            Source::Opening(_) | Source::Absent { .. } => 0,
        }
    }

    /// What was muxed since the ingest started, the open segment included. Only grows.
    #[must_use]
    pub fn written(&self) -> Written {
        let mut written = self.written;
        if let Source::Live(epoch) = &self.source {
            written += epoch.written();
        }
        written
    }

    /// Milliseconds by which the publisher is further ahead of the clock than it was when its epoch opened. The caller
    /// reads no more from one that is seconds ahead.
    #[must_use]
    pub fn ahead_ms(&self, now_ms: u64) -> u64 {
        match &self.source {
            Source::Absent { .. } => 0,
            Source::Live(_) | Source::Opening(_) if !self.session.early.is_empty() => session::LEAD_MS_MAX,
            Source::Live(epoch) => epoch.ahead_ms(now_ms),
            Source::Opening(_) => 0,
        }
    }

    /// How segments are cut from the next epoch on, and when presentations end.
    pub fn configure(&mut self, cutting: Cutting, end_after_ms: u64) {
        self.settings.cutting = cutting;
        self.settings.end_after_ms = end_after_ms;
    }

    /// A publisher was accepted. An earlier one is over.
    pub fn publish(&mut self, now_ms: u64) {
        self.end_epoch(now_ms);
        self.source = Source::Opening(Opening::default());
        self.session = Session::new(now_ms);
        if let Memory::Learning { held, held_bytes, .. } = &mut self.memory {
            held.clear();
            *held_bytes = 0;
        }
    }

    /// The publisher is gone: the epoch ends here.
    pub fn unpublish(&mut self, now_ms: u64) {
        self.end_epoch(now_ms);
        self.source = Source::Absent { since_ms: now_ms };
        self.session = Session::default();
    }

    /// The publisher's `onMetaData`, as AMF0. Within an epoch it goes to players, once a second at most, and `index.m3u8`
    /// follows it with the next segment.
    pub fn metadata(&mut self, now_ms: u64, payload: Bytes) {
        self.receive(now_ms, Input::Metadata(payload));
    }

    /// One audio or video message of the publisher, with its RTMP time stamp.
    pub fn message(&mut self, now_ms: u64, stamp: u32, message: Message) {
        self.receive(now_ms, Input::Media(stamp, message));
    }

    /// Moves time on.
    pub fn tick(&mut self, now_ms: u64) {
        match self.memory {
            Memory::Learning { until_ms, .. } if now_ms >= until_ms => self.finish_learning(now_ms),
            Memory::Learning { .. } => {}
            Memory::Known => self.go_on(now_ms),
        }
        if let Some((at_ms, life)) = self.next_life()
            && now_ms >= at_ms
        {
            self.pass(now_ms, life);
        }
    }

    /// When [`Ingest::tick`] is wanted.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        match self.memory {
            Memory::Learning { until_ms, .. } => Some(until_ms),
            Memory::Known => self.next_life().map(|(at_ms, _)| at_ms).into_iter().chain(self.next_step()).min(),
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Ends the epoch; the publisher stays and opens the next one with the same tracks.
    fn reopen(&mut self, now_ms: u64) {
        let Source::Live(epoch) = &self.source else { return };
        let tracks = epoch.tracks().clone();
        self.reopen_with(now_ms, tracks);
    }

    fn reopen_with(&mut self, now_ms: u64, tracks: TrackSet) {
        self.end_epoch(now_ms);
        self.source = Source::Opening(Opening::with(tracks));
    }

    /// Ends the open epoch, if there is one. The caller sets the source.
    fn end_epoch(&mut self, now_ms: u64) {
        let source = std::mem::replace(&mut self.source, Source::Absent { since_ms: now_ms });
        match source {
            Source::Live(epoch) => {
                self.epoch_floor_ms = self.epoch_floor_ms.max(epoch.end_ms(now_ms) + 1);
                self.written += epoch.written();
                let end = epoch.end(now_ms, &mut self.ledger);
                if end.closed.is_some() {
                    self.session.listed(now_ms);
                }
                self.outputs.push_back(Output::Note(format!("epoch {} ends after {} ms", end.epoch, end.t_ms)));
                self.ring.push(Content::Message(RelayMessage::End(end)));
            }
            source @ (Source::Absent { .. } | Source::Opening(_)) => self.source = source,
        }
    }

    /// A segment of the open epoch has closed.
    fn closed(&mut self, now_ms: u64, closed: Closed) {
        let Source::Live(epoch) = &self.source else { return };
        self.ring.push(Content::Message(RelayMessage::Mark(epoch.mark(Some(closed)))));
        self.ring.forget_before(self.ledger.first);
        self.session.listed(now_ms);
    }

    /// The next step in the presentation's life, while no encoder publishes.
    fn next_life(&self) -> Option<(u64, Life)> {
        let Source::Absent { since_ms } = self.source else { return None };
        self.ledger.presentation.as_ref()?;
        match self.ledger.life {
            Life::Open => Some((since_ms + self.settings.end_after_ms, Life::Ended)),
            Life::Ended => {
                let lasting_ms = (3 * self.ledger.listed_us() / 1_000).max(GONE_MS_MIN);
                Some((self.life_since_ms + lasting_ms, Life::Gone))
            }
            Life::Gone => None,
        }
    }

    fn pass(&mut self, now_ms: u64, life: Life) {
        let Some(presentation) = self.ledger.presentation.as_ref().map(|p| p.first_epoch) else { return };
        if self.ledger.pass(presentation, life) {
            self.life_since_ms = now_ms;
            self.ring.push(Content::Message(RelayMessage::Life(LifeMark { presentation, life })));
        }
    }
}
