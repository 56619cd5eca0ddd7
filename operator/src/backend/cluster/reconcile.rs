//! One pass over one event: five stages, each a file of its name. `context` holds what lives longer than a pass, `pass` what
//! the stages share.

mod apply;
mod conflicts;
pub mod context;
mod document;
mod last_applied;
mod observe;
mod pass;
mod plan;
mod render;
mod report;
mod writer;

use super::key::EventKey;
use crate::validate::{Event, Problem, validate};
use apply::Outcome;
use context::{Context, Guarded, IN_TROUBLE, Memory};
use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};
use lectern_api::live_event::LiveEvent;
use pass::{Error, EventPass, LONGEST};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Makes a pass over `guarded`.
///
/// # Errors
/// What failed; another pass follows after a while.
pub async fn reconcile(guarded: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let namespace = guarded.namespace().ok_or(Error::Incomplete("namespace"))?;
    let key = EventKey { namespace, name: guarded.name_any() };
    if guarded.meta().deletion_timestamp.is_some() {
        // Its objects are deleted with it; applying would bring them back.
        context.forget(&key);
        return Ok(Action::await_change());
    }
    let began = Instant::now();
    let memory = context.memory(&key);
    let mut memory = memory.lock().await;
    let uid = guarded.uid().ok_or(Error::Incomplete("uid"))?;
    if memory.uid != uid {
        *memory = Memory::of(uid);
    }
    let done = timeout(LONGEST, pass(&guarded, &key, &context, &mut memory)).await.unwrap_or(Err(Error::Late));
    context.metrics.reconciles.inc();
    context.metrics.duration.observe(began.elapsed().as_secs_f64());
    if !context.is_there(&key) {
        // It was deleted during the pass, which has just made it known again.
        context.forget(&key);
        return Ok(Action::await_change());
    }
    match done {
        Ok(wait) => {
            memory.succeeded();
            Ok(Action::requeue(wait))
        }
        Err(Error::Request(error)) if error.is_namespace_terminating() => {
            tracing::debug!(event = %key, "the namespace of the event is being deleted");
            Ok(Action::requeue(IN_TROUBLE))
        }
        Err(error) => {
            let wait = memory.failed();
            tracing::warn!(event = %key, %error, again_s = wait.as_secs_f32(), "failed to reconcile the event");
            Ok(Action::requeue(wait))
        }
    }
}

async fn pass(guarded: &Guarded, key: &EventKey, context: &Context, memory: &mut Memory) -> Result<Duration, Error> {
    match &guarded.0 {
        Ok(raw) => match validate(raw) {
            Ok(event) => stages(raw, &event, key, context, memory).await,
            Err(problems) => report::refuse(context, key, raw.metadata.generation, &problems, Some(raw), memory).await,
        },
        Err(unreadable) => {
            let problem = Problem { field: "spec".into(), message: format!("it cannot be read: {}", unreadable.error) };
            report::refuse(context, key, unreadable.metadata.generation, &[problem], None, memory).await
        }
    }
}

