//! Any event, any failures in a simulated backend: it settles, and what has settled stays settled and writes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot make its event must fail")]

use jiff::{SignedDuration, Timestamp};
use lectern::plan::{Audience, EdgeSeen, EdgesSeen, IngestSeen, Observed, Plan, plan, status};
use lectern::scaling::Memory;
use lectern::validate::{Event, validate};
use lectern_api::condition::ConditionType;
use lectern_api::live_event::{LiveEvent, LiveEventStatus};
use lectern_api::node_status::{IngestStatus, NodeStatus, RelayStatus};
use proptest::prelude::*;
use serde_json::json;

/// Time between two looks.
const TICK: SignedDuration = SignedDuration::from_secs(1);
/// Looks until a node that was started is ready, in this world.
const START_TICKS: u32 = 3;
/// Looks after the last failure until everything must have settled: a start, and a look at its result.
const SETTLE_TICKS: usize = 8;

/// What goes wrong between two looks.
#[derive(Clone, Debug)]
enum Failure {
    None,
    EdgeDies(usize),
    IngestDies,
    /// The next look sees nothing of these.
    Blind {
        ingest: bool,
        edges: bool,
        audience: bool,
    },
}

/// A backend in memory: nodes are ready some ticks after they were started, the dead are started again.
struct World {
    now: Timestamp,
    ingest_age: Option<u32>,
    edges: Vec<(u32, u32)>,
    next_edge: u32,
    blind: (bool, bool, bool),
    /// What the last plan told to remember.
    memory: Memory,
}

impl World {
    fn new(now: Timestamp) -> Self {
        Self {
            now,
            ingest_age: None,
            edges: Vec::new(),
            next_edge: 0,
            blind: (false, false, false),
            memory: Memory::default(),
        }
    }

    fn suffer(&mut self, failure: &Failure) {
        self.blind = (false, false, false);
        match failure {
            Failure::None => {}
            Failure::EdgeDies(index) if !self.edges.is_empty() => {
                let index = index % self.edges.len();
                self.edges[index].1 = 0;
            }
            Failure::EdgeDies(_) => {}
            Failure::IngestDies => self.ingest_age = self.ingest_age.map(|_| 0),
            Failure::Blind { ingest, edges, audience } => self.blind = (*ingest, *edges, *audience),
        }
    }

    fn observe(&self) -> Observed {
        let ready = |age: u32| age >= START_TICKS;
        let node = |(name, age): &(u32, u32)| EdgeSeen {
            name: format!("edge-{name}"),
            ready: ready(*age),
            relay: Some(([10, 0, (name >> 8) as u8, *name as u8], 1936).into()),
            ..Default::default()
        };
        let nodes: Vec<EdgeSeen> = self.edges.iter().map(node).collect();
        let relays = nodes.iter().filter_map(|edge| edge.relay).map(|address| RelayStatus {
            peer: address.to_string(),
            streams: [("a".to_owned(), true)].into(),
            ..Default::default()
        });
        let said = IngestStatus { relays: relays.collect(), ..Default::default() };
        let is_ready = self.ingest_age.is_some_and(ready);
        let ingest = self.ingest_age.map(|_| IngestSeen {
            ready: is_ready,
            not_ready_since: (!is_ready).then_some(self.now),
            status: is_ready.then(|| NodeStatus { ready: true, ingest: Some(said), ..Default::default() }),
            ..Default::default()
        });
        let anybody = nodes.iter().any(|edge| edge.ready);
        let desired = u32::try_from(nodes.len()).unwrap();
        Observed {
            ingest: ingest.filter(|_| !self.blind.0),
            edges: Some(EdgesSeen { desired, nodes, ..Default::default() }).filter(|_| !self.blind.1),
            audience: anybody.then(Audience::default).filter(|_| !self.blind.2),
            objections: Some(Vec::new()),
            scaling: self.memory.clone(),
            ..Default::default()
        }
    }

