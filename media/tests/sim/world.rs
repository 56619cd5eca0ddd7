//! Ingests, edges, links and encoders over virtual time. No socket, no thread: one queue of events, one seed.

use super::check::Checks;
use super::encoder::Encoder;
use super::random::Random;
use super::releases::Releases;
use super::viewers::Viewers;
use bytes::Bytes;
use lectern_media::ledger::{Entry, Ledger, SegmentName};
use lectern_media::live::edge::{self, Edge};
use lectern_media::live::ingest::{Cutting, Ingest, Settings};
use lectern_media::live::ring::Seq;
use lectern_media::live::{LinkId, View};
use lectern_media::relay::{HEARTBEAT_MS, Heartbeat, Probe, RelayMessage};
use lectern_media::track::{Message, Track};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// Virtual time begins here: some day in 2026.
pub const BEGIN_MS: u64 = 1_780_000_000_000;

/// An edge gives up on a sibling's ledger after this.
const LEDGER_MS: u64 = 900;
/// And on a segment after this.
const SEGMENT_MS: u64 = 5_000;

/// What travels to an edge.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a test has thousands of them at most")]
pub enum Down {
    Message(RelayMessage),
    Media(Track, u32, Bytes),
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Down {
        link: LinkId,
        down: Down,
    },
    Up {
        link: LinkId,
        message: RelayMessage,
    },
    Dial {
        ingest: usize,
        edge: usize,
    },
    Read {
        link: LinkId,
    },
    LedgerAsked {
        asker: usize,
        boot: u64,
        sibling: SocketAddr,
    },
    LedgerAnswer {
        asker: usize,
        boot: u64,
        sibling: SocketAddr,
        answer: Option<(Ledger, Vec<Entry>)>,
    },
    SegmentAsked {
        asker: usize,
        boot: u64,
        sibling: SocketAddr,
        name: SegmentName,
    },
    SegmentAnswer {
        asker: usize,
        boot: u64,
        sibling: SocketAddr,
        name: SegmentName,
        bytes: Option<Bytes>,
    },
    /// A link was closed by its ingest.
    Hangup {
        edge: usize,
        boot: u64,
        link: LinkId,
    },
    /// What arrived at an edge while it stood still.
    Late {
        edge: usize,
        boot: u64,
        link: LinkId,
        down: Down,
    },
    /// An edge that stood still runs again.
    Wake {
        edge: usize,
        clock_first: bool,
    },
    /// The ingest looks whether an edge that stood still is back.
    Silent {
        link: LinkId,
    },
    /// Viewers ask for segments.
    Viewers,
    /// A request of a viewer arrives at an edge.
    Request {
        edge: usize,
        boot: u64,
        name: SegmentName,
    },
    Encoder,
    Tick,
}

pub(crate) struct Link {
    pub(crate) ingest: usize,
    pub(crate) edge: usize,
    pub(crate) cursor: Option<Seq>,
    /// To be sent back once everything before it is sent.
    pub(crate) probe: Option<Probe>,
    /// Neither direction delivers before this: links keep the order.
    pub(crate) free_ms: (u64, u64),
}

pub struct IngestNode {
    pub machine: Option<Ingest>,
    boot: u64,
}

pub struct EdgeNode {
    pub machine: Option<Edge>,
    pub boot: u64,
    pub address: SocketAddr,
    /// Live items that viewers got: (epoch zero, kind) for the checks.
    pub live: Vec<edge::LiveItem>,
    /// While it stands still: what waits in its sockets.
    pub(crate) backlog: Option<Vec<Event>>,
}

pub struct World {
    pub now_ms: u64,
    pub random: Random,
    queue: BTreeMap<(u64, u64), Event>,
    serial: u64,
    pub(crate) next_link: u64,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub ingests: Vec<IngestNode>,
    pub edges: Vec<EdgeNode>,
    /// Pairs that cannot reach each other: (ingest, edge).
    pub cut: BTreeSet<(usize, usize)>,
    /// Pairs of edges that cannot reach each other, lower first.
    pub cut_siblings: BTreeSet<(usize, usize)>,
    /// Edges whose answers for segments get lost.
    pub mute: BTreeSet<usize>,
    pub encoder: Encoder,
    pub latency_ms: (u64, u64),
    pub ring_bytes_max: usize,
    pub end_after_ms: u64,
    pub notes: Vec<String>,
    pub checks: Checks,
    pub releases: Releases,
    pub viewers: Viewers,
}

