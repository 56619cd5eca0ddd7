//! The processes of an event and what is known of each: from what the plan wants to what runs.

use super::child::{self, Backoff, Hold};
use super::files::Workdir;
use super::poll;
use super::report::Notice;
use crate::plan::{Audience, Autoscaler, EdgeSeen, EdgesSeen, IngestSeen, LocalProcess, Observed, Plan, Role};
use anyhow::{Context, Result};
use jiff::Timestamp;
use lectern_api::node_config::{EdgeListen, IngestListen, Peer};
use lectern_api::node_status::NodeStatus;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// So many questions in a row without an answer make a node not Ready: one can be lost on a busy machine.
const MISSES_MAX: u32 = 3;
/// Ports of nodes come from here: below the range that Linux gives to outgoing connections (from 32,768 on), so that a
/// port that was free stays free until the node has it.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Two runs on one machine begin their search in different places.
const PORT_STRIDE: u32 = 97;
/// Lines of a node's log that are shown when it dies.
const LAST_WORDS: usize = 5;
/// Shortest time over which a sending rate is measured.
const RATE_PERIOD: Duration = Duration::from_secs(1);

/// What children tell the loop.
#[derive(Debug)]
pub(super) enum News {
    /// A process ended.
    Died { name: String, life: u32, how: String },
    /// A node answered, or did not.
    Heard { name: String, life: u32, status: Option<Box<NodeStatus>> },
}

/// The processes of an event.
pub(super) struct Fleet {
    binary: PathBuf,
    workdir: Workdir,
    /// Where the ingest listens.
    rtmp: SocketAddr,
    /// Where the entry listens.
    http: SocketAddr,
    news: mpsc::Sender<News>,
    ports: Ports,
    ingest: Option<Node>,
    edges: Vec<Node>,
    peers: Vec<Peer>,
}

/// One node.
struct Node {
    name: String,
    listen: Listen,
    state: State,
    /// Counts its starts: news of an earlier process is not news.
    life: u32,
    backoff: Backoff,
    status: Option<NodeStatus>,
    misses: u32,
    ready_since: Option<Instant>,
    not_ready_since: Timestamp,
    sent: Rate,
}

/// Where a node listens.
#[derive(Clone, Copy)]
enum Listen {
    Ingest(IngestListen),
    Edge(EdgeListen),
}

/// What its process does.
enum State {
    /// There is none until then.
    Waiting { until: Instant },
    /// It runs.
    Running { hold: Hold, poll: AbortHandle },
    /// It was told to end.
    Ending { hold: Hold, poll: AbortHandle },
    /// It ended as told.
    Gone,
}

/// What a node sends, in bits per second.
#[derive(Default)]
struct Rate {
    at: Option<(Instant, u64)>,
    bits_per_second: u64,
}

impl Fleet {
    pub(super) fn new(
        binary: PathBuf,
        workdir: Workdir,
        rtmp: SocketAddr,
        http: SocketAddr,
        news: mpsc::Sender<News>,
    ) -> Self {
        let ports = Ports::new([rtmp.port(), http.port()]);
        Self { binary, workdir, rtmp, http, news, ports, ingest: None, edges: Vec::new(), peers: Vec::new() }
    }

    /// Where encoders publish.
    pub(super) fn ingest_address(&self) -> SocketAddr {
        reachable(self.rtmp)
    }

    /// HTTP addresses of the edges that viewers can be sent to.
    pub(super) fn ready(&self) -> Arc<[SocketAddr]> {
        self.edges.iter().filter(|edge| edge.ready() && !edge.ending()).filter_map(Node::http).collect()
    }

    /// Processes that exist.
    pub(super) fn running(&self) -> usize {
        self.nodes().filter(|node| matches!(node.state, State::Running { .. } | State::Ending { .. })).count()
    }

    /// Takes in what a child told.
    pub(super) fn hear(&mut self, news: News, now: Instant) -> Vec<Notice> {
        let (News::Died { name, life, .. } | News::Heard { name, life, .. }) = &news;
        let node = self.ingest.iter_mut().chain(&mut self.edges).find(|node| node.name == *name && node.life == *life);
        let Some(node) = node else { return Vec::new() };
        match news {
            News::Heard { status, .. } => node.heard(status.map(|status| *status), now).into_iter().collect(),
            News::Died { how, .. } => {
                let words = self.workdir.last_words(&node.name, LAST_WORDS);
                let notice = node.died(how, words, now);
                self.edges.retain(|edge| !matches!(edge.state, State::Gone));
                vec![notice]
            }
        }
    }

