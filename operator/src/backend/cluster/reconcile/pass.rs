//! One event at one moment: what is known of it, what that decides, and carrying it out.

use super::{AT_REST, Context, Error, IN_TROUBLE, Memory, until};
use crate::audience::EventAudience;
use crate::backend::cluster::reconcile::apply::{self, NameConflict, Target};
use crate::backend::cluster::reconcile::observe::{self, Known};
use crate::backend::cluster::reconcile::plan::{Decision, decide, name_taken};
use crate::backend::cluster::reconcile::report::Writer;
use crate::backend::cluster::rollout::maintain::Maintenance;
use crate::backend::cluster::rollout::scale;
use crate::backend::cluster::watch::cache::{Children, EventKey};
use crate::plan::{Images, Objection, Observed};
use crate::render::Identity;
use crate::validate::Event;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::reflector::Store;
use lectern_api::condition::reason;
use lectern_api::live_event::{LiveEvent, LiveEventStatus};
use lectern_api::node_status::NodeStatus;
use lectern_api::{keys, labels};
use std::time::Duration;
use tokio::time::Instant;

/// So long after it was made an event's Secrets may still be taken away with those of an older event of its name.
const YOUNG: SignedDuration = SignedDuration::from_secs(120);

/// So long after an event was made, what is left of an older one of its name is expected to go by itself: the garbage
/// collector takes a second or two, a load balancer that must be given back up to a minute.
const LEFTOVER_AGE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// One event at one moment.
pub(super) struct EventPass<'a> {
    pub(super) raw: &'a LiveEvent,
    pub(super) event: &'a Event,
    pub(super) key: &'a EventKey,
    pub(super) context: &'a Context,
    pub(super) children: Children,
    pub(super) audience: Option<EventAudience>,
    pub(super) previous: Option<&'a LiveEventStatus>,
    pub(super) identity: Identity,
    pub(super) now: Timestamp,
}

/// What stands in the way of carrying a decision out.
pub(super) enum Obstacle {
    /// Nothing.
    None,
    /// What is left of a deleted event of the same name; gone in a moment.
    Leftover,
    /// Something that people must put right; it is among the objections.
    Objection,
}

impl EventPass<'_> {
    /// What is known of the event.
    pub(super) fn snapshot(&self, memory: &Memory) -> Observed {
        let context = self.context;
        let ingest = context.polls.said(self.key, observe::ingest_pod(&self.children));
        let known = Known {
            namespace: &self.key.namespace,
            name: &self.event.name,
            created: self.created(),
            children: &self.children,
            audience: self.audience.as_ref(),
            scaling: &memory.scaling,
            images: Images {
                wanted: context.installation.node_image.clone(),
                in_use: self.previous.and_then(|status| status.node_image.clone()),
                turn: true,
            },
            objections: self.objections(ingest.as_ref().map(|(said, _)| said)),
            ingest,
            deleting: false,
            metrics: context.installation.metrics,
            metrics_problem: context.metrics_problem.borrow().clone(),
        };
        observe::observe(&known, self.now)
    }

    fn created(&self) -> Timestamp {
        self.raw.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0)
    }

    fn objections(&self, said: Option<&NodeStatus>) -> Vec<Objection> {
        let mut all = self.context.policy.objections(self.event);
        let stores = self.context.events.get().map(Vec::as_slice).unwrap_or_default();
        let others: Vec<_> = stores.iter().flat_map(Store::state).collect();
        let others = others.iter().filter_map(|other| other.0.as_ref().ok());
        let neighbours = others.filter(|other| other.metadata.namespace == self.raw.metadata.namespace);
        all.extend(name_taken(self.raw, neighbours));
        all.extend(said.and_then(|said| mismatch(said, &self.identity)));
        all
    }

    /// The decision, with a new image only if it is the event's turn.
    pub(super) fn decide(&self, seen: &mut Observed) -> Result<Decision, Error> {
        let once = |seen: &Observed| {
            let installation = &self.context.installation;
            decide(self.event, seen, &self.children, &self.identity, installation, self.now).map_err(Error::Json)
        };
        let decision = once(seen)?;
        let Some(images) = &mut seen.images else { return Ok(decision) };
        if images.in_use.as_ref().is_none_or(|in_use| *in_use == images.wanted) {
            if !observe::rolls(&self.children, &self.event.name) {
                self.context.slots.give_back(self.key);
            }
            return Ok(decision);
        }
        if decision.plan.rollout.image.as_ref() != Some(&images.wanted) {
            return Ok(decision);
        }
        // What is not carried out needs no turn, and must not be reported as if it were.
        if self.event.paused || seen.objections.iter().flatten().any(blocks) {
            self.context.slots.give_back(self.key);
        } else if self.context.slots.take(self.key) {
            return Ok(decision);
        }
        images.turn = false;
        once(seen)
    }

    fn target<'t>(&'t self, uid: &'t str) -> Target<'t> {
        Target { client: &self.context.client, namespace: &self.key.namespace, event: &self.key.name, uid }
    }

    /// Whether anything stands in the way; objects that are not ours are added to the objections of `seen`.
    pub(super) async fn obstacle(
        &self,
        decision: &Decision,
        seen: &mut Observed,
        memory: &Memory,
    ) -> Result<Obstacle, Error> {
        if seen.objections.iter().flatten().any(blocks) {
            return Ok(Obstacle::Objection);
        }
        let found = self.target(&memory.uid).name_conflicts(&decision.documents, &self.children, &memory.applied).await;
        let found = found.inspect_err(|_| self.context.metrics.failed("observe")).map_err(Error::Request)?;
        if found.is_empty() {
            return Ok(Obstacle::None);
        }
        if will_go(&found, self.now.duration_since(self.created())) {
            return Ok(Obstacle::Leftover);
        }
        seen.objections.get_or_insert_default().extend(found.iter().map(not_ours));
        Ok(Obstacle::Objection)
    }

    /// Makes it so. Answers when to look again at the latest.
    pub(super) async fn carry_out(
        &self,
        decision: &Decision,
        seen: &Observed,
        memory: &mut Memory,
    ) -> Result<Duration, Error> {
        let done = self.apply(decision, seen, memory).await;
        done.inspect_err(|_| self.context.metrics.failed("apply")).map_err(Error::Request)
    }

    async fn apply(&self, decision: &Decision, seen: &Observed, memory: &mut Memory) -> Result<Duration, apply::Error> {
        let uid = memory.uid.clone();
        let target = self.target(&uid);
        let young = self.now.duration_since(self.created()) < YOUNG;
        let trouble = !seen.ingest.as_ref().is_some_and(|ingest| ingest.ready);
        let again = match (young, trouble) {
            (true, _) => IN_TROUBLE,
            (false, true) => memory.patience(Instant::now()),
            (false, false) => AT_REST,
        };
        target.create_secrets(&decision.objects.secrets, again, &mut memory.applied).await?;
        target.apply(&decision.documents, &decision.held, &self.children, &mut memory.applied).await?;
        self.annotate(&target, decision).await?;
        scale::scale(&target, self.event, &decision.plan, &self.children, self.context.installation.metrics).await?;
        let look = Maintenance {
            target: &target,
            event: self.event,
            plan: &decision.plan,
            seen,
            children: &self.children,
            audience: self.audience.as_ref(),
            zones: &self.context.zones,
            now: self.now,
        };
        let mut told = Vec::new();
        let maintained = look.maintain(&mut memory.maintenance, &mut told).await;
        let writer =
            Writer { client: &self.context.client, recorder: &self.context.recorder, key: self.key, uid: &uid };
        for news in &told {
            writer.tell(news).await;
        }
        maintained?;
        Ok(look.look_again(&memory.maintenance).map_or(AT_REST, |next| until(next, self.now)))
    }

    /// The hash of the configuration onto the ingest's pods: the kubelet then brings a changed ConfigMap at once.
    async fn annotate(&self, target: &Target<'_>, decision: &Decision) -> Result<(), apply::Error> {
        let wanted = &decision.objects.ingest_pod_annotations;
        for pod in self.children.pods.values().filter(|pod| pod.role == labels::ROLE_INGEST && pod.lives()) {
            if wanted.iter().any(|(key, text)| pod.annotations.get(key) != text.as_ref()) {
                target.annotate_pod(&pod.name, wanted).await?;
            }
        }
        Ok(())
    }
}

