//! Leadership of one replica, by a Lease. Ages are measured by this process's own clock from the moment it saw the
//! Lease change: clocks of other machines are not trusted.

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
                Ok(Ok(true)) => return true,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "failed to ask for leadership"),
                Err(_) => tracing::warn!(lease = self.name, "asked for leadership and got no answer"),
            }
            tokio::select! {
                () = sleep(RETRY) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    /// Renews until it is lost, and returns then.
    pub async fn hold(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < RENEW_DEADLINE {
            sleep(RETRY).await;
            match timeout(RENEW_DEADLINE.saturating_sub(renewed.elapsed()), self.attempt()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return tracing::warn!(lease = self.name, "somebody else leads"),
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

    /// Takes or renews it if that is possible. True while this replica leads.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
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
            return Ok(false);
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

fn won<T>(answer: Result<T, kube::Error>) -> Result<bool, kube::Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
        Err(error) => Err(error),
    }
}
