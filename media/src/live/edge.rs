//! One stream at an edge: a pure function of the messages of ingests and siblings.
//!
//! The caller's loop: call one method with the time, then `while let Some(output) = edge.poll()`, and call
//! [`Edge::tick`] no later than [`Edge::next_wake`].

use crate::ledger::{Entry, Ledger, ListProfile, SegmentName};
use crate::live::view::{Open, Segment, View};
use crate::relay::{Greeting, LINK_DEAD_MS, RelayMessage};
use crate::segment::Profile;
use crate::track::{Frame, Track, TrackSet};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use super::LinkId;

mod fetch;
mod inquiry;
mod links;
mod open_segment;
mod readiness;
mod store;

use fetch::Fetches;
use inquiry::Inquiry;
use links::Link;
use open_segment::OpenSegment;
pub use readiness::{ALONE_MS, STALE_MS, UNREACHED_MS};
use store::Store;

/// An edge without a live link asks its siblings this often.
pub const FOLLOW_MS: u64 = 1_000;
/// Siblings asked for their ledger at once.
const ASKED_MAX: usize = 8;

/// What the caller has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a message on a link.
    Send {
        /// The link.
        link: LinkId,
        /// The message.
        message: RelayMessage,
    },
    /// Close a link; it is forgotten already.
    Close {
        /// The link.
        link: LinkId,
        /// A sentence for the log.
        reason: String,
    },
    /// Ask a sibling for its ledger and call [`Edge::sibling_ledger`] with the answer or `None`.
    AskLedger {
        /// Its admin address.
        sibling: SocketAddr,
    },
    /// Fetch a segment and call [`Edge::fetched`] with the bytes or `None`.
    Fetch {
        /// Its admin address.
        sibling: SocketAddr,
        /// The segment.
        name: SegmentName,
    },
    /// Answer viewers from this now.
    View(Arc<View>),
    /// For viewers of RTMP and HTTP-FLV.
    Live(LiveItem),
}

/// What viewers of RTMP and HTTP-FLV get, on a timeline that is the same at every edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveItem {
    /// An epoch begins: new sequence headers.
    Epoch {
        /// Metadata and sequence headers.
        tracks: TrackSet,
        /// There are other kinds of tracks than in the epoch before: connections are closed.
        kinds_changed: bool,
    },
    /// Other metadata of the same epoch, as AMF0. A replay may repeat it.
    Metadata(Bytes),
    /// Media. `t_ms` counts from the first epoch of the presentation.
    Frame(Frame),
}

/// The machine of one stream at an edge.
#[derive(Debug)]
pub struct Edge {
    started_ms: u64,
    links: BTreeMap<LinkId, Link>,
    /// The link that the stream is taken from.
    source: Option<LinkId>,
    truth: Ledger,
    known: bool,
    store: Store,
    open_segment: Option<OpenSegment>,
    fetches: Fetches,
    inquiry: Inquiry,
    siblings: Vec<SocketAddr>,
    knew_siblings: bool,
    /// When the ingest or a sibling was last heard.
    reached_ms: u64,
    asked_ms: Option<u64>,
    beat_ms: u64,
    was_level: bool,
    behind_since_ms: Option<u64>,
    reported: Vec<u64>,
    mismatches: u64,
    live: Live,
    view: Arc<View>,
    outputs: VecDeque<Output>,
}

/// Where viewers' time stands: what a replay repeats is not sent to them twice.
#[derive(Debug, Default)]
struct Live {
    epoch: u64,
    zero_ms: u64,
    kinds: Option<(bool, bool)>,
    video: Option<u64>,
    audio: Option<u64>,
}

