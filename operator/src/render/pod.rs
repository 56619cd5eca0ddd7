//! Pod templates. They depend on how nodes are sized, placed and drained, and on the image; on nothing that changes
//! while an event is live.

mod container;
mod volume;

pub use volume::{FORWARD_DIR, NODE_FILE, PUBLISH_KEYS_DIR, SEED_DIR};

use super::meta;
use super::scene::Scene;
use crate::plan::Role;
use container::container;
use k8s_openapi::api::core::v1::{
    Affinity, ConfigMap, EnvVar, LocalObjectReference, PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec,
    PodTemplateSpec, SeccompProfile, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lectern_api::labels;
use lectern_api::live_event::{self, Scheduling};
use lectern_api::text::hex;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use volume::Mounted;

/// Bytes of the hash of the configuration that the ingest's pods are annotated with.
const CONFIG_HASH_BYTES: usize = 6;
/// The user and group of the image; a number, so that the kubelet can see that it is not root.
const USER: i64 = 65_532;
/// An ingest exits within 5 s of SIGTERM; the rest is for a node that is busy.
const INGEST_GRACE_S: i64 = 15;
/// What an edge gets beyond its drain before it is killed, in seconds.
const EDGE_GRACE_EXTRA_S: u64 = 10;
/// How long an ingest stays on a node that is gone, in seconds. The default of 300 is a whole session.
const UNREACHABLE_S: i64 = 30;
/// How long it stays on a node that is not Ready, in seconds: a restarted kubelet must not cost a live stream.
const NOT_READY_S: i64 = 60;

/// The ingest's pod.
pub fn ingest(scene: &Scene<'_>) -> PodTemplateSpec {
    let keys = &scene.plan.keys;
    let mounted = Mounted::ingest(&scene.event.name, keys.publish.as_ref(), keys.forward.as_ref());
    let file = format!("{}/{}", volume::NODE_DIR, NODE_FILE);
    let args = ["ingest", "--config", &file].map(String::from).into();
    let container = container(scene, Role::Ingest, args, log_format().into(), mounted.mounts);
    let mut spec = pod(scene, Role::Ingest, &scene.event.ingest.scheduling);
    // It reads EndpointSlices.
    spec.automount_service_account_token = Some(true);
    spec.termination_grace_period_seconds = Some(INGEST_GRACE_S);
    spec.tolerations.get_or_insert_default().extend([
        gone("node.kubernetes.io/unreachable", UNREACHABLE_S),
        gone("node.kubernetes.io/not-ready", NOT_READY_S),
    ]);
    spec.containers = vec![container];
    spec.volumes = Some(mounted.volumes);
    template(scene, Role::Ingest, spec)
}

/// An edge's pod. Its configuration fits into its environment: a changed size is a changed template, and rolls.
pub fn edge(scene: &Scene<'_>) -> PodTemplateSpec {
    let mounted = Mounted::edge(&scene.event.name);
    let args = vec!["edge".to_owned()];
    let container = container(scene, Role::Edge, args, edge_options(scene), mounted.mounts);
    let mut spec = pod(scene, Role::Edge, &scene.event.edges.scheduling);
    spec.automount_service_account_token = Some(false);
    let drain_s = scene.plan.edges.settings.drain_ms.div_ceil(1_000);
    spec.termination_grace_period_seconds = i64::try_from(drain_s + EDGE_GRACE_EXTRA_S).ok();
    spec.topology_spread_constraints = Some(vec![over_nodes(scene)]);
    spec.affinity = Some(Affinity { pod_anti_affinity: Some(over_zones(scene)), ..Affinity::default() });
    spec.containers = vec![container];
    spec.volumes = Some(mounted.volumes);
    template(scene, Role::Edge, spec)
}

/// What is patched onto the running ingest pods. The hash makes the kubelet bring a changed ConfigMap at once. The other
/// two keep autoscalers of nodes away while a viewer or an encoder would notice.
pub fn ingest_annotations(scene: &Scene<'_>, config: &ConfigMap) -> BTreeMap<String, Option<String>> {
    let content = config
        .data
        .iter()
        .flatten()
        .fold(Sha256::new(), |hash, (name, text)| hash.chain_update(name).chain_update(text));
    let hash = hex(&content.finalize()[..CONFIG_HASH_BYTES]);
    let busy = !scene.plan.idle.is_idle();
    BTreeMap::from([
        (labels::CONFIG_HASH.to_owned(), Some(hash)),
        ("cluster-autoscaler.kubernetes.io/safe-to-evict".to_owned(), busy.then(|| "false".to_owned())),
        ("karpenter.sh/do-not-disrupt".to_owned(), busy.then(|| "true".to_owned())),
    ])
}

fn template(scene: &Scene<'_>, role: Role, spec: PodSpec) -> PodTemplateSpec {
    let metadata = ObjectMeta { labels: Some(meta::all_labels(scene, role)), ..ObjectMeta::default() };
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) }
}

