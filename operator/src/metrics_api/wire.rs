//! How Kubernetes writes it: discovery, metric values and failures as JSON. Pure.
//!
//! Shapes: k8s.io/metrics/pkg/apis/{custom_metrics/v1beta1, custom_metrics/v1beta2, external_metrics/v1beta1} and
//! meta/v1 (APIGroupList, APIGroup, APIResourceList, Status). Values are quantities, times whole seconds.

use jiff::Timestamp;
use serde_json::{Value, json};

/// The group that autoscalers ask for metrics of objects.
pub const CUSTOM: &str = "custom.metrics.k8s.io";
/// The group that they ask for metrics of the outside world.
pub const EXTERNAL: &str = "external.metrics.k8s.io";
/// The resource that has metrics.
pub const RESOURCE: &str = "liveevents.lectern.dev";

/// What can be asked of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Who watches: the truth.
    LiveViewers,
    /// What edges are wanted for: viewers, refused newcomers and the schedule's floor.
    ViewerDemand,
    /// What all edges send.
    EgressBitsPerSecond,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::LiveViewers, Self::ViewerDemand, Self::EgressBitsPerSecond];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LiveViewers => "live_viewers",
            Self::ViewerDemand => "viewer_demand",
            Self::EgressBitsPerSecond => "egress_bits_per_second",
        }
    }

    /// The metric called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }
}

/// A version of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// custom.metrics.k8s.io/v1beta1.
    Custom1,
    /// custom.metrics.k8s.io/v1beta2, the one that autoscalers prefer.
    Custom2,
    /// external.metrics.k8s.io/v1beta1.
    External1,
}

impl Version {
    /// Those of a group, the preferred one first.
    #[must_use]
    pub fn of(group: &str) -> &'static [Self] {
        match group {
            CUSTOM => &[Self::Custom2, Self::Custom1],
            EXTERNAL => &[Self::External1],
            _ => &[],
        }
    }

    /// `v1beta2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Custom1 | Self::External1 => "v1beta1",
            Self::Custom2 => "v1beta2",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::Custom1 | Self::Custom2 => CUSTOM,
            Self::External1 => EXTERNAL,
        }
    }

    fn full(self) -> String {
        format!("{}/{}", self.group(), self.name())
    }
}

/// One measurement of one event.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Namespace of the event.
    pub namespace: &'a str,
    /// Its name.
    pub event: &'a str,
    /// What was asked for.
    pub metric: Metric,
    /// How much.
    pub value: u64,
    /// When it was measured, unix milliseconds.
    pub at_ms: u64,
}

/// `GET /apis`.
#[must_use]
pub fn groups() -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_fields(CUSTOM), group_fields(EXTERNAL)]})
}

/// `GET /apis/GROUP`.
#[must_use]
pub fn group(name: &str) -> Value {
    let mut group = group_fields(name);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    group
}

fn group_fields(name: &str) -> Value {
    let version = |version: &Version| json!({"groupVersion": version.full(), "version": version.name()});
    let versions = Version::of(name);
    json!({
        "name": name,
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    })
}

/// `GET /apis/GROUP/VERSION`.
#[must_use]
pub fn resources(version: Version) -> Value {
    let resource = |metric: Metric| match version {
        Version::Custom1 | Version::Custom2 => json!({
            "name": format!("{RESOURCE}/{}", metric.name()), "singularName": "", "namespaced": true,
            "kind": "MetricValueList", "verbs": ["get"],
        }),
        Version::External1 => json!({
            "name": metric.name(), "singularName": "", "namespaced": true,
            "kind": "ExternalMetricValueList", "verbs": ["get"],
        }),
    };
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version.full(),
        "resources": Metric::ALL.map(resource),
    })
}

/// Measurements, in the shape of `version`.
#[must_use]
pub fn values(version: Version, samples: &[Sample<'_>]) -> Value {
    let kind = match version {
        Version::Custom1 | Version::Custom2 => "MetricValueList",
        Version::External1 => "ExternalMetricValueList",
    };
    let items: Vec<Value> = samples.iter().map(|sample| item(version, sample)).collect();
    json!({"kind": kind, "apiVersion": version.full(), "metadata": {}, "items": items})
}

fn item(version: Version, sample: &Sample<'_>) -> Value {
    let Sample { namespace, event, metric, value, at_ms } = *sample;
    let (value, timestamp) = (value.to_string(), seconds(at_ms));
    let object =
        json!({"kind": "LiveEvent", "namespace": namespace, "name": event, "apiVersion": "lectern.dev/v1alpha1"});
    match version {
        Version::Custom1 => json!({
            "describedObject": object, "metricName": metric.name(), "timestamp": timestamp, "windowSeconds": 0,
            "value": value, "selector": null,
        }),
        Version::Custom2 => json!({
            "describedObject": object, "metric": {"name": metric.name(), "selector": null}, "timestamp": timestamp,
            "windowSeconds": 0, "value": value,
        }),
        Version::External1 => json!({
            "metricName": metric.name(), "metricLabels": {lectern_api::labels::EVENT: event}, "timestamp": timestamp,
            "windowSeconds": 0, "value": value,
        }),
    }
}

/// A failure. `reason` is one of meta/v1's.
#[must_use]
pub fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

/// meta/v1 Time: RFC 3339 in whole seconds.
fn seconds(unix_ms: u64) -> String {
    let second = i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX);
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX).to_string()
}
