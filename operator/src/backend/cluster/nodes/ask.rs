//! Asks `metrics-api` once a second who watches, and now and then who owns the metrics API.

use crate::audience::{self, EventAudience, Round};
use crate::backend::cluster::key::EventKey;
use crate::backend::cluster::requeue::Requeue;
use crate::kubernetes::{Refusal, refusal};
use crate::repair::SILENT_MS;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::{Api, Client};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsConnector;

/// Between two questions.
const PERIOD: Duration = Duration::from_secs(1);
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Numbers that old tell nothing any more.
const STALE: Duration = Duration::from_secs(10);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(3);
/// Largest answer: 1,000 events with 40 edges each are 4 MiB.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Between two looks at the owner of the metrics API.
const OWNER_PERIOD: Duration = Duration::from_secs(10);

/// Who is asked.
#[derive(Clone)]
pub struct Asked {
    /// The API server.
    pub client: Client,
    /// The namespace of Lectern.
    pub namespace: String,
    /// The Service of `metrics-api`.
    pub service: String,
    /// The Secret with its certificate.
    pub secret: String,
}

impl Asked {
    /// Asks for ever; requeues events for which the answer changed.
    pub async fn run(self, rounds: watch::Sender<Arc<Round>>, requeue: Requeue) {
        let mut heard = Instant::now();
        let mut warned = false;
        loop {
            let told = self.session(&rounds, &requeue, &mut heard).await;
            let error = told.err().map_or_else(|| "the connection ended".to_owned(), |error| format!("{error:#}"));
            if !std::mem::replace(&mut warned, heard.elapsed() >= STALE) && heard.elapsed() >= STALE {
                tracing::warn!(error, "metrics-api does not answer: edges hold their number");
                forget(&rounds, &requeue);
            }
            sleep(RETRY).await;
        }
    }

    /// One connection.
    async fn session(&self, rounds: &watch::Sender<Arc<Round>>, requeue: &Requeue, heard: &mut Instant) -> Result<()> {
        let (mut sender, token) = timeout(ANSWER, self.connect()).await.context("no connection in time")??;
        loop {
            let next = Instant::now() + PERIOD;
            let round =
                timeout(ANSWER, ask(&mut sender, &self.host(), &token)).await.context("no answer in time")??;
            *heard = Instant::now();
            let before = rounds.send_replace(Arc::new(round));
            let after = rounds.borrow().clone();
            for key in changed(&before, &after) {
                requeue.add(key);
            }
            sleep_until(next).await;
        }
    }