/// The five stages, for a spec that is valid. Gives when the next pass is due.
async fn stages(
    raw: &LiveEvent,
    event: &Event,
    key: &EventKey,
    context: &Context,
    memory: &mut Memory,
) -> Result<Duration, Error> {
    let previous = memory.reported.previous(raw.status.as_ref());
    let pass = EventPass::begin(raw, event, key, context, previous.as_ref());
    // No API server: reads what the watches, the ingest and metrics-api have reported.
    let mut observed = observe::observe(&pass, memory);
    // No API server: pure, but for the rollout slot that a new image takes.
    let plan = plan::plan(&pass, &mut observed);
    // No API server: pure.
    let rendered = render::render(&pass, plan)?;
    // API server: asks for objects that no watch shows, writes those that differ, deletes those that are superfluous.
    let applied = match apply::apply(&pass, rendered, observed, memory).await? {
        Outcome::Applied(applied) => applied,
        Outcome::Postponed(wait) => return Ok(wait),
    };
    // API server: writes the status if it changed, and Events.
    report::report(&pass, &applied, memory).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its event must fail")]

    use super::*;
    use crate::backend::cluster::nodes::poll::Polls;
    use crate::backend::cluster::requeue::Requeue;
    use crate::backend::cluster::rollout::slots::RolloutSlots;
    use crate::backend::cluster::watch::cache::News;
    use crate::backend::cluster::watch::kind::Kind;
    use crate::backend::cluster::watch::seen::{self, ObjectSeen};
    use crate::backend::cluster::watch::zones::Zones;
    use crate::policy::Policy;
    use crate::render::Installation;
    use crate::render::{Metrics as Backend, PullPolicy};
    use kube::Client;
    use kube::client::Body;
    use kube::runtime::events::{Recorder, Reporter};
    use kube::runtime::reflector::Store;
    use kube::runtime::{reflector, watcher};
    use lectern_api::live_event::ExposeType;
    use lectern_api::node_config::ForwardPolicy;
    use serde_json::{Value, json};
    use std::sync::{Mutex, OnceLock};
    use tokio::sync::watch;

    /// All that looks share, with an API server that has nothing and takes everything.
    fn context(events: Store<Guarded>) -> Arc<Context> {
        let service = tower::service_fn(async |request: http::Request<Body>| {
            let (code, answer) = if request.method() == http::Method::GET {
                (404, json!({"status": "Failure", "reason": "NotFound", "message": "not found", "code": 404}))
            } else {
                let gala = json!({
                    "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": {"name": "gala"},
                    "spec": {"streams": [{"name": "a"}]},
                });
                (200, gala)
            };
            let body = Body::from(answer.to_string().into_bytes());
            Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).unwrap())
        });
        let client = Client::new(service, "n");
        let installation = Installation {
            node_image: "i".into(),
            pull_policy: PullPolicy::IfNotPresent,
            pull_secrets: Vec::new(),
            namespace: "lectern-system".into(),
            scrape_namespaces: Vec::new(),
            metrics: Backend::Operator,
            forward_policy: ForwardPolicy::default(),
        };
        Arc::new(Context {
            installation,
            policy: Policy {
                expose_types: vec![ExposeType::LoadBalancer, ExposeType::ClusterIP],
                annotation_prefixes: Vec::new(),
            },
            root: b"root".to_vec(),
            cache: Arc::default(),
            events: OnceLock::from(vec![events]),
            polls: Polls::new(Requeue::new([None])),
            rounds: watch::channel(Arc::default()).1,
            metrics_problem: watch::channel(None).1,
            recorder: Recorder::new(client.clone(), Reporter { controller: "lectern".into(), instance: None }),
            metrics: Arc::default(),
            zones: Zones::default(),
            slots: RolloutSlots::default(),
            memories: Mutex::default(),
            client,
        })
    }

    /// An event with the uid `u`.
    fn event(name: &str, annotations: &Value, spec: &Value, status: &Value) -> Guarded {
        let metadata = json!({"name": name, "namespace": "n", "uid": "u", "generation": 1, "annotations": annotations});
        let mut event = json!({"apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": metadata});
        (event["spec"], event["status"]) = (spec.clone(), status.clone());
        serde_json::from_value(event).unwrap()
    }

    /// A Deployment that has replaced as many of its two pods.
    fn deployment(replaced: u32) -> News<ObjectSeen> {
        let owner = json!({"apiVersion": "v", "kind": "LiveEvent", "name": "gala", "uid": "u", "controller": true});
        let deployment = serde_json::from_value(json!({
            "metadata": {"name": "gala-edge", "namespace": "n", "uid": "d", "ownerReferences": [owner]},
            "spec": {"replicas": 2, "selector": {}, "template": {}},
            "status": {"replicas": 2, "updatedReplicas": replaced},
        }));
        let key = EventKey { namespace: "n".into(), name: "gala".into() };
        News::Is(key, "gala-edge".into(), seen::deployment(&deployment.unwrap()))
    }

    /// Looks at `gala` while it and four others have their turn; whether a sixth event may have one afterwards.
    async fn frees_its_turn(gala: Guarded, replaced: Option<u32>) -> bool {
        let (reader, mut writer) = reflector::store::<Guarded>();
        writer.apply_watcher_event(&watcher::Event::Apply(gala.clone()));
        let context = context(reader);
        replaced.into_iter().for_each(|replaced| drop(context.cache.object(Kind::Deployment, deployment(replaced))));
        let key = |name: &str| EventKey { namespace: "n".into(), name: name.into() };
        for name in ["gala", "a", "b", "c", "d"] {
            assert!(context.slots.take(&key(name)));
        }
        let _ = reconcile(Arc::new(gala), Arc::clone(&context)).await;
        context.slots.take(&key("e"))
    }

    #[tokio::test]
    async fn an_event_whose_spec_is_refused_keeps_its_turn_only_while_it_still_rolls() {
        let invalid = json!({"streams": [{"name": "a"}], "edges": {"min": 9, "max": 2}});
        for (spec, readable) in [(json!("unreadable"), false), (invalid, true)] {
            for (replaced, freed) in [(None, true), (Some(1), false), (Some(2), true)] {
                let gala = event("gala", &json!({}), &spec, &json!({}));
                assert_eq!(gala.0.is_ok(), readable, "{gala:?}");
                assert_eq!(frees_its_turn(gala, replaced).await, freed, "{spec}, {replaced:?} replaced");
            }
        }
    }

    #[tokio::test]
    async fn an_event_for_which_nothing_is_done_takes_no_turn() {
        let status = json!({"nodeImage": "older"});
        let paused = json!({"lectern.dev/paused": "true"});
        let (inside, forbidden) = (json!({"type": "ClusterIP"}), json!({"type": "NodePort"}));
        for (annotations, expose, freed) in
            [(json!({}), &inside, false), (paused, &inside, true), (json!({}), &forbidden, true)]
        {
            let ingest = json!({"updatePolicy": "Immediate", "expose": expose});
            let spec = json!({"streams": [{"name": "a"}], "ingest": ingest});
            let gala = event("gala", &annotations, &spec, &status);
            assert!(gala.0.is_ok(), "{gala:?}");
            assert_eq!(frees_its_turn(gala, Some(2)).await, freed, "{annotations} {spec}");
        }
    }

    #[tokio::test]
    async fn an_event_that_was_deleted_during_a_look_is_not_known_afterwards() {
        let event: Guarded = serde_json::from_value(json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent",
            "metadata": {"name": "gala", "namespace": "n", "uid": "u"}, "spec": "unreadable",
        }))
        .unwrap();
        let (reader, mut writer) = reflector::store::<Guarded>();
        let context = context(reader);
        for (there, news) in
            [(true, watcher::Event::Apply(event.clone())), (false, watcher::Event::Delete(event.clone()))]
        {
            writer.apply_watcher_event(&news);
            reconcile(Arc::new(event.clone()), Arc::clone(&context)).await.unwrap();
            assert_eq!(context.metrics.text().contains("gala"), there, "{}", context.metrics.text());
            assert_eq!(context.memories.lock().unwrap().is_empty(), !there);
        }
    }
}
