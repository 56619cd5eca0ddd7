//! `plan(&Event, &Observed, now) -> Plan`: everything that is decided, in neutral terms.
//!
//! A plan is tiers (role, replicas, who feeds whom, node configuration, ports) and key material. It names no Deployment
//! and no process: the cluster backend renders it into objects, the local backend starts children from it. Carrying it
//! out needs no further decision. On missing knowledge a plan never takes anything away.

mod floor;
mod idle;
mod observed;
mod programme;
pub mod schedule;
mod settings;
pub mod status;

pub use crate::scaling::Burst;
pub use floor::{Because, Floor};
pub use idle::Idle;
pub use observed::{Audience, Autoscaler, EdgeSeen, EdgesSeen, Images, IngestSeen, LocalProcess, Objection, Observed};
pub use settings::{EdgePlace, EdgeSettings, IngestPlace, IngestSettings};

use crate::scaling::{self, Kind, Load, Memory};
use crate::validate::{Bounds, Event, KeyGeneration};
use jiff::Timestamp;
use lectern_api::live_event::UpdatePolicy;
use lectern_api::names::{SecretName, StreamName};
use lectern_api::ports;

/// What there should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where encoders publish.
    pub ingest: Tier<IngestSettings>,
    /// Where people watch.
    pub edges: Tier<EdgeSettings>,
    /// Key material that must exist.
    pub keys: Keys,
    /// The fewest edges now, and why.
    pub floor: Floor,
    /// When the schedule next changes the fewest edges.
    pub next_step: Option<schedule::Step>,
    /// A schedule window is open (prewarm included).
    pub window_open: bool,
    /// Whether the ingest may be restarted.
    pub idle: Idle,
    /// The image that nodes run, and whether another one waits.
    pub rollout: Rollout,
    /// How the edges follow the audience.
    pub scaling: Scaling,
    /// When to plan again even if nothing happens.
    pub look_again: Option<Timestamp>,
}

/// Nodes of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier<S> {
    /// What they do.
    pub role: Role,
    /// How many.
    pub replicas: Replicas,
    /// Which tier feeds them.
    pub upstream: Option<Role>,
    /// What they are told, apart from where things are.
    pub settings: S,
    /// Where they listen.
    pub ports: Vec<Port>,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes publishers, cuts, relays.
    Ingest,
    /// Serves viewers.
    Edge,
}

impl Role {
    /// As labels, arguments and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Edge => "edge",
        }
    }
}

/// How many nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicas {
    /// Never fewer: an autoscaler's minimum.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// As many now, where no autoscaler does it (local, backend `operator`).
    pub wanted: u32,
}

/// How the edges follow the audience.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scaling {
    /// What fills them: viewers first. None while the audience is not known.
    pub loads: Option<Vec<Load>>,
    /// As many edges as that takes, before stabilisation. At least the floor; it may exceed `edges.max`. None
    /// while it is not known.
    pub wish: Option<u32>,
    /// More edges are needed than `edges.max` allows.
    pub at_maximum: bool,
    /// What to remember: the next [`Observed::scaling`].
    pub memory: Memory,
}

/// One listening port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: &'static str,
    /// Its number.
    pub number: u16,
    /// Viewers or encoders reach it from outside.
    pub public: bool,
}

/// Key material that must exist. Generated values are derived from the event's seed ([`lectern_api::keys`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// What seed derivation calls the event: `namespace/name`.
    pub event: String,
    /// Streams that have a generated key; empty when the user brings their own.
    pub generated: Vec<StreamName>,
    /// The generation of those keys.
    pub generation: Option<KeyGeneration>,
    /// The user's own keys.
    pub publish: Option<SecretName>,
    /// The URLs to forward to.
    pub forward: Option<SecretName>,
}

/// Which image nodes run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// The image to run now; unknown where there is none (local).
    pub image: Option<String>,
    /// The image that waits for the event to be idle.
    pub pending: Option<String>,
    /// Something else that would restart the ingest waits for that: its size, its place, a Secret that it mounts.
    pub template_waits: bool,
}

