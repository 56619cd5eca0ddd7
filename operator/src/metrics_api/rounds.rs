//! Round after round over all edges of all events; every answer is made from the last one.

use super::cluster::{Scope, Target};
use super::scrape::{Heard, Scraper};
use crate::audience::Round;
use crate::audience::fold::{Answer, Fold, Seen, floor};
use bytes::Bytes;
use jiff::Timestamp;
use lectern_api::node_status::NodeStatus;
use lectern_process::clock::unix_ms;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// From the beginning of a round to the beginning of the next.
pub const PERIOD: Duration = Duration::from_secs(2);

/// What came of a round.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Who watches.
    pub round: Round,
    /// Events that are there and not known well enough, with the reason.
    pub unknown: BTreeMap<String, &'static str>,
    /// How long it took.
    pub took: Duration,
    /// Edges that were silent and guessed.
    pub imputed: u64,
    /// The round as JSON, once a client asked.
    pub(super) json: OnceLock<Bytes>,
}

impl Outcome {
    /// The round as the operator reads it.
    pub fn json(&self) -> Bytes {
        // A map of plain values has no failing case.
        self.json.get_or_init(|| serde_json::to_vec(&self.round).unwrap_or_default().into()).clone()
    }
}

/// Goes round for ever.
pub async fn run(scopes: Vec<Arc<Scope>>, told: watch::Sender<Arc<Outcome>>) {
    let mut rounds = Rounds::default();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // What was not seen yet must not be taken for not there.
        if !scopes.iter().all(|scope| scope.complete()) {
            continue;
        }
        let targets: Vec<Target> = scopes.iter().flat_map(|scope| scope.targets()).collect();
        told.send_replace(Arc::new(rounds.round(targets).await));
    }
}

/// The memory from round to round.
#[derive(Debug)]
pub struct Rounds {
    scraper: Scraper,
    /// By event, with its uid.
    folds: HashMap<String, (String, Fold)>,
    started: Instant,
    started_ms: u64,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { scraper: Scraper::default(), folds: HashMap::new(), started: Instant::now(), started_ms: unix_ms() }
    }
}

impl Rounds {
    /// One round over `targets`, which are all there are.
    pub async fn round(&mut self, targets: Vec<Target>) -> Outcome {
        let began = Instant::now();
        let admin: Vec<SocketAddr> = targets.iter().flat_map(|target| &target.edges).map(|edge| edge.admin).collect();
        let heard = self.scraper.ask_all(admin).await;
        let there: HashMap<&str, &str> =
            targets.iter().map(|target| (target.id.as_str(), target.uid.as_str())).collect();
        self.folds.retain(|id, (uid, _)| there.get(id.as_str()) == Some(&uid.as_str()));
        let now = Timestamp::now();
        let mut outcome = Outcome::default();
        let mut rest = heard.as_slice();
        for target in &targets {
            let (own, others) = rest.split_at(target.edges.len());
            rest = others;
            self.fold(target, own, now, &mut outcome);
        }
        outcome.round.ended_ms = unix_ms();
        outcome.took = began.elapsed();
        outcome
    }

    fn fold(&mut self, target: &Target, heard: &[Option<Heard>], now: Timestamp, outcome: &mut Outcome) {
        let now_ms = self.ms(Instant::now());
        let seen: Vec<Seen<'_>> = target
            .edges
            .iter()
            .zip(heard)
            .map(|(edge, heard)| {
                let heard = heard.as_ref().filter(|heard| is_of(&heard.status, &target.id));
                let answer = heard.map(|heard| Answer { heard_ms: self.ms(heard.at), status: &heard.status });
                Seen { name: &edge.name, serves: edge.serves, answer }
            })
            .collect();
        let least = target.event.as_ref().map_or(0, |event| floor(event, now));
        let (_, fold) = self.folds.entry(target.id.clone()).or_insert_with(|| (target.uid.clone(), Fold::default()));
        match fold.round(now_ms, &seen, least) {
            Some(audience) => {
                outcome.imputed += u64::from(audience.imputed);
                outcome.round.events.insert(target.id.clone(), audience);
            }
            None => {
                outcome.imputed += seen.iter().filter(|edge| edge.serves && edge.answer.is_none()).count() as u64;
                outcome.unknown.insert(target.id.clone(), "more than half of its edges do not answer");
            }
        }
    }

    fn ms(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.started).as_millis();
        self.started_ms.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

/// An address may belong to another pod by the time it answers.
fn is_of(status: &NodeStatus, id: &str) -> bool {
    status.edge.is_some() && status.event == id
}
