//! The test cluster itself: it runs pods, loses a node, ends with the process that started it, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up must fail")]

use lectern_testcluster::components::Component;
use lectern_testcluster::{Cluster, ControlPlane, Options, cgroup, image, wait};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

/// Four pods that a namespace with PodSecurity `restricted` admits, spread over the nodes, behind a Service.
const HELLO: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: smoke, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello, namespace: smoke}
spec:
  replicas: 4
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: hello}}}
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2}
      containers:
      - name: hello
        image: localhost/hello:dev
        imagePullPolicy: IfNotPresent
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Service
metadata: {name: hello, namespace: smoke}
spec: {selector: {app: hello}, ports: [{port: 80, targetPort: 8080}]}
"#;

fn ready_pods(cluster: &Cluster) -> usize {
    let ready =
        cluster.kubectl(&["-n", "smoke", "get", "deployment", "hello", "-o", "jsonpath={.status.readyReplicas}"]);
    ready.unwrap_or_default().parse().unwrap_or_default()
}

fn answer_of(cluster: &Cluster, address: &str) -> String {
    let url = format!("http://{address}/");
    let curl = cluster.exec_in_netns("curl").args(["-sS", "--max-time", "5", &url]).output().expect("curl starts");
    String::from_utf8(curl.stdout).expect("a pod's name")
}

#[test]
fn pods_answer_behind_their_service_and_a_lost_node_comes_back() {
    let began = Instant::now();
    let cluster = Cluster::start(&Options { nodes: 2, ..Options::default() }).expect("starts");
    eprintln!("two nodes Ready after {:?}", began.elapsed());
    let tar = tempfile::NamedTempFile::new().expect("temporary file");
    image::hello().expect("compiles").write(tar.path()).expect("is written");
    cluster.import_image(tar.path()).expect("every node takes it");

    let began = Instant::now();
    cluster.apply(HELLO).expect("PodSecurity admits it");
    wait::until_true("four Ready pods", LIMIT, || ready_pods(&cluster) == 4).expect("pods run");
    eprintln!("four restricted pods Ready after {:?}", began.elapsed());
    let address = cluster.kubectl(&["-n", "smoke", "get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}"]);
    let address = address.expect("has an address");
    let mut names = std::collections::BTreeSet::new();
    wait::until_true("each pod to answer", LIMIT, || {
        names.insert(answer_of(&cluster, &address));
        names.remove("");
        names.len() == 4
    })
    .expect("pods of both nodes answer through the Service");
    let port = cluster.forward(0, format!("{address}:80").parse().unwrap()).expect("a port of loopback");
    let curl = Command::new("curl").args(["-sS", &format!("http://{port}/")]).output().expect("curl starts");
    assert!(names.contains(&*String::from_utf8_lossy(&curl.stdout)), "the forwarded port leads to the Service");
    let pod = names.first().unwrap();
    cluster.kubectl(&["-n", "smoke", "logs", pod]).expect("the API server reaches the kubelet");

    cluster.kill_container("smoke", pod).expect("dies");
    let restarts = ["-n", "smoke", "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"];
    let restarted = || cluster.kubectl(&restarts).is_ok_and(|count| count == "1");
    wait::until_true("the killed container to start again", LIMIT, restarted).expect("the kubelet starts it");

    cluster.kill_node(2).expect("dies");
    let began = Instant::now();
    let status = ["get", "node", "node-2", "-o", r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#];
    let ready = |wanted: &'static str| cluster.kubectl(&status).is_ok_and(|s| s == wanted);
    wait::until_true("the lost node to be noticed", LIMIT, || ready("Unknown")).expect("noticed");
    eprintln!("the lost node is NotReady after {:?}", began.elapsed());
    cluster.start_node(2).expect("comes back");
    wait::until_true("it to be Ready again", LIMIT, || ready("True")).expect("Ready");
    wait::until_true("four Ready pods again", LIMIT, || ready_pods(&cluster) == 4).expect("pods run");

    let began = Instant::now();
    cluster.remove().expect("nothing is left behind");
    eprintln!("removed after {:?}", began.elapsed());
}

#[test]
fn an_api_server_alone_stops_and_starts_and_remembers() {
    let options = Options { control_plane: ControlPlane::StoreAndApi, ..Options::default() };
    let cluster = Cluster::start(&options).expect("starts");
    cluster.kubectl(&["create", "configmap", "kept", "--from-literal=a=b"]).expect("is stored");
    cluster.kill_component(Component::ApiServer).expect("dies");
    cluster.kubectl(&["get", "configmap", "kept", "--request-timeout=1s"]).expect_err("no server answers");
    cluster.start_component(Component::ApiServer).expect("starts");
    cluster.wait_for_api_server().expect("answers");
    cluster.kubectl(&["get", "configmap", "kept"]).expect("is still there");

    // One that ends by itself is started again, as on any machine.
    let mut outside = cluster.exec_in_netns("pkill");
    assert!(outside.args(["-KILL", "-f", "kube-apiserver --etcd"]).status().expect("starts").success());
    let kept = || cluster.kubectl(&["get", "configmap", "kept", "--request-timeout=1s"]).is_ok();
    wait::until_true("the API server to be there again", LIMIT, kept).expect("is started");
    cluster.remove().expect("nothing is left behind");
}

#[test]
fn nothing_is_left_of_a_cluster_whose_holder_was_killed() {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_lectern-testcluster"))
        .args(["serve", "--api-only"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).expect("says where it is");
    let kubeconfig = PathBuf::from(line.trim().strip_prefix("KUBECONFIG=").expect("started"));
    let work = kubeconfig.parent().unwrap().to_owned();
    assert!(!users_of(&work).is_empty(), "its processes are found by the work folder they run in");
    let began = Instant::now();
    holder.kill().expect("SIGKILL");
    holder.wait().expect("is dead");
    wait::until_true("the work folder to go", LIMIT, || !work.exists()).expect("removed by who is left");
    eprintln!("gone {:?} after its holder", began.elapsed());
    assert_eq!(users_of(&work), Vec::<String>::new(), "processes");
    let id = work.to_string_lossy().rsplit('-').next().unwrap().to_owned();
    let cgroups: Vec<_> = cgroup::ours().expect("readable").into_iter().filter(|name| name.contains(&id)).collect();
    assert_eq!(cgroups, Vec::<String>::new(), "cgroups");
}

/// Processes whose command line or current folder names the work folder.
fn users_of(work: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("readable").flatten().map(|e| e.path());
    let names = |process: &PathBuf| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let folder = std::fs::read_link(process.join("cwd")).unwrap_or_default();
        let uses = line.contains(&*work.to_string_lossy()) || folder.starts_with(work);
        uses.then_some(line)
    };
    processes.filter_map(|process| names(&process)).collect()
}
