//! The metrics of the operator. Names, kinds and help are those of the table in `lectern_api::metrics`.

use crate::backend::cluster::key::EventKey;
use lectern_api::condition::ConditionType;
use lectern_api::live_event::{LiveEventStatus, Phase};
use lectern_api::metrics::{Metric, operator as table};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric as RegistryMetric, Registry};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Bounds of the buckets in seconds, with the bar of 100 ms among them.
const DURATIONS_S: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0];

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

/// Events of one phase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPhase {
    phase: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Event {
    namespace: String,
    event: String,
}

/// One condition of one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    namespace: String,
    event: String,
    r#type: &'static str,
}

/// One number of edges of one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    namespace: String,
    event: String,
    state: &'static str,
}

/// All of them.
pub struct Metrics {
    registry: Registry,
    /// 1 while this replica leads.
    pub leader: Gauge,
    /// Events looked at.
    pub reconciles: Counter,
    /// From the first question to the last write, in seconds.
    pub duration: Histogram,
    /// Watches that had to start again.
    pub watch_restarts: Counter,
    errors: Family<Stage, Counter>,
    phases: Family<ByPhase, Gauge>,
    conditions: Family<OfType, Gauge>,
    edges: Family<OfState, Gauge>,
    viewers: Family<Event, Gauge>,
    demand: Family<Event, Gauge>,
    live: Family<Event, Gauge>,
    known: Mutex<HashMap<EventKey, Option<Phase>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            leader: Gauge::default(),
            reconciles: Counter::default(),
            duration: Histogram::new(DURATIONS_S),
            watch_restarts: Counter::default(),
            errors: Family::default(),
            phases: Family::default(),
            conditions: Family::default(),
            edges: Family::default(),
            viewers: Family::default(),
            demand: Family::default(),
            live: Family::default(),
            known: Mutex::default(),
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let all = &mut self.registry;
        register(all, &table::LEADER, self.leader.clone());
        register(all, &table::RECONCILES, self.reconciles.clone());
        register(all, &table::ERRORS, self.errors.clone());
        register(all, &table::DURATION, self.duration.clone());
        register(all, &table::WATCH_RESTARTS, self.watch_restarts.clone());
        register(all, &table::EVENTS, self.phases.clone());
        register(all, &table::CONDITION, self.conditions.clone());
        register(all, &table::EDGES, self.edges.clone());
        register(all, &table::VIEWERS, self.viewers.clone());
        register(all, &table::DEMAND, self.demand.clone());
        register(all, &table::LIVE_STREAMS, self.live.clone());
        self
    }

    /// Counts a failure at `stage`.
    pub fn failed(&self, stage: &'static str) {
        self.errors.get_or_create(&Stage { stage }).inc();
    }

    /// What is so for one event.
    pub fn event(&self, key: &EventKey, status: &LiveEventStatus, bounds: (u32, u32), demand: Option<u64>) {
        let (namespace, event) = (key.namespace.clone(), key.name.clone());
        for condition in &status.conditions {
            let Some(kind) = ConditionType::ALL.into_iter().find(|kind| kind.as_str() == condition.type_) else {
                continue;
            };
            let labels = OfType { namespace: namespace.clone(), event: event.clone(), r#type: kind.as_str() };
            let number = match condition.status.as_str() {
                "True" => 1,
                "False" => 0,
                _ => -1,
            };
            self.conditions.get_or_create(&labels).set(number);
        }
        let edges = status.edges.clone().unwrap_or_default();
        for (state, number) in
            [("desired", edges.desired), ("ready", edges.ready), ("min", bounds.0), ("max", bounds.1)]
        {
            let labels = OfState { namespace: namespace.clone(), event: event.clone(), state };
            self.edges.get_or_create(&labels).set(number.into());
        }
        let labels = Event { namespace, event };
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        // What is not known is left out: a last number would stay for as long as nothing is counted, and 0 is a number, too.
        for (family, number) in [(&self.viewers, edges.viewers), (&self.demand, demand)] {
            match number {
                Some(number) => _ = family.get_or_create(&labels).set(gauge(number)),
                None => _ = family.remove(&labels),
            }
        }
        let live = status.streams.iter().filter(|stream| stream.live).count();
        self.live.get_or_create(&labels).set(gauge(live as u64));
        self.phase(key, Some(status.phase));
    }

    /// An event that is gone, or all when leadership is.
    pub fn forget(&self, key: &EventKey) {
        let (namespace, event) = (key.namespace.clone(), key.name.clone());
        for kind in ConditionType::ALL {
            let labels = OfType { namespace: namespace.clone(), event: event.clone(), r#type: kind.as_str() };
            self.conditions.remove(&labels);
        }
        for state in ["desired", "ready", "min", "max"] {
            self.edges.remove(&OfState { namespace: namespace.clone(), event: event.clone(), state });
        }
        let labels = Event { namespace, event };
        self.viewers.remove(&labels);
        self.demand.remove(&labels);
        self.live.remove(&labels);
        self.phase(key, None);
    }

    /// Another replica tells of the events from now on.
    pub fn forget_all(&self) {
        let known: Vec<EventKey> = self.known.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        known.iter().for_each(|key| self.forget(key));
    }

    /// Counts the event under its phase; the outer None takes it out.
    fn phase(&self, key: &EventKey, now: Option<Option<Phase>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = |phase: Option<Phase>| {
            let phase = phase.map_or_else(|| "Pending".to_owned(), |phase| format!("{phase:?}"));
            self.phases.get_or_create_owned(&ByPhase { phase })
        };
        let before = match now {
            Some(now) => known.insert(key.clone(), now),
            None => known.remove(key),
        };
        if let Some(before) = before {
            gauge(before).dec();
        }
        if let Some(now) = now {
            gauge(now).inc();
        }
    }

    /// All of them as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String has no failing case.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// The registry appends the `_total` of counters and the full stop of the help text by itself.
fn register(all: &mut Registry, metric: &Metric, value: impl RegistryMetric) {
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    all.register(name, metric.help.trim_end_matches('.'), value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lectern_api::live_event::EdgesStatus;

    #[test]
    fn what_is_exposed_is_what_the_table_lists() {
        let metrics = Metrics::default();
        metrics.failed("apply");
        let key = EventKey { namespace: "n".into(), name: "gala".into() };
        let condition = serde_json::json!({
            "type": "Live", "status": "True", "reason": "Publishing", "message": "", "lastTransitionTime": "2026-12-01T09:00:00Z"
        });
        let condition = serde_json::from_value(condition).unwrap();
        let edges = EdgesStatus { viewers: Some(3), ..EdgesStatus::default() };
        let status = LiveEventStatus { conditions: vec![condition], edges: Some(edges), ..LiveEventStatus::default() };
        metrics.event(&key, &status, (2, 40), Some(7));
        let text = metrics.text();
        for Metric { name, kind, help, .. } in table::TABLE {
            let family = name.strip_suffix("_total").unwrap_or(name);
            for line in [format!("# HELP {family} {help}\n"), format!("# TYPE {family} {}\n", kind.name())] {
                assert!(text.contains(&line), "{line} is missing in\n{text}");
            }
        }
        let families = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert_eq!(families, table::TABLE.len(), "{text}");
    }

    #[test]
    fn an_event_is_counted_under_its_phase_until_it_is_gone() {
        let metrics = Metrics::default();
        let key = EventKey { namespace: "n".into(), name: "gala".into() };
        let status = |phase| LiveEventStatus { phase: Some(phase), ..LiveEventStatus::default() };
        metrics.event(&key, &status(Phase::Waiting), (2, 40), Some(7));
        let demand = "lectern_event_demand{namespace=\"n\",event=\"gala\"} 7";
        assert!(metrics.text().contains(demand), "{}", metrics.text());
        metrics.event(&key, &status(Phase::Live), (2, 40), None);
        let text = metrics.text();
        for line in [
            "lectern_events{phase=\"Live\"} 1",
            "lectern_events{phase=\"Waiting\"} 0",
            "lectern_event_edges{namespace=\"n\",event=\"gala\",state=\"max\"} 40",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("lectern_event_demand{"), "the demand is unknown now:\n{text}");
        metrics.forget_all();
        let text = metrics.text();
        assert!(text.contains("lectern_events{phase=\"Live\"} 0") && !text.contains("gala"), "{text}");
    }
}
