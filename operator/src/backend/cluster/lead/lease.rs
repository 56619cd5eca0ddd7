//! Leadership of one replica, by a Lease. Ages are measured by this process's own clock from the moment it saw the
//! Lease change: clocks of other machines are not trusted.

use crate::kubernetes::{Refusal, refusal};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A leader that has not renewed for so long has lost it.
const LEASE: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long stops writing: well before another may begin.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between renewals, and between attempts to get it.
const RETRY: Duration = Duration::from_secs(2);
/// Pause before a Lease that another writer changed in the meantime is read again: the writer decides whether this replica may
/// go on writing.
const READ_AGAIN: Duration = Duration::from_millis(200);

/// What an attempt to have it came to.
enum Attempt {
    /// This replica leads.
    Leads,
    /// Another replica leads, or may lead: try again later.
    Retry,
    /// Another writer changed the Lease between reading and writing; which, and what, is not known.
    Changed,
}

/// A Lease and who wants it.
pub struct Leadership {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// The Lease as it was last seen, and since when it is so.
    seen: Option<(Option<String>, Option<MicroTime>, Instant)>,
}

impl Leadership {
    /// Of the Lease `name` in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.into(), identity: identity.into(), seen: None }
    }

    /// Waits until this replica leads. False: it is to stop before it ever did.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        loop {
            match timeout(RENEW_DEADLINE, self.attempt()).await {
                Ok(Ok(Attempt::Leads)) => return true,
                Ok(Ok(Attempt::Retry | Attempt::Changed)) => {}
                Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "failed to ask for leadership"),
                Err(_) => tracing::warn!(lease = self.name, "asked for leadership and got no answer"),
            }
            tokio::select! {
                () = sleep(RETRY) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    /// Renews until it is lost, and returns then: another replica has it, or it could not be renewed in time. A replica that only
    /// wrote to the Lease, an annotation say, has not taken it.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        let mut pause = RETRY;
        while renewed.elapsed() < RENEW_DEADLINE {
            sleep(pause).await;
            pause = RETRY;
            match timeout(RENEW_DEADLINE.saturating_sub(renewed.elapsed()), self.attempt()).await {
                Ok(Ok(Attempt::Leads)) => renewed = Instant::now(),
                Ok(Ok(Attempt::Retry)) => return tracing::warn!(lease = self.name, "another replica leads"),
                Ok(Ok(Attempt::Changed)) => pause = READ_AGAIN,
                Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "failed to renew leadership"),
                Err(_) => {}
            }
        }
        tracing::warn!(lease = self.name, "leadership could not be renewed in time");
    }

    /// Gives it up, so that the next need not wait.
    pub async fn release(&self) {
        let give_up = async {
            let mut lease = self.api.get(&self.name).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = None;
                self.api.replace(&self.name, &PostParams::default(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match timeout(RETRY, give_up).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "failed to give up leadership"),
            Err(_) => tracing::warn!(lease = self.name, "gave up leadership without an answer"),
        }
    }

    /// Takes or renews it if that is possible.
    async fn attempt(&mut self) -> Result<Attempt, kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.taken(0)),
            };
            return won(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty());
        let mine = holder.as_ref() == Some(&self.identity);
        if !mine && holder.is_some() && !self.has_expired(&spec) {
            return Ok(Attempt::Retry);
        }
        let transitions = spec.lease_transitions.unwrap_or(0);
        lease.spec = Some(LeaseSpec {
            acquire_time: if mine { spec.acquire_time } else { Some(MicroTime(Timestamp::now())) },
            ..self.taken(if mine { transitions } else { transitions + 1 })
        });
        // It carries the resource version that was read: of two who write, one is refused.
        won(self.api.replace(&self.name, &PostParams::default(), &lease).await)
    }

    fn taken(&self, transitions: i32) -> LeaseSpec {
        let now = Some(MicroTime(Timestamp::now()));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: now.clone(),
            renew_time: now,
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    fn has_expired(&mut self, spec: &LeaseSpec) -> bool {
        let now = (spec.holder_identity.clone(), spec.renew_time.clone());
        match &self.seen {
            Some((holder, renewed, since)) if *holder == now.0 && *renewed == now.1 => since.elapsed() > LEASE,
            Some(_) | None => {
                self.seen = Some((now.0, now.1, Instant::now()));
                false
            }
        }
    }
}

fn won<T>(answer: Result<T, kube::Error>) -> Result<Attempt, kube::Error> {
    match answer {
        Ok(_) => Ok(Attempt::Leads),
        Err(error) if matches!(refusal(&error), Some(Refusal::Conflict | Refusal::AlreadyExists)) => {
            Ok(Attempt::Changed)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its Lease must fail")]

    use super::*;
    use http_body_util::BodyExt as _;
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    /// What happens to the Lease between its being read and written.
    #[derive(Clone, Copy)]
    enum Meanwhile {
        Nothing,
        /// A writer that does not want to hold it changes it.
        Touched,
        /// Another replica holds it.
        Taken,
    }

    /// An API server with one Lease that no replica holds; after `meanwhile` nothing disturbs any more.
    fn server(meanwhile: impl IntoIterator<Item = Meanwhile>) -> Client {
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lectern"}});
        let state = Arc::new(Mutex::new((lease, meanwhile.into_iter().collect::<VecDeque<_>>())));
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let state = Arc::clone(&state);
            async move {
                let is_read = request.method() == http::Method::GET;
                let written = request.into_body().collect().await.unwrap().to_bytes();
                let (lease, meanwhile) = &mut *state.lock().unwrap();
                let before =
                    if is_read { Meanwhile::Nothing } else { meanwhile.pop_front().unwrap_or(Meanwhile::Nothing) };
                let (code, body) = match before {
                    Meanwhile::Nothing if is_read => (200, lease.clone()),
                    Meanwhile::Nothing => {
                        *lease = serde_json::from_slice::<Value>(&written).unwrap();
                        (200, lease.clone())
                    }
                    Meanwhile::Touched | Meanwhile::Taken => {
                        if matches!(before, Meanwhile::Taken) {
                            lease["spec"]["holderIdentity"] = json!("b");
                        }
                        (409, json!({"status": "Failure", "reason": "Conflict", "message": "changed", "code": 409}))
                    }
                };
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).unwrap())
            }
        });
        Client::new(service, "n")
    }

    /// How long `a` leads, at most `limit`.
    async fn leads(meanwhile: impl IntoIterator<Item = Meanwhile>, limit: Duration) -> Duration {
        let first = std::iter::once(Meanwhile::Nothing);
        let mut leadership = Leadership::new(server(first.chain(meanwhile)), "n", "lectern", "a");
        assert!(leadership.acquire(&CancellationToken::new()).await);
        let began = Instant::now();
        let _ = timeout(limit, leadership.hold()).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_only_writes_to_the_lease_does_not_end_leadership() {
        let minute = Duration::from_secs(60);
        assert_eq!(leads([Meanwhile::Touched, Meanwhile::Nothing, Meanwhile::Touched], minute).await, minute);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_the_lease_ends_leadership_at_the_next_look() {
        let led = leads([Meanwhile::Nothing, Meanwhile::Taken], Duration::from_secs(60)).await;
        assert_eq!(led, RETRY * 2 + READ_AGAIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_can_never_be_renewed_is_lost_before_another_may_have_it() {
        let led = leads(std::iter::repeat_n(Meanwhile::Touched, 1_000), Duration::from_secs(60)).await;
        assert!(led >= RENEW_DEADLINE && led < LEASE, "{led:?}");
    }
}
