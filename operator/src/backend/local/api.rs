//! The event as a Kubernetes API server would give it, read only.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

type Object = watch::Receiver<Arc<Value>>;

/// Answers for ever.
pub(super) async fn serve(listener: TcpListener, object: Object) {
    let base = "/apis/lectern.dev/v1alpha1/namespaces/{namespace}/liveevents";
    let router = Router::new()
        .route(base, get(list))
        .route(&format!("{base}/{{name}}"), get(one))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(object);
    // It ends only with the program; an accept that fails is tried again by axum.
    let _ = axum::serve(listener, router).await;
}

async fn list(Path(namespace): Path<String>, State(object): State<Object>) -> Response {
    let object = object.borrow().clone();
    let items: Vec<&Value> =
        std::iter::once(object.as_ref()).filter(|object| is(object, "namespace", &namespace)).collect();
    Json(json!({ "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEventList", "metadata": {}, "items": items }))
        .into_response()
}

async fn one(Path((namespace, name)): Path<(String, String)>, State(object): State<Object>) -> Response {
    let object = object.borrow().clone();
    if is(&object, "namespace", &namespace) && is(&object, "name", &name) {
        return Json(object.as_ref()).into_response();
    }
    let message = format!("liveevents.lectern.dev \"{name}\" not found");
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
        "message": message,
    });
    (StatusCode::NOT_FOUND, Json(status)).into_response()
}

fn is(object: &Value, field: &str, wanted: &str) -> bool {
    object["metadata"][field] == wanted
}
