//! What looks at the edges and decides: rounds of the metrics server, and the operator with its real `plan`, `render`,
//! `scaling` and `repair`.

use crate::world::{Edge, State, World};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use lectern::plan::{Audience, EdgeSeen, EdgesSeen, Observed, Plan, plan};
use lectern::render::{Identity, Installation, Metrics, PullPolicy, render};
use lectern::repair;
use lectern::scaling::burst::{Joins, Sight, Verdict};
use lectern::scaling::{Burst, Kind, Memory, burst, deletion, refused_people};
use lectern::validate::{Event, validate};
use lectern_api::live_event::LiveEvent;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How often edges are scraped.
pub const ROUND_MS: u64 = 2_000;
/// Over how long the metrics server averages joins: three rounds.
pub const JOINS_OVER_MS: u64 = 6_000;
/// How often the leader looks.
pub const LOOK_MS: u64 = 1_000;

/// Who scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaler {
    /// The autoscaler of Kubernetes alone.
    Autoscaler,
    /// The same, and the operator where that is too slow: the default.
    AutoscalerAndBurst,
    /// The operator alone (backend `operator`, and `lectern local`).
    Operator,
}

/// What one round told.
#[derive(Clone, Debug)]
pub struct Told {
    pub audience: Audience,
    /// What the autoscaler reads, by name.
    pub metrics: BTreeMap<String, u64>,
    pub joins_per_second: f64,
}

/// An event with these fields in its spec.
pub fn event(spec: &Value) -> Event {
    let mut spec = spec.clone();
    spec["streams"] = json!([{ "name": "hall-a" }]);
    let raw: LiveEvent = serde_json::from_value(json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent",
        "metadata": { "name": "gala", "namespace": "default", "generation": 1 }, "spec": spec,
    }))
    .unwrap();
    validate(&raw).unwrap()
}

/// The autoscaler that is installed for `plan`.
pub fn autoscaler(event: &Event, plan: &Plan) -> HorizontalPodAutoscaler {
    let installation = Installation {
        node_image: "lectern".into(),
        pull_policy: PullPolicy::IfNotPresent,
        pull_secrets: Vec::new(),
        namespace: "lectern-system".into(),
        scrape_namespaces: Vec::new(),
        metrics: Metrics::ApiService,
        forward_policy: Default::default(),
    };
    let identity = Identity { uid: None, seed: "seed".into() };
    render(event, plan, &identity, &installation).autoscalers.remove(0)
}

/// The operator that leads.
pub struct Operator {
    pub event: Event,
    zero: Timestamp,
    scaler: Scaler,
    burst: Option<Burst>,
    joins: Joins,
    memory: Memory,
    repair: repair::Memory,
    costs_at: Option<Timestamp>,
    pub autoscaler: HorizontalPodAutoscaler,
    pub min: u32,
    /// Times that a burst was written.
    pub raises: u32,
    /// Costs that were written.
    pub costs: usize,
    /// Edges that were deleted as lost.
    pub lost: u32,
}

impl Operator {
    pub fn new(event: Event, zero: Timestamp, scaler: Scaler) -> Self {
        let first = plan(&event, &Observed::default(), zero);
        let autoscaler = autoscaler(&event, &first);
        Self {
            event,
            zero,
            scaler,
            burst: None,
            joins: Joins::default(),
            memory: Memory::default(),
            repair: repair::Memory::default(),
            costs_at: None,
            autoscaler,
            min: first.edges.replicas.min,
            raises: 0,
            costs: 0,
            lost: 0,
        }
    }

    /// The moment of the timetable.
    pub fn time(&self, ms: u64) -> Timestamp {
        self.zero + SignedDuration::from_millis(i64::try_from(ms).unwrap())
    }

    /// What the metrics server tells after a round.
    pub fn told(&self, world: &World) -> Told {
        let (distinct, times, edges) = world.refused();
        let refused = refused_people(distinct, times, edges);
        let audience = Audience { viewers: world.counted(), refused, egress_bits_per_second: None };
        let seen = Observed { audience: Some(audience), ..Observed::default() };
        let loads = plan(&self.event, &seen, self.time(world.now_ms)).scaling.loads.unwrap();
        let demand = loads.iter().find(|load| load.kind == Kind::Viewers).unwrap().total;
        let metrics = [("viewer_demand".to_owned(), demand)].into();
        Told { audience, metrics, joins_per_second: world.joins_per_second() }
    }