/// The ingest loaded another seed than the event's: somebody made a Secret of that name.
fn mismatch(said: &NodeStatus, identity: &Identity) -> Option<Objection> {
    let loaded = &said.ingest.as_ref()?.seed_fingerprint;
    let other = !loaded.is_empty() && *loaded != keys::fingerprint(identity.seed.as_bytes());
    other.then(|| Objection {
        reason: reason::KEY_MATERIAL_MISMATCH,
        message: "the ingest loaded another seed than this event's: delete the Secret whose name ends in -seed, and \
                  the ingest's pod"
            .into(),
    })
}

/// Whether objects that are not ours are worth waiting for, at this age of the event, before people are told.
fn will_go(found: &[NameConflict], age: SignedDuration) -> bool {
    age < LEFTOVER_AGE_MAX && found.iter().any(|conflict| matches!(conflict, NameConflict::Leftover { .. }))
}

fn not_ours(conflict: &NameConflict) -> Objection {
    let message = match conflict {
        NameConflict::Foreign { kind, name } => {
            let kind = kind.resource().kind;
            format!(
                "there is a {kind} {name} that does not belong to this event: delete or rename it, or rename the event"
            )
        }
        NameConflict::Leftover { kind, name } => {
            let kind = kind.resource().kind;
            format!(
                "the {kind} {name} of a deleted event of this name is still there: delete it; if it does not go then, its \
                 finalizers name who must let it go (kubectl get {kind} {name} -o yaml)"
            )
        }
    };
    Objection { reason: reason::NOT_OURS, message }
}

/// Whether nothing may be made for the event because of it.
fn blocks(objection: &Objection) -> bool {
    [reason::NAME_TAKEN, reason::NOT_OURS, reason::FORBIDDEN_BY_POLICY].contains(&objection.reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cluster::watch::kind::Kind;

    #[test]
    fn what_is_left_of_a_deleted_event_is_waited_for_and_named_if_it_stays() {
        let leftover = NameConflict::Leftover { kind: Kind::Service, name: "gala-edge".into() };
        let foreign = NameConflict::Foreign { kind: Kind::ConfigMap, name: "gala-node".into() };
        let young = SignedDuration::from_secs(59);
        assert!(will_go(&[foreign.clone(), leftover.clone()], young));
        assert!(!will_go(std::slice::from_ref(&foreign), young), "it would wait for ever");
        assert!(!will_go(std::slice::from_ref(&leftover), LEFTOVER_AGE_MAX));
        for (conflict, words) in [(leftover, "Service gala-edge of a deleted event"), (foreign, "ConfigMap gala-node")]
        {
            let objection = not_ours(&conflict);
            assert!(blocks(&objection) && objection.message.contains(words), "{}", objection.message);
        }
    }
}
