//! An event without an operator: the objects that `lectern plan` prints, and Secrets made by hand. What runs needs
//! no operator to look after it.

use crate::crowd::{Crowd, UNNOTICED};
use crate::encoder;
use crate::event::{Event, LIMIT};
use crate::namespace::Namespace;
use crate::stage::{figure, quiet};
use e2e::media::Clip;
use e2e::process::{Running, binary};
use lectern_api::keys;
use lectern_testcluster::cluster::output;
use lectern_testcluster::image::{LECTERN_IMAGE, root};
use lectern_testcluster::wait;
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

/// A name server that answers every question for an address with those in a file, a line each.
const NAME_SERVER: &str = r#"
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.10.0.1", 53))
while True:
    asked, who = server.recvfrom(512)
    end = asked.index(b"\0", 12) + 5
    kind = asked[end - 4:end - 2]
    addresses = open(sys.argv[1]).read().split() if kind == b"\0\1" else []
    answers = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(a) for a in addresses)
    server.sendto(asked[:2] + b"\x84\0\0\1" + bytes([0, len(addresses)]) + b"\0\0\0\0" + asked[12:end] + answers, who)
"#;

/// An event made by hand from the smallest example: its objects are applied, its Secrets are made.
fn by_hand<'a>(at: &'a Namespace<'a>) -> (Event<'a>, String) {
    let mut plan = Command::new(binary("lectern").expect("is built"));
    plan.args(["plan", "--objects", "-f"]).arg(root().join("examples/smallest.yaml"));
    let objects = output(&mut plan, "").expect("the example has a plan");
    let image = objects.lines().find_map(|line| line.trim().strip_prefix("image: ")).expect("names an image");
    let objects = objects
        .replace(image, LECTERN_IMAGE)
        .replace("namespace: default", &format!("namespace: {}", at.name))
        .replace("default/hello", &format!("{}/hello", at.name));

    let seed = keys::seed(b"a root of one's own", &format!("{}/hello", at.name));
    let key = keys::stream_key(seed.as_bytes(), "stage");
    for (name, entry, value) in [
        ("hello-seed", "seed", seed.clone()),
        ("hello-relay", "token", keys::relay_token(seed.as_bytes())),
        ("hello-stage-key", "key", key.clone()),
    ] {
        let data = json!({entry: value});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        at.apply(&secret.to_string()).unwrap();
    }
    let applied = Instant::now();
    at.apply(&without_secrets(&objects)).expect("the objects are valid");
    (Event { at, name: "hello".into(), applied }, key)
}

/// The plan's documents but for those of Secrets: their values are the operator's to derive.
fn without_secrets(objects: &str) -> String {
    let kept: Vec<_> = objects.split("\n---\n").filter(|document| !document.contains("\nkind: Secret\n")).collect();
    kept.join("\n---\n")
}

#[test]
fn a_plan_that_is_applied_by_hand_goes_live() {
    let turn = quiet();
    let at = Namespace::new(&turn, "by-hand");
    let (event, key) = by_hand(&at);
    wait::until_true("the ingest", LIMIT, || event.pods("ingest").iter().any(|pod| pod.ready)).unwrap();
    figure("by hand: objects applied to ingest Ready", event.applied.elapsed());
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &event.publish_url("stage", &key));
    event.wait_until_playable("stage");
    figure("by hand: objects applied to four segments at every edge", event.applied.elapsed());
    // Two, by the minimum of the autoscaler, though no metric reaches it.
    event.wait_for_edges(2);
    let report = Crowd::start(&at, 10, UNNOTICED, &["--hls", "20", &event.page("stage")]).wait(Duration::from_secs(10));
    report.must_hold();
}

#[test]
fn without_the_right_to_watch_the_ingest_finds_its_edges_by_name() {
    let turn = quiet();
    let at = Namespace::new(&turn, "by-name");
    let (addresses, program) = (at.folder().join("addresses"), at.folder().join("names.py"));
    std::fs::write(&addresses, "").unwrap();
    std::fs::write(&program, NAME_SERVER).unwrap();
    let mut server = turn.exec_in_netns("python3");
    let _names = Running::start("names", at.folder(), server.arg(&program).arg(&addresses)).unwrap();
    let (event, key) = by_hand(&at);
    at.kubectl(&["delete", "rolebinding", "hello-ingest"]).unwrap();
    wait::until_true("two edges with addresses", LIMIT, || {
        event.pods("edge").iter().filter(|pod| !pod.ip.is_empty()).count() == 2
    })
    .unwrap();
    // The ingest may have had its right for a moment: it starts again without.
    at.kubectl(&["delete", "pod", "--selector=lectern.dev/role=ingest", "--wait=true"]).unwrap();
    let known: Vec<_> = event.pods("edge").iter().map(|pod| pod.ip.clone()).collect();
    std::fs::write(&addresses, known.join("\n")).unwrap();
    wait::until_true("the ingest", LIMIT, || event.pods("ingest").iter().any(|pod| pod.ready)).unwrap();
    let _encoder = encoder::once(&at, "encoder", Clip::Plain, &event.publish_url("stage", &key));
    event.wait_until_playable("stage");
    let logs = at.kubectl(&["logs", &event.ingest().name]).unwrap();
    assert!(logs.contains("forbidden"), "it was refused: {logs}");
}
