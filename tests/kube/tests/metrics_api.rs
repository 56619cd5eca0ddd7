//! `lectern metrics-api` behind a real API server: found, trusted, and asked through it; no other client gets anything. And
//! what a thousand edges cost it. The cluster is a store and an API server; one server answers for all edges.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up must fail")]
#![allow(clippy::print_stderr, reason = "figures, shown by the test harness")]

use e2e::process::{Running, binary};
use lectern_api::node_status::{EdgeStatus, EdgeStream, NodeStatus};
use lectern_testcluster::{Cluster, ControlPlane, Options, image, wait};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Edges of the event.
const EDGES: usize = 1_000;
/// Viewers of each.
const VIEWERS_EACH: u64 = 90;
/// What the program may use at that number (issue: autoscaling).
const CORES_MAX: f64 = 0.2;
const MEMORY_KIB_MAX: u64 = 50 << 10;
/// Over how long it is measured.
const MEASURED: Duration = Duration::from_secs(20);
/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);
/// Endpoints in a slice: what Kubernetes puts into one.
const SLICE: usize = 100;
/// Address of the machine in the cluster's network.
const NODE: &str = "10.10.0.1";
const VALUES: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/lectures/liveevents.lectern.dev/gala";

#[test]
fn the_api_server_finds_metrics_of_a_thousand_edges_and_nobody_else_does() {
    let cluster = Cluster::start(&Options { control_plane: ControlPlane::StoreAndApi, ..Options::default() }).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    set_up(&cluster);
    run(&cluster, "ip", &["route", "add", "local", "10.50.0.0/16", "dev", "lo"]);
    let own = std::env::current_exe().unwrap();
    let mut edges = cluster.exec_in_netns(own.to_str().unwrap());
    edges.args(["--ignored", "--exact", "be_edges", "--nocapture"]);
    let _edges = Running::start("edges", folder.path(), &mut edges).unwrap();
    let program = start(&cluster, folder.path());

    let began = Instant::now();
    let asked = || cluster.kubectl(&["get", "--raw", &format!("{VALUES}/live_viewers")]);
    let viewers = |answer: &str| -> Option<u64> {
        serde_json::from_str::<Value>(answer).ok()?["items"][0]["value"].as_str()?.parse().ok()
    };
    let expected = VIEWERS_EACH * EDGES as u64;
    let counted = wait::until("all viewers to be counted", LIMIT, || {
        Ok(viewers(&asked()?).filter(|viewers| *viewers == expected))
    });
    let log = || program.log();
    assert!(counted.is_ok(), "{counted:?}; the last answer was {:?}; {}", asked(), log());
    eprintln!("FIGURE from the start to the first full count through the API server: {:.1?}", began.elapsed());
    available(&cluster);
    let found = cluster.kubectl(&["get", "--raw", "/apis/custom.metrics.k8s.io/v1beta1"]).unwrap();
    assert!(found.contains("liveevents.lectern.dev/viewer_demand"), "{found}");
    let missing = cluster.kubectl(&["get", "--raw", &VALUES.replace("gala", "missing").replace("lectures", "none")]);
    assert!(missing.is_err());

    forged(&cluster);
    repaired(&cluster);
    measure(&program);
    drop(program);
    cluster.remove().unwrap();
}

