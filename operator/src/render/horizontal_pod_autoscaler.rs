//! The autoscaler of the edges: up at once, down slowly (design section 7).
//!
//! Stabilisation does not protect the edges after an outage of the metrics that is longer than its window, nor when
//! `minReplicas` goes down; the slow policies for scaling down do, and are therefore always there.

use super::{Metrics, Scene, meta};
use crate::plan::Role;
use k8s_openapi::Resource as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget,
    ObjectMetricSource,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Viewers, refused newcomers and the schedule's floor, over the whole event.
const DEMAND: &str = "viewer_demand";
/// What all edges send, in bits per second.
const EGRESS: &str = "egress_bits_per_second";

/// How far back the highest wish counts when scaling down, in seconds: an encoder that reconnects, or a break between
/// two talks, must not cost the edges.
const DOWN_WINDOW_S: i32 = 300;
/// Share of the edges that may go in a minute, in per cent.
const DOWN_PERCENT: i32 = 10;
/// Edges that may go in a minute in any case: a tenth of a small event is none.
const DOWN_PODS: i32 = 1;
const DOWN_PERIOD_S: i32 = 60;
/// Share of the edges that may come in [`UP_PERIOD_S`], in per cent.
const UP_PERCENT: i32 = 300;
/// Edges that may come in [`UP_PERIOD_S`] in any case.
const UP_PODS: i32 = 10;
/// One period of the autoscaler with its default settings, in seconds.
const UP_PERIOD_S: i32 = 15;
/// What is too little to act on; the default of a tenth would use up a third of the room that the target leaves.
const UP_TOLERANCE: &str = "20m";
const DOWN_TOLERANCE: &str = "150m";

/// None where something else scales.
pub fn edges(scene: &Scene<'_>) -> Option<HorizontalPodAutoscaler> {
    match scene.installation.metrics {
        Metrics::ApiService | Metrics::External => {}
        Metrics::Keda | Metrics::Operator => return None,
    }
    let replicas = scene.plan.edges.replicas;
    let spec = HorizontalPodAutoscalerSpec {
        scale_target_ref: CrossVersionObjectReference {
            api_version: Some(Deployment::API_VERSION.into()),
            kind: Deployment::KIND.into(),
            name: scene.event.name.edge(),
        },
        min_replicas: Some(meta::count(replicas.min)),
        max_replicas: meta::count(replicas.max),
        metrics: Some(metrics(scene)),
        behavior: Some(behavior()),
    };
    let metadata = meta::object(scene, Role::Edge, scene.event.name.edge());
    Some(HorizontalPodAutoscaler { metadata, spec: Some(spec), status: None })
}

/// Viewers, and where a bound is set egress: the larger wish counts.
fn metrics(scene: &Scene<'_>) -> Vec<MetricSpec> {
    let settings = &scene.plan.edges.settings;
    let target = |carried: u64| (carried.saturating_mul(u64::from(settings.target_percent)) / 100).max(1);
    let viewers = metric(scene, DEMAND, target(u64::from(settings.viewers_per_edge)));
    let egress = settings.egress_bits_per_second.map(|bits| metric(scene, EGRESS, target(bits)));
    std::iter::once(viewers).chain(egress).collect()
}

/// A total of the event, divided by the edges that exist: pods that are pending or silent do not distort it.
fn metric(scene: &Scene<'_>, name: &str, each: u64) -> MetricSpec {
    let object = ObjectMetricSource {
        described_object: CrossVersionObjectReference {
            api_version: Some("lectern.dev/v1alpha1".into()),
            kind: "LiveEvent".into(),
            name: scene.event.name.to_string(),
        },
        metric: MetricIdentifier { name: name.into(), selector: None },
        target: MetricTarget {
            type_: "AverageValue".into(),
            average_value: Some(Quantity(each.to_string())),
            ..MetricTarget::default()
        },
    };
    MetricSpec { type_: "Object".into(), object: Some(object), ..MetricSpec::default() }
}

fn behavior() -> HorizontalPodAutoscalerBehavior {
    let policy = |type_: &str, value, period_seconds| HPAScalingPolicy { type_: type_.into(), value, period_seconds };
    let up = HPAScalingRules {
        stabilization_window_seconds: Some(0),
        select_policy: Some("Max".into()),
        policies: Some(vec![policy("Percent", UP_PERCENT, UP_PERIOD_S), policy("Pods", UP_PODS, UP_PERIOD_S)]),
        tolerance: Some(Quantity(UP_TOLERANCE.into())),
    };
    let down = HPAScalingRules {
        stabilization_window_seconds: Some(DOWN_WINDOW_S),
        select_policy: Some("Max".into()),
        policies: Some(vec![policy("Percent", DOWN_PERCENT, DOWN_PERIOD_S), policy("Pods", DOWN_PODS, DOWN_PERIOD_S)]),
        tolerance: Some(Quantity(DOWN_TOLERANCE.into())),
    };
    HorizontalPodAutoscalerBehavior { scale_up: Some(up), scale_down: Some(down) }
}
