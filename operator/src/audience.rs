//! Who watches, over all edges of every event: what `lectern metrics-api` answers at [`PATH`] and the operator asks for.

mod edge;
pub mod fold;
mod hls;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where it is asked for: HTTPS, with `Authorization: Bearer` and the token of
/// [`lectern_api::keys::audience_token`].
pub const PATH: &str = "/lectern/v1/audience";

/// One look at all edges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Round {
    /// When it ended, unix milliseconds; 0 before the first.
    pub ended_ms: u64,
    /// By `namespace/name`. An event is missing while too few of its edges answer (docs/autoscaling.md).
    pub events: BTreeMap<String, EventAudience>,
}

/// Who watches one event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventAudience {
    /// Viewers.
    pub viewers: u64,
    /// Newcomers that were refused in the last 15 s.
    pub refused: u64,
    /// The number that the autoscaler reads: max(viewers + refused, schedule floor × target).
    pub demand: u64,
    /// What is sent, in bits per second.
    pub egress_bits_per_second: u64,
    /// Newcomers a second, the mean of the last few rounds.
    pub joins_per_second: f64,
    /// Edges that serve but were silent, and had to be guessed.
    pub imputed: u32,
    /// By name of the pod, those that serve or end.
    pub edges: BTreeMap<String, EdgeAudience>,
}

/// Who watches at one edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EdgeAudience {
    /// Viewers there.
    pub viewers: u64,
    /// Milliseconds since it last answered; 0 if it did in this round.
    pub silent_ms: u64,
}
