//! What is applied again, and what is not.

#![allow(clippy::unwrap_used, reason = "a test that cannot make its answer must fail")]

use super::*;
use crate::backend::cluster::watch::seen::{Detail, ObjectSeen};
use http_body_util::BodyExt as _;
use kube::client::Body;
use std::sync::{Arc, Mutex};

fn document(hash: &str) -> Document {
    Document { kind: Kind::Service, name: "gala-edge".into(), value: json!({"metadata": {}}), hash: hash.into() }
}

fn children(version: &str, print: u64) -> Children {
    let object = ObjectSeen {
        uid: "s".into(),
        owner: Some(Owner { kind: "LiveEvent".into(), name: "gala".into(), uid: "u".into() }),
        version: version.into(),
        print,
        ending: false,
        detail: Detail::Nothing,
    };
    let key = (Kind::Service, "gala-edge".to_owned());
    Children { objects: [(key, Arc::new(object))].into(), ..Children::default() }
}

fn applied(hash: &str, version: &str) -> LastApplied {
    let mark = Mark { hash: hash.into(), version: version.into(), print: None };
    LastApplied { documents: [((Kind::Service, "gala-edge".to_owned()), mark)].into(), ..LastApplied::default() }
}

#[test]
fn what_is_as_it_was_left_is_not_applied_again() {
    let mut applied = applied("h", "7");
    assert!(!applied.is_due(&document("h"), &children("7", 1)));
    assert!(!applied.is_due(&document("h"), &children("8", 1)), "only its status moved");
    assert!(applied.is_due(&document("h"), &children("9", 2)), "somebody edited it");
    assert!(applied.is_due(&document("other"), &children("7", 1)), "we want another");
    assert!(applied.is_due(&document("h"), &Children::default()), "somebody deleted it");
}

#[test]
fn after_a_restart_everything_is_applied_once() {
    assert!(LastApplied::default().is_due(&document("h"), &children("7", 1)));
}

#[test]
fn what_no_longer_belongs_to_the_event_goes_and_what_never_did_stays() {
    let children = children("7", 1);
    assert_eq!(superfluous(&[], &children, "u").len(), 1);
    assert_eq!(superfluous(&[document("h")], &children, "u"), vec![]);
    assert_eq!(superfluous(&[], &children, "somebody else"), vec![]);
}

/// An API server with one Deployment: what its `/scale` says at each question, and what is written to it. A write over a
/// version that is not the present one is refused.
fn scaled(answers: &[(u32, &str)], present: &'static str) -> (Client, Arc<Mutex<Vec<Value>>>) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let answers = Arc::new(Mutex::new(answers.iter().map(|(r, v)| (*r, (*v).to_owned())).collect::<Vec<_>>()));
    let log = Arc::clone(&written);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (log, answers) = (Arc::clone(&log), Arc::clone(&answers));
        async move {
            let scale = |replicas: &Value, version: &Value| json!({"metadata": {"name": "gala-edge", "resourceVersion": version}, "spec": {"replicas": replicas}});
            let (code, body) = if request.method() == http::Method::GET {
                let (replicas, version) = answers.lock().unwrap().remove(0);
                (200, scale(&json!(replicas), &json!(version)))
            } else {
                let bytes = request.into_body().collect().await.unwrap().to_bytes();
                let body: Value = serde_json::from_slice(&bytes).unwrap();
                if body["metadata"]["resourceVersion"] == present {
                    log.lock().unwrap().push(body["spec"]["replicas"].clone());
                    (200, scale(&body["spec"]["replicas"], &json!("9")))
                } else {
                    (409, json!({"status": "Failure", "reason": "Conflict", "message": "changed", "code": 409}))
                }
            };
            let body = Body::from(body.to_string().into_bytes());
            Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).unwrap())
        }
    });
    (Client::new(service, "n"), written)
}

#[tokio::test]
async fn a_raise_never_lowers_what_an_autoscaler_asked_for_in_the_meantime() {
    for (answers, written, what) in [
        (&[(2, "7")][..], &[8][..], "it is raised"),
        (&[(12, "7")], &[], "an autoscaler asked for more, which no watch has shown yet"),
        (&[(2, "6"), (12, "7")], &[], "it asked for more between question and answer"),
        (&[(2, "6"), (3, "7")], &[8], "something else changed in between"),
    ] {
        let (client, found) = scaled(answers, "7");
        let target = Target { client: &client, namespace: "n", event: "gala", uid: "u" };
        target.raise("gala-edge", 8).await.unwrap();
        assert_eq!(*found.lock().unwrap(), written.iter().map(|number| json!(number)).collect::<Vec<_>>(), "{what}");
    }
    let (client, _) = scaled(&[(2, "1"); RAISE_TRIES_MAX], "7");
    let target = Target { client: &client, namespace: "n", event: "gala", uid: "u" };
    let error = target.raise("gala-edge", 8).await.unwrap_err();
    assert!(error.to_string().contains("raise Deployment gala-edge to 8"), "{error}");
}