/// Definition, event, Deployment, ReplicaSet, pods and slices; the Service of `metrics-api` and the two APIServices.
fn set_up(cluster: &Cluster) {
    cluster.apply(&std::fs::read_to_string(image::root().join("crds/liveevents.yaml")).unwrap()).unwrap();
    let account = |namespace: &str| object("v1", "ServiceAccount", namespace, "default", &json!({}));
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    apply(cluster, &[namespace("lectures"), namespace("lectern-system"), account("lectures")]);
    let event = json!({"spec": {"streams": [{"name": "hall-a"}], "edges": {"max": 1000}}});
    wait::until("events to be known", LIMIT, || {
        let event = object("lectern.dev/v1alpha1", "LiveEvent", "lectures", "gala", &event);
        Ok(cluster.apply(&event.to_string()).ok())
    })
    .unwrap();
    let uid = |kind: &str, name: &str| {
        cluster.kubectl(&["-n", "lectures", "get", kind, name, "-o", "jsonpath={.metadata.uid}"]).unwrap()
    };
    let template = json!({"metadata": {"labels": labels()}, "spec": pod_spec()});
    let workload = json!({"replicas": 0, "selector": {"matchLabels": labels()}, "template": template});
    let owners = [("lectern.dev/v1alpha1", "LiveEvent", "gala"), ("apps/v1", "Deployment", "gala-edge")];
    for ((version, kind, owner), child) in owners.into_iter().zip(["Deployment", "ReplicaSet"]) {
        let mut made = object("apps/v1", child, "lectures", "gala-edge", &json!({"spec": workload}));
        own(&mut made, version, kind, owner, &uid(kind, owner));
        apply(cluster, &[made]);
    }
    let set = uid("ReplicaSet", "gala-edge");
    let pods = (0..EDGES).map(|number| {
        let mut pod = object("v1", "Pod", "lectures", &format!("gala-edge-{number}"), &json!({"spec": pod_spec()}));
        own(&mut pod, "apps/v1", "ReplicaSet", "gala-edge", &set);
        pod
    });
    apply(cluster, &pods.collect::<Vec<_>>());
    let uids = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
    let uids = cluster.kubectl(&["-n", "lectures", "get", "pods", "-o", uids]).unwrap();
    let uids: Vec<(&str, &str)> = uids.lines().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(uids.len(), EDGES);
    let slices: Vec<Value> = uids.chunks(SLICE).enumerate().map(|(number, pods)| slice(number, pods)).collect();
    apply(cluster, &slices);
    serve(cluster);
}

fn serve(cluster: &Cluster) {
    let ports = json!({"spec": {"ports": [{"name": "https", "port": 443, "targetPort": 8443}]}});
    let service = object("v1", "Service", "lectern-system", "lectern-metrics", &ports);
    let mut endpoints = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "lectern-system", "name": "lectern-metrics"},
        "ports": [{"name": "https", "port": 8443, "protocol": "TCP"}],
        "endpoints": [{"addresses": [NODE], "conditions": {"ready": true}}],
    });
    endpoints["metadata"]["labels"] = json!({"kubernetes.io/service-name": "lectern-metrics"});
    let api = |version: &str, priority: u32| {
        json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("{version}.custom.metrics.k8s.io")},
            "spec": {
                "group": "custom.metrics.k8s.io", "version": version, "groupPriorityMinimum": 100,
                "versionPriority": priority,
                "service": {"name": "lectern-metrics", "namespace": "lectern-system", "port": 443},
            },
        })
    };
    apply(cluster, &[service, endpoints, api("v1beta2", 200), api("v1beta1", 100)]);
}

fn slice(number: usize, pods: &[(&str, &str)]) -> Value {
    let endpoint = |(name, uid): &(&str, &str)| {
        let edge: u16 = name.rsplit('-').next().unwrap().parse().unwrap();
        json!({
            "addresses": [address(edge).to_string()],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": "lectures", "name": name, "uid": uid},
        })
    };
    let mut labels = labels();
    labels["kubernetes.io/service-name"] = "gala-relay".into();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "lectures", "name": format!("gala-relay-{number}"), "labels": labels},
        "ports": [{"name": "relay", "port": 1936, "protocol": "TCP"}],
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

fn address(edge: u16) -> IpAddr {
    let [high, low] = (edge + 1).to_be_bytes();
    Ipv4Addr::new(10, 50, high, low).into()
}

fn labels() -> Value {
    json!({"lectern.dev/event": "gala", "lectern.dev/role": "edge", "app.kubernetes.io/managed-by": "lectern"})
}

