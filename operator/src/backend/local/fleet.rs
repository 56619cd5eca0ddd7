//! The processes of an event and what is known of each: from what the plan wants to what runs.

mod child;
mod leave;
pub(super) mod news;
mod node;
mod poll;
mod ports;

use super::address::reachable;
use super::files::Workdir;
use super::report::Notice;
use crate::audience::fold::{Answer, Fold, Seen};
use crate::plan::{Audience, Autoscaler, EdgesSeen, Observed, Plan, Scaling};
use crate::scaling::Rules;
use anyhow::Result;
use jiff::Timestamp;
use lectern_api::node_config::{IngestListen, Peer};
use news::News;
use nix::sys::signal::Signal;
use node::{Listen, Node, State};
use ports::Ports;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Lines of a node's log that are shown when it dies.
const LAST_WORDS: usize = 5;

/// Counting begins at this time of its clock: the age of every segment lies before it.
const COUNT_FROM_MS: u64 = 86_400_000;

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
    rules: Rules,
    /// What the last plan said of scaling.
    scaling: Scaling,
    fold: Fold,
    audience: Option<Audience>,
    started: Instant,
}

impl Fleet {
    pub(super) fn new(
        binary: PathBuf,
        workdir: Workdir,
        (rtmp, http): (SocketAddr, SocketAddr),
        news: mpsc::Sender<News>,
        rules: Rules,
    ) -> Self {
        let ports = Ports::new([rtmp.port(), http.port()]);
        Self {
            binary,
            workdir,
            rtmp,
            http,
            news,
            ports,
            ingest: None,
            edges: Vec::new(),
            peers: Vec::new(),
            rules,
            scaling: Scaling::default(),
            fold: Fold::default(),
            audience: None,
            started: Instant::now(),
        }
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
                // Who was killed had nothing to say about it.
                let words = if how.starts_with("signal") {
                    Vec::new()
                } else {
                    self.workdir.last_words(&node.name, LAST_WORDS)
                };
                let notice = node.died(how, words, now);
                self.edges.retain(|edge| !matches!(edge.state, State::Gone));
                vec![notice]
            }
        }
    }

    /// Counts who watches, by what the edges last said. Not known while none is Ready.
    pub(super) fn count(&mut self, now: Instant) {
        let started = self.started;
        let ms = |at: Instant| {
            let since = at.saturating_duration_since(started).as_millis();
            COUNT_FROM_MS.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
        };
        let edges: Vec<Seen<'_>> = self
            .edges
            .iter()
            .map(|edge| Seen {
                name: &edge.name,
                serves: edge.ready() && !edge.ending(),
                answer: edge.answer().map(|(at, status)| Answer { heard_ms: ms(at), status }),
            })
            .collect();
        let serving = edges.iter().any(|edge| edge.serves);
        let told = self.fold.round(ms(now), &edges, 0).filter(|_| serving);
        self.audience = told.map(|told| Audience {
            viewers: told.viewers,
            refused: told.refused,
            egress_bits_per_second: Some(told.egress_bits_per_second),
        });
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
            audience: self.audience,
            autoscaler: Some(self.autoscaler()),
            burst: None,
            images: None,
            objections: Some(Vec::new()),
            deleting: false,
            scaling: self.scaling.memory.clone(),
            rules: self.rules,
        }
    }

    /// This program is its own autoscaler.
    fn autoscaler(&self) -> Autoscaler {
        let known = self.scaling.wish.is_some();
        Autoscaler {
            active: known,
            reason: "Local".into(),
            message: if known { String::new() } else { "no edge is ready to tell who watches".into() },
            at_maximum: self.scaling.at_maximum,
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
        self.scaling = plan.scaling.clone();
        self.resize(plan, now, &mut notices)?;
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

    /// Viewers, as the edges last said: those that end have some, too. What died and waits for its next start has not.
    pub(super) fn viewers(&self) -> u64 {
        let alive = |edge: &&Node| matches!(edge.state, State::Running { .. } | State::Ending { .. });
        self.edges.iter().filter(alive).filter_map(|edge| Some(edge.answer()?.1.edge.as_ref()?.viewers)).sum()
    }

    /// Everything ends. There will be no edge that viewers could be sent to, so each waits for its viewers alone.
    pub(super) fn end_all(&mut self) {
        self.ingest.iter_mut().chain(&mut self.edges).for_each(|node| node.end(Signal::SIGINT));
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

    /// As many edges as wanted: new ones get the lowest free number; those go first that a cluster would let go first.
    fn resize(&mut self, plan: &Plan, now: Instant, notices: &mut Vec<Notice>) -> Result<()> {
        let wanted = plan.edges.replicas.wanted as usize;
        let staying = self.edges.iter().filter(|edge| !edge.ending()).count();
        if staying > 0 && staying != wanted {
            notices.push(Notice::scaled(staying, wanted, &plan.scaling));
        }
        for _ in staying..wanted {
            let taken: BTreeSet<&str> = self.edges.iter().map(|edge| edge.name.as_str()).collect();
            let name = (0..).map(|number| format!("edge-{number}")).find(|name| !taken.contains(name.as_str()));
            let listen = Listen::Edge(self.ports.edge()?);
            self.edges.push(Node::new(name.unwrap_or_default(), listen, now));
        }
        let leaving = leave::first(&self.edges, staying.saturating_sub(wanted));
        for edge in self.edges.iter_mut().filter(|edge| leaving.contains(&edge.name)) {
            notices.push(Notice::Ending { node: edge.name.clone() });
            edge.end(Signal::SIGTERM);
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
