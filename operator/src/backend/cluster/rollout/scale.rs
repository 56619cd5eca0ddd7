//! How many edges there are, where that is ours to say: never in an apply, always by `/scale`.

use crate::backend::cluster::requests::{Error, Target};
use crate::backend::cluster::watch::children::Children;
use crate::plan::Plan;
use crate::render::Metrics;
use crate::validate::Event;

/// Brings the number of edges to where `plan` wants it, as far as no autoscaler does.
///
/// # Errors
/// When the API server refuses.
pub async fn scale(
    target: &Target<'_>,
    event: &Event,
    plan: &Plan,
    children: &Children,
    metrics: Metrics,
) -> Result<(), Error> {
    let Some(deployment) = children.edge_deployment(&event.name) else { return Ok(()) };
    match wanted(deployment.replicas, plan, metrics) {
        Some(Wanted::Exactly(replicas)) => target.scale(&event.name.edge(), replicas).await,
        Some(Wanted::AtLeast(replicas)) => target.raise(&event.name.edge(), replicas).await,
        None => Ok(()),
    }
}

/// What is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The operator itself scales: there is no autoscaler.
    Exactly(u32),
    /// An autoscaler does, and may have asked for more than was seen.
    AtLeast(u32),
}

/// The number to set, if it is another than `replicas`. An autoscaler raises to its minimum only at its next look, up to
/// 15 s later; raising it here in the same moment is the same wish, sooner.
fn wanted(replicas: u32, plan: &Plan, metrics: Metrics) -> Option<Wanted> {
    let bounds = plan.edges.replicas;
    match metrics {
        Metrics::Operator => (bounds.wanted != replicas).then_some(Wanted::Exactly(bounds.wanted)),
        Metrics::ApiService | Metrics::External | Metrics::Keda => {
            (bounds.min > replicas).then_some(Wanted::AtLeast(bounds.min))
        }
    }
}
