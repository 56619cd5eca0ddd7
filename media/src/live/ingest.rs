//! One stream at the ingest: epochs, marks and the ledger are decided here and nowhere else.
//!
//! The caller's loop: call one method with the time, then `while let Some(output) = ingest.poll()`, then let every link
//! read [`Ingest::ring`] from its cursor, and call [`Ingest::tick`] no later than [`Ingest::next_wake`].

use super::LinkId;
use super::epoch::OpenEpoch;
use super::opening::Opening;
use super::ring::{Content, Ring, Seq};
use super::timeline::Placed;
use crate::ledger::{EpochId, Ledger, Life, Msn};
use crate::relay::{Greeting, IngestId, LifeMark, RelayMessage};
use crate::segment::Profile;
use crate::track::{Class, Frame, Message, Track, TrackSet};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

mod links;

pub use super::epoch::Cutting;

/// A new ingest waits this long after its start for the greetings of all serving addresses.
pub const GREETINGS_MS_MAX: u64 = 1_000;
/// At most one epoch is opened in this time.
const EPOCH_MS_MIN: u64 = 1_000;
/// An ended presentation is gone after this, or three list lengths if that is longer.
const GONE_MS_MIN: u64 = 60_000;
/// Messages that are held while greetings are awaited; at the highest accepted bit rate one second is a quarter of it.
const HELD_BYTES_MAX: usize = 16 << 20;

/// What an ingest is told once.
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
    /// Close the publisher, with this reason.
    ClosePublisher {
        /// In words, for the log and the encoder.
        reason: String,
    },
    /// An epoch opened or ended, for the log.
    Note(String),
}

/// A message that came before the greetings.
#[derive(Debug)]
enum Held {
    Media(u32, Message),
    Metadata(Bytes),
}

/// Whether the past is known.
#[derive(Debug)]
enum Memory {
    /// Greetings are awaited.
    Learning { until_ms: u64, expected: Option<usize>, held: Vec<Held>, held_bytes: usize },
    /// The ledger is the truth.
    Known,
}

/// The publisher's side.
#[derive(Debug)]
enum Source {
    /// Nobody publishes.
    Absent { since_ms: u64 },
    /// Somebody does; no epoch is open yet.
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

/// See the module.
#[derive(Debug)]
pub struct Ingest {
    settings: Settings,
    memory: Memory,
    ledger: Ledger,
    source: Source,
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
            links: BTreeMap::new(),
            ring: Ring::new(settings.ring_bytes_max),
            outputs: VecDeque::new(),
            epoch_floor_ms: 0,
            opened_ms: None,
            life_since_ms: now_ms,
            announcements: 0,
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

