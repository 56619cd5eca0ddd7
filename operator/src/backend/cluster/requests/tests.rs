//! Requests that must not undo what an autoscaler asked for.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its answer must fail")]

use super::*;
use http_body_util::BodyExt as _;
use kube::client::Body;
use std::sync::{Arc, Mutex};

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
