//! Two replicas at one Secret, and a folder in the middle of a change.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its objects must fail")]

use super::*;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::SignedDuration;
use kube::client::Body;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

const HOST: &str = "lectern-metrics.lectern-system.svc";
const NAME: &str = "lectern-metrics-tls";

/// As much of an API server as it takes: one Secret with a version.
#[derive(Clone, Default)]
struct Server {
    stored: Arc<Mutex<Option<Secret>>>,
    /// Done once, between a read and the write after it.
    meanwhile: Arc<Mutex<Option<Secret>>>,
}

impl Server {
    fn api(&self) -> Api<Secret> {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                Ok::<_, Infallible>(server.answer(&head.method, serde_json::from_slice(&body).ok()))
            }
        });
        Api::namespaced(Client::new(service, "lectern-system"), "lectern-system")
    }

    fn answer(&self, method: &Method, sent: Option<Secret>) -> Response<Body> {
        let mut stored = self.stored.lock().unwrap();
        if method != Method::GET
            && let Some(other) = self.meanwhile.lock().unwrap().take()
        {
            *stored = Some(other);
        }
        let version = |secret: &Secret| secret.metadata.resource_version.clone();
        let next = stored.as_ref().and_then(version).and_then(|version| version.parse::<u64>().ok()).unwrap_or(0) + 1;
        let (code, reason) = match (method.as_str(), &*stored, &sent) {
            ("GET", Some(_), _) => (200, ""),
            ("GET" | "PUT", None, _) => (404, "NotFound"),
            ("POST", Some(_), _) => (409, "AlreadyExists"),
            ("PUT", Some(old), Some(new)) if version(old) != version(new) => (409, "Conflict"),
            _ => {
                let mut new = sent.unwrap();
                new.metadata.resource_version = Some(next.to_string());
                *stored = Some(new);
                (200, "")
            }
        };
        let body = if reason.is_empty() {
            serde_json::to_vec(&*stored).unwrap()
        } else {
            crate::metrics_api::wire::failure(code, reason, reason).to_string().into_bytes()
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        response
    }
}

/// A certificate that was made some days ago.
fn aged(days: i64) -> Material {
    Material::new(HOST, Timestamp::now() - SignedDuration::from_hours(24 * days), None).unwrap()
}

fn stored(material: &Material, version: u64) -> Secret {
    let mut secret = secret(NAME, material, None);
    secret.metadata.resource_version = Some(version.to_string());
    secret
}

#[tokio::test]
async fn a_secret_that_is_missing_is_made_once() {
    let server = Server::default();
    let made = look(&server.api(), NAME, HOST, None).await.unwrap();
    assert_eq!(made.due(HOST, Timestamp::now()).unwrap(), Due::Nothing);
    assert_eq!(look(&server.api(), NAME, HOST, None).await.unwrap(), made, "the second replica reads it");
    // Both saw nothing; the other one was faster.
    let server = Server::default();
    let other = aged(0);
    *server.meanwhile.lock().unwrap() = Some(stored(&other, 1));
    assert!(look(&server.api(), NAME, HOST, None).await.is_err());
    assert_eq!(look(&server.api(), NAME, HOST, None).await.unwrap(), other);
}

#[tokio::test]
async fn a_deleted_secret_comes_back_with_the_certificate_in_use() {
    let server = Server::default();
    let in_use = aged(3);
    assert_eq!(look(&server.api(), NAME, HOST, Some(&in_use)).await.unwrap(), in_use);
    assert_eq!(material(server.stored.lock().unwrap().as_ref().unwrap()).unwrap(), in_use);
}

#[tokio::test]
async fn a_certificate_is_renewed_by_one_of_the_replicas() {
    let server = Server::default();
    let old = aged(70);
    *server.stored.lock().unwrap() = Some(stored(&old, 5));
    let renewed = look(&server.api(), NAME, HOST, Some(&old)).await.unwrap();
    assert_eq!(renewed.authorities, old.authorities);
    assert_ne!(renewed.certificate, old.certificate);
    assert_eq!(look(&server.api(), NAME, HOST, Some(&old)).await.unwrap(), renewed, "the other replica takes it");
    // Both saw that it is due; the other one was faster.
    *server.stored.lock().unwrap() = Some(stored(&old, 5));
    *server.meanwhile.lock().unwrap() = Some(stored(&renewed, 6));
    assert!(look(&server.api(), NAME, HOST, Some(&old)).await.is_err());
    assert_eq!(look(&server.api(), NAME, HOST, Some(&old)).await.unwrap(), renewed);
}

#[tokio::test]
async fn a_secret_that_is_of_no_use_is_replaced_and_its_labels_stay() {
    let server = Server::default();
    let mut broken = stored(&aged(1), 8);
    broken.data.as_mut().unwrap().remove(KEY);
    broken.metadata.labels.get_or_insert_default().insert("team".into(), "video".into());
    *server.stored.lock().unwrap() = Some(broken);
    let made = look(&server.api(), NAME, HOST, None).await.unwrap();
    assert_eq!(made.due(HOST, Timestamp::now()).unwrap(), Due::Nothing);
    let labels = server.stored.lock().unwrap().as_ref().unwrap().metadata.labels.clone().unwrap();
    assert_eq!(labels.get("team").map(String::as_str), Some("video"));
}

#[tokio::test]
async fn a_folder_in_the_middle_of_a_change_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    assert!(read_folder(folder.path()).await.is_err());
    let (one, two) = (aged(0), aged(0));
    write(CERTIFICATE, &one.certificate);
    write(KEY, &one.key);
    let read = read_folder(folder.path()).await.unwrap();
    assert_eq!((read.certificate, read.key), (one.certificate, one.key));
    write(CERTIFICATE, &two.certificate);
    assert!(read_folder(folder.path()).await.is_err(), "the key is still the old one");
    write(KEY, &two.key);
    assert_eq!(read_folder(folder.path()).await.unwrap().key, two.key);
}
