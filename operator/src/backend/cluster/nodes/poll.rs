//! Asks every event's ingest what it knows, by long poll: an answer comes when something changed.

use crate::backend::cluster::key::EventKey;
use crate::backend::cluster::requeue::Requeue;
use crate::backend::cluster::watch::seen::PodSeen;
use crate::status_client::{Connections, Probes, StatusClient};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use lectern_api::node_status::NodeStatus;
use lectern_api::ports;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// How long a node waits for a change before it answers anyway.
const WAIT: Duration = Duration::from_secs(30);
/// How long an answer may take beyond that.
const LATE: Duration = Duration::from_secs(5);
/// How long an answer may take for which the node waits for nothing: it has it at hand.
const ANSWER: Duration = Duration::from_secs(3);
/// A connection that was not used for so long is closed; between two questions it is idle for much less.
const IDLE: Duration = Duration::from_secs(90);
/// Connecting within one cluster takes milliseconds.
const CONNECT: Duration = Duration::from_secs(2);
/// A machine that is gone says nothing, and a question under way would wait for its whole time: after so long without a
/// byte the kernel tries the connection, a thousand of which are two hundred small packets a second.
const TRY_AFTER: Duration = Duration::from_secs(5);
/// Between two tries.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// So many tries without an answer end the connection.
const TRIES: u32 = 3;
/// What was sent and is not acknowledged for so long ends it, too.
const UNACKNOWLEDGED: Duration = Duration::from_secs(8);
/// Pause after an answer: a node in which something changes all the time is not asked all the time.
const PAUSE: Duration = Duration::from_millis(200);
/// Pause after a failure, doubled each time up to the second.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// An ingest that fails to answer for so long is one that does not answer.
const SILENT: Duration = Duration::from_secs(5);
/// Largest answer: 64 streams and 1,000 relays with all their fields are below 1 MiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What an ingest said last, and when.
pub type Said = Option<(NodeStatus, Timestamp)>;

/// One question under way for every event.
pub struct Polls {
    http: StatusClient,
    all: Mutex<HashMap<EventKey, Poll>>,
    requeue: Requeue,
}

struct Poll {
    of: (String, IpAddr),
    /// What the kubelet says of the pod: ready, and how often its container was started again.
    seen: (bool, u32),
    /// Wakes the task when the kubelet says something else: what the question under way waits for may never come.
    doubt: Arc<Notify>,
    said: Arc<Mutex<Said>>,
    _task: AbortOnDropHandle<()>,
}

impl Polls {
    /// Requeues an event when its ingest reports something new.
    #[must_use]
    pub fn new(requeue: Requeue) -> Self {
        let probes = Probes { after: TRY_AFTER, every: TRY_EVERY, tries: TRIES, unacknowledged: UNACKNOWLEDGED };
        let connections = Connections { connect: CONNECT, idle: IDLE, read_bytes: None, probes: Some(probes) };
        Self { http: StatusClient::new(&connections, ANSWER_BYTES_MAX), all: Mutex::default(), requeue }
    }

    /// The last report of the ingest of `event`, which is `pod`; from now on that pod is polled.
    pub fn latest(&self, event: &EventKey, pod: Option<&PodSeen>) -> Said {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((pod, ip)) = pod.and_then(|pod| Some((pod, pod.ip?))) else {
            all.remove(event);
            return None;
        };
        let of = (pod.uid.clone(), ip);
        let seen = (pod.ready, pod.container.restarts);
        let poll = match all.remove(event) {
            Some(mut poll) if poll.of == of => {
                if std::mem::replace(&mut poll.seen, seen) != seen {
                    poll.doubt.notify_one();
                }
                poll
            }
            Some(_) | None => self.start(event, of, seen),
        };
        let said = poll.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.insert(event.clone(), poll);
        said
    }

    /// Asks no more.
    pub fn forget(&self, event: &EventKey) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(event);
    }

    fn start(&self, event: &EventKey, of: (String, IpAddr), seen: (bool, u32)) -> Poll {
        let said = Arc::new(Mutex::new(None));
        let doubt = Arc::new(Notify::new());
        let asking = Asking {
            http: self.http.clone(),
            address: SocketAddr::new(of.1, ports::ADMIN),
            event: event.clone(),
            doubt: Arc::clone(&doubt),
            said: Arc::clone(&said),
            requeue: self.requeue.clone(),
        };
        Poll { of, seen, doubt, said, _task: AbortOnDropHandle::new(tokio::spawn(asking.run())) }
    }
}

/// The task that asks one ingest.
struct Asking {
    http: StatusClient,
    address: SocketAddr,
    event: EventKey,
    doubt: Arc<Notify>,
    said: Arc<Mutex<Said>>,
    requeue: Requeue,
}