impl Edge {
    /// A stream of which the edge knows nothing yet; the edge started at `now_ms`.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            started_ms: now_ms,
            links: BTreeMap::new(),
            source: None,
            truth: Ledger::default(),
            known: false,
            store: Store::default(),
            open_segment: None,
            fetches: Fetches::default(),
            inquiry: Inquiry::default(),
            siblings: Vec::new(),
            knew_siblings: false,
            reached_ms: now_ms,
            asked_ms: None,
            beat_ms: now_ms,
            was_level: false,
            behind_since_ms: None,
            reported: Vec::new(),
            mismatches: 0,
            live: Live::default(),
            view: Arc::new(View::default()),
            outputs: VecDeque::new(),
        }
    }

    /// The current snapshot.
    #[must_use]
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The ledger of the current snapshot: what siblings that ask for it can also fetch here.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.view.ledger
    }

    /// Segments whose bytes were not those of their entry: a defect in one of the nodes.
    #[must_use]
    pub fn mismatches(&self) -> u64 {
        self.mismatches
    }

    /// The first message on a new link.
    #[must_use]
    pub fn greeting(&self, now_ms: u64) -> Greeting {
        let held = self.truth.entries.iter().filter(|e| self.store.holds(e)).map(|e| e.msn).collect();
        let profiles = Profile::SPOKEN.to_vec();
        let list_profile = ListProfile::NEWEST;
        Greeting { ledger: self.truth.clone(), held, profiles, list_profile, live_link: self.live_link(now_ms) }
    }

    /// The admin addresses of all other edges.
    pub fn siblings(&mut self, now_ms: u64, siblings: &[SocketAddr]) {
        self.siblings = siblings.to_vec();
        self.knew_siblings |= !siblings.is_empty();
        self.settle(now_ms);
    }

    /// One audio or video message of a link, with its RTMP time stamp.
    pub fn frame(&mut self, now_ms: u64, link: LinkId, track: Track, stamp: u32, body: Bytes) {
        self.heard(now_ms, link);
        if self.source != Some(link) {
            return;
        }
        let Some(open) = &mut self.open_segment else { return };
        let frame = open.push(track, stamp, body);
        // A replay may begin in an epoch that viewers have left behind.
        if open.epoch() == self.live.epoch {
            self.show(frame);
        }
    }

    /// A sibling answered for its ledger and [`View::others`], or did not. A ledger with numbers out of bounds is no
    /// answer.
    pub fn sibling_ledger(&mut self, now_ms: u64, sibling: SocketAddr, answer: Option<(Ledger, Vec<Entry>)>) {
        let answer = answer.filter(|(ledger, _)| crate::relay::is_within_bounds(ledger));
        let entries = answer.as_ref().map(|(ledger, others)| ledger.entries.iter().chain(others));
        self.inquiry.heard(sibling, entries, &self.truth);
        if let Some((ledger, _)) = answer {
            self.reached_ms = now_ms;
            if self.alive_source(now_ms).is_none() {
                self.follow_ledger(ledger);
            }
        }
        self.settle(now_ms);
    }

    fn follow_ledger(&mut self, ledger: Ledger) {
        if !self.known || ledger.rank() > self.truth.rank() {
            let remembered = self.truth.remembered;
            self.known = true;
            self.truth = ledger;
            self.truth.remember(remembered);
            self.close_by_truth();
        }
    }

    /// A sibling answered for a segment, or did not have it.
    pub fn fetched(&mut self, now_ms: u64, sibling: SocketAddr, name: SegmentName, bytes: Option<Bytes>) {
        self.fetches.answered(sibling, name);
        if let Some(bytes) = bytes
            && let Some(entry) = self.truth.entries.iter().find(|e| e.name() == name)
            && crate::ledger::Hash::of(&bytes) == entry.hash
        {
            self.store.put(Segment { entry: entry.clone(), bytes });
        }
        self.settle(now_ms);
    }

    /// Moves time on.
    pub fn tick(&mut self, now_ms: u64) {
        let dead: Vec<_> =
            self.links.iter().filter(|(_, l)| now_ms >= l.heard_ms + LINK_DEAD_MS).map(|(id, _)| *id).collect();
        for link in dead {
            let reason = format!("silent for {LINK_DEAD_MS} ms");
            self.outputs.push_back(Output::Close { link, reason });
            self.link_closed(now_ms, link);
        }
        self.beat(now_ms);
        self.follow(now_ms);
        self.store.expire(now_ms);
        self.settle(now_ms);
    }

    /// When [`Edge::tick`] is wanted.
    #[must_use]
    pub fn next_wake(&self) -> u64 {
        let beat = self.beat_ms + crate::relay::HEARTBEAT_MS;
        [self.fetches.next_wake(), self.inquiry.next_wake()].into_iter().flatten().fold(beat, u64::min)
    }

    /// The caller holds the bytes of this segment in memory of its own from now on: these are the same, and ours go.
    pub fn moved(&mut self, name: SegmentName, bytes: Bytes) {
        self.store.moved(name, bytes);
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// While no link is alive: ask the siblings what they know.
    fn follow(&mut self, now_ms: u64) {
        let due = self.asked_ms.is_none_or(|at| now_ms >= at + FOLLOW_MS);
        // The ingest has the first word after a start, as long as it may still come.
        let patient = !self.known && now_ms < self.started_ms + LINK_DEAD_MS;
        if !due || patient || self.alive_source(now_ms).is_some() {
            return;
        }
        self.asked_ms = Some(now_ms);
        let asked = self.some_siblings(now_ms);
        self.outputs.extend(asked.into_iter().map(|sibling| Output::AskLedger { sibling }));
    }

    /// After every input: fetch what is missing, show what is complete.
    fn settle(&mut self, now_ms: u64) {
        let missing: BTreeSet<_> = self
            .truth
            .listed()
            .iter()
            .filter(|e| !e.gap && !self.store.holds(e))
            .map(crate::ledger::Entry::name)
            .collect();
        let wanted: BTreeSet<_> =
            missing.iter().copied().filter(|name| !name.msn().is_some_and(|msn| self.coming(now_ms, msn))).collect();
        for (sibling, name) in self.fetches.want(now_ms, &wanted, &self.siblings) {
            self.outputs.push_back(Output::Fetch { sibling, name });
        }
        self.report_missing(now_ms);
        self.investigate(now_ms);
        if self.known && missing.is_empty() {
            self.was_level = true;
            self.behind_since_ms = None;
        } else if self.known {
            self.behind_since_ms.get_or_insert(now_ms);
        }
        self.show_view(now_ms, self.known && missing.is_empty());
    }

    fn show_view(&mut self, now_ms: u64, level: bool) {
        let source = self.alive_source(now_ms).and_then(|id| self.links.get(&id));
        let (linked, segment_ms) = source.map_or((false, self.view.segment_ms), |l| (true, l.segment_ms));
        let facts = readiness::Facts {
            age_ms: now_ms - self.started_ms,
            known: self.known,
            behind_ms: self.behind_since_ms.map(|at| now_ms - at),
            was_level: self.was_level,
            was_ready: self.view.ready,
            linked,
            has_siblings: self.knew_siblings,
            reached_ms: now_ms - self.reached_ms,
        };
        let open = self.open(source);
        let starting = source.and_then(|l| l.starting(&self.truth));
        let ledger = if level { &self.truth } else { &self.view.ledger };
        let ready = readiness::ready(facts);
        let old = &self.view;
        let inquiry = &self.inquiry;
        let learnt = (old.level_ms, old.heard_ms) != (inquiry.level_ms(), inquiry.heard_ms())
            || !old.rumours.iter().eq(inquiry.rumours())
            || old.truth != self.truth;
        let moved = old.ledger != *ledger || old.open != open || self.store.changed() || learnt;
        if !moved && (old.ready, old.linked, old.segment_ms) == (ready, linked, segment_ms) {
            return;
        }
        let mut view = View {
            version: old.version + 1,
            open,
            segment_ms,
            ready,
            linked,
            truth: self.truth.clone(),
            level_ms: inquiry.level_ms(),
            heard_ms: inquiry.heard_ms(),
            rumours: inquiry.rumours().cloned().collect(),
            ..View::default()
        };
        view.render(ledger, starting);
        self.store.retain(now_ms, &self.truth, &view.ledger);
        view.segments = self.store.snapshot();
        self.view = Arc::new(view);
        self.outputs.push_back(Output::View(self.view.clone()));
    }

    /// The epoch whose segments come next: the source's, else the last one of a presentation that has not ended.
    fn open(&self, source: Option<&Link>) -> Option<Open> {
        let next_msn = self.truth.remembered.map_or(0, |r| r.msn + 1);
        match source {
            Some(link) => {
                let epoch = link.open_epoch?;
                let next_msn = self.open_segment.as_ref().map_or(next_msn, OpenSegment::msn).max(next_msn);
                let profile = link.profile_of(epoch).or_else(|| self.truth.profile_of(epoch));
                Some(Open { epoch, profile: profile.unwrap_or(Profile::NEWEST), next_msn })
            }
            None if self.truth.life == crate::ledger::Life::Open => {
                self.truth.last().map(|last| Open { epoch: last.epoch, profile: last.profile, next_msn })
            }
            None => None,
        }
    }

    fn show(&mut self, mut frame: Frame) {
        let live = &mut self.live;
        let last = match frame.track {
            Track::Video => &mut live.video,
            Track::Audio => &mut live.audio,
        };
        if last.is_some_and(|last| frame.t_ms <= last) {
            return;
        }
        *last = Some(frame.t_ms);
        frame.t_ms += live.zero_ms;
        self.outputs.push_back(Output::Live(LiveItem::Frame(frame)));
    }
}
