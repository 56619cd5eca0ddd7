//! A thousand events: how long one look at one of them takes, what the operator holds, and that it writes nothing at
//! rest. The cluster is a store and an API server; this test plays the controllers and the nodes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up must fail")]
#![allow(clippy::print_stderr, reason = "figures, shown by the test harness")]

use e2e::process::{Running, binary, free_port, resident_kib};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Config, ResourceExt as _};
use lectern_testcluster::{Cluster, ControlPlane, Options, image};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Events with `LONG=1`. The API server alone takes ten minutes of a core for them: the daily run has fewer.
const EVENTS_LONG: usize = 1_000;
/// Events otherwise.
const EVENTS_SHORT: usize = 150;
/// How often it is looked whether all are as they should be: a list of all events is work for the API server.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Events that are changed one after the other.
const ONE_BY_ONE: usize = 100;
/// How often it is looked whether one of them was answered.
const ANSWER_LOOK: Duration = Duration::from_millis(20);
/// Namespaces that they are spread over.
const NAMESPACES: usize = 10;
/// How long everything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(1_800);
/// How long nothing may be written.
const REST: Duration = Duration::from_secs(20);
/// What the operator may hold with a thousand events (ADR 6), in KiB.
const MEMORY_KIB_MAX: u64 = 100 * 1_024;
/// How long an ingest lets those wait who ask for news.
const LONG_POLL: Duration = Duration::from_secs(30);
/// The address of every pod: the operator asks each ingest for its status, and one server answers for all.
const POD_IP: &str = "127.77.0.1";
/// What an event has; Leases and Events apart.
const KINDS: [(&str, &str, &str); 10] = [
    ("lectern.dev/v1alpha1", "LiveEvent", "liveevents"),
    ("apps/v1", "Deployment", "deployments"),
    ("v1", "Pod", "pods"),
    ("v1", "Service", "services"),
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Secret", "secrets"),
    ("v1", "ServiceAccount", "serviceaccounts"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
];

#[test]
fn a_thousand_events_reconcile() {
    let cluster = Cluster::start(&Options { control_plane: ControlPlane::StoreAndApi, ..Options::default() }).unwrap();
    let definition = std::fs::read_to_string(image::root().join("crds/liveevents.yaml")).unwrap();
    cluster.apply(&definition).unwrap();
    let names = (0..NAMESPACES).map(|number| format!("n{number}")).chain(["lectern-system".to_owned()]);
    let namespaces: Vec<String> = names
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string())
        .collect();
    cluster.apply(&namespaces.join("\n---\n")).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Runtime::new().unwrap().block_on(run(&cluster));
    cluster.remove().unwrap();
}

fn events_wanted() -> usize {
    if std::env::var_os("LONG").is_some() { EVENTS_LONG } else { EVENTS_SHORT }
}

async fn pause(duration: Duration) {
    let _ = tokio::time::timeout(duration, std::future::pending::<()>()).await;
}

async fn run(cluster: &Cluster) {
    let count = events_wanted();
    let config = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let ingests = tokio::spawn(play_ingests());
    let nodes = tokio::spawn(play_nodes(client.clone()));
    let folder = tempfile::TempDir::new().unwrap();
    let port = free_port().unwrap();
    let mut command = Command::new(binary("lectern").unwrap());
    command.env("KUBECONFIG", cluster.kubeconfig()).args(["operator", "--node-image", "localhost/lectern:dev"]);
    command.args(["--listen-admin", &format!("127.0.0.1:{port}")]);
    let operator = Running::start("operator", folder.path(), &mut command).unwrap();

    let began = Instant::now();
    create(&client).await;
    eprintln!("FIGURE {count} events created: {:.1?}", began.elapsed());
    let before = Instant::now();
    while ready(&client).await < count {
        assert!(before.elapsed() < LIMIT, "{} are Ready; the operator says:\n{}", ready(&client).await, operator.log());
        pause(LOOK_EVERY).await;
    }
    eprintln!("FIGURE all of them Ready: {:.1?} after the first was created", began.elapsed());
    tell("creating", &metrics(port).await, &requests(&client).await);

    // They settle: measured numbers and transitions that were still under way.
    let mut versions = all_versions(&client).await;
    let settling = Instant::now();
    let written = loop {
        let rest = Instant::now();
        pause(REST).await;
        let now = all_versions(&client).await;
        let moved: Vec<_> = now.iter().filter(|(name, version)| versions.get(*name) != Some(version)).collect();
        eprintln!("FIGURE objects written to in {:.0?} of rest: {} of {}", rest.elapsed(), moved.len(), now.len());
        if moved.is_empty() || settling.elapsed() > LIMIT {
            break moved.into_iter().take(5).map(|(name, _)| name.clone()).collect::<Vec<_>>();
        }
        versions = now;
    };
    assert_eq!(written, Vec::<String>::new(), "written to at rest");
    let resident = resident_kib(operator.pid()).unwrap();
    eprintln!("FIGURE the operator holds {} MiB", resident / 1_024);
    assert!(resident < MEMORY_KIB_MAX, "the operator holds {resident} KiB");

    // A change of every event: what a look costs that applies something.
    let began = Instant::now();
    let (looks, asked) = (metrics(port).await, requests(&client).await);
    change(&client).await;
    let answered = Instant::now();
    while observed(&client).await < count {
        assert!(answered.elapsed() < LIMIT, "the operator says:\n{}", operator.log());
        pause(LOOK_EVERY).await;
    }
    eprintln!("FIGURE a stream added to every event, answered: {:.1?}", began.elapsed());
    let since = |now: BTreeMap<String, f64>, before: &BTreeMap<String, f64>| -> BTreeMap<String, f64> {
        now.into_iter().map(|(name, value)| (name.clone(), value - before.get(&name).unwrap_or(&0.0))).collect()
    };
    tell("changing", &since(metrics(port).await, &looks), &since(requests(&client).await, &asked));

    // The same for one event after the other: what a look costs where no thousand others ask the same API server.
    let (looks, asked) = (metrics(port).await, requests(&client).await);
    change_one_by_one(&client).await;
    tell("changing one by one", &since(metrics(port).await, &looks), &since(requests(&client).await, &asked));
    nodes.abort();
    ingests.abort();
}

