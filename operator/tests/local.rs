//! `lectern local` with nodes that only pretend: what it starts, shows, restarts and takes down. The real nodes are the
//! business of the end-to-end tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot start its run must fail")]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Whatever is waited for comes within this time, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);

const EVENT: &str = "\
apiVersion: lectern.dev/v1alpha1
kind: LiveEvent
metadata: {name: gala}
spec:
  streams: [{name: hall-a, title: Hall A}]
  edges: {min: 2, drain: 5s}
";

#[test]
fn connections_are_spread_over_the_edges_and_the_event_is_shown() {
    let run = Run::start(&["--key", "hall-a=opensesame", "--key", "hall-a.backup=standingby"]);
    let event = run.until("two ready edges", |event| ready_edges(event).len() == 2);
    let nodes = event["status"]["edges"]["nodes"].as_array().unwrap();
    let names: Vec<&str> = nodes.iter().map(|node| node["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["edge-0", "edge-1"]);
    for node in nodes {
        assert!(
            node["pid"].is_u64() && node["http"].is_string() && node["rtmp"].is_string() && node["viewers"] == 0,
            "{node}"
        );
    }
    let answers: Vec<String> = (0..4).map(|_| get(run.http, "/").unwrap()).collect();
    assert_eq!((&answers[0], &answers[1]), (&answers[2], &answers[3]));
    assert_ne!(answers[0], answers[1]);

    let event = run.until("readiness of the ingest", |event| event["status"]["ingest"]["ready"] == true);
    assert!(event["status"]["ingest"]["pid"].is_u64(), "{event}");
    assert_eq!(event["spec"]["edges"]["max"], 40, "defaults are filled in");
    assert_eq!(event["metadata"]["namespace"], "default");
    run.until("links to both edges", |event| condition(event, "RelaysConverged") == "True");
    assert_eq!(condition(&run.event(), "Ready"), "True");
    let stream = run.notice("stream");
    assert_eq!(stream["streamKey"], "hall-a?key=opensesame");
    assert_eq!(stream["backupKey"], "hall-a?key=standingby");
    let list = get(run.api, "/apis/lectern.dev/v1alpha1/namespaces/default/liveevents").unwrap();
    assert_eq!(serde_json::from_str::<Value>(&list).unwrap()["items"].as_array().unwrap().len(), 1);
    assert!(
        get(run.api, "/apis/lectern.dev/v1alpha1/namespaces/default/liveevents/other").unwrap().contains("NotFound")
    );
}

#[test]
fn a_killed_edge_is_started_again_at_once_and_nobody_is_refused() {
    let run = Run::start(&[]);
    let event = run.until("two ready edges", |event| ready_edges(event).len() == 2);
    let killed = event["status"]["edges"]["nodes"][0]["pid"].as_i64().unwrap();
    kill(killed, "KILL");
    for _ in 0..10 {
        // A connection that the kernel took just before the edge died is lost; the next one is not.
        let answered = get(run.http, "/").or_else(|| get(run.http, "/"));
        assert!(answered.is_some(), "a refused connection goes to the other edge");
    }
    let event = run.until("the edge again", |event| {
        ready_edges(event).len() == 2 && event["status"]["edges"]["nodes"][0]["restarts"] == 1
    });
    assert_ne!(event["status"]["edges"]["nodes"][0]["pid"].as_i64().unwrap(), killed);
    let died = run.notice("died");
    assert_eq!((died["node"].as_str(), died["restartInS"].as_u64()), (Some("edge-0"), Some(0)));
}

#[test]
fn an_order_to_end_takes_the_children_down_and_ends_well() {
    let mut run = Run::start(&[]);
    let event = run.until("two ready edges", |event| ready_edges(event).len() == 2);
    let pids = pids(&event);
    assert_eq!(pids.len(), 3);
    kill(i64::from(run.child.id()), "TERM");
    assert_eq!(run.notice("ended")["event"], "ended");
    let ended = run.child.wait().unwrap();
    assert!(ended.success(), "{ended}");
    assert!(pids.iter().all(|pid| !alive(*pid)));
}

#[test]
fn a_second_order_to_end_is_obeyed_at_once_by_children_that_do_not_listen_too() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut run = Run::start_with("trap '' INT TERM;", &[]);
        let event = run.until("two ready edges", |event| ready_edges(event).len() == 2);
        let pids = pids(&event);
        kill(i64::from(run.child.id()), signal);
        assert_eq!(run.notice("draining")["viewers"], 0);
        assert!(pids.iter().all(|pid| alive(*pid)));
        kill(i64::from(run.child.id()), signal);
        assert_eq!(run.notice("ended")["event"], "ended");
        assert_eq!(run.child.wait().unwrap().code(), Some(code));
        assert!(pids.iter().all(|pid| !alive(*pid)));
    }
}

#[test]
fn children_do_not_outlive_a_killed_parent() {
    let mut run = Run::start(&[]);
    let event = run.until("two ready edges", |event| ready_edges(event).len() == 2);
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    // The kernel sends the signal while the parent ends; a child is gone when its ports answer no more.
    for node in nodes(&event) {
        let address: SocketAddr = node["rtmp"].as_str().or(node["http"].as_str()).unwrap().parse().unwrap();
        let deadline = Instant::now() + DEADLINE;
        while alive(node["pid"].as_i64().unwrap()) {
            assert!(Instant::now() < deadline, "{node} outlives its parent");
            let _ = TcpStream::connect_timeout(&address, LOOK);
        }
    }
}

