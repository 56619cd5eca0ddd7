//! `(status before, status after) → Events`: what people see under `kubectl describe`. Pure.

use crate::plan::status::standby::{self, Change};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use lectern_api::condition::{ConditionType, reason};
use lectern_api::live_event::LiveEventStatus;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Something is wrong.
    pub warning: bool,
    /// One word.
    pub reason: String,
    /// The message of the Event.
    pub note: String,
}

/// What changed that people want to know. Nothing on the first look after a start: it is not news.
#[must_use]
pub fn between(before: Option<&LiveEventStatus>, after: &LiveEventStatus) -> Vec<News> {
    let Some(before) = before else { return Vec::new() };
    let mut all = Vec::new();
    streams(before, after, &mut all);
    edges(before, after, &mut all);
    for condition in ConditionType::ALL {
        let (was, is) = (find(before, condition), find(after, condition));
        all.extend(is.and_then(|is| told(condition, was, is)));
    }
    all
}

fn find(status: &LiveEventStatus, condition: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|known| known.type_ == condition.as_str())
}

fn told(condition: ConditionType, was: Option<&Condition>, is: &Condition) -> Option<News> {
    let news = |warning| Some(News { warning, reason: is.reason.clone(), note: is.message.clone() });
    let same = was.is_some_and(|was| was.status == is.status && was.reason == is.reason);
    let was_true = was.is_some_and(|was| was.status == "True");
    match (condition, is.status.as_str()) {
        _ if same => None,
        (ConditionType::Accepted, "False") => news(true),
        (ConditionType::IngestReady, "False") if was_true => news(true),
        (ConditionType::Ready | ConditionType::UpgradePending, "True") => news(false),
        (ConditionType::AutoscalingActive, "False") if was_true => news(true),
        (ConditionType::AutoscalingActive, "True") if is.reason == reason::AT_MAXIMUM => news(true),
        _ => None,
    }
}

fn streams(before: &LiveEventStatus, after: &LiveEventStatus, all: &mut Vec<News>) {
    for stream in &after.streams {
        let known = before.streams.iter().find(|known| known.name == stream.name);
        let was = known.is_some_and(|known| known.live);
        match (was, stream.live) {
            (false, true) => {
                let by = stream.encoder.as_ref().map_or_else(String::new, |encoder| format!(" with {encoder}"));
                let from = stream.publisher.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
                all.push(normal("StreamLive", format!("{} is live: published{from}{by}", stream.name)));
            }
            (true, false) => all.push(normal("StreamEnded", format!("{} is no longer published", stream.name))),
            (true, true) | (false, false) => {}
        }
        for change in known.map_or_else(Vec::new, |known| standby::changes(known, stream)) {
            all.push(standby_news(&stream.name, change));
        }
        let new = stream.warnings.iter().filter(|warning| !known.is_some_and(|known| known.warnings.contains(warning)));
        for warning in new {
            let note = format!("{}: {warning}", stream.name);
            all.push(News { warning: true, reason: "EncoderWarning".into(), note });
        }
    }
}

fn standby_news(stream: &str, change: Change) -> News {
    match change {
        Change::StandsBy { role, address } => {
            normal("StandbyReady", format!("{stream}: the {role} encoder at {address} is ready to take over"))
        }
        Change::Lost { role } => News {
            warning: true,
            reason: "StandbyLost".into(),
            note: format!("{stream}: the {role} encoder that stood by is gone"),
        },
        Change::MainOnAir => normal("MainOnAir", format!("{stream}: the main encoder is on air again")),
    }
}

fn edges(before: &LiveEventStatus, after: &LiveEventStatus, all: &mut Vec<News>) {
    let desired = |status: &LiveEventStatus| status.edges.as_ref().map(|edges| edges.desired);
    if let (Some(was), Some(is)) = (desired(before), desired(after)) {
        match is.cmp(&was) {
            std::cmp::Ordering::Greater => all.push(normal("ScaledUp", format!("from {was} to {is} edges"))),
            std::cmp::Ordering::Less => all.push(normal("ScaledDown", format!("from {was} to {is} edges"))),
            std::cmp::Ordering::Equal => {}
        }
    }
}

fn normal(reason: &str, note: String) -> News {
    News { warning: false, reason: reason.into(), note }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its status must fail")]

    use super::*;
    use serde_json::{Value, json};

    fn status(live: bool, desired: u32, conditions: Value) -> LiveEventStatus {
        serde_json::from_value(json!({
            "streams": [{"name": "a", "live": live, "publisher": "192.0.2.1"}],
            "edges": {"desired": desired, "ready": 1}, "conditions": conditions,
        }))
        .unwrap()
    }

    fn condition(kind: &str, status: &str, reason: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": "words", "lastTransitionTime": "2026-12-01T09:00:00Z"})
    }

    #[test]
    fn a_session_its_edges_and_trouble_are_told_once() {
        let before = status(false, 2, json!([condition("IngestReady", "True", "AcceptingPublishers")]));
        let after = status(true, 5, json!([condition("IngestReady", "False", "Starting")]));
        let told: Vec<(bool, String)> =
            between(Some(&before), &after).into_iter().map(|news| (news.warning, news.reason)).collect();
        assert_eq!(told, [(false, "StreamLive".into()), (false, "ScaledUp".into()), (true, "Starting".into())]);
        assert_eq!(between(Some(&after), &after), []);
    }

    #[test]
    fn what_an_operator_finds_when_it_starts_is_no_news() {
        assert_eq!(between(None, &status(true, 5, json!([condition("Accepted", "False", "InvalidSpec")]))), []);
    }

    #[test]
    fn hitting_the_maximum_is_a_warning_though_the_condition_is_true() {
        let before = status(true, 5, json!([condition("AutoscalingActive", "True", "Following")]));
        let after = status(true, 5, json!([condition("AutoscalingActive", "True", "AtMaximum")]));
        assert!(between(Some(&before), &after).iter().any(|news| news.warning && news.reason == "AtMaximum"));
    }
}