    /// Milliseconds by which the publisher is ahead of the clock.
    #[must_use]
    pub fn ahead_ms(&self, now_ms: u64) -> u64 {
        match &self.source {
            Source::Live(epoch) => epoch.media_ms().saturating_sub(now_ms),
            Source::Opening(_) | Source::Absent { .. } => 0,
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
        if let Memory::Learning { held, held_bytes, .. } = &mut self.memory {
            held.clear();
            *held_bytes = 0;
        }
    }

    /// The publisher is gone: the epoch ends here.
    pub fn unpublish(&mut self, now_ms: u64) {
        self.end_epoch(now_ms);
        self.source = Source::Absent { since_ms: now_ms };
    }

    /// The publisher's `onMetaData`, as AMF0. It takes effect with the next epoch.
    pub fn metadata(&mut self, payload: Bytes) {
        match (&mut self.memory, &mut self.source) {
            (Memory::Learning { held, .. }, _) => held.push(Held::Metadata(payload)),
            (Memory::Known, Source::Opening(opening)) => opening.metadata(payload),
            (Memory::Known, Source::Live(_) | Source::Absent { .. }) => {}
        }
    }

    /// One audio or video message of the publisher, with its RTMP time stamp.
    pub fn message(&mut self, now_ms: u64, stamp: u32, message: Message) {
        match &mut self.memory {
            Memory::Known => self.take(now_ms, stamp, message),
            Memory::Learning { held, held_bytes, .. } => {
                *held_bytes += message.body.len();
                held.push(Held::Media(stamp, message));
                if *held_bytes > HELD_BYTES_MAX {
                    self.finish_learning(now_ms);
                }
            }
        }
    }

    /// Moves time on.
    pub fn tick(&mut self, now_ms: u64) {
        match self.memory {
            Memory::Learning { until_ms, .. } if now_ms >= until_ms => self.finish_learning(now_ms),
            Memory::Learning { .. } | Memory::Known => {}
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
            Memory::Known => self.next_life().map(|(at_ms, _)| at_ms),
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn take(&mut self, now_ms: u64, stamp: u32, message: Message) {
        match &mut self.source {
            Source::Absent { .. } => {}
            Source::Opening(opening) => {
                let tracks = opening.message(stamp, &message);
                let rested = self.opened_ms.is_none_or(|at| now_ms >= at + EPOCH_MS_MIN);
                if let Some(tracks) = tracks
                    && rested
                {
                    self.open_epoch_with(now_ms, tracks, stamp, message);
                }
            }
            Source::Live(epoch) => match message.class {
                Class::End | Class::Other | Class::NotCarried(_) => {}
                Class::Config => self.configuration(now_ms, stamp, message),
                Class::Media(_) => match epoch.place(message.track, stamp, &self.ledger) {
                    Placed::BeforeStart => {}
                    Placed::At(t_ms) => self.append(message.at(t_ms)),
                    Placed::Jump => {
                        self.outputs.push_back(Output::Note(format!("time jumped to {stamp} ms")));
                        self.reopen(now_ms);
                        self.take(now_ms, stamp, message);
                    }
                },
            },
        }
    }

    /// A sequence header within an epoch: a byte-identical repeat is no change.
    fn configuration(&mut self, now_ms: u64, stamp: u32, message: Message) {
        let Source::Live(epoch) = &self.source else { return };
        let known = match message.track {
            Track::Video => &epoch.tracks().video,
            Track::Audio => &epoch.tracks().audio,
        };
        if known.as_ref() != Some(&message.body) {
            self.reopen(now_ms);
            self.take(now_ms, stamp, message);
        }
    }

    fn open_epoch_with(&mut self, now_ms: u64, tracks: TrackSet, stamp: u32, message: Message) {
        let id = now_ms.max(self.epoch_floor_ms).max(self.ledger.remembered.map_or(0, |r| r.epoch_end_ms + 1));
        match OpenEpoch::open(id, &self.ledger, self.settings.cutting, Profile::NEWEST, tracks, stamp) {
            Ok(epoch) => {
                self.opened_ms = Some(now_ms);
                self.outputs.push_back(Output::Note(format!("epoch {id} opens with segment {}", epoch.msn())));
                self.ring.push(Content::Message(RelayMessage::Epoch(epoch.message())));
                self.ring.push(Content::Message(RelayMessage::Mark(epoch.mark(None))));
                self.source = Source::Live(Box::new(epoch));
                if matches!(message.class, Class::Media(_))
                    && let Source::Live(epoch) = &mut self.source
                    && let Placed::At(t_ms) = epoch.place(message.track, stamp, &self.ledger)
                {
                    self.append(message.at(t_ms));
                }
            }
            Err(error) => {
                self.source = Source::Absent { since_ms: now_ms };
                let reason = format!("failed to mux what the encoder announced: {error}");
                self.outputs.push_back(Output::ClosePublisher { reason });
            }
        }
    }

    fn append(&mut self, frame: Frame) {
        let Source::Live(epoch) = &mut self.source else { return };
        if epoch.cuts_before(&frame, &self.ledger) {
            let closed = epoch.cut(frame.t_ms, &mut self.ledger);
            self.ring.push(Content::Message(RelayMessage::Mark(epoch.mark(Some(closed)))));
            self.ring.forget_before(self.ledger.first);
        }
        epoch.push(&frame);
        self.ring.push(Content::Frame(frame));
    }

    /// Ends the epoch; the publisher stays and opens the next one with the same tracks.
    fn reopen(&mut self, now_ms: u64) {
        let Source::Live(epoch) = &self.source else { return };
        let tracks = epoch.tracks().clone();
        self.end_epoch(now_ms);
        self.source = Source::Opening(Opening::with(tracks));
    }

    /// Ends the open epoch, if there is one. The caller sets the source.
    fn end_epoch(&mut self, now_ms: u64) {
        let source = std::mem::replace(&mut self.source, Source::Absent { since_ms: now_ms });
        match source {
            Source::Live(epoch) => {
                self.epoch_floor_ms = self.epoch_floor_ms.max(epoch.end_ms() + 1);
                let end = epoch.end(&mut self.ledger);
                self.outputs.push_back(Output::Note(format!("epoch {} ends after {} ms", end.epoch, end.t_ms)));
                self.ring.push(Content::Message(RelayMessage::End(end)));
            }
            source @ (Source::Absent { .. } | Source::Opening(_)) => self.source = source,
        }
    }

    /// The next step in the presentation's life, while nobody publishes.
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