    /// What is known now.
    pub(super) fn observe(&self, _now: Timestamp) -> Observed {
        let ready: Vec<&Node> = self.edges.iter().filter(|edge| edge.ready()).collect();
        let rtmp = ready.first().or(self.edges.iter().collect::<Vec<_>>().first()).and_then(|edge| edge.rtmp());
        let edges = EdgesSeen {
            desired: u32::try_from(self.edges.iter().filter(|edge| !edge.ending()).count()).unwrap_or(u32::MAX),
            nodes: self.edges.iter().map(Node::seen).collect(),
            http: Some(format!("http://{}", reachable(self.http))),
            rtmp: rtmp.map(|address| format!("rtmp://{address}")),
        };
        Observed {
            ingest: self.ingest.as_ref().map(|node| node.ingest_seen(self.ingest_address())),
            edges: Some(edges),
            audience: audience(&ready),
            autoscaler: Some(Autoscaler {
                active: false,
                reason: "Local".into(),
                message: "on one machine edges follow the schedule, not yet the audience".into(),
                at_maximum: false,
            }),
            burst: None,
            images: None,
            objections: Some(Vec::new()),
            deleting: false,
        }
    }

    /// Brings the processes to where `plan` wants them.
    ///
    /// # Errors
    /// When a file cannot be written, no port is free, or the binary cannot be started.
    pub(super) fn apply(&mut self, plan: &Plan, now: Instant) -> Result<Vec<Notice>> {
        let mut notices = Vec::new();
        if self.ingest.is_none() {
            let admin = self.ports.next()?;
            let listen = Listen::Ingest(IngestListen { rtmp: self.rtmp, admin });
            self.ingest = Some(Node::new("ingest".into(), listen, now));
        }
        self.resize(plan.edges.replicas.wanted as usize, now, &mut notices)?;
        self.tell_peers()?;
        let Self { binary, workdir, news, ports, ingest, edges, .. } = self;
        for node in ingest.iter_mut().chain(edges.iter_mut()) {
            if matches!(node.state, State::Waiting { until } if until <= now) {
                node.renew_ports(ports)?;
                notices.push(node.start(plan, binary, workdir, news)?);
            }
        }
        Ok(notices)
    }

    /// SIGTERM to all.
    pub(super) fn end_all(&mut self) {
        self.ingest.iter_mut().chain(&mut self.edges).for_each(Node::end);
        self.edges.retain(|edge| !matches!(edge.state, State::Gone));
    }

    /// SIGKILL to all that are still there.
    pub(super) fn kill_all(&mut self) {
        for node in self.nodes() {
            match &node.state {
                State::Running { hold, .. } | State::Ending { hold, .. } => hold.signal(Signal::SIGKILL),
                State::Waiting { .. } | State::Gone => {}
            }
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.ingest.iter().chain(&self.edges)
    }

    /// As many edges as wanted: new ones get the lowest free number, the last ones go first.
    fn resize(&mut self, wanted: usize, now: Instant, notices: &mut Vec<Notice>) -> Result<()> {
        while self.edges.iter().filter(|edge| !edge.ending()).count() < wanted {
            let taken: BTreeSet<&str> = self.edges.iter().map(|edge| edge.name.as_str()).collect();
            let name = (0..).map(|number| format!("edge-{number}")).find(|name| !taken.contains(name.as_str()));
            let listen = Listen::Edge(self.ports.edge()?);
            self.edges.push(Node::new(name.unwrap_or_default(), listen, now));
        }
        let surplus = self.edges.iter().filter(|edge| !edge.ending()).count().saturating_sub(wanted);
        for edge in self.edges.iter_mut().rev().filter(|edge| !edge.ending()).take(surplus) {
            notices.push(Notice::Ending { node: edge.name.clone() });
            edge.end();
        }
        self.edges.retain(|edge| !matches!(edge.state, State::Gone));
        Ok(())
    }

    /// Tells the ingest where the edges are, if that changed.
    fn tell_peers(&mut self) -> Result<()> {
        let peer = |edge: &Node| match edge.listen {
            Listen::Edge(listen) => Some(Peer { relay: listen.relay, admin: listen.admin, serving: edge.ready() }),
            Listen::Ingest(_) => None,
        };
        let peers: Vec<Peer> = self.edges.iter().filter_map(peer).collect();
        if peers != self.peers {
            self.workdir.peers(&peers)?;
            self.peers = peers;
        }
        Ok(())
    }
}

impl Node {
    fn new(name: String, listen: Listen, now: Instant) -> Self {
        Self {
            name,
            listen,
            state: State::Waiting { until: now },
            life: 0,
            backoff: Backoff::default(),
            status: None,
            misses: 0,
            ready_since: None,
            not_ready_since: Timestamp::now(),
            sent: Rate::default(),
        }
    }