    fn host(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// By the address of the Service, which needs no name service; by name where the Service may not be read.
    async fn connect(&self) -> Result<(SendRequest<Empty<Bytes>>, String)> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret =
            secrets.get(&self.secret).await.with_context(|| format!("failed to read Secret {}", self.secret))?;
        let data = secret.data.unwrap_or_default();
        let part = |name: &str| {
            data.get(name).map(|bytes| &bytes.0[..]).with_context(|| format!("Secret {} lacks {name}", self.secret))
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(part("ca.crt")?) {
            roots.add(certificate.context("failed to read ca.crt")?).context("failed to use ca.crt")?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .context("failed to set up TLS")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let services: Api<Service> = Api::namespaced(self.client.clone(), &self.namespace);
        let address = services.get(&self.service).await.ok().and_then(|service| service.spec?.cluster_ip);
        let address = address.filter(|address| address != "None").unwrap_or_else(|| self.host());
        let tcp = TcpStream::connect((address.as_str(), 443)).await;
        let tcp = tcp.with_context(|| format!("failed to connect to {address}:443"))?;
        let name = ServerName::try_from(self.host()).context("failed to read the name of the Service")?;
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.context("failed to set up TLS")?;
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.context("failed to speak HTTP")?;
        tokio::spawn(connection);
        Ok((sender, lectern_api::keys::audience_token(part("tls.key")?)))
    }
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>, host: &str, token: &str) -> Result<Round> {
    sender.ready().await.context("the connection ended")?;
    let request = http::Request::get(audience::PATH)
        .header(http::header::HOST, host)
        .header(http::header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::new())
        .context("failed to make the request")?;
    let response = sender.send_request(request).await.context("failed to ask")?;
    ensure!(response.status().is_success(), "it answered {}", response.status());
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("failed to read the answer: {error}"))?;
    serde_json::from_slice(&body.to_bytes()).context("failed to read the answer")
}

/// Numbers that no answer confirms any more are not known.
fn forget(rounds: &watch::Sender<Arc<Round>>, requeue: &Requeue) {
    for key in rounds.send_replace(Arc::default()).events.keys().filter_map(|id| key(id)) {
        requeue.add(key);
    }
}

/// Events of which the answer moved enough to look at: what a status would show, what scaling would act on, or an edge
/// that fell silent or speaks again. How long a silence may last is for the reader to decide.
fn changed(before: &Round, after: &Round) -> Vec<EventKey> {
    let moved = |was: u64, is: u64| was.abs_diff(is) * 20 > was.max(1);
    let news = |(id, is): (&String, &EventAudience)| {
        let same = before.events.get(id).is_some_and(|was| {
            !moved(was.viewers, is.viewers)
                && !moved(was.demand, is.demand)
                && !moved(was.egress_bits_per_second, is.egress_bits_per_second)
                && was.imputed == is.imputed
                && silent(was).eq(silent(is))
        });
        if same { None } else { key(id) }
    };
    let gone = before.events.keys().filter(|id| !after.events.contains_key(*id)).filter_map(|id| key(id));
    after.events.iter().filter_map(news).chain(gone).collect()
}

/// The edges that may be lost.
fn silent(audience: &EventAudience) -> impl Iterator<Item = &String> {
    audience.edges.iter().filter(|(_, edge)| edge.silent_ms >= SILENT_MS).map(|(name, _)| name)
}

fn key(id: &str) -> Option<EventKey> {
    let (namespace, name) = id.split_once('/')?;
    Some(EventKey { namespace: namespace.into(), name: name.into() })
}

/// Looks for ever whether `api_service`, which autoscalers ask, is ours; tells the reason and the words if it is not.
pub async fn owner(asked: Asked, api_service: &'static str, problem: watch::Sender<Option<(String, String)>>) {
    let api: Api<APIService> = Api::all(asked.client.clone());
    loop {
        match api.get_opt(api_service).await {
            Ok(found) => {
                let now = foreign(api_service, found.as_ref(), &asked.namespace, &asked.service);
                problem.send_if_modified(|known| std::mem::replace(known, now.clone()) != now);
            }
            // Where it may not be read the autoscaler's own words must do.
            Err(error) if refusal(&error) == Some(Refusal::Forbidden) => return,
            Err(error) => tracing::debug!(%error, api_service, "failed to look at the metrics API"),
        }
        sleep(OWNER_PERIOD).await;
    }
}

fn foreign(api_service: &str, found: Option<&APIService>, namespace: &str, service: &str) -> Option<(String, String)> {
    let way_out = "set the chart's autoscaling.backend to one that does without it, such as operator \
                   (docs/autoscaling.md, \"Who scales\")";
    let Some(found) = found else {
        return Some((
            "MetricsApiMissing".into(),
            format!(
                "there is no APIService {api_service}: install the chart with autoscaling.apiServices.create=true, or {way_out}"
            ),
        ));
    };
    let owner = found.spec.as_ref().and_then(|spec| spec.service.as_ref());
    let (in_namespace, name) = owner.map_or(("", ""), |owner| {
        (owner.namespace.as_deref().unwrap_or_default(), owner.name.as_deref().unwrap_or_default())
    });
    (in_namespace != namespace || name != service).then(|| {
        let text = format!("{api_service} belongs to {in_namespace}/{name}, not to {namespace}/{service}: {way_out}");
        ("MetricsApiTaken".into(), text)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its object must fail")]

    use super::*;
    use crate::audience::EdgeAudience;
    use crate::service_options::Backend;
    use serde_json::json;

    fn round(viewers: u64) -> Round {
        let event = EventAudience { viewers, demand: viewers, ..EventAudience::default() };
        Round { ended_ms: 1, events: [("n/gala".to_owned(), event)].into() }
    }

    #[test]
    fn only_numbers_that_moved_are_looked_at() {
        assert_eq!(changed(&round(1_000), &round(1_040)), []);
        assert_eq!(changed(&round(1_000), &round(1_060)).len(), 1);
        assert_eq!(changed(&round(0), &round(1)).len(), 1);
        assert_eq!(changed(&round(1_000), &Round::default()).len(), 1, "an event that is not known any more");
    }

    #[test]
    fn an_edge_that_stays_silent_is_looked_at_once() {
        let silence = |silent_ms: [u64; 2]| {
            let mut round = round(100);
            let audience = round.events.get_mut("n/gala").unwrap();
            let edge = |silent_ms: u64| EdgeAudience { viewers: 50, silent_ms };
            audience.edges = ["a", "b"].map(str::to_owned).into_iter().zip(silent_ms.map(edge)).collect();
            round
        };
        for (before, after, looks, what) in [
            ([0, 0], [2_000, 0], 0, "a scrape failed"),
            ([2_000, 0], [4_000, 0], 1, "it is silent"),
            ([4_000, 0], [6_000, 0], 0, "still"),
            ([900_000, 0], [902_000, 0], 0, "and for ever"),
            ([6_000, 2_000], [8_000, 4_000], 1, "another, too"),
            ([8_000, 0], [0, 0], 1, "it speaks again"),
        ] {
            assert_eq!(changed(&silence(before), &silence(after)).len(), looks, "{what}");
        }
    }

    #[test]
    fn a_metrics_api_that_is_somebody_elses_is_named_with_a_way_out() {
        let api = |namespace: &str| -> APIService {
            serde_json::from_value(
                json!({"metadata": {}, "spec": {"service": {"namespace": namespace, "name": "lectern-metrics"},
                "groupPriorityMinimum": 100, "versionPriority": 100}}),
            )
            .unwrap()
        };
        for (backend, api_service) in [
            (Backend::Apiservice, "v1beta2.custom.metrics.k8s.io"),
            (Backend::External, "v1beta1.external.metrics.k8s.io"),
        ] {
            assert_eq!(backend.api_services().first(), Some(&api_service));
            let foreign = |found: Option<&APIService>| foreign(api_service, found, "lectern-system", "lectern-metrics");
            assert_eq!(foreign(Some(&api("lectern-system"))), None);
            let (reason, text) = foreign(Some(&api("monitoring"))).unwrap();
            assert_eq!(reason, "MetricsApiTaken");
            for word in [api_service, "monitoring/lectern-metrics", "autoscaling.backend", "operator"] {
                assert!(text.contains(word), "{word}: {text}");
            }
            let (reason, text) = foreign(None).unwrap();
            assert_eq!(reason, "MetricsApiMissing");
            assert!(text.contains(api_service), "{text}");
        }
    }

    #[test]
    fn nobody_asks_whose_the_metrics_api_is_where_no_autoscaler_reads_it() {
        for backend in [Backend::Keda, Backend::Operator] {
            assert!(backend.api_services().is_empty(), "{backend:?}");
        }
    }
}
