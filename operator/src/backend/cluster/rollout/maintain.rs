//! What is done for an event beside its objects: edges for an audience that comes too fast for the autoscaler, a say in
//! which edges go first, and pods that Kubernetes would leave in the way too long. What is to be done is decided in pure
//! code (`scaling`, `repair`); here it is asked and carried out.

use crate::audience::EventAudience;
use crate::backend::cluster::news::News;
use crate::backend::cluster::requests::{Error, Target};
use crate::backend::cluster::watch::children::Children;
use crate::backend::cluster::watch::kind::Kind;
use crate::backend::cluster::watch::seen::PodSeen;
use crate::backend::cluster::watch::zones::Zones;
use crate::plan::{Observed, Plan};
use crate::repair;
use crate::scaling::{Burst, burst, deletion};
use crate::validate::Event;
use jiff::{SignedDuration, Timestamp};
use lectern_api::node_status::IngestStatus;
use lectern_api::{labels, ports};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What is remembered from look to look. A lost one is an empty one.
#[derive(Debug, Default)]
pub struct Memory {
    repair: repair::Memory,
    joins: burst::Joins,
    costs_at: Option<Timestamp>,
}

/// What one look is about.
pub struct Maintenance<'a> {
    /// Where it is carried out.
    pub target: &'a Target<'a>,
    /// The event.
    pub event: &'a Event,
    /// What was decided for it.
    pub plan: &'a Plan,
    /// What that was decided from.
    pub seen: &'a Observed,
    /// Its objects and pods.
    pub children: &'a Children,
    /// Who watches, edge by edge.
    pub audience: Option<&'a EventAudience>,
    /// Where nodes are.
    pub zones: &'a Zones,
    /// The time.
    pub now: Timestamp,
}