    fn ready(&self) -> bool {
        self.ready_since.is_some()
    }

    fn ending(&self) -> bool {
        matches!(self.state, State::Ending { .. } | State::Gone)
    }

    fn role(&self) -> Role {
        match self.listen {
            Listen::Ingest(_) => Role::Ingest,
            Listen::Edge(_) => Role::Edge,
        }
    }

    fn http(&self) -> Option<SocketAddr> {
        match self.listen {
            Listen::Ingest(_) => None,
            Listen::Edge(listen) => Some(listen.http),
        }
    }

    fn rtmp(&self) -> Option<SocketAddr> {
        match self.listen {
            Listen::Ingest(listen) => Some(reachable(listen.rtmp)),
            Listen::Edge(listen) => Some(listen.rtmp),
        }
    }

    fn admin(&self) -> SocketAddr {
        match self.listen {
            Listen::Ingest(listen) => listen.admin,
            Listen::Edge(listen) => listen.admin,
        }
    }

    fn start(
        &mut self,
        plan: &Plan,
        binary: &std::path::Path,
        workdir: &Workdir,
        news: &mpsc::Sender<News>,
    ) -> Result<Notice> {
        let config = match self.listen {
            Listen::Ingest(listen) => workdir.ingest(&plan.ingest.settings, listen)?,
            Listen::Edge(listen) => workdir.edge(&self.name, &plan.edges.settings, listen)?,
        };
        self.life += 1;
        let who = (self.name.as_str(), self.life);
        let hold = child::start(binary, self.role().as_str(), &config, &workdir.log(&self.name), who, news.clone())?;
        let pid = hold.pid;
        let poll = poll::start(self.admin(), &self.name, self.life, news.clone());
        self.state = State::Running { hold, poll };
        Ok(Notice::Started { node: self.name.clone(), pid, http: self.http(), rtmp: self.rtmp() })
    }

    /// A node that died before it was ever Ready may have found a port taken.
    fn renew_ports(&mut self, ports: &mut Ports) -> Result<()> {
        if self.life > 0 && self.backoff != Backoff::default() && self.status.is_none() {
            match &mut self.listen {
                Listen::Ingest(listen) => listen.admin = ports.next()?,
                Listen::Edge(listen) => *listen = ports.edge()?,
            }
        }
        self.status = None;
        Ok(())
    }

    fn end(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Running { hold, poll } => {
                hold.signal(Signal::SIGTERM);
                State::Ending { hold, poll }
            }
            State::Ending { hold, poll } => State::Ending { hold, poll },
            State::Waiting { .. } | State::Gone => State::Gone,
        };
    }

    /// An answer, or none. Whether that makes it Ready or not Ready is news.
    fn heard(&mut self, status: Option<NodeStatus>, now: Instant) -> Option<Notice> {
        let was = self.ready();
        match status {
            Some(status) => {
                self.misses = 0;
                if let Some(edge) = &status.edge {
                    self.sent.sample(edge.egress_bytes, now);
                }
                self.ready_since = self.ready_since.or(Some(now)).filter(|_| status.ready);
                self.status = Some(status);
            }
            None => {
                self.misses += 1;
                self.ready_since = self.ready_since.filter(|_| self.misses < MISSES_MAX);
            }
        }
        match (was, self.ready()) {
            (false, true) => Some(Notice::Ready { node: self.name.clone() }),
            (true, false) => {
                self.not_ready_since = Timestamp::now();
                let said = self.status.as_ref().and_then(|status| status.not_ready_reason.clone());
                let reason = if self.misses > 0 { "it does not answer".into() } else { said.unwrap_or_default() };
                Some(Notice::NotReady { node: self.name.clone(), reason })
            }
            (true, true) | (false, false) => None,
        }
    }