/// What there should be for `event`, given what was seen, at `now`.
#[must_use]
pub fn plan(event: &Event, seen: &Observed, now: Timestamp) -> Plan {
    let outlook = schedule::outlook(&event.schedule, &event.edges.bounds(), now);
    let floor = floor::floor(event, seen, outlook.open.as_ref(), now);
    let window_open = outlook.open.is_some();
    let idle = idle::idle(event, seen, window_open, now);
    let rollout = rollout(event, seen, &idle);
    let edges = &event.edges;
    let bounds = Bounds { min: floor.edges, max: edges.max };
    let schedule_floor = outlook.open.as_ref().map_or(0, |open| open.min.min(edges.max));
    let (wanted, scaling) = wanted(event, seen, bounds, schedule_floor, now);
    let replicas = Replicas { min: floor.edges, max: edges.max, wanted };
    let look_again = [outlook.change, floor.until, idle.look_again()].into_iter().flatten().min();
    Plan {
        ingest: Tier {
            role: Role::Ingest,
            replicas: Replicas { min: 1, max: 1, wanted: 1 },
            upstream: None,
            settings: settings::ingest(event, now),
            ports: vec![public("rtmp", ports::RTMP), private("admin", ports::ADMIN)],
        },
        edges: Tier {
            role: Role::Edge,
            replicas,
            upstream: Some(Role::Ingest),
            settings: settings::edge(event),
            ports: vec![
                public("http", ports::HTTP),
                public("rtmp", ports::RTMP),
                private("relay", ports::RELAY),
                private("admin", ports::ADMIN),
            ],
        },
        keys: keys(event),
        floor,
        next_step: outlook.step,
        window_open,
        idle,
        rollout,
        scaling,
        look_again,
    }
}

/// How many edges there should be where no autoscaler decides it: as many as the audience needs, by the rules of the
/// autoscaler. Never fewer than there are while the audience is not known.
fn wanted(event: &Event, seen: &Observed, bounds: Bounds, schedule_floor: u32, now: Timestamp) -> (u32, Scaling) {
    let loads = seen.audience.map(|audience| loads(event, &audience, schedule_floor));
    let mut memory = seen.scaling.clone();
    let Some(edges) = &seen.edges else {
        return (bounds.min, Scaling { loads, memory, ..Scaling::default() });
    };
    let existing = u32::try_from(edges.nodes.iter().filter(|node| !node.ending).count()).unwrap_or(u32::MAX);
    let fleet = scaling::Fleet { desired: edges.desired, existing };
    let wanted = scaling::wanted(&seen.rules, fleet, bounds, loads.as_deref(), &mut memory, now);
    let wish = loads.as_ref().and_then(|loads| scaling::wish(loads, existing));
    let wish = wish.map(|wish| wish.max(bounds.min));
    let at_maximum = wish.is_some_and(|wish| wish > bounds.max);
    (wanted, Scaling { loads, wish, at_maximum, memory })
}

/// What fills the edges: viewers, and where a bound is set egress.
fn loads(event: &Event, audience: &Audience, schedule_floor: u32) -> Vec<Load> {
    let edges = &event.edges;
    let capacity = u64::from(edges.viewers_per_edge);
    let target = scaling::target(capacity, edges.target_percent);
    let total = scaling::demand(audience.viewers, audience.refused, schedule_floor, target);
    let viewers = Load { kind: Kind::Viewers, total, target, capacity };
    let egress = edges.egress_bits_per_second.zip(audience.egress_bits_per_second).map(|(capacity, total)| {
        let target = scaling::target(capacity, edges.target_percent);
        Load { kind: Kind::Egress, total, target, capacity }
    });
    std::iter::once(viewers).chain(egress).collect()
}

fn keys(event: &Event) -> Keys {
    let own = event.ingest.publish_keys.clone();
    let generated =
        if own.is_some() { Vec::new() } else { event.streams.iter().map(|stream| stream.name.clone()).collect() };
    Keys {
        event: event.id(),
        generated,
        generation: event.ingest.key_generation.clone(),
        publish: own,
        forward: event.forward_secret.clone(),
    }
}

/// While the event is not idle its nodes keep the image that they run.
fn rollout(event: &Event, seen: &Observed, idle: &Idle) -> Rollout {
    let Some(images) = &seen.images else { return Rollout::default() };
    let at_once = event.ingest.update == UpdatePolicy::Immediate;
    match &images.in_use {
        Some(in_use) if *in_use != images.wanted && (!images.turn || !at_once && !idle.is_idle()) => {
            Rollout { image: Some(in_use.clone()), pending: Some(images.wanted.clone()), template_waits: false }
        }
        Some(_) | None => Rollout { image: Some(images.wanted.clone()), ..Rollout::default() },
    }
}

const fn public(name: &'static str, number: u16) -> Port {
    Port { name, number, public: true }
}

const fn private(name: &'static str, number: u16) -> Port {
    Port { name, number, public: false }
}

#[cfg(test)]
mod tests;