    /// One look of the leader; `fresh` when a round has just told something. Gives the replicas that are asked for.
    pub fn look(&mut self, world: &mut World, replicas: u32, told: Option<&Told>, fresh: bool) -> u32 {
        let now = self.time(world.now_ms);
        let mut replicas = replicas;
        let mut plan = self.plan(world, replicas, told, now);
        if self.scaler == Scaler::AutoscalerAndBurst {
            // The controller does not wait for the autoscaler to raise to its minimum.
            replicas = replicas.max(plan.edges.replicas.min);
        }
        if let Some(told) = told.filter(|_| fresh && self.scaler == Scaler::AutoscalerAndBurst) {
            let sight = Sight {
                loads: plan.scaling.loads.as_deref().unwrap(),
                joins_per_second: told.joins_per_second,
                refused: told.audience.refused,
                ready: world.ready(),
                desired: replicas,
                max: self.event.edges.max,
            };
            match burst::look(&sight, self.burst, &mut self.joins, now) {
                Verdict::Keep => {}
                Verdict::Clear => self.burst = None,
                Verdict::Raise(burst) => {
                    // Through its annotation, as the next leader would read it.
                    self.burst = Burst::read(&burst.to_string(), now);
                    self.raises += 1;
                    plan = self.plan(world, replicas, Some(told), now);
                    replicas = replicas.max(plan.edges.replicas.min);
                }
            }
        }
        if plan.edges.replicas.min != self.min {
            self.min = plan.edges.replicas.min;
            self.autoscaler = autoscaler(&self.event, &plan);
        }
        if self.scaler == Scaler::Operator {
            replicas = plan.edges.replicas.wanted;
        }
        self.memory = plan.scaling.memory.clone();
        self.tend(world, plan.scaling.wish.unwrap_or(replicas), told.is_some(), now);
        replicas
    }

    fn plan(&self, world: &World, desired: u32, told: Option<&Told>, now: Timestamp) -> Plan {
        let nodes = world.edges.iter().map(|edge| EdgeSeen {
            ready: edge.state == State::Ready,
            ending: matches!(edge.state, State::Ending { .. }),
            ..EdgeSeen::default()
        });
        let edges = EdgesSeen { desired, nodes: nodes.collect(), ..EdgesSeen::default() };
        let seen = Observed {
            edges: Some(edges),
            audience: told.map(|told| told.audience),
            burst: self.burst,
            scaling: self.memory.clone(),
            ..Observed::default()
        };
        plan(&self.event, &seen, now)
    }

    /// Costs for those that may go, and an end for those that are lost.
    fn tend(&mut self, world: &mut World, wish: u32, known: bool, now: Timestamp) {
        let seen: Vec<Edge> = world.edges.clone();
        let edges: Vec<deletion::Edge<'_>> = seen.iter().map(candidate).collect();
        let changes = deletion::changes(&edges, wish, self.costs_at, now);
        if known && !changes.is_empty() {
            self.costs_at = Some(now);
            self.costs += changes.len();
            for change in changes {
                world.edges.iter_mut().find(|edge| edge.uid == change.name).unwrap().cost = change.cost;
            }
        }
        let now_ms = world.now_ms;
        let reach = |edge: &'_ Edge| {
            let dead = match edge.state {
                State::Dead { since_ms } => Some(now_ms - since_ms),
                State::Starting { .. } | State::Ready | State::Ending { .. } => None,
            };
            let silent = SignedDuration::from_millis(i64::try_from(dead.unwrap_or(0)).unwrap());
            (matches!(edge.state, State::Ending { .. }), dead.is_none(), silent)
        };
        let edges: Vec<repair::Edge<'_>> = seen
            .iter()
            .map(|edge| {
                let (ending, linked, silent) = reach(edge);
                repair::Edge { uid: &edge.uid, ending, linked: Some(linked), silent: known.then_some(silent) }
            })
            .collect();
        if let Some(uid) = self.repair.lost(&edges, now) {
            world.delete(&uid);
            self.lost += 1;
        }
    }
}

fn candidate(edge: &Edge) -> deletion::Edge<'_> {
    deletion::Edge {
        name: &edge.uid,
        zone: Some(&edge.zone),
        node: None,
        viewers: Some(edge.said),
        ready: edge.state == State::Ready,
        ending: matches!(edge.state, State::Ending { .. }),
        cost: edge.cost,
    }
}
