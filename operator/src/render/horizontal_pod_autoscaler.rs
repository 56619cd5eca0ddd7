//! The autoscaler of the edges. Its rules are those of [`crate::scaling`]: the same where the operator itself scales.

use super::meta;
use super::scene::{Metrics, Scene};
use crate::plan::Role;
use crate::scaling::{self, Amount, Direction};
use k8s_openapi::Resource as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, ExternalMetricSource, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget,
    ObjectMetricSource,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use lectern_api::labels;
use std::collections::BTreeMap;

/// Viewers, refused newcomers and the schedule's floor, over the whole event.
const DEMAND: &str = "viewer_demand";
/// What all edges send, in bits per second.
const EGRESS: &str = "egress_bits_per_second";

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
    let target = |carried: u64| scaling::target(carried, settings.target_percent);
    let viewers = metric(scene, DEMAND, target(u64::from(settings.viewers_per_edge)));
    let egress = settings.egress_bits_per_second.map(|bits| metric(scene, EGRESS, target(bits)));
    std::iter::once(viewers).chain(egress).collect()
}

/// A total of the event, divided by the edges that exist: pods that are pending or silent do not distort it.
fn metric(scene: &Scene<'_>, name: &str, each: u64) -> MetricSpec {
    let target = MetricTarget {
        type_: "AverageValue".into(),
        average_value: Some(Quantity(each.to_string())),
        ..MetricTarget::default()
    };
    if scene.installation.metrics == Metrics::External {
        let event = BTreeMap::from([(labels::EVENT.to_owned(), scene.event.name.to_string())]);
        let selector = LabelSelector { match_labels: Some(event), ..LabelSelector::default() };
        let metric = MetricIdentifier { name: name.into(), selector: Some(selector) };
        let external = ExternalMetricSource { metric, target };
        return MetricSpec { type_: "External".into(), external: Some(external), ..MetricSpec::default() };
    }
    let object = ObjectMetricSource {
        described_object: CrossVersionObjectReference {
            api_version: Some("lectern.dev/v1alpha1".into()),
            kind: "LiveEvent".into(),
            name: scene.event.name.to_string(),
        },
        metric: MetricIdentifier { name: name.into(), selector: None },
        target,
    };
    MetricSpec { type_: "Object".into(), object: Some(object), ..MetricSpec::default() }
}

fn behavior() -> HorizontalPodAutoscalerBehavior {
    HorizontalPodAutoscalerBehavior { scale_up: Some(rules(&scaling::UP)), scale_down: Some(rules(&scaling::DOWN)) }
}

fn rules(direction: &Direction) -> HPAScalingRules {
    let policies = direction.steps.iter().map(|step| {
        let (type_, value) = match step.amount {
            Amount::Percent(percent) => ("Percent", percent),
            Amount::Edges(edges) => ("Pods", edges),
        };
        HPAScalingPolicy { type_: type_.into(), value: meta::count(value), period_seconds: meta::count(step.period_s) }
    });
    HPAScalingRules {
        stabilization_window_seconds: Some(meta::count(direction.window_s)),
        select_policy: Some("Max".into()),
        policies: Some(policies.collect()),
        tolerance: Some(Quantity(format!("{}m", direction.tolerance_permille))),
    }
}
