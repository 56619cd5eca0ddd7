//! The autoscaler of Kubernetes as its controller works (pkg/controller/podautoscaler/horizontal.go and
//! replica_calculator.go of 1.36, in our own words), acting on the object that `render` makes: what is tested is what is
//! installed.

use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscaler};
use std::collections::BTreeMap;

/// The default of `--horizontal-pod-autoscaler-sync-period`.
pub const PERIOD_MS: u64 = 15_000;

/// What the controller remembers of one object.
#[derive(Clone, Debug, Default)]
pub struct Hpa {
    /// (ms, edges): wishes made from metrics, and the number it found first.
    recommendations: Vec<(u64, u32)>,
    ups: Vec<(u64, u32)>,
    downs: Vec<(u64, u32)>,
}

/// The Deployment's scale.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub spec: u32,
    pub status: u32,
}

impl Hpa {
    /// One sync: the new number of replicas. `metrics` by name; a missing one is not known.
    pub fn sync(
        &mut self,
        object: &HorizontalPodAutoscaler,
        scale: Scale,
        metrics: &BTreeMap<String, u64>,
        now_ms: u64,
    ) -> u32 {
        let spec = object.spec.as_ref().unwrap();
        let (min, max) = (spec.min_replicas.unwrap_or(1) as u32, spec.max_replicas as u32);
        let current = scale.spec;
        if self.recommendations.is_empty() {
            self.recommendations.push((now_ms, current));
        }
        let next = if current > max {
            max
        } else if current < min {
            min
        } else {
            let Some(wish) = wish(object, scale, metrics) else { return current };
            let stable = self.stabilised(object, current, wish, now_ms);
            self.limited(object, current, stable, (min, max), now_ms)
        };
        if next > current {
            self.ups.push((now_ms, next - current));
        } else if next < current {
            self.downs.push((now_ms, current - next));
        }
        next
    }

    /// Within the lowest wish of the window for more and the highest of the window for fewer.
    fn stabilised(&mut self, object: &HorizontalPodAutoscaler, current: u32, wish: u32, now_ms: u64) -> u32 {
        let behavior = object.spec.as_ref().unwrap().behavior.as_ref().unwrap();
        let window = |rules: &Option<HPAScalingRules>| {
            rules.as_ref().unwrap().stabilization_window_seconds.unwrap() as u64 * 1_000
        };
        let recent = |window: u64| {
            let after = move |at: u64| at + window > now_ms;
            self.recommendations.iter().filter(move |(at, _)| after(*at)).map(|(_, wish)| *wish)
        };
        let low = recent(window(&behavior.scale_up)).min().unwrap_or(wish).min(wish);
        let high = recent(window(&behavior.scale_down)).max().unwrap_or(wish).max(wish);
        self.recommendations.push((now_ms, wish));
        current.max(low).min(high)
    }

    /// As far as the policies let it go.
    fn limited(
        &self,
        object: &HorizontalPodAutoscaler,
        current: u32,
        wish: u32,
        (min, max): (u32, u32),
        now_ms: u64,
    ) -> u32 {
        let behavior = object.spec.as_ref().unwrap().behavior.as_ref().unwrap();
        let sum = |events: &[(u64, u32)], period_s: i32| -> i64 {
            events.iter().filter(|(at, _)| at + period_s as u64 * 1_000 > now_ms).map(|(_, by)| i64::from(*by)).sum()
        };
        let limits = |rules: &HPAScalingRules, sign: f64| -> Vec<i64> {
            assert_eq!(rules.select_policy.as_deref(), Some("Max"), "the only one that is modelled");
            let one = |policy: &k8s_openapi::api::autoscaling::v2::HPAScalingPolicy| {
                let period = policy.period_seconds;
                let start = i64::from(current) - sum(&self.ups, period) + sum(&self.downs, period);
                match policy.type_.as_str() {
                    "Pods" => start + sign as i64 * i64::from(policy.value),
                    "Percent" if sign > 0.0 => (start as f64 * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i64,
                    "Percent" => (start as f64 * (1.0 - f64::from(policy.value) / 100.0)) as i64,
                    other => panic!("no such policy: {other}"),
                }
            };
            rules.policies.as_ref().unwrap().iter().map(one).collect()
        };
        let (current, wish) = (i64::from(current), i64::from(wish));
        let next = if wish > current {
            let limit = limits(behavior.scale_up.as_ref().unwrap(), 1.0).into_iter().max().unwrap().max(current);
            wish.min(limit.min(i64::from(max)))
        } else if wish < current {
            let limit = limits(behavior.scale_down.as_ref().unwrap(), -1.0).into_iter().min().unwrap().min(current);
            wish.max(limit.max(i64::from(min)))
        } else {
            wish
        };
        u32::try_from(next).unwrap()
    }
}

/// The largest wish of all metrics. None if none is known, or if one is not and the others would mean fewer.
fn wish(object: &HorizontalPodAutoscaler, scale: Scale, metrics: &BTreeMap<String, u64>) -> Option<u32> {
    let spec = object.spec.as_ref().unwrap();
    let behavior = spec.behavior.as_ref().unwrap();
    let tolerance = |rules: &Option<HPAScalingRules>| {
        let text = &rules.as_ref().unwrap().tolerance.as_ref().unwrap().0;
        text.strip_suffix('m').expect("thousandths").parse::<f64>().unwrap() / 1_000.0
    };
    let (up, down) = (tolerance(&behavior.scale_up), tolerance(&behavior.scale_down));
    let specs = spec.metrics.as_ref().unwrap();
    let wishes: Vec<Option<u32>> = specs
        .iter()
        .map(|metric| {
            let object = metric.object.as_ref().unwrap();
            let usage = *metrics.get(&object.metric.name)? as f64;
            let target: f64 = object.target.average_value.as_ref().unwrap().0.parse().unwrap();
            let ratio = usage / (target * f64::from(scale.status));
            let within = 1.0 - down <= ratio && ratio <= 1.0 + up;
            Some(if within { scale.status } else { (usage / target).ceil() as u32 })
        })
        .collect();
    let largest = wishes.iter().flatten().max().copied()?;
    (wishes.iter().all(Option::is_some) || largest >= scale.spec).then_some(largest)
}