fn pod_spec() -> Value {
    json!({
        "nodeName": "nowhere", "automountServiceAccountToken": false,
        "containers": [{"name": "edge", "image": "localhost/lectern:dev"}],
    })
}

fn object(version: &str, kind: &str, namespace: &str, name: &str, more: &Value) -> Value {
    let mut object = more.clone();
    object["apiVersion"] = version.into();
    object["kind"] = kind.into();
    object["metadata"] = json!({"namespace": namespace, "name": name});
    if namespace == "lectures" && kind != "LiveEvent" && kind != "ServiceAccount" {
        object["metadata"]["labels"] = labels();
    }
    object
}

fn own(object: &mut Value, version: &str, kind: &str, name: &str, uid: &str) {
    object["metadata"]["ownerReferences"] =
        json!([{"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true}]);
}

fn apply(cluster: &Cluster, objects: &[Value]) {
    let text: Vec<String> = objects.iter().map(Value::to_string).collect();
    cluster.apply(&text.join("\n---\n")).unwrap();
}

fn run(cluster: &Cluster, program: &str, arguments: &[&str]) -> String {
    let done = cluster.exec_in_netns(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Starts it in the cluster's network, where the API server and the edges are.
fn start(cluster: &Cluster, folder: &Path) -> Running {
    let config = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let server = "jsonpath={.clusters[0].cluster.server}";
    let server = cluster.kubectl(&["config", "view", "--minify", "--output", server]).unwrap();
    let inside = config.replace(&server, &format!("https://{NODE}:6443"));
    assert_ne!(config, inside, "{server} stands in it");
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, inside).unwrap();
    let mut command = cluster.exec_in_netns(binary("lectern").unwrap().to_str().unwrap());
    command.env("KUBECONFIG", kubeconfig).args(["metrics-api", "--patch-api-services"]);
    // The edges' server has port 9090 of every address.
    command.args(["--listen-https", &format!("{NODE}:8443"), "--listen-admin", &format!("{NODE}:19090")]);
    Running::start("metrics-api", folder, &mut command).unwrap()
}

fn available(cluster: &Cluster) {
    for version in ["v1beta2", "v1beta1"] {
        let name = format!("apiservice/{version}.custom.metrics.k8s.io");
        cluster.kubectl(&["wait", &name, "--for=condition=Available", "--timeout=120s"]).unwrap();
    }
}

/// Asked past the API server, with the headers that it would send: 401. Probes are answered.
fn forged(cluster: &Cluster) {
    let ask = |path: &str| {
        let url = format!("https://{NODE}:8443{path}");
        let headers = ["-H", "X-Remote-User: system:admin", "-H", "X-Remote-Group: system:masters"];
        let code = ["-sk", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20"];
        run(cluster, "curl", &[&code[..], &headers[..], &[url.as_str()]].concat())
    };
    assert_eq!(ask(&format!("{VALUES}/live_viewers")), "401");
    assert_eq!(ask("/apis"), "401");
    assert_eq!(ask("/lectern/v1/audience"), "401");
    assert_eq!(ask("/readyz"), "200");
}

/// An administrator deletes caBundle and the Secret: both come back, and the API is available again.
fn repaired(cluster: &Cluster) {
    let began = Instant::now();
    let name = "apiservice/v1beta2.custom.metrics.k8s.io";
    let bundle = || cluster.kubectl(&["get", name, "-o", "jsonpath={.spec.caBundle}"]).unwrap();
    let before = bundle();
    cluster.kubectl(&["patch", name, "--type=merge", "--patch", r#"{"spec": {"caBundle": null}}"#]).unwrap();
    cluster.kubectl(&["-n", "lectern-system", "delete", "secret", "lectern-metrics-tls"]).unwrap();
    wait::until_true("caBundle to come back", LIMIT, || bundle() == before).unwrap();
    eprintln!("FIGURE a caBundle that was removed came back after {:.1?}", began.elapsed());
    wait::until("the Secret to come back", LIMIT, || {
        Ok(cluster.kubectl(&["-n", "lectern-system", "get", "secret", "lectern-metrics-tls"]).ok())
    })
    .unwrap();
    available(cluster);
}

/// Processor and memory over some rounds.
fn measure(program: &Running) {
    // The program is the child of the one that entered the cluster's network.
    let pid = program.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let pid = children.split_whitespace().next().and_then(|child| child.parse().ok()).unwrap_or(pid);
    let (before, began) = (cpu_ticks(pid), Instant::now());
    wait::until_true("some rounds", MEASURED * 2, || began.elapsed() >= MEASURED).unwrap();
    let ticks = cpu_ticks(pid) - before;
    // USER_HZ is 100 on every Linux.
    let cores = f64::from(u32::try_from(ticks).unwrap()) / 100.0 / began.elapsed().as_secs_f64();
    // What it holds, and the program itself as far as it is in memory: of an unoptimised one that is the larger part.
    let (held, code) = (resident_kib(pid, "RssAnon:"), resident_kib(pid, "RssFile:"));
    let build = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    let mib = |kib: u64| kib as f64 / 1_024.0;
    eprintln!(
        "FIGURE {EDGES} edges every 2 s, {build}: {cores:.3} cores, {:.1} MiB and {:.1} MiB of code",
        mib(held),
        mib(code)
    );
    let counted = if cfg!(debug_assertions) { held } else { held + code };
    assert!(counted < MEMORY_KIB_MAX, "{held} and {code} KiB");
    assert!(cores < CORES_MAX, "{cores} cores");
}

/// A line of proc(5)'s status.
fn resident_kib(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// User and system time of a process (proc(5): fields 14 and 15 of stat).
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Not a test of its own: the other one starts it in the cluster's network, where it answers for every edge.
#[test]
#[ignore = "started by the_api_server_finds_metrics_of_a_thousand_edges_and_nobody_else_does"]
fn be_edges() {
    let listener = TcpListener::bind("0.0.0.0:9090").unwrap();
    for connection in listener.incoming().flatten() {
        std::thread::Builder::new().stack_size(128 << 10).spawn(move || answer(&connection)).unwrap();
    }
}

/// Answers `/status` for as long as the connection lasts.
fn answer(connection: &TcpStream) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut reader = BufReader::with_capacity(2_048, connection);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            let body = serde_json::to_string(&status()).ok()?;
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
            (&*connection).write_all((head + &body).as_bytes()).ok()?;
        }
    }
}

/// An edge with two sessions, one of them live, whose viewers have fetched every listed segment.
fn status() -> NodeStatus {
    let now_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let newest = now_ms / 2_000;
    let fetches = (newest - 3..=newest).map(|msn| (msn, VIEWERS_EACH - 10, now_ms - msn * 2_000)).collect();
    let live = EdgeStream {
        linked: true,
        level: true,
        last_msn: Some(newest),
        target_s: Some(2),
        state: "live".into(),
        fetches,
        reloads: Some(VIEWERS_EACH - 10),
        rtmp: 4,
        flv: 6,
    };
    let idle = EdgeStream { linked: true, level: true, state: "idle".into(), ..EdgeStream::default() };
    let edge = EdgeStatus {
        token_fingerprint: "0123456789abcdef".into(),
        streams: [("hall-a".to_owned(), live), ("hall-b".to_owned(), idle)].into(),
        connections: 10,
        viewers: VIEWERS_EACH,
        egress_bytes: now_ms * 1_000,
        capacity: 1_500,
        ..EdgeStatus::default()
    };
    NodeStatus {
        role: "edge".into(),
        boot: "1".into(),
        software: "0.1.0".into(),
        event: "lectures/gala".into(),
        ready: true,
        edge: Some(edge),
        ..NodeStatus::default()
    }
}
