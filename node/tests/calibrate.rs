//! `lectern-node calibrate`, really run, small and short: what it prints has the right shape and follows from what it
//! measured, and nothing it started is left. How fast this machine is, is nobody's business here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};

#[path = "support/fleet.rs"]
mod fleet;

use fleet::{DEADLINE, wait_for};

/// A machine that is too busy for twenty viewers says so, and is asked again this often.
const TRIES: usize = 3;
const SHORT: &str = "--segment 1s --duration 16s --viewers 20 --bitrate 600k --cpu 1500m --memory 1Gi --egress 1G \
    --output json";

#[tokio::test]
async fn what_is_recommended_follows_from_what_was_measured() {
    let mut tried = 0;
    let found = loop {
        let measuring = Measuring::start(&SHORT.split_whitespace().collect::<Vec<_>>());
        let nodes = measuring.nodes().await;
        let output = measuring.finish();
        gone(&nodes).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("20 viewers come"), "progress is told: {said}");
        tried += 1;
        if output.status.success() {
            break serde_json::from_slice::<Value>(&output.stdout).unwrap();
        }
        assert!(said.contains("a quieter machine") && tried < TRIES, "{said}");
    };
    let number = |path: &str| found.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}: {found}"));
    for (level, viewers) in [0.0, 10.0, 20.0].into_iter().enumerate() {
        assert_eq!(number(&format!("/levels/{level}/viewers")), viewers);
        assert!(number(&format!("/levels/{level}/edgeCores/median")) > 0.0);
    }
    let delivered = number("/levels/2/deliveredPercent");
    assert!((80.0..120.0).contains(&delivered), "{delivered}");
    let bits = number("/viewer/bitsPerSecond");
    assert!((480_000.0..900_000.0).contains(&bits), "the stream and what MPEG-TS adds: {bits}");
    assert!(number("/viewersPerCore") > 0.0 && number("/bitsPerSecondPerCore") > bits);

    // The arithmetic again, from the printed numbers.
    let carried = (1.5 * 0.7 - number("/levels/0/edgeCores/median")) * number("/viewersPerCore");
    let bounds = found["bounds"].as_array().unwrap();
    let by =
        |limit: &str| bounds.iter().find(|bound| bound["by"] == limit).expect("is there")["viewers"].as_f64().unwrap();
    assert!((by("processor") - carried.floor()).abs() <= 1.0, "{} against {carried}", by("processor"));
    assert!((by("network") - (1e9 * 0.7 * 1_448.0 / 1_538.0 / bits).floor()).abs() <= 1.0);
    assert!(by("memory") > 0.0 && by("openFiles") > 0.0);
    let per_edge = found["viewersPerEdge"].as_u64().unwrap();
    let least = bounds.iter().map(|bound| bound["viewers"].as_u64().unwrap()).min().unwrap();
    assert!(per_edge <= least && per_edge * 10 >= least * 9, "rounded down to two digits: {per_edge} of {least}");
    assert_eq!(found["egressBitsPerSecondPerEdge"], 650_000_000);
}

#[tokio::test]
async fn ctrl_c_ends_it_and_leaves_no_process() {
    let measuring = Measuring::start(&[]);
    let nodes = measuring.nodes().await;
    measuring.signal(Signal::SIGINT);
    let output = measuring.finish();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("stopped before"), "{said}");
    assert!(output.stdout.is_empty());
    gone(&nodes).await;
}

#[tokio::test]
async fn killed_itself_it_leaves_no_process_either() {
    let measuring = Measuring::start(&[]);
    let nodes = measuring.nodes().await;
    measuring.signal(Signal::SIGKILL);
    measuring.finish();
    gone(&nodes).await;
}

#[tokio::test]
async fn an_edge_that_dies_is_an_error_that_says_so() {
    let measuring = Measuring::start(&[]);
    let nodes = measuring.nodes().await;
    let edge = nodes.iter().find(|pid| role_of(**pid).as_deref() == Some("edge")).expect("one is the edge");
    kill(Pid::from_raw(*edge), Signal::SIGKILL).unwrap();
    let output = measuring.finish();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("the edge ended on its own (signal: 9"), "{said}");
    gone(&nodes).await;
}

#[test]
fn what_cannot_work_is_said_before_anything_starts() {
    let output = Measuring::start(&["--duration", "5s"]).finish();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("at least 32000 ms are needed"), "{said}");

    let limited = format!("ulimit -n 200 && exec {} calibrate --viewers 1000", env!("CARGO_BIN_EXE_lectern-node"));
    let output = Command::new("sh").env_clear().args(["-c", &limited]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("1000 viewers need 1064 open files") && said.contains("ulimit -Hn"), "{said}");
}

/// A calibration that runs.
struct Measuring(Child);

impl Measuring {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lectern-node"));
        // Only what a test says: an environment variable of whoever runs it would change the result.
        command.env_clear().arg("calibrate").args(args).stdin(Stdio::null());
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// The ingest and the edge that it has started, once both run.
    async fn nodes(&self) -> BTreeSet<i32> {
        let parent = i32::try_from(self.0.id()).unwrap();
        until("it starts an ingest and an edge", || {
            let children = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
                let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
                (parent_of(pid) == Some(parent) && role_of(pid).is_some()).then_some(pid)
            });
            Some(children.collect::<BTreeSet<i32>>()).filter(|pids| pids.len() == 2)
        })
        .await
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    fn finish(mut self) -> Output {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        self.0.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        Output { status: self.0.wait().unwrap(), stdout, stderr }
    }
}

/// Waits until none of these processes is left.
async fn gone(pids: &BTreeSet<i32>) {
    // A zombie has no command line; whoever inherits it reaps it.
    until("its processes end", || pids.iter().all(|pid| role_of(*pid).is_none()).then_some(())).await;
}

async fn until<T>(what: &str, condition: impl Fn() -> Option<T>) -> T {
    wait_for(async || condition()).await.unwrap_or_else(|| panic!("not within {} s: {what}", DEADLINE.as_secs()))
}

/// What a node is, by its command line: not yet between fork and exec, and not any more at its end.
fn role_of(pid: i32) -> Option<String> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    line.split('\0').nth(1).filter(|role| ["edge", "ingest"].contains(role)).map(str::to_owned)
}

fn parent_of(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