fn events(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(KINDS[0]))
}

fn resource((version, kind, plural): (&str, &str, &str)) -> ApiResource {
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource { group: group.into(), version: version.into(), api_version, kind: kind.into(), plural: plural.into() }
}

fn place(number: usize) -> (String, String) {
    (format!("n{}", number % NAMESPACES), format!("e{number}"))
}

async fn create(client: &Client) {
    let one = async |number: usize| {
        let (namespace, name) = place(number);
        let event = json!({"apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": {"name": name},
            "spec": {"streams": [{"name": "stage"}]}});
        events(client, &namespace)
            .create(&PostParams::default(), &serde_json::from_value(event).unwrap())
            .await
            .unwrap();
    };
    stream::iter((0..events_wanted()).map(one)).buffer_unordered(8).collect::<Vec<()>>().await;
}

async fn change(client: &Client) {
    let one = async |number: usize| {
        let (namespace, name) = place(number);
        let patch = json!({"spec": {"streams": [{"name": "stage"}, {"name": "hall"}]}});
        events(client, &namespace).patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    stream::iter((0..events_wanted()).map(one)).buffer_unordered(8).collect::<Vec<()>>().await;
}

async fn change_one_by_one(client: &Client) {
    for number in 0..ONE_BY_ONE {
        let (namespace, name) = place(number);
        let (events, began) = (events(client, &namespace), Instant::now());
        let patch = json!({"spec": {"streams": [{"name": "stage"}]}});
        let changed = events.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        while !is_answered(&events.get(&name).await.unwrap(), changed.metadata.generation) {
            assert!(began.elapsed() < LIMIT, "{namespace}/{name} is not answered");
            pause(ANSWER_LOOK).await;
        }
    }
}

fn is_answered(event: &DynamicObject, generation: Option<i64>) -> bool {
    event.data["status"]["observedGeneration"].as_i64() == generation
}

async fn all(client: &Client) -> Vec<DynamicObject> {
    Api::<DynamicObject>::all_with(client.clone(), &resource(KINDS[0]))
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
}

async fn ready(client: &Client) -> usize {
    let is_ready = |event: &DynamicObject| {
        let conditions = event.data["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    all(client).await.iter().filter(|event| is_ready(event)).count()
}

/// Events whose status answers the spec as it is now.
async fn observed(client: &Client) -> usize {
    all(client).await.iter().filter(|event| is_answered(event, event.metadata.generation)).count()
}

/// The resource version of everything that belongs to events.
async fn all_versions(client: &Client) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for kind in KINDS {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind));
        for object in api.list_metadata(&ListParams::default()).await.unwrap().items {
            let namespace = object.namespace().unwrap_or_default();
            let own = ["kube-system", "lectern-system", "default"].contains(&namespace.as_str());
            if !own {
                let name = format!("{} {namespace}/{}", kind.1, object.name_any());
                versions.insert(name, object.resource_version().unwrap_or_default());
            }
        }
    }
    versions
}

/// Numbers of the operator's `/metrics`, by name with labels.
async fn metrics(port: u16) -> BTreeMap<String, f64> {
    let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    numbers(&answer)
}

