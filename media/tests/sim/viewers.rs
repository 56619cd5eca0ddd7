//! Viewers that ask any edge for what any edge lists, and for what none does: no name that a Ready edge lists, or has
//! listed within the last list length, is ever "nowhere".

use super::random::Random;
use super::world::{Event, World};
use lectern_media::ledger::{Part, SegmentName};
use lectern_media::live::{Verdict, View};
use std::collections::{BTreeMap, BTreeSet};

/// A viewer asks this often.
const ASK_EVERY_MS: u64 = 290;
/// The longest that an edge holds a request, and the target durations that it does.
const HOLD_MS_MAX: u64 = 8_000;
const HOLD_TARGETS: u64 = 3;

struct Request {
    edge: usize,
    name: SegmentName,
    asked_ms: u64,
    until_ms: u64,
    inquired: bool,
    /// It was listed when it arrived: where else would a player have it from?
    listed: bool,
}

/// What a Ready edge lists, and how long its list is.
#[derive(Default)]
struct List {
    names: BTreeSet<SegmentName>,
    length_ms: u64,
}

/// Open requests of simulated viewers, and the lists that edges have shown.
pub struct Viewers {
    random: Random,
    requests: Vec<Request>,
    lists: BTreeMap<usize, List>,
    /// Names that left a list, and until when players may still ask for them.
    left: BTreeMap<(SegmentName, usize), u64>,
    /// When a name was first listed.
    first: BTreeMap<SegmentName, u64>,
    /// Requests that were answered with bytes.
    pub served: u64,
    /// Requests that were told to come again.
    pub unavailable: u64,
    /// Requests for names that are nowhere.
    pub not_found: u64,
    /// The longest that one of these waited.
    pub not_found_ms: u64,
}

impl Viewers {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed ^ 0x71e3e5),
            requests: Vec::new(),
            lists: BTreeMap::new(),
            left: BTreeMap::new(),
            first: BTreeMap::new(),
            served: 0,
            unavailable: 0,
            not_found: 0,
            not_found_ms: 0,
        }
    }

    /// An edge answers from `view` now.
    pub fn listed(&mut self, now_ms: u64, edge: usize, view: &View) {
        let mut list = List::default();
        if view.ready && view.media.is_some() {
            list.names = view.ledger.listed().iter().filter(|e| !e.gap).map(|e| e.name()).collect();
            list.length_ms = view.ledger.listed_us() / 1_000;
        }
        for name in &list.names {
            self.first.entry(*name).or_insert(now_ms);
        }
        let before = self.lists.insert(edge, list).unwrap_or_default();
        self.left.retain(|_, until_ms| *until_ms >= now_ms);
        for name in before.names {
            self.left.insert((name, edge), now_ms + before.length_ms);
        }
    }

    /// An edge is gone, and its viewers and bytes with it.
    pub fn leave(&mut self, edge: usize) {
        self.requests.retain(|request| request.edge != edge);
        self.lists.remove(&edge);
        self.left.retain(|(_, by), _| *by != edge);
    }

    fn is_listed(&self, now_ms: u64, name: SegmentName) -> bool {
        self.lists.values().any(|list| list.names.contains(&name))
            || self.left.iter().any(|((left, _), until_ms)| *left == name && now_ms <= *until_ms)
    }

    /// The edges that list a name or did, for messages.
    fn listing(&self, name: SegmentName) -> (Vec<usize>, Vec<usize>) {
        let now = self.lists.iter().filter(|(_, list)| list.names.contains(&name)).map(|(edge, _)| *edge);
        (now.collect(), self.left.keys().filter(|(left, _)| *left == name).map(|(_, edge)| *edge).collect())
    }

    /// A name to ask for: mostly one that exists.
    fn choose(&mut self, now_ms: u64) -> Option<SegmentName> {
        let listed = self.lists.values().flat_map(|list| &list.names);
        let left = self.left.iter().filter(|(_, until_ms)| now_ms <= **until_ms).map(|((name, _), _)| name);
        let names: Vec<_> = listed.chain(left).copied().collect();
        let newest = *names.iter().max_by_key(|name| name.msn())?;
        Some(match self.random.below(8) {
            0 => SegmentName { part: Part::Media(newest.msn()? + 1), ..newest },
            1 => SegmentName { epoch: newest.epoch + 1, ..newest },
            2 | 3 => newest,
            _ => names[usize::try_from(self.random.below(names.len() as u64)).expect("few")],
        })
    }
}