    fn apply(&mut self, plan: &Plan) {
        self.ingest_age = Some(self.ingest_age.map_or(0, |age| age + 1));
        self.edges.iter_mut().for_each(|(_, age)| *age += 1);
        let wanted = plan.edges.replicas.wanted as usize;
        while self.edges.len() < wanted {
            self.edges.push((self.next_edge, 0));
            self.next_edge += 1;
        }
        self.edges.truncate(wanted);
        self.now += TICK;
    }
}

/// One look: what holds always is checked here.
fn look(event: &Event, world: &mut World, previous: &LiveEventStatus) -> LiveEventStatus {
    let seen = world.observe();
    let plan = plan(event, &seen, world.now);
    let replicas = plan.edges.replicas;
    assert!(replicas.min >= event.edges.min && replicas.min <= replicas.wanted && replicas.wanted <= replicas.max);
    assert_eq!(replicas.max, event.edges.max);
    if let (Some(edges), None) = (&seen.edges, &seen.audience) {
        assert!(replicas.wanted >= edges.desired.min(event.edges.max), "an edge went while the audience was unknown");
    }
    let status = status::of(event, &plan, &seen, Some(previous), world.now);
    assert_eq!(status.conditions.len(), ConditionType::ALL.len());
    world.memory = plan.scaling.memory.clone();
    // Blind to the edges a backend cannot resize them: it holds, as the real ones do.
    if seen.edges.is_some() {
        world.apply(&plan);
    } else {
        world.now += TICK;
    }
    status
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        3 => Just(Failure::None),
        2 => (0_usize..8).prop_map(Failure::EdgeDies),
        1 => Just(Failure::IngestDies),
        2 => (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(ingest, edges, audience)| Failure::Blind { ingest, edges, audience }),
    ]
}

/// An event of up to 12 edges with a window that may open or close during the run.
fn event() -> impl Strategy<Value = Event> {
    (1_u32..6, 0_u32..7, 1_u32..12, -60_i64..60, 1_i64..120).prop_map(|(min, more, window, start, length)| {
        let max = min + more;
        let at = |second: i64| (epoch() + SignedDuration::from_secs(second)).to_string();
        let raw: LiveEvent = serde_json::from_value(json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": { "name": "gala", "generation": 1 },
            "spec": {
                "streams": [{ "name": "a" }], "edges": { "min": min, "max": max },
                "schedule": [{ "name": "w", "start": at(start), "end": at(start + length), "min": window.min(max), "prewarm": "0s" }],
            },
        }))
        .unwrap();
        validate(&raw).unwrap()
    })
}

fn epoch() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_event_with_any_failures_settles_and_stays_settled(
        event in event(),
        failures in prop::collection::vec(failure(), 0..40),
    ) {
        let mut world = World::new(epoch());
        let mut status = LiveEventStatus::default();
        for failure in &failures {
            world.suffer(failure);
            status = look(&event, &mut world, &status);
        }
        // The timetable is part of the event: what settles is what is left after its last change.
        world.suffer(&Failure::None);
        world.now = world.now.max(epoch() + SignedDuration::from_secs(300));
        // Edges that nobody needs go after five minutes, one a minute.
        for _ in 0..20 {
            world.now += SignedDuration::from_secs(60);
            status = look(&event, &mut world, &status);
        }
        for _ in 0..SETTLE_TICKS {
            status = look(&event, &mut world, &status);
        }
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        prop_assert_eq!(&ready.status, "True", "{}", ready.message);
        prop_assert_eq!(world.edges.len(), event.edges.min as usize);
        let settled = (world.edges.iter().map(|(name, _)| *name).collect::<Vec<_>>(), status.clone());
        for _ in 0..5 {
            status = look(&event, &mut world, &status);
            let names = world.edges.iter().map(|(name, _)| *name).collect::<Vec<_>>();
            prop_assert_eq!(&(names, status.clone()), &settled, "something moves at rest");
        }
    }
}
