//! Secrets of users, which the operator may not read: what the ingest says that it loaded is how a missing one is known.

use crate::plan::{Objection, Plan};
use crate::validate::Event;
use lectern_api::condition::reason;
use lectern_api::keys::KEY_BYTES_MIN;
use lectern_api::node_status::IngestStatus;

/// What is missing, as the ingest tells it. Nothing while it has another configuration in force: it does not know yet
/// what is asked for.
pub(super) fn missing(event: &Event, plan: &Plan, said: &IngestStatus) -> Vec<Objection> {
    if said.config_version != plan.ingest.settings.version {
        return Vec::new();
    }
    let keys = plan.keys.publish.as_ref().map(|secret| without_key(event, secret.as_str(), said));
    let forward = plan.keys.forward.as_ref().map(|secret| without_url(event, secret.as_str(), said));
    [keys, forward].into_iter().flatten().flatten().collect()
}

/// What is wrong with data keys beside those that work, as the rest of a sentence; empty without a fault.
pub(super) fn doubts(plan: &Plan, said: &IngestStatus) -> String {
    let in_force = said.config_version == plan.ingest.settings.version;
    match plan.keys.publish.as_ref().filter(|_| in_force && !said.key_problems.is_empty()) {
        Some(secret) => format!("; Secret {}: {}", secret.as_str(), said.key_problems.join(", ")),
        None => String::new(),
    }
}

fn without_key(event: &Event, secret: &str, said: &IngestStatus) -> Option<Objection> {
    let names = event.streams.iter().map(|stream| stream.name.as_str());
    let without: Vec<&str> = names.filter(|name| said.keys.get(*name).copied().unwrap_or(0) == 0).collect();
    let first = without.first()?;
    let problems =
        if said.key_problems.is_empty() { String::new() } else { format!(" ({})", said.key_problems.join(", ")) };
    Some(Objection {
        reason: reason::SECRET_NOT_FOUND,
        message: format!(
            "Secret {secret} has no usable publish key for {}{problems}: add data key {first} with at least {KEY_BYTES_MIN} characters",
            super::names(&without)
        ),
    })
}

fn without_url(event: &Event, secret: &str, said: &IngestStatus) -> Option<Objection> {
    let loaded = |name: &str| said.forwards.iter().any(|forward| forward.name == name && forward.loaded);
    let without: Vec<&str> =
        event.forward.iter().map(|forward| forward.name.as_str()).filter(|name| !loaded(name)).collect();
    let first = without.first()?;
    Some(Objection {
        reason: reason::SECRET_NOT_FOUND,
        message: format!(
            "Secret {secret} has no URL to forward to for {}: add data key {first} with rtmp://HOST/APP/NAME",
            super::names(&without)
        ),
    })
}