#[test]
fn what_cannot_work_is_said_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let table = [
        ("spec: {streams: [{name: hall-a}], edges: {min: 9, max: 3}}", vec![], "must not exceed max"),
        ("spec: {streams: [{name: hall-a}], colour: red}", vec![], "spec.colour"),
        ("spec: {streams: [{name: hall-a}]}", vec!["--key", "hall-z=12345678"], "hall-z"),
        ("spec: {streams: [{name: hall-a}]}", vec!["--node", "/nowhere"], "/nowhere"),
    ];
    for (spec, args, word) in table {
        let path = folder.path().join("event.yaml");
        let text = format!("apiVersion: lectern.dev/v1alpha1\nkind: LiveEvent\nmetadata: {{name: gala}}\n{spec}\n");
        std::fs::write(&path, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lectern"));
        command.args(["local", "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0", "--api", "127.0.0.1:0", "-f"]);
        command.arg(&path).args(args).env("LECTERN_STATE", folder.path()).env("LECTERN_NODE", "/bin/true");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(word), "{said}");
    }
}

/// A run of `lectern local` that ends with the test.
struct Run {
    child: Child,
    http: SocketAddr,
    api: SocketAddr,
    notices: std::cell::RefCell<(mpsc::Receiver<Value>, Vec<Value>)>,
    _folder: tempfile::TempDir,
}

impl Run {
    fn start(args: &[&str]) -> Self {
        Self::start_with("", args)
    }

    /// The nodes run `first`, as a shell does, before they are nodes.
    fn start_with(first: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (event, node) = (folder.path().join("event.yaml"), folder.path().join("node"));
        std::fs::write(&event, EVENT).unwrap();
        // This test program itself, as the node.
        let me = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\n{first}\nFAKE_ROLE=$1 FAKE_CONFIG=$3 exec {} --exact pretend_node --ignored --nocapture\n",
            me.display()
        );
        std::fs::write(&node, script).unwrap();
        std::fs::set_permissions(&node, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lectern"));
        command.args(["local", "--output", "json"]);
        command.args(["--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
        command.arg("-f").arg(&event).args(args);
        command.env("LECTERN_NODE", &node).env("LECTERN_STATE", folder.path().join("state"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}")));
            }
        });
        let first: Value = receiver.recv_timeout(DEADLINE).unwrap();
        let address = |field: &str| first[field].as_str().unwrap().split('/').nth(2).unwrap().parse().unwrap();
        let (http, api) = (address("http"), address("api"));
        Self { child, http, api, notices: (receiver, vec![first]).into(), _folder: folder }
    }

    fn event(&self) -> Value {
        let text = get(self.api, "/apis/lectern.dev/v1alpha1/namespaces/default/liveevents/gala").unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The event once it is as it should be: looked at whenever something is told, and now and then.
    fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let event = self.event();
            if holds(&event) {
                return event;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: {event:#}");
            let mut notices = self.notices.borrow_mut();
            if let Ok(told) = notices.0.recv_timeout(LOOK) {
                notices.1.push(told);
            }
        }
    }

    /// The first notice of its kind.
    fn notice(&self, kind: &str) -> Value {
        let mut notices = self.notices.borrow_mut();
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = notices.1.iter().find(|notice| notice["event"] == kind) {
                return found.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let next = notices.0.recv_timeout(left).unwrap_or_else(|_| panic!("no {kind}; only {:?}", notices.1));
            notices.1.push(next);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready_edges(event: &Value) -> Vec<&Value> {
    let nodes = event["status"]["edges"]["nodes"].as_array();
    nodes.into_iter().flatten().filter(|node| node["ready"] == true).collect()
}

fn condition<'a>(event: &'a Value, kind: &str) -> &'a str {
    let all = event["status"]["conditions"].as_array();
    let found = all.into_iter().flatten().find(|condition| condition["type"] == kind);
    found.and_then(|condition| condition["status"].as_str()).unwrap_or_default()
}

fn nodes(event: &Value) -> Vec<&Value> {
    let status = &event["status"];
    status["edges"]["nodes"].as_array().into_iter().flatten().chain([&status["ingest"]]).collect()
}

fn pids(event: &Value) -> Vec<i64> {
    nodes(event).into_iter().filter_map(|node| node["pid"].as_i64()).collect()
}

fn alive(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie that its reaper has not looked at yet is dead.
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

fn kill(pid: i64, signal: &str) {
    assert!(Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().unwrap().success());
}

/// The body of an answer; None when there is none.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// Not a test: what the node script runs. It answers `/status` as Ready; an edge answers with its address on its HTTP
/// port, an ingest says that it is linked to the edges in its discovery file that serve.
#[test]
#[ignore = "a node for the tests of this file"]
fn pretend_node() {
    let Ok(path) = std::env::var("FAKE_CONFIG") else { return };
    let config: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let address = |name: &str| config["listen"][name].as_str().unwrap().to_owned();
    if std::env::var("FAKE_ROLE").unwrap() == "edge" {
        let http = address("http");
        std::thread::spawn(move || serve(&http.clone(), || http.clone()));
    }
    serve(&address("admin"), || {
        let discovery = config["discovery"]["path"].as_str().and_then(|path| std::fs::read_to_string(path).ok());
        let peers: Vec<Value> = discovery.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let link = |peer: &Value| serde_json::json!({ "peer": peer["relay"], "streams": { "hall-a": true } });
        let relays: Vec<Value> = peers.iter().filter(|peer| peer["serving"] == true).map(link).collect();
        let ingest = config["discovery"].is_object().then(|| serde_json::json!({ "relays": relays }));
        let edge = config["listen"]["http"].is_string().then(|| serde_json::json!({ "viewers": 0 }));
        serde_json::json!({ "ready": true, "ingest": ingest, "edge": edge }).to_string()
    });
}

fn serve(address: &str, body: impl Fn() -> String) {
    let listener = TcpListener::bind(address).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut head = [0; 4096];
        if stream.read(&mut head).is_ok() {
            let body = body();
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        }
    }
}
