//! Who may publish, and how keys come and go.

use crate::encoder;
use crate::event::{Event, LIMIT};
use crate::namespace::Namespace;
use crate::stage::{figure, quiet};
use e2e::media::Clip;
use e2e::process::Running;
use lectern_testcluster::wait;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a changed Secret may take to reach the ingest: the kubelet looks once a minute, a little late.
const SECRET_LIMIT: Duration = Duration::from_secs(150);

/// Waits until an encoder gave up, and answers what it said.
fn refused(mut encoder: Running) -> String {
    let ended = wait::until("the encoder to be sent away", LIMIT, || encoder.ended()).unwrap();
    assert!(!ended.success(), "it was let in: {}", encoder.log());
    encoder.log()
}

fn is_live(event: &Event<'_>, stream: &str) -> bool {
    let status = event.pods("ingest").iter().find_map(|pod| event.status_of(pod)).unwrap_or_default();
    status["ingest"]["streams"][stream]["live"] == Value::Bool(true)
}

/// How often the ingest refused, for whatever reason.
fn refusals(event: &Event<'_>) -> u64 {
    let status = event.status_of(&event.ingest()).expect("the ingest answers");
    status["ingest"]["refused"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

fn secret(name: &str, data: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}).to_string()
}

#[test]
fn a_stranger_cannot_publish() {
    let turn = quiet();
    let at = Namespace::new(&turn, "stranger");
    let event = Event::ready(&at, "ours", &["stage", "hall"], &json!({}));
    let other = Event::ready(&at, "theirs", &["stage"], &json!({}));
    let (key, hall, theirs) = (event.key("stage"), event.key("hall"), other.key("stage"));
    assert!(key.len() >= 32 && key != theirs && key != hall, "every stream of every event has its own key");
    for (who, url) in [
        ("wrong", event.publish_url("stage", "0123456789abcdef0123456789abcdef")),
        ("none", event.publish_url("stage", "")),
        ("theirs", event.publish_url("stage", &theirs)),
        ("hall", event.publish_url("stage", &hall)),
    ] {
        refused(encoder::once(&at, who, Clip::Plain, &url));
        assert!(!is_live(&event, "stage"), "{who}");
    }
    assert_eq!(refusals(&event), 4, "refusals are counted");

    // The relay port of an edge, which no Service exposes, asks for the event's token.
    let edge = event.wait_for_edges(2).remove(0);
    for path in ["relay/stage", "relay/stage?token=guess", "live/stage"] {
        refused(encoder::once(&at, "relay", Clip::Plain, &format!("rtmp://{}:1936/{path}", edge.ip)));
    }
    // And no key was written down where others read it.
    let logs = at.kubectl(&["logs", &event.ingest().name]).unwrap();
    for secret in [&key, &hall, &theirs] {
        assert!(!logs.contains(secret.as_str()), "{logs}");
    }
    let _encoder = encoder::once(&at, "right", Clip::Plain, &event.publish_url("stage", &key));
    wait::until_true("the right key to open", LIMIT, || is_live(&event, "stage")).unwrap();
}

#[test]
fn the_operator_makes_secrets_and_reads_none() {
    let turn = quiet();
    let at = Namespace::new(&turn, "no-reading");
    let event = Event::ready(&at, "keys", &["stage"], &json!({}));
    let who = "--as=system:serviceaccount:lectern-system:lectern-operator";
    for (verb, answer) in [("create", "yes"), ("get", "no"), ("list", "no"), ("watch", "no"), ("patch", "no")] {
        let mut ask = at.cluster.kubectl_command();
        let said = ask.args(["--namespace", &at.name, "auth", "can-i", verb, "secrets", who]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), answer, "{verb}");
    }
    // Derived: made again, it is the same.
    let key = event.key("stage");
    at.kubectl(&["delete", "secret", "keys-stage-key"]).unwrap();
    event.patch(&json!({"streams": [{"name": "stage", "title": "The stage"}]}));
    let back = || at.kubectl(&["get", "secret", "keys-stage-key"]).is_ok();
    wait::until_true("the deleted Secret to be there again", LIMIT, back).unwrap();
    assert_eq!(event.key("stage"), key);
}

#[test]
fn a_rotated_key_lets_the_new_encoder_in() {
    let turn = quiet();
    let at = Namespace::new(&turn, "rotated");
    at.apply(&secret("keys", &json!({"stage": "the-first-key-of-all"}))).unwrap();
    let own = json!({"ingest": {"publishKeysSecretRef": {"name": "keys"}}});
    let event = Event::ready(&at, "rotate", &["stage"], &own);
    at.kubectl(&["get", "secret", "rotate-stage-key"]).expect_err("no key is generated beside one's own");
    let first = event.publish_url("stage", "the-first-key-of-all");
    let encoder = encoder::once(&at, "first", Clip::Plain, &first);
    wait::until_true("the first key to open", LIMIT, || is_live(&event, "stage")).unwrap();

    at.patch("secret/keys", &json!({"stringData": {"stage.next": "the-second-key-of-all"}, "data": {"stage": null}}))
        .unwrap();
    let began = Instant::now();
    let loaded = |count: u64, problems: bool| {
        let status = event.status_of(&event.ingest()).unwrap_or_default();
        let said = &status["ingest"];
        said["keys"]["stage"].as_u64() == Some(count)
            && said["keyProblems"].as_array().is_none_or(|p| p.is_empty() != problems)
    };
    assert!(loaded(1, false));
    let second = event.publish_url("stage", "the-second-key-of-all");
    drop(encoder);
    wait::until_true("the second key to open", SECRET_LIMIT, || {
        let mut next = encoder::once(&at, "second", Clip::Plain, &second);
        let known =
            wait::until("an answer", LIMIT, || Ok((next.ended()?.is_some() || is_live(&event, "stage")).then_some(())));
        known.is_ok() && next.ended().is_ok_and(|ended| ended.is_none())
    })
    .unwrap();
    figure("Secret changed to new key accepted (the kubelet's own pace)", began.elapsed());
    refused(encoder::once(&at, "late", Clip::Plain, &first));
}

#[test]
fn a_missing_secret_is_reported_and_heals() {
    let turn = quiet();
    let at = Namespace::new(&turn, "missing");
    let own = json!({"ingest": {"publishKeysSecretRef": {"name": "not-yet"}}});
    let event = Event::apply(&at, "late", &["stage"], &own);
    let message = event.wait_for_reason("Accepted", "False", "SecretNotFound");
    assert!(message.contains("not-yet") && message.contains("stage"), "it says what is missing: {message}");
    let (reason, _) = event.wait_for("Ready", "False");
    assert_eq!(reason, "NotAccepted");
    wait::until_true("the ingest to be Ready: nothing waits for the Secret", LIMIT, || event.ingest().ready).unwrap();

    at.apply(&secret("not-yet", &json!({"stage": "here-it-is-at-last"}))).unwrap();
    let began = Instant::now();
    event.wait_until("Accepted", SECRET_LIMIT, |status, _, _| status == "True");
    figure("missing Secret made to Accepted", began.elapsed());
    event.wait_for("Ready", "True");
    let url = event.publish_url("stage", "here-it-is-at-last");
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &url);
    wait::until_true("its key to open", LIMIT, || is_live(&event, "stage")).unwrap();
}