/// What both have in common; PodSecurity `restricted` is satisfied here and in [`container`].
fn pod(scene: &Scene<'_>, role: Role, scheduling: &Scheduling) -> PodSpec {
    // Without `..`: a way of placing pods that is added cannot be forgotten here.
    let Scheduling { node_selector, tolerations, priority_class_name } = scheduling;
    let secret = |name: &String| LocalObjectReference { name: name.clone() };
    let secrets: Vec<_> = scene.installation.pull_secrets.iter().map(secret).collect();
    let tolerations: Vec<_> = tolerations.iter().map(toleration).collect();
    PodSpec {
        service_account_name: Some(meta::name(scene, role)),
        // Service variables are called LECTERN_… where an event is called so: nodes would read them as options.
        enable_service_links: Some(false),
        image_pull_secrets: Some(secrets).filter(|all| !all.is_empty()),
        node_selector: Some(node_selector.clone()).filter(|all| !all.is_empty()),
        tolerations: Some(tolerations).filter(|all| !all.is_empty()),
        priority_class_name: priority_class_name.clone(),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

/// Every option of an edge as the environment variable that `lectern-node edge` reads.
fn edge_options(scene: &Scene<'_>) -> Vec<EnvVar> {
    // Without `..`: an option that is added cannot be forgotten here.
    let crate::plan::EdgeSettings { event, viewers_per_edge, egress_bits_per_second, target_percent, drain_ms } =
        &scene.plan.edges.settings;
    let mut all = vec![
        variable("LECTERN_EVENT", event),
        variable("LECTERN_TOKEN_FILE", volume::token_file()),
        variable("LECTERN_VIEWERS_PER_EDGE", viewers_per_edge),
        variable("LECTERN_TARGET_UTILIZATION_PERCENT", target_percent),
        variable("LECTERN_DRAIN_MS", drain_ms),
    ];
    all.extend(egress_bits_per_second.map(|bits| variable("LECTERN_EGRESS_BITS_PER_SECOND", bits)));
    all.extend(log_format());
    all
}

fn log_format() -> [EnvVar; 1] {
    [variable("LECTERN_LOG_FORMAT", "json")]
}

fn variable(name: &str, value: impl ToString) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value.to_string()), value_from: None }
}

fn toleration(written: &live_event::Toleration) -> Toleration {
    let live_event::Toleration { key, operator, value, effect, toleration_seconds } = written;
    Toleration {
        key: key.clone(),
        operator: operator.clone(),
        value: value.clone(),
        effect: effect.clone(),
        toleration_seconds: *toleration_seconds,
    }
}

fn gone(key: &str, seconds: i64) -> Toleration {
    Toleration {
        key: Some(key.into()),
        operator: Some("Exists".into()),
        effect: Some("NoExecute".into()),
        toleration_seconds: Some(seconds),
        value: None,
    }
}

/// A roll starts new pods beside the old ones: counted within a revision, these do not push the new ones together.
const REVISION: &str = "pod-template-hash";
/// The most that a preference can weigh.
const WEIGHT: i32 = 100;

/// Spread over nodes, but not at the price of a pod that runs nowhere.
fn over_nodes(scene: &Scene<'_>) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".into(),
        when_unsatisfiable: "ScheduleAnyway".into(),
        label_selector: Some(meta::selector(scene, Role::Edge)),
        match_label_keys: Some(vec![REVISION.into()]),
        ..TopologySpreadConstraint::default()
    }
}

/// Spread over zones where there are zones. Not a second constraint: the scheduler gives nodes that lack the label of one
/// constraint no points for any, so that in a cluster without zones all edges could end up on one node.
fn over_zones(scene: &Scene<'_>) -> PodAntiAffinity {
    let term = PodAffinityTerm {
        topology_key: "topology.kubernetes.io/zone".into(),
        label_selector: Some(meta::selector(scene, Role::Edge)),
        match_label_keys: Some(vec![REVISION.into()]),
        ..PodAffinityTerm::default()
    };
    let preferred = WeightedPodAffinityTerm { weight: WEIGHT, pod_affinity_term: term };
    PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![preferred]),
        ..PodAntiAffinity::default()
    }
}
