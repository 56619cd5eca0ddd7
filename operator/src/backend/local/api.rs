//! The event as a Kubernetes API server would give it, read only.

use axum::extract::Request;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv6Addr};
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
        .layer(middleware::from_fn(only_by_address))
        .with_state(object);
    // It ends only with the program; an accept that fails is tried again by axum.
    let _ = axum::serve(listener, router).await;
}

/// A page in the user's browser can make a name of its own point to this machine (DNS rebinding), and would then read
/// what is served here. Its requests carry that name: only an address or localhost is answered.
async fn only_by_address(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if host.is_none_or(names_this_machine) {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "ask for this API by an IP address or localhost\n").into_response()
}

/// Whether a Host header names no other host than this machine: an IP address or localhost, with or without a port.
fn names_this_machine(host: &str) -> bool {
    let is_local = |name: &str| name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok();
    let bracketed = |host: &str| {
        let (address, port) = host.strip_prefix('[')?.split_once(']')?;
        let has_port = port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        Some(address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || has_port))
    };
    if let Some(answer) = bracketed(host) {
        return answer;
    }
    match host.rsplit_once(':') {
        Some((name, port)) => port.parse::<u16>().is_ok() && is_local(name),
        None => is_local(host),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test without its server must fail")]

    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_page_that_rebinds_a_name_to_this_machine_reads_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, watch::channel(Arc::new(Value::Null)).1));
        for (host, status) in [
            ("localhost", 200),
            ("LOCALHOST:8090", 200),
            ("127.0.0.1:8090", 200),
            ("192.0.2.7", 200),
            ("[::1]:8090", 200),
            ("rebound.example", 421),
            ("rebound.example:8090", 421),
            ("127.0.0.1.rebound.example", 421),
            ("localhost.rebound.example:80", 421),
            ("[::1].rebound.example", 421),
            ("", 421),
        ] {
            let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            tcp.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            tcp.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host:?}: {answer}");
        }
        server.abort();
    }
}