impl World {
    pub(crate) fn viewers_ask(&mut self) {
        self.schedule(ASK_EVERY_MS, Event::Viewers);
        let Some(name) = self.viewers.choose(self.now_ms) else { return };
        let edge = usize::try_from(self.viewers.random.below(self.edges.len() as u64)).expect("few");
        self.schedule(1, Event::Request { edge, boot: self.edges[edge].boot, name });
    }

    pub(crate) fn request(&mut self, edge: usize, boot: u64, name: SegmentName) {
        if self.edges[edge].boot != boot || self.edges[edge].machine.is_none() {
            return;
        }
        let asked_ms = self.now_ms;
        let hold_ms = (HOLD_TARGETS * self.view(edge).target_ms()).min(HOLD_MS_MAX);
        let until_ms = asked_ms + hold_ms;
        let listed = self.viewers.is_listed(asked_ms, name);
        self.viewers.requests.push(Request { edge, name, asked_ms, until_ms, inquired: false, listed });
        self.answer_requests(edge);
    }

    /// Answers the requests at an edge that can be answered.
    pub(crate) fn answer_requests(&mut self, edge: usize) {
        let view = self.view(edge);
        let (here, others) = std::mem::take(&mut self.viewers.requests).into_iter().partition(|r| r.edge == edge);
        self.viewers.requests = others;
        let mut inquire = false;
        for mut request in Vec::from_iter::<Vec<Request>>(here) {
            let verdict = view.verdict(request.name, request.asked_ms);
            let over = self.now_ms >= request.until_ms;
            match verdict {
                Verdict::Held(_) => self.viewers.served += 1,
                Verdict::Elsewhere(_) if self.a_sibling_sends(edge, request.name) => self.viewers.served += 1,
                Verdict::Nowhere => self.not_found(edge, &request),
                Verdict::Elsewhere(_) => self.viewers.unavailable += 1,
                Verdict::Ahead | Verdict::Unsure if over => self.viewers.unavailable += 1,
                Verdict::Ahead => {
                    (request.asked_ms, request.inquired) = (self.now_ms, false);
                    self.viewers.requests.push(request);
                }
                Verdict::Unsure => {
                    inquire |= !std::mem::replace(&mut request.inquired, true);
                    self.viewers.requests.push(request);
                }
            }
        }
        if inquire {
            self.with_edge(edge, self.edges[edge].boot, |machine, now_ms| machine.inquire(now_ms));
        }
    }

    fn a_sibling_sends(&self, edge: usize, name: SegmentName) -> bool {
        let siblings = (0..self.edges.len()).filter(|other| *other != edge && !self.mute.contains(other));
        let mut siblings = siblings.filter_map(|other| self.sibling(edge, self.edges[other].address));
        siblings.any(|machine| machine.view().segments.contains_key(&name))
    }

    fn not_found(&mut self, edge: usize, request: &Request) {
        let Request { name, asked_ms, listed, .. } = *request;
        // A request knows of a name from a list; one that was told to wait may have met its name meanwhile.
        let old = listed || self.viewers.first.get(&name).is_some_and(|first_ms| *first_ms <= asked_ms);
        assert!(
            !(old && self.viewers.is_listed(self.now_ms, name)),
            "edge {edge} says at {} that {name} is nowhere (asked at {}), and edges {:?} list it: {:#?}\n{:#?}",
            self.now_ms - super::world::BEGIN_MS,
            asked_ms - super::world::BEGIN_MS,
            self.viewers.listing(name),
            self.view(edge).truth,
            self.notes
        );
        self.viewers.not_found += 1;
        self.viewers.not_found_ms = self.viewers.not_found_ms.max(self.now_ms - asked_ms);
    }
}