impl World {
    /// `ingests` and `edges` that all start now, and an encoder that is off.
    pub fn new(seed: u64, ingests: usize, edges: usize) -> Self {
        let mut world = Self {
            now_ms: BEGIN_MS,
            random: Random::new(seed),
            queue: BTreeMap::new(),
            serial: 0,
            next_link: 0,
            links: BTreeMap::new(),
            ingests: Vec::new(),
            edges: Vec::new(),
            cut: BTreeSet::new(),
            cut_siblings: BTreeSet::new(),
            mute: BTreeSet::new(),
            encoder: Encoder::new(seed),
            latency_ms: (1, 8),
            ring_bytes_max: 1 << 20,
            end_after_ms: 20_000,
            notes: Vec::new(),
            checks: Checks::default(),
            releases: Releases::default(),
            viewers: Viewers::new(seed),
        };
        (0..edges).for_each(|_| world.add_edge());
        for index in 0..ingests {
            world.ingests.push(IngestNode { machine: None, boot: 0 });
            world.start_ingest(index);
        }
        world.schedule(0, Event::Encoder);
        world.schedule(50, Event::Tick);
        world.schedule(75, Event::Viewers);
        world
    }

    /// One more edge that starts now.
    pub fn add_edge(&mut self) {
        let index = self.edges.len();
        let port = u16::try_from(index).expect("few edges");
        let address = SocketAddr::from(([127, 0, 0, 1], 10_000 + port));
        self.edges.push(EdgeNode { machine: None, boot: 0, address, live: Vec::new(), backlog: None });
        self.start_edge(index);
    }

    pub fn start_ingest(&mut self, index: usize) {
        self.serial += 1;
        let settings = Settings {
            ingest: self.serial,
            cutting: Cutting { segment_ms: 2_000, window: 4 },
            end_after_ms: self.end_after_ms,
            ring_bytes_max: self.ring_bytes_max,
        };
        let mut machine = Ingest::new(settings, self.now_ms);
        let serving = self.edges.iter().filter(|e| e.machine.is_some()).count();
        machine.expect_greetings(self.now_ms, serving);
        self.ingests[index].machine = Some(machine);
        self.ingests[index].boot += 1;
        for edge in 0..self.edges.len() {
            self.schedule(1, Event::Dial { ingest: index, edge });
        }
    }

    pub fn kill_ingest(&mut self, index: usize) {
        self.ingests[index].machine = None;
        self.close_links(|l| l.ingest == index);
        if self.encoder.at == Some(index) {
            self.encoder.lost(self.now_ms);
        }
    }

    pub fn start_edge(&mut self, index: usize) {
        self.serial += 1;
        self.edges[index].machine = Some(Edge::new(self.now_ms));
        self.edges[index].boot = self.serial;
        self.edges[index].live.clear();
        for ingest in 0..self.ingests.len() {
            self.schedule(60, Event::Dial { ingest, edge: index });
        }
    }

    pub fn kill_edge(&mut self, index: usize) {
        self.edges[index].machine = None;
        self.edges[index].backlog = None;
        self.viewers.leave(index);
        self.checks.forget(index);
        self.close_links(|l| l.edge == index);
    }

    /// Separates an ingest from an edge, or joins them again.
    pub fn set_cut(&mut self, ingest: usize, edge: usize, cut: bool) {
        if cut {
            self.cut.insert((ingest, edge));
        } else {
            self.cut.remove(&(ingest, edge));
        }
    }

    pub fn view(&self, edge: usize) -> Arc<View> {
        self.edges[edge].machine.as_ref().map(|m| m.view().clone()).unwrap_or_default()
    }

    pub fn last(&self, edge: usize) -> u64 {
        self.view(edge).ledger.listed().last().map_or(0, |e| e.msn)
    }

    pub fn run(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while let Some((&(at, serial), _)) = self.queue.first_key_value() {
            if at > until {
                break;
            }
            self.now_ms = at;
            if let Some(event) = self.queue.remove(&(at, serial)) {
                self.handle(event);
            }
        }
        self.now_ms = until;
    }

    /// Runs until `condition` holds, event by event.
    pub fn run_until(&mut self, what: &str, ms_max: u64, condition: impl Fn(&World) -> bool) {
        let until = self.now_ms + ms_max;
        while !condition(self) {
            let Some((&(at, serial), _)) = self.queue.first_key_value() else { break };
            assert!(at <= until, "{what}: not within {ms_max} ms\n{:#?}", self.notes);
            self.now_ms = at;
            if let Some(event) = self.queue.remove(&(at, serial)) {
                self.handle(event);
            }
        }
    }

    pub(crate) fn schedule(&mut self, in_ms: u64, event: Event) {
        self.serial += 1;
        self.queue.insert((self.now_ms + in_ms, self.serial), event);
    }

    pub(crate) fn delay(&mut self) -> u64 {
        self.latency_ms.0 + self.random.below(self.latency_ms.1 - self.latency_ms.0 + 1)
    }

