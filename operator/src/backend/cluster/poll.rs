//! Asks every event's ingest what it knows, by long poll: an answer comes when something changed.

use super::cache::EventKey;
use super::seen::PodSeen;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use lectern_api::node_status::NodeStatus;
use lectern_api::ports;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// How long a node waits for a change before it answers anyway.
const WAIT: Duration = Duration::from_secs(30);
/// How long an answer may take beyond that.
const LATE: Duration = Duration::from_secs(5);
/// Connecting within one cluster takes milliseconds.
const CONNECT: Duration = Duration::from_secs(2);
/// Pause after an answer: a node in which something changes all the time is not asked all the time.
const PAUSE: Duration = Duration::from_millis(200);
/// Pause after a failure, doubled each time up to the second.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// An ingest that fails to answer for so long is one that does not answer.
const SILENT: Duration = Duration::from_secs(5);
/// Largest answer: 64 streams and 1,000 relays with all their fields are below 1 MiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

type Http = Client<HttpConnector, Empty<Bytes>>;

/// What an ingest said last, and when.
pub type Said = Option<(NodeStatus, Timestamp)>;

/// One question under way for every event.
pub struct Polls {
    http: Http,
    all: Mutex<HashMap<EventKey, Poll>>,
    pokes: mpsc::UnboundedSender<EventKey>,
}

struct Poll {
    of: (String, IpAddr),
    said: Arc<Mutex<Said>>,
    _task: AbortOnDropHandle<()>,
}

impl Polls {
    /// Pokes an event when its ingest says something new.
    #[must_use]
    pub fn new(pokes: mpsc::UnboundedSender<EventKey>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        Self { http: Client::builder(TokioExecutor::new()).build(connector), all: Mutex::default(), pokes }
    }

    /// What the ingest of `event`, which is `pod`, said last; from now on that pod is asked.
    pub fn said(&self, event: &EventKey, pod: Option<&PodSeen>) -> Said {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((pod, ip)) = pod.and_then(|pod| Some((pod, pod.ip?))) else {
            all.remove(event);
            return None;
        };
        let of = (pod.uid.clone(), ip);
        let poll = match all.remove(event) {
            Some(poll) if poll.of == of => poll,
            Some(_) | None => self.start(event, of),
        };
        let said = poll.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.insert(event.clone(), poll);
        said
    }

    /// Asks no more.
    pub fn forget(&self, event: &EventKey) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(event);
    }

    fn start(&self, event: &EventKey, of: (String, IpAddr)) -> Poll {
        let said = Arc::new(Mutex::new(None));
        let asking = Asking {
            http: self.http.clone(),
            address: SocketAddr::new(of.1, ports::ADMIN),
            event: event.clone(),
            said: Arc::clone(&said),
            pokes: self.pokes.clone(),
        };
        Poll { of, said, _task: AbortOnDropHandle::new(tokio::spawn(asking.run())) }
    }
}

/// The task that asks one ingest.
struct Asking {
    http: Http,
    address: SocketAddr,
    event: EventKey,
    said: Arc<Mutex<Said>>,
    pokes: mpsc::UnboundedSender<EventKey>,
}

impl Asking {
    async fn run(self) {
        let mut after = None;
        let mut heard = Instant::now();
        let mut pause = RETRY_MIN;
        loop {
            match self.ask(after).await {
                Ok(status) => {
                    (after, heard, pause) = (Some(status.version), Instant::now(), RETRY_MIN);
                    self.tell(Some((status, Timestamp::now())));
                    sleep(PAUSE).await;
                }
                Err(error) => {
                    tracing::debug!(event = %self.event, address = %self.address, error = format!("{error:#}"), "the ingest did not answer");
                    // A node that was started again counts from somewhere else.
                    after = None;
                    if heard.elapsed() >= SILENT {
                        self.tell(None);
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
    }

    async fn ask(&self, after: Option<u64>) -> Result<NodeStatus> {
        let query = after.map_or_else(String::new, |after| format!("?after={after}&wait={}s", WAIT.as_secs()));
        let url = format!("http://{}/status{query}", self.address);
        let url = url.parse().with_context(|| format!("failed to read the address {url}"))?;
        let answer = async {
            let response = self.http.get(url).await.context("failed to ask")?;
            ensure!(response.status().is_success(), "it answered {}", response.status());
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("failed to read the answer: {error}"))?;
            serde_json::from_slice(&body.to_bytes()).context("failed to read the answer")
        };
        timeout(WAIT + LATE, answer).await.context("no answer in time")?
    }

    fn tell(&self, now: Said) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let content = |said: &Said| said.as_ref().map(|(status, _)| status.clone());
        let news = content(&said) != content(&now);
        *said = now;
        drop(said);
        if news {
            let _ = self.pokes.send(self.event.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test without its server must fail")]

    use super::*;
    use axum::{Json, Router, routing::get};

    #[tokio::test]
    async fn an_ingest_that_answers_is_heard_and_one_that_falls_silent_is_unknown() {
        // The admin port is fixed, the address is not: another loopback address is another pod.
        let ip: IpAddr = "127.61.7.9".parse().unwrap();
        let listener = tokio::net::TcpListener::bind((ip, ports::ADMIN)).await.unwrap();
        let status = NodeStatus { version: 3, role: "ingest".into(), ..NodeStatus::default() };
        let answer = async move |query: axum::extract::RawQuery| {
            if query.0.is_some() {
                std::future::pending::<()>().await;
            }
            Json(status.clone())
        };
        let server =
            tokio::spawn(async move { axum::serve(listener, Router::new().route("/status", get(answer))).await });
        let (pokes, mut poked) = mpsc::unbounded_channel();
        let polls = Polls::new(pokes);
        let event = EventKey { namespace: "n".into(), name: "gala".into() };
        let pod = PodSeen { uid: "p".into(), ip: Some(ip), ..PodSeen::default() };
        assert_eq!(polls.said(&event, Some(&pod)), None);
        assert_eq!(timeout(Duration::from_secs(5), poked.recv()).await.unwrap(), Some(event.clone()));
        assert_eq!(polls.said(&event, Some(&pod)).unwrap().0.version, 3);
        server.abort();
        let other = PodSeen { uid: "q".into(), ..pod };
        assert_eq!(polls.said(&event, Some(&other)), None, "what another pod said is not what this one says");
    }
}