fn numbers(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

/// Requests that the API server has answered, by verb and resource: APPLY is the operator's alone.
async fn requests(client: &Client) -> BTreeMap<String, f64> {
    let request = http_get("/metrics");
    let text = client.request_text(request).await.unwrap();
    let mut sums = BTreeMap::new();
    for (name, value) in numbers(&text).into_iter().filter(|(name, _)| name.starts_with("apiserver_request_total{")) {
        let label = |key: &str| {
            let rest = name.split_once(&format!("{key}=\""))?.1;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let (Some(verb), Some(resource)) = (label("verb"), label("resource")) else { continue };
        let of_operator = verb == "APPLY" || (verb == "POST" && ["secrets", "events"].contains(&resource.as_str()));
        if of_operator {
            *sums.entry(format!("{verb} {resource}")).or_insert(0.0) += value;
        }
    }
    sums
}

fn http_get(path: &str) -> http::Request<Vec<u8>> {
    http::Request::get(path).body(Vec::new()).unwrap()
}

/// Says what looks took and what they asked for.
fn tell(when: &str, looks: &BTreeMap<String, f64>, asked: &BTreeMap<String, f64>) {
    const BUCKET: &str = "lectern_operator_reconcile_duration_seconds_bucket{le=\"";
    let count = looks.get("lectern_operator_reconcile_duration_seconds_count").copied().unwrap_or(0.0);
    let sum = looks.get("lectern_operator_reconcile_duration_seconds_sum").copied().unwrap_or(0.0);
    let mut buckets: Vec<(f64, f64)> = looks
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(BUCKET)?.strip_suffix("\"}")?.parse().ok()?, *value)))
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let below =
        |part: f64| buckets.iter().find(|(_, value)| *value >= count * part).map_or(f64::INFINITY, |(le, _)| *le);
    eprintln!(
        "FIGURE {when}: {count} looks, mean {:.1} ms, p50 at most {} ms, p99 at most {} ms",
        sum / count * 1_000.0,
        below(0.5) * 1_000.0,
        below(0.99) * 1_000.0
    );
    let total: f64 = asked.values().sum();
    eprintln!("FIGURE {when}: {total} requests of the operator that may write: {asked:?}");
}

/// The deployment controller and the nodes: a Deployment has its pods, and they are Ready.
async fn play_nodes(client: Client) {
    let api: Api<Deployment> = Api::all(client.clone());
    let stream = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
    let each = stream.for_each_concurrent(4, |deployment| {
        let client = client.clone();
        async move {
            let Ok(deployment) = deployment else { return };
            // A Deployment that went meanwhile, or was changed again, comes again.
            let _ = settle(&client, &deployment).await;
        }
    });
    each.await;
}

async fn settle(client: &Client, deployment: &Deployment) -> Result<(), kube::Error> {
    let (namespace, name) = (deployment.namespace().unwrap_or_default(), deployment.name_any());
    let spec = deployment.spec.clone().unwrap_or_default();
    let wanted = spec.replicas.unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    if status.replicas.unwrap_or(0) == wanted && status.observed_generation == deployment.metadata.generation {
        return Ok(());
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    for number in status.replicas.unwrap_or(0)..wanted {
        let labels = spec.template.metadata.as_ref().and_then(|meta| meta.labels.clone());
        let mut pod =
            json!({"metadata": {"name": format!("{name}-{number}"), "labels": labels}, "spec": spec.template.spec});
        pod["spec"]["nodeName"] = json!("node");
        match pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => return Err(error),
        }
        let since = "2026-12-01T00:00:00Z";
        let ready = json!({"status": {"phase": "Running", "podIP": POD_IP, "podIPs": [{"ip": POD_IP}], "hostIP": "192.0.2.1",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}]}});
        pods.patch_status(&format!("{name}-{number}"), &PatchParams::default(), &Patch::Merge(ready)).await?;
    }
    let settled = json!({"status": {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": wanted,
        "availableReplicas": wanted, "observedGeneration": deployment.metadata.generation}});
    let api: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(settled)).await.map(drop)
}

/// Every ingest: answers the first question, and lets those wait who ask for news.
async fn play_ingests() {
    let listener = tokio::net::TcpListener::bind((POD_IP, 9090)).await.unwrap();
    let status = json!({"role": "ingest", "version": 1, "boot": "b", "ready": true,
        "ingest": {"streams": {}, "relays": [{"peer": format!("{POD_IP}:1936"), "streams": {"stage": true, "hall": true}}]}});
    let body = status.to_string();
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    loop {
        let Ok((mut connection, _)) = listener.accept().await else { continue };
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut request = [0; 1_024];
            while let Ok(length @ 1..) = connection.read(&mut request).await {
                if request[..length].windows(6).any(|six| six == b"after=") {
                    pause(LONG_POLL).await;
                }
                if connection.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}