impl Maintenance<'_> {
    /// Does what is due, and adds what is to be told to `told`. Whatever fails, the rest is done: a pod that cannot be
    /// annotated keeps no lost edge in the Service.
    ///
    /// # Errors
    /// The first request that failed.
    pub async fn maintain(&self, memory: &mut Memory, told: &mut Vec<News>) -> Result<(), Error> {
        let burst = self.burst(memory, told).await;
        let costs = self.deletion_costs(memory).await;
        let lost = self.lost(memory, told).await;
        let crashed = self.crashed(memory, told).await;
        burst.and(costs).and(lost).and(crashed)
    }

    /// When the next look is due for something that no watch tells.
    #[must_use]
    pub fn look_again(&self, memory: &Memory) -> Option<Timestamp> {
        let desired = self.seen.edges.as_ref().map_or(0, |edges| edges.desired);
        let shrinking = self.plan.scaling.wish.is_some_and(|wish| wish < desired);
        let costs = shrinking.then(|| self.now + deletion::PERIOD);
        [costs, memory.repair.look_again(&self.reach(), self.now)].into_iter().flatten().min()
    }

    /// Recorded at the autoscaler; the next look raises its minimum and scales.
    async fn burst(&self, memory: &mut Memory, told: &mut Vec<News>) -> Result<(), Error> {
        let Some(known) = self.children.autoscaler(&self.event.name) else { return Ok(()) };
        let known = known.burst.as_deref().and_then(|text| Burst::read(text, self.now));
        let (Some(audience), Some(loads)) = (self.audience, &self.plan.scaling.loads) else { return Ok(()) };
        let edges = self.seen.edges.iter().flat_map(|edges| &edges.nodes);
        let ready = edges.filter(|edge| edge.ready && !edge.ending).count();
        let sight = burst::Sight {
            loads,
            joins_per_second: audience.joins_per_second,
            refused: audience.refused,
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            desired: self.seen.edges.as_ref().map_or(0, |edges| edges.desired),
            max: self.event.edges.max,
        };
        let name = self.event.name.edge();
        match burst::look(&sight, known, &mut memory.joins, self.now) {
            burst::Verdict::Keep => Ok(()),
            burst::Verdict::Raise(burst) => {
                self.target.annotate(Kind::Autoscaler, &name, labels::BURST, Some(&burst.to_string())).await?;
                told.push(News {
                    warning: false,
                    reason: "Burst".into(),
                    note: format!(
                        "an audience comes faster than the autoscaler looks: at least {} edges until {}",
                        burst.floor, burst.until
                    ),
                });
                Ok(())
            }
            burst::Verdict::Clear => self.target.annotate(Kind::Autoscaler, &name, labels::BURST, None).await,
        }
    }

    /// The emptiest edges of the fullest zones go first.
    async fn deletion_costs(&self, memory: &mut Memory) -> Result<(), Error> {
        let Some(wish) = self.plan.scaling.wish else { return Ok(()) };
        let zones = self.zones.snapshot();
        let watching =
            |name: &str| self.audience.and_then(|audience| audience.edges.get(name)).map(|edge| edge.viewers);
        let edge = |pod: &'_ &PodSeen| {
            let cost = pod.annotations.get(deletion::ANNOTATION).and_then(|text| text.parse().ok());
            (pod.name.clone(), pod.node.as_ref().and_then(|node| zones.get(node).cloned()), watching(&pod.name), cost)
        };
        let pods: Vec<&PodSeen> = self.children.edge_pods().collect();
        let facts: Vec<_> = pods.iter().map(edge).collect();
        let edges: Vec<deletion::Edge<'_>> = pods
            .iter()
            .zip(&facts)
            .map(|(pod, (name, zone, viewers, cost))| deletion::Edge {
                name,
                zone: zone.as_deref(),
                node: pod.node.as_deref(),
                viewers: *viewers,
                ready: pod.ready,
                ending: pod.ending,
                cost: *cost,
            })
            .collect();
        let changes = deletion::changes(&edges, wish, memory.costs_at, self.now);
        if !changes.is_empty() {
            memory.costs_at = Some(self.now);
        }
        for change in changes {
            let cost = change.cost.map(|cost| cost.to_string());
            let annotations = BTreeMap::from([(deletion::ANNOTATION.to_owned(), cost)]);
            self.target.annotate_pod(&change.name, &annotations).await?;
        }
        Ok(())
    }

    /// Edges that neither the ingest nor the scrape reaches.
    async fn lost(&self, memory: &mut Memory, told: &mut Vec<News>) -> Result<(), Error> {
        let Some(uid) = memory.repair.lost(&self.reach(), self.now) else { return Ok(()) };
        self.replace(&uid, "LostEdge", "neither ingest nor metrics-api has reached it for some seconds", told).await
    }

    /// Who reaches which edge.
    fn reach(&self) -> Vec<repair::Edge<'_>> {
        let said = self.seen.ingest.as_ref().and_then(|ingest| ingest.status.as_ref()?.ingest.as_ref());
        self.children
            .edge_pods()
            .map(|pod| repair::Edge {
                uid: &pod.uid,
                ending: pod.ending,
                linked: said.filter(|_| pod.ready).and_then(|said| linked(said, pod)),
                silent: self
                    .audience
                    .and_then(|audience| audience.edges.get(&pod.name))
                    .map(|edge| SignedDuration::from_millis(i64::try_from(edge.silent_ms).unwrap_or(i64::MAX))),
            })
            .collect()
    }

    /// Pods that wait in the kubelet's back-off though their container had worked.
    async fn crashed(&self, memory: &mut Memory, told: &mut Vec<News>) -> Result<(), Error> {
        let pods = self.children.pods.values().filter(|pod| !pod.finished);
        let crashes: Vec<repair::Crash<'_>> = pods
            .map(|pod| repair::Crash {
                uid: &pod.uid,
                ending: pod.ending,
                backs_off: pod.container.backing_off,
                ran: pod.container.last_run.map(|(from, to)| to.duration_since(from)),
            })
            .collect();
        for uid in memory.repair.crashed(&crashes, self.now) {
            self.replace(
                &uid,
                "CrashedPod",
                "its container crashed again and would be started only after a while",
                told,
            )
            .await?;
        }
        Ok(())
    }

    async fn replace(&self, uid: &str, reason: &str, because: &str, told: &mut Vec<News>) -> Result<(), Error> {
        let Some(pod) = self.children.pods.values().find(|pod| pod.uid == uid) else { return Ok(()) };
        self.target.delete_pod(&pod.name, uid).await?;
        let note = format!("{} is deleted, so that another takes its place: {because}", pod.name);
        told.push(News { warning: true, reason: reason.into(), note });
        Ok(())
    }
}

/// Whether the ingest has a live link to an edge. None while the edge has no address.
fn linked(said: &IngestStatus, pod: &PodSeen) -> Option<bool> {
    let address = SocketAddr::new(pod.ip?, ports::RELAY).to_string();
    let relay = said.relays.iter().find(|relay| relay.peer == address);
    Some(relay.is_some_and(|relay| relay.streams.values().any(|up| *up)))
}