    pub(crate) fn handle(&mut self, event: Event) {
        let Some(event) = self.unless_standing_still(event) else { return };
        match event {
            Event::Tick => self.tick(),
            Event::Encoder => self.encode(),
            Event::Dial { ingest, edge } => self.dial(ingest, edge),
            Event::Read { link } => self.read(link),
            Event::Down { link, down } => self.deliver_down(link, down),
            Event::Up { link, message } => self.deliver_up(link, message),
            Event::LedgerAsked { asker, boot, sibling } => {
                let answer = self.sibling(asker, sibling).and_then(|m| self.sibling_answer(asker, m.view()));
                let delay = if self.stands_still(sibling) { LEDGER_MS } else { self.delay() };
                self.schedule(delay, Event::LedgerAnswer { asker, boot, sibling, answer });
            }
            Event::LedgerAnswer { asker, boot, sibling, answer } => {
                self.with_edge(asker, boot, |m, now| m.sibling_ledger(now, sibling, answer));
            }
            Event::SegmentAsked { asker, boot, sibling, name } => {
                let muted = self.index_of(sibling).is_some_and(|i| self.mute.contains(&i));
                let held = self.sibling(asker, sibling).filter(|_| !muted);
                let bytes = held.and_then(|m| m.view().segments.get(&name).map(|s| s.bytes.clone()));
                let delay = if self.stands_still(sibling) { SEGMENT_MS } else { self.delay() };
                self.schedule(delay, Event::SegmentAnswer { asker, boot, sibling, name, bytes });
            }
            Event::SegmentAnswer { asker, boot, sibling, name, bytes } => {
                self.with_edge(asker, boot, |m, now| m.fetched(now, sibling, name, bytes));
            }
            Event::Hangup { edge, boot, link } => self.with_edge(edge, boot, |m, now| m.link_closed(now, link)),
            Event::Late { edge, boot, link, down } => self.late(edge, boot, link, down),
            Event::Wake { edge, clock_first } => self.wake(edge, clock_first),
            Event::Silent { link } => self.give_up_silent(link),
            Event::Viewers => self.viewers_ask(),
            Event::Request { edge, boot, name } => self.request(edge, boot, name),
        }
    }

    fn tick(&mut self) {
        self.compare_releases();
        for index in 0..self.edges.len() {
            if self.edges[index].backlog.is_none() {
                self.with_edge(index, self.edges[index].boot, Edge::tick);
                self.answer_requests(index);
            }
        }
        for index in 0..self.ingests.len() {
            let now = self.now_ms;
            if let Some(machine) = &mut self.ingests[index].machine {
                machine.tick(now);
            }
            self.drain_ingest(index);
            if now % HEARTBEAT_MS < 50 {
                let links: Vec<_> = self.links.iter().filter(|(_, l)| l.ingest == index).map(|(id, _)| *id).collect();
                for link in links {
                    self.send_down(link, Down::Message(RelayMessage::Heartbeat(Heartbeat { now_ms: now })));
                }
            }
        }
        self.schedule(50, Event::Tick);
    }

    fn encode(&mut self) {
        let now = self.now_ms;
        let alive: Vec<_> = (0..self.ingests.len()).filter(|i| self.ingests[*i].machine.is_some()).collect();
        if let Some(at) = self.encoder.wants_to_connect(now, &alive)
            && let Some(machine) = &mut self.ingests[at].machine
        {
            machine.publish(now);
        }
        if let Some(at) = self.encoder.at {
            for (track, stamp, body) in self.encoder.due(now) {
                if let Some(machine) = &mut self.ingests[at].machine {
                    machine.message(now, stamp, Message::read(track, body));
                }
            }
            self.drain_ingest(at);
        }
        self.schedule(20, Event::Encoder);
    }

    /// The encoder says goodbye, or its connection breaks: the same for the ingest.
    pub fn stop_publishing(&mut self, again_in_ms: Option<u64>) {
        if let Some(at) = self.encoder.at {
            let now = self.now_ms;
            if let Some(machine) = &mut self.ingests[at].machine {
                machine.unpublish(now);
            }
            self.drain_ingest(at);
        }
        self.encoder.stop(again_in_ms.map(|ms| self.now_ms + ms));
    }

    pub(crate) fn siblings(&self, edge: usize) -> Vec<SocketAddr> {
        self.edges.iter().enumerate().filter(|(i, _)| *i != edge).map(|(_, e)| e.address).collect()
    }

    fn stands_still(&self, address: SocketAddr) -> bool {
        self.index_of(address).is_some_and(|index| self.edges[index].backlog.is_some())
    }

    fn index_of(&self, address: SocketAddr) -> Option<usize> {
        self.edges.iter().position(|e| e.address == address)
    }

    pub(crate) fn sibling(&self, asker: usize, address: SocketAddr) -> Option<&Edge> {
        let index = self.index_of(address)?;
        let pair = (asker.min(index), asker.max(index));
        if self.cut_siblings.contains(&pair) || self.edges[index].backlog.is_some() {
            return None;
        }
        self.edges[index].machine.as_ref()
    }

    /// Every live edge is Ready and says the same.
    pub fn agree(&self) -> bool {
        let mut playlists = BTreeSet::new();
        for edge in &self.edges {
            let Some(machine) = &edge.machine else { continue };
            if !machine.view().ready {
                return false;
            }
            playlists.insert(machine.view().media.clone());
        }
        playlists.len() <= 1
    }
}