impl Asking {
    async fn run(self) {
        let mut after = None;
        let mut heard = Instant::now();
        let mut pause = RETRY_MIN;
        loop {
            let answer = tokio::select! {
                answer = self.ask(after) => answer,
                () = self.doubt.notified() => {
                    (after, pause) = (None, RETRY_MIN);
                    continue;
                }
            };
            let wait = match answer {
                Ok(status) => {
                    (after, heard, pause) = (Some(status.version), Instant::now(), RETRY_MIN);
                    self.tell(Some((status, Timestamp::now())));
                    PAUSE
                }
                Err(error) => {
                    tracing::debug!(event = %self.event, address = %self.address, error = format!("{error:#}"), "the ingest did not answer");
                    // A node that was started again counts from somewhere else.
                    after = None;
                    if is_gone(&error, heard.elapsed()) {
                        self.tell(None);
                    }
                    let wait = pause;
                    pause = (pause * 2).min(RETRY_MAX);
                    wait
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.doubt.notified() => (after, pause) = (None, RETRY_MIN),
            }
        }
    }

    async fn ask(&self, after: Option<u64>) -> Result<NodeStatus> {
        let query = after.map_or_else(String::new, |after| format!("?after={after}&wait={}s", WAIT.as_secs()));
        let answer = self.http.ask(self.address, &query);
        let limit = if after.is_some() { WAIT + LATE } else { ANSWER };
        timeout(limit, answer).await.context("no answer in time")?
    }

    fn tell(&self, now: Said) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let content = |said: &Said| said.as_ref().map(|(status, _)| status.clone());
        let news = content(&said) != content(&now);
        *said = now;
        drop(said);
        if news {
            self.requeue.add(self.event.clone());
        }
    }
}

/// Whether an ingest that was last heard so long ago, and now failed to answer, is not there: for long enough, or because
/// nothing listens where it was.
fn is_gone(error: &anyhow::Error, silent: Duration) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    silent >= SILENT || causes.any(|cause| cause.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test without its server must fail")]

    use super::*;
    use axum::{Json, Router, routing::get};
    use futures::StreamExt as _;
    use futures::stream::BoxStream;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Far more than anything takes, and less than a node waits for a change.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// A question that is answered at once; one that waits for a change never is. Counts as a version how often it was
    /// asked.
    async fn serve(ip: IpAddr) -> AbortOnDropHandle<()> {
        let listener = tokio::net::TcpListener::bind((ip, ports::ADMIN)).await.unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let answer = async move |query: axum::extract::RawQuery| {
            if query.0.is_some() {
                std::future::pending::<()>().await;
            }
            let version = asked.fetch_add(1, Ordering::SeqCst) + 1;
            Json(NodeStatus { version, role: "ingest".into(), ..NodeStatus::default() })
        };
        AbortOnDropHandle::new(tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/status", get(answer))).await.unwrap();
        }))
    }

    fn asking(ip: IpAddr) -> (Polls, BoxStream<'static, EventKey>, EventKey, PodSeen) {
        let requeue = Requeue::new([None]);
        let due = requeue.due(None).boxed();
        let event = EventKey { namespace: "n".into(), name: "gala".into() };
        (Polls::new(requeue), due, event, PodSeen { uid: "p".into(), ip: Some(ip), ..PodSeen::default() })
    }

    #[tokio::test]
    async fn an_ingest_that_answers_is_heard_and_one_that_falls_silent_is_unknown() {
        // The admin port is fixed, the address is not: another loopback address is another pod.
        let ip: IpAddr = "127.61.7.9".parse().unwrap();
        let server = serve(ip).await;
        let (polls, mut due, event, pod) = asking(ip);
        assert_eq!(polls.latest(&event, Some(&pod)), None);
        assert_eq!(timeout(DEADLINE, due.next()).await.unwrap(), Some(event.clone()));
        assert_eq!(polls.latest(&event, Some(&pod)).unwrap().0.version, 1);
        drop(server);
        let other = PodSeen { uid: "q".into(), ..pod };
        assert_eq!(polls.latest(&event, Some(&other)), None, "what another pod said is not what this one says");
    }

    #[tokio::test]
    async fn what_the_kubelet_says_anew_is_a_reason_to_ask_at_once() {
        let ip: IpAddr = "127.61.7.10".parse().unwrap();
        let _server = serve(ip).await;
        let (polls, mut due, event, pod) = asking(ip);
        let ready = PodSeen { ready: true, ..pod.clone() };
        let mut again = ready.clone();
        again.container.restarts = 1;
        for (version, pod) in [(1, &pod), (2, &ready), (3, &again)] {
            polls.latest(&event, Some(pod));
            timeout(DEADLINE, due.next()).await.expect("it was asked, though it has nothing new to say");
            assert_eq!(polls.latest(&event, Some(pod)).unwrap().0.version, version);
        }
    }

    #[tokio::test]
    async fn an_ingest_where_nothing_listens_is_gone_and_one_that_hangs_up_is_once_it_was_silent() {
        let ip: IpAddr = "127.61.7.11".parse().unwrap();
        let (polls, _due, event, _) = asking(ip);
        let asking = Asking {
            http: polls.http.clone(),
            address: SocketAddr::new(ip, ports::ADMIN),
            event,
            doubt: Arc::default(),
            said: Arc::default(),
            requeue: polls.requeue.clone(),
        };
        let refused = asking.ask(None).await.unwrap_err();
        assert!(is_gone(&refused, Duration::ZERO), "{refused:#}");

        let listener = tokio::net::TcpListener::bind((ip, ports::ADMIN)).await.unwrap();
        let (answer, _) = tokio::join!(asking.ask(Some(7)), async { drop(listener.accept().await) });
        let hung_up = answer.unwrap_err();
        assert!(!is_gone(&hung_up, Duration::ZERO), "it may be a moment's trouble: {hung_up:#}");
        assert!(is_gone(&hung_up, SILENT));
    }
}
