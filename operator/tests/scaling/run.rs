//! One scenario from its beginning to its end.

use crate::audience::Audience;
use crate::control::{self, LOOK_MS, Operator, ROUND_MS, Scaler, Told};
use crate::figures::Figures;
use crate::hpa::{Hpa, PERIOD_MS, Scale};
use crate::world::{Kind, TICK_MS, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

/// What happens.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name of its plot.
    pub name: &'static str,
    /// What it is called there.
    pub title: &'static str,
    /// The moment at which it begins.
    pub zero: &'static str,
    pub seconds: u64,
    /// Fields of the event's spec.
    pub spec: Value,
    /// Ready edges at the beginning.
    pub edges: u32,
    pub zones: usize,
    pub audience: Audience,
    /// The second at which the crowd sets out: times are told from here.
    pub from_s: u64,
    /// Seconds in which nobody answers for the metrics.
    pub outage: Range<u64>,
    /// A zone that is lost, and when.
    pub lost_zone: Option<(u64, &'static str)>,
    pub scaler: Scaler,
    /// When the autoscaler looks first, from 0 to its period: nobody can choose that.
    pub phase_ms: u64,
    /// From the order for a pod to a Ready edge.
    pub start_ms: u64,
}

/// How things were at one second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub wanted: u64,
    pub watching: u64,
    pub waiting: u64,
    pub ready: u32,
    pub replicas: u32,
    pub min: u32,
    pub demand: Option<u64>,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Run {
    pub scenario: Scenario,
    pub kind: Kind,
    pub samples: Vec<Sample>,
    pub figures: Figures,
}

impl Scenario {
    pub fn with(&self, scaler: Scaler) -> Self {
        Self { scaler, ..self.clone() }
    }

    pub fn at_phase(&self, phase_ms: u64) -> Self {
        Self { phase_ms, ..self.clone() }
    }

    pub fn run(&self) -> Run {
        let event = control::event(&self.spec);
        let edges = &event.edges;
        let capacity = u64::from(edges.viewers_per_edge);
        let target = lectern::scaling::target(capacity, edges.target_percent);
        let kind = Kind { capacity, target, drain_ms: edges.drain_ms, start_ms: self.start_ms };
        let mut world = World::new(kind, self.zones, self.edges);
        let mut operator = Operator::new(event, self.zero.parse().unwrap(), self.scaler);
        let (mut hpa, mut replicas, mut told) = (Hpa::default(), self.edges, None::<Told>);
        let mut samples = Vec::new();
        while world.now_ms < self.seconds * 1_000 {
            let wanted = self.audience.at(world.now_ms);
            world.step(wanted);
            let now = world.now_ms;
            if let Some((_, zone)) = self.lost_zone.filter(|(second, _)| second * 1_000 == now) {
                world.lose_zone(zone);
            }
            let fresh = now.is_multiple_of(ROUND_MS);
            if fresh {
                let known = !self.outage.contains(&(now / 1_000));
                told = known.then(|| operator.told(&world));
            }
            if now.is_multiple_of(LOOK_MS) {
                replicas = operator.look(&mut world, replicas, told.as_ref(), fresh);
            }
            if self.scaler != Scaler::Operator && now % PERIOD_MS == self.phase_ms {
                let metrics = told.as_ref().map_or_else(BTreeMap::new, |told| told.metrics.clone());
                let ending = |edge: &&crate::world::Edge| !matches!(edge.state, crate::world::State::Ending { .. });
                let status = world.edges.iter().filter(ending).count() as u32;
                replicas = hpa.sync(&operator.autoscaler, Scale { spec: replicas, status }, &metrics, now);
            }
            world.scale(replicas);
            if now.is_multiple_of(1_000) {
                samples.push(Sample {
                    wanted,
                    watching: world.watching(),
                    waiting: world.waiting(),
                    ready: world.ready(),
                    replicas,
                    min: operator.min,
                    demand: told.as_ref().map(|told| told.metrics["viewer_demand"]),
                });
            }
        }
        let figures = Figures::of(self, kind, &samples, &world, &operator);
        Run { scenario: self.clone(), kind, samples, figures }
    }
}

const _: () = assert!(LOOK_MS.is_multiple_of(TICK_MS) && ROUND_MS.is_multiple_of(LOOK_MS));
