//! What a backend saw. Everything may be stale or missing: `None` is "not known", never "not there".

use crate::scaling::{Burst, Memory, Rules};
use jiff::Timestamp;
use lectern_api::node_status::NodeStatus;
use std::net::SocketAddr;

/// A snapshot of an event's surroundings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The ingest.
    pub ingest: Option<IngestSeen>,
    /// The edges.
    pub edges: Option<EdgesSeen>,
    /// Who watches.
    pub audience: Option<Audience>,
    /// What scales the edges.
    pub autoscaler: Option<Autoscaler>,
    /// A floor that was raised because an audience came faster than the autoscaler looks.
    pub burst: Option<Burst>,
    /// What scaling remembers ([`super::Scaling::memory`] of the plan before). Empty after a start.
    pub scaling: Memory,
    /// The rules of scaling.
    pub rules: Rules,
    /// Node images. None where there are no images.
    pub images: Option<Images>,
    /// Reasons outside the spec why the event cannot be accepted. None while not looked at.
    pub objections: Option<Vec<Objection>>,
    /// The event is being deleted.
    pub deleting: bool,
}

/// The ingest as seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngestSeen {
    /// Its pod or process is Ready.
    pub ready: bool,
    /// Since when it is not Ready.
    pub not_ready_since: Option<Timestamp>,
    /// What stands in its way, from the outside: `ImagePullBackOff: …`.
    pub detail: Option<String>,
    /// Host and port for encoders.
    pub address: Option<String>,
    /// What it said of itself.
    pub status: Option<NodeStatus>,
    /// When it last said something.
    pub heard: Option<Timestamp>,
    /// Its process, where there is one.
    pub process: Option<LocalProcess>,
}

/// The edges as seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgesSeen {
    /// How many are asked for at present.
    pub desired: u32,
    /// Those that exist.
    pub nodes: Vec<EdgeSeen>,
    /// Where HLS is reached from outside, e.g. `http://203.0.113.7`.
    pub http: Option<String>,
    /// Where RTMP is reached, e.g. `rtmp://203.0.113.8`.
    pub rtmp: Option<String>,
}

/// One edge as seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeSeen {
    /// Name of its pod or process.
    pub name: String,
    /// It is Ready.
    pub ready: bool,
    /// It is ending.
    pub ending: bool,
    /// What is wrong with it, from the outside.
    pub detail: Option<String>,
    /// Its relay port: how the ingest knows it.
    pub relay: Option<SocketAddr>,
    /// What it said of itself.
    pub status: Option<NodeStatus>,
    /// Its process, where there is one.
    pub process: Option<LocalProcess>,
}

/// A node that is a process of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalProcess {
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// Times it was started again.
    pub restarts: u32,
    /// Address of HLS and HTTP-FLV.
    pub http: Option<SocketAddr>,
    /// Address of RTMP.
    pub rtmp: Option<SocketAddr>,
}

/// Who watches, over all edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Viewers.
    pub viewers: u64,
    /// Newcomers that were refused, as viewers.
    pub refused: u64,
    /// What is sent, in bits per second.
    pub egress_bits_per_second: Option<u64>,
}

/// What scales the edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    /// It has numbers to go by and acts.
    pub active: bool,
    /// Its own reason, e.g. `FailedGetObjectMetric`.
    pub reason: String,
    /// Its own words.
    pub message: String,
    /// It wants more than `edges.max`.
    pub at_maximum: bool,
}

/// Node images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// What the installation wants.
    pub wanted: String,
    /// What the event's nodes run, as recorded in its status.
    pub in_use: Option<String>,
    /// It is this event's turn to get another image: only a few roll at a time.
    pub turn: bool,
}

/// A reason outside the spec why the event cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// One of [`lectern_api::condition::reason`].
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}
