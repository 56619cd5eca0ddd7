//! One node: its process, where it listens, and what is known of it.

use super::child::{self, Backoff, Hold};
use super::news::News;
use super::poll;
use super::ports::Ports;
use crate::backend::local::address::reachable;
use crate::backend::local::files::Workdir;
use crate::backend::local::report::Notice;
use crate::plan::{EdgeSeen, IngestSeen, LocalProcess, Plan, Role};
use anyhow::Result;
use jiff::Timestamp;
use lectern_api::node_config::{EdgeListen, IngestListen};
use lectern_api::node_status::NodeStatus;
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::path::Path;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// So many questions in a row without an answer make a node not Ready: one can be lost on a busy machine.
const MISSES_MAX: u32 = 3;

/// One node.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) listen: Listen,
    pub(super) state: State,
    /// Counts its starts: news of an earlier process is not news.
    pub(super) life: u32,
    backoff: Backoff,
    pub(super) status: Option<NodeStatus>,
    misses: u32,
    ready_since: Option<Instant>,
    not_ready_since: Timestamp,
    /// When it last answered.
    heard: Option<Instant>,
}

/// Where a node listens.
#[derive(Clone, Copy)]
pub(super) enum Listen {
    Ingest(IngestListen),
    Edge(EdgeListen),
}

/// What its process does.
pub(super) enum State {
    /// There is none until then.
    Waiting { until: Instant },
    /// It runs.
    Running { hold: Hold, poll: AbortHandle },
    /// It was told to end.
    Ending { hold: Hold, poll: AbortHandle },
    /// It ended as told.
    Gone,
}

impl Node {
    pub(super) fn new(name: String, listen: Listen, now: Instant) -> Self {
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
            heard: None,
        }
    }

    pub(super) fn ready(&self) -> bool {
        self.ready_since.is_some()
    }

    pub(super) fn ending(&self) -> bool {
        matches!(self.state, State::Ending { .. } | State::Gone)
    }

    pub(super) fn role(&self) -> Role {
        match self.listen {
            Listen::Ingest(_) => Role::Ingest,
            Listen::Edge(_) => Role::Edge,
        }
    }

    pub(super) fn http(&self) -> Option<SocketAddr> {
        match self.listen {
            Listen::Ingest(_) => None,
            Listen::Edge(listen) => Some(listen.http),
        }
    }

    pub(super) fn rtmp(&self) -> Option<SocketAddr> {
        match self.listen {
            Listen::Ingest(listen) => Some(reachable(listen.rtmp)),
            Listen::Edge(listen) => Some(listen.rtmp),
        }
    }

    pub(super) fn admin(&self) -> SocketAddr {
        match self.listen {
            Listen::Ingest(listen) => listen.admin,
            Listen::Edge(listen) => listen.admin,
        }
    }

    pub(super) fn start(
        &mut self,
        plan: &Plan,
        binary: &Path,
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
    pub(super) fn renew_ports(&mut self, ports: &mut Ports) -> Result<()> {
        if self.life > 0 && self.backoff != Backoff::default() && self.status.is_none() {
            match &mut self.listen {
                Listen::Ingest(listen) => listen.admin = ports.next()?,
                Listen::Edge(listen) => *listen = ports.edge()?,
            }
        }
        self.status = None;
        Ok(())
    }

    /// SIGTERM: as in a cluster, where others stay. SIGINT: it waits for its viewers only. What drains
    /// already goes on draining: a second signal would cut it short.
    pub(super) fn end(&mut self, signal: Signal) {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Running { hold, poll } => {
                hold.signal(signal);
                State::Ending { hold, poll }
            }
            State::Ending { hold, poll } => State::Ending { hold, poll },
            State::Waiting { .. } | State::Gone => State::Gone,
        };
    }

    /// An answer, or none. Whether that makes it Ready or not Ready is news.
    pub(super) fn heard(&mut self, status: Option<NodeStatus>, now: Instant) -> Option<Notice> {
        let was = self.ready();
        match status {
            Some(status) => {
                self.misses = 0;
                self.heard = Some(now);
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
            // What was told to end says so on its way; that is no news.
            (true, false) if self.ending() => None,
            (true, false) => {
                self.not_ready_since = Timestamp::now();
                let said = self.status.as_ref().and_then(|status| status.not_ready_reason.clone());
                let reason = if self.misses > 0 { "it does not answer".into() } else { said.unwrap_or_default() };
                Some(Notice::NotReady { node: self.name.clone(), reason })
            }
            (true, true) | (false, false) => None,
        }
    }

    pub(super) fn died(&mut self, how: String, last_words: Vec<String>, now: Instant) -> Notice {
        if let State::Running { poll, .. } | State::Ending { poll, .. } = &self.state {
            poll.abort();
        }
        let node = self.name.clone();
        let ready_since = self.ready_since.take();
        self.not_ready_since = Timestamp::now();
        self.misses = 0;
        if self.ending() {
            self.state = State::Gone;
            return Notice::Gone { node, how };
        }
        let wait = self.backoff.after_death(ready_since, now);
        self.state = State::Waiting { until: now + wait };
        Notice::Died { node, how, restart_in_s: wait.as_secs(), last_words }
    }

    pub(super) fn process(&self) -> LocalProcess {
        let pid = match &self.state {
            State::Running { hold, .. } | State::Ending { hold, .. } => Some(hold.pid),
            State::Waiting { .. } | State::Gone => None,
        };
        LocalProcess { pid, restarts: self.life.saturating_sub(1), http: self.http(), rtmp: self.rtmp() }
    }

    /// What stands in its way, seen from the outside.
    pub(super) fn detail(&self) -> Option<String> {
        match self.state {
            State::Waiting { .. } if self.life > 0 => Some("it died and will be started again; see its log".into()),
            State::Waiting { .. } | State::Running { .. } | State::Gone => None,
            State::Ending { .. } => Some("it is ending".into()),
        }
    }

    /// What it said of itself, as long as it is to be believed.
    pub(super) fn said(&self) -> Option<NodeStatus> {
        self.status.clone().filter(|_| self.misses < MISSES_MAX && matches!(self.state, State::Running { .. }))
    }

    /// The same and when it said so.
    pub(super) fn answer(&self) -> Option<(Instant, &NodeStatus)> {
        self.heard.zip(self.status.as_ref()).filter(|_| self.misses < MISSES_MAX)
    }

    pub(super) fn seen(&self) -> EdgeSeen {
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

    pub(super) fn ingest_seen(&self, address: SocketAddr) -> IngestSeen {
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