    fn died(&mut self, how: String, last_words: Vec<String>, now: Instant) -> Notice {
        if let State::Running { poll, .. } | State::Ending { poll, .. } = &self.state {
            poll.abort();
        }
        let node = self.name.clone();
        let ready_since = self.ready_since.take();
        self.not_ready_since = Timestamp::now();
        self.misses = 0;
        self.sent = Rate::default();
        if self.ending() {
            self.state = State::Gone;
            return Notice::Gone { node, how };
        }
        let wait = self.backoff.after_death(ready_since, now);
        self.state = State::Waiting { until: now + wait };
        Notice::Died { node, how, restart_in_s: wait.as_secs(), last_words }
    }

    fn process(&self) -> LocalProcess {
        let pid = match &self.state {
            State::Running { hold, .. } | State::Ending { hold, .. } => Some(hold.pid),
            State::Waiting { .. } | State::Gone => None,
        };
        LocalProcess { pid, restarts: self.life.saturating_sub(1), http: self.http(), rtmp: self.rtmp() }
    }

    /// What stands in its way, seen from the outside.
    fn detail(&self) -> Option<String> {
        match self.state {
            State::Waiting { .. } if self.life > 0 => Some("it died and will be started again; see its log".into()),
            State::Waiting { .. } | State::Running { .. } | State::Gone => None,
            State::Ending { .. } => Some("it is ending".into()),
        }
    }

    /// What it said of itself, as long as it is to be believed.
    fn said(&self) -> Option<NodeStatus> {
        self.status.clone().filter(|_| self.misses < MISSES_MAX && matches!(self.state, State::Running { .. }))
    }

    fn seen(&self) -> EdgeSeen {
        let relay = match self.listen {
            Listen::Edge(listen) => Some(listen.relay),
            Listen::Ingest(_) => None,
        };
        EdgeSeen {
            name: self.name.clone(),
            ready: self.ready(),
            ending: self.ending(),
            detail: self.detail(),
            relay: relay.filter(|_| matches!(self.state, State::Running { .. })),
            status: self.said(),
            process: Some(self.process()),
        }
    }

    fn ingest_seen(&self, address: SocketAddr) -> IngestSeen {
        IngestSeen {
            ready: self.ready(),
            not_ready_since: (!self.ready()).then_some(self.not_ready_since),
            detail: self.detail(),
            address: Some(address.to_string()),
            status: self.said(),
            heard: None,
            process: Some(self.process()),
        }
    }
}

impl Rate {
    fn sample(&mut self, bytes: u64, now: Instant) {
        let Some((at, before)) = self.at else {
            self.at = Some((now, bytes));
            return;
        };
        let passed = now.duration_since(at);
        if passed >= RATE_PERIOD {
            let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            self.bits_per_second = bytes.saturating_sub(before).saturating_mul(8_000) / millis;
            self.at = Some((now, bytes));
        }
    }
}

/// Who watches, as the Ready edges tell it; not known while there is none.
fn audience(ready: &[&Node]) -> Option<Audience> {
    let edges = ready.iter().filter_map(|node| Some((node.status.as_ref()?.edge.as_ref()?, &node.sent)));
    let sum = edges.fold(Audience::default(), |sum, (edge, sent)| Audience {
        viewers: sum.viewers + edge.viewers,
        refused: sum.refused + edge.refused_15s,
        egress_bits_per_second: Some(sum.egress_bits_per_second.unwrap_or(0) + sent.bits_per_second),
    });
    (!ready.is_empty()).then_some(sum)
}

/// The address that somebody on this machine can use.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// Free ports of this machine.
struct Ports {
    at: u16,
    taken: BTreeSet<u16>,
}

impl Ports {
    fn new(taken: [u16; 2]) -> Self {
        let spread = std::process::id().wrapping_mul(PORT_STRIDE) % u32::from(PORTS.end - PORTS.start);
        Self { at: PORTS.start + u16::try_from(spread).unwrap_or(0), taken: taken.into() }
    }

    fn edge(&mut self) -> Result<EdgeListen> {
        Ok(EdgeListen { http: self.next()?, rtmp: self.next()?, relay: self.next()?, admin: self.next()? })
    }

    /// The next one that nobody listens on and that was not given out before.
    fn next(&mut self) -> Result<SocketAddr> {
        for _ in PORTS {
            self.at = if self.at + 1 < PORTS.end { self.at + 1 } else { PORTS.start };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.at));
            if !self.taken.contains(&self.at) && TcpListener::bind(address).is_ok() {
                self.taken.insert(self.at);
                return Ok(address);
            }
        }
        Err(anyhow::anyhow!("ports {} to {} are all in use", PORTS.start, PORTS.end - 1))
            .context("failed to find a port")
    }
}
