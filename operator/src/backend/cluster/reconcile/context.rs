//! What lives longer than a pass: what all passes share, and what is remembered of each event.

use super::last_applied::LastApplied;
use super::writer::Reported;
use crate::audience::Round;
use crate::backend::cluster::key::EventKey;
use crate::backend::cluster::metrics::Metrics;
use crate::backend::cluster::nodes::poll::Polls;
use crate::backend::cluster::rollout::maintain;
use crate::backend::cluster::rollout::slots::RolloutSlots;
use crate::backend::cluster::watch::cache::Cache;
use crate::backend::cluster::watch::zones::Zones;
use crate::policy::Policy;
use crate::render::Installation;
use crate::scaling;
use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::{ObjectRef, Store};
use lectern_api::live_event::LiveEvent;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A LiveEvent, or why it cannot be read: one that cannot must not stop the others.
pub type Guarded = DeserializeGuard<LiveEvent>;

/// A pass over an event is made this often even if nothing happens.
pub const AT_REST: Duration = Duration::from_secs(300);
/// And this often while something is in its way; the longer that lasts, the less often.
pub const IN_TROUBLE: Duration = Duration::from_secs(10);
/// What lasts is looked at after each fifth of its time: a thousand events whose image is missing are no load.
const TROUBLE_PART: u32 = 5;
/// After a failure an event waits, twice as long each time.
const BACK_OFF_MIN: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(120);

/// What all passes share.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What holds for all events.
    pub installation: Installation,
    /// What they may ask for.
    pub policy: Policy,
    /// What keys are derived from.
    pub root: Vec<u8>,
    /// What the watches have shown.
    pub cache: Arc<Cache>,
    /// All events.
    pub events: OnceLock<Vec<Store<Guarded>>>,
    /// What the ingests report.
    pub polls: Polls,
    /// The viewers of all events, as `metrics-api` last counted them.
    pub rounds: watch::Receiver<Arc<Round>>,
    /// Why autoscalers get no metrics: reason and message.
    pub metrics_problem: watch::Receiver<Option<(String, String)>>,
    /// Writes Events.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where nodes are.
    pub zones: Zones,
    /// Which events may get a new image.
    pub slots: RolloutSlots,
    /// What earlier passes did, by event.
    pub memories: Mutex<HashMap<EventKey, Arc<tokio::sync::Mutex<Memory>>>>,
}

/// What earlier passes did for one event.
#[derive(Default)]
pub struct Memory {
    /// The event's uid.
    pub uid: String,
    /// What was applied.
    pub applied: LastApplied,
    /// What was reported.
    pub reported: Reported,
    /// What scaling remembers.
    pub scaling: scaling::Memory,
    /// What maintenance remembers.
    pub maintenance: maintain::Memory,
    failures: u32,
    trouble_since: Option<Instant>,
}

impl Memory {
    /// Of an event of which nothing is known yet.
    #[must_use]
    pub fn of(uid: String) -> Self {
        Self { uid, ..Self::default() }
    }

    /// Notes whether something is in the event's way.
    pub fn note(&mut self, trouble: bool, now: Instant) {
        self.trouble_since = trouble.then(|| self.trouble_since.unwrap_or(now));
    }

    /// How long to wait while something is in the event's way.
    #[must_use]
    pub fn patience(&self, now: Instant) -> Duration {
        let lasts = self.trouble_since.map(|since| now.saturating_duration_since(since));
        (lasts.unwrap_or_default() / TROUBLE_PART).clamp(IN_TROUBLE, AT_REST)
    }

    /// Notes that a pass succeeded.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Notes that a pass failed; gives how long to wait before the next.
    pub fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        BACK_OFF_MIN.saturating_mul(1 << (self.failures - 1).min(12)).min(BACK_OFF_MAX)
    }
}

impl Context {
    /// Forgets an event that is gone.
    pub fn forget(&self, key: &EventKey) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.polls.forget(key);
        self.slots.give_back(key);
        self.metrics.forget(key);
    }

    /// Forgets the events of `namespace` (None: of all) that are not among `there`.
    pub fn forget_others(&self, namespace: Option<&str>, there: &HashSet<EventKey>) {
        let known: Vec<EventKey> =
            self.memories.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        others(&known, namespace, there).for_each(|key| self.forget(key));
    }

    /// Whether the watch of events shows it.
    #[must_use]
    pub fn is_there(&self, key: &EventKey) -> bool {
        let event = ObjectRef::new(&key.name).within(&key.namespace);
        self.events.get().is_none_or(|stores| stores.iter().any(|store| store.get(&event).is_some()))
    }

    /// What earlier passes over `key` did. One pass at a time holds it.
    pub fn memory(&self, key: &EventKey) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut all = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key.clone()).or_default())
    }
}

/// Those of `known` in `namespace` (None: in all) that are not among `there`.
fn others<'a>(
    known: &'a [EventKey],
    namespace: Option<&'a str>,
    there: &'a HashSet<EventKey>,
) -> impl Iterator<Item = &'a EventKey> {
    let concerned = move |key: &&EventKey| namespace.is_none_or(|namespace| key.namespace == namespace);
    known.iter().filter(concerned).filter(|key| !there.contains(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_looked_at_less_and_less_often_until_it_is_over() {
        let began = Instant::now();
        let mut memory = Memory::default();
        for (after_s, trouble, wait_s) in [
            (0, true, 10),
            (40, true, 10),
            (100, true, 20),
            (1_000, true, 200),
            (9_000, true, 300),
            (9_001, false, 10),
            (9_002, true, 10),
        ] {
            let now = began + Duration::from_secs(after_s);
            memory.note(trouble, now);
            assert_eq!(memory.patience(now), Duration::from_secs(wait_s), "after {after_s} s");
        }
    }

    #[test]
    fn events_that_went_while_nobody_watched_are_those_that_are_not_listed_any_more() {
        let key = |namespace: &str, name: &str| EventKey { namespace: namespace.into(), name: name.into() };
        let known = [key("a", "here"), key("a", "gone"), key("b", "other")];
        let there = HashSet::from([key("a", "here"), key("a", "new")]);
        assert_eq!(others(&known, Some("a"), &there).collect::<Vec<_>>(), [&known[1]]);
        assert_eq!(others(&known, None, &there).collect::<Vec<_>>(), [&known[1], &known[2]]);
    }
}
