//! `lectern-crowd` inside the cluster's network.

use crate::namespace::Namespace;
use e2e::process::{Running, binary};
use lectern_testcluster::wait;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Time for a crowd to go home.
const END: Duration = Duration::from_secs(20);

/// What no viewer may see, whatever is done to the cluster: a read that fails twice, a number that goes back, two
/// edges that disagree.
pub const UNHARMED: &str = "no-errors,no-back,no-mismatches,all-joined";
/// What no viewer may see where an endpoint dies without a word: rules of Services still lead there for a second or two,
/// and of a read and its one retry a tenth of a second later both may be sent there. Players try more often than these
/// viewers do, and the picture does not stop.
pub const UNSEEN: &str = "no-stalls,no-gaps,no-back,no-mismatches,all-joined";
/// [`UNHARMED`], and the picture never stops.
pub const UNNOTICED: &str = "no-errors,no-back,no-mismatches,all-joined,no-stalls,no-gaps";

/// Viewers who watch.
pub struct Crowd {
    process: Running,
    /// How many there are.
    count: usize,
    report: PathBuf,
}

impl Crowd {
    /// Starts them; they go home after `seconds`, or when they are told to.
    pub fn start(at: &Namespace<'_>, seconds: u64, expect: &str, arguments: &[&str]) -> Self {
        Self::named(at, "crowd", seconds, expect, arguments)
    }

    /// As [`Crowd::start`], where a test has several.
    pub fn named(at: &Namespace<'_>, name: &str, seconds: u64, expect: &str, arguments: &[&str]) -> Self {
        let report = at.folder().join(format!("{name}.json"));
        let _ = std::fs::remove_file(&report);
        let mut command = at.cluster.exec_in_netns(&binary("lectern-crowd").expect("is built").to_string_lossy());
        command.args(arguments).arg("--duration").arg(format!("{seconds}s"));
        if !expect.is_empty() {
            command.args(["--expect", expect]);
        }
        command.arg("--json").arg(&report);
        let process = Running::start(name, at.folder(), &mut command).expect("the crowd starts");
        let numbers = arguments.windows(2).filter(|pair| ["--hls", "--flv", "--rtmp"].contains(&pair[0]));
        let count = numbers.filter_map(|pair| pair[1].parse::<usize>().ok()).sum();
        Self { process, count, report }
    }

    /// Waits until all of them had a picture.
    pub fn wait_until_all_watch(&mut self, limit: Duration) {
        wait::until(&format!("{} viewers to have a picture", self.count), limit, || {
            anyhow::ensure!(self.process.ended()?.is_none(), "the crowd ended");
            Ok(self.all_watch().then_some(()))
        })
        .unwrap();
    }

    /// What it said last: how many watch, wait, were refused, saw an error.
    pub fn says(&self) -> String {
        self.process.log().lines().last().unwrap_or_default().to_owned()
    }

    /// Whether all of them have a picture.
    pub fn all_watch(&self) -> bool {
        watching(&self.says()) >= self.count
    }

    /// Waits until they go home by themselves.
    pub fn wait(mut self, limit: Duration) -> Report {
        let process = &mut self.process;
        let status = wait::until("the crowd to go home", limit + END, || process.ended()).unwrap();
        let text = std::fs::read_to_string(&self.report);
        let text = text.unwrap_or_else(|error| panic!("no report ({error}):\n{}", self.process.log()));
        let json = serde_json::from_str(&text).expect("the report is JSON");
        Report { json, holds: status.success(), log: self.process.log() }
    }

    /// Sends them home.
    pub fn finish(self) -> Report {
        self.process.signal(nix::sys::signal::Signal::SIGTERM).expect("the crowd is still there");
        self.wait(Duration::ZERO)
    }
}

/// How many have a picture by a line of the crowd.
fn watching(line: &str) -> usize {
    let words: Vec<&str> = line.split([' ', ',']).collect();
    let numbers = words.windows(2).filter(|pair| pair[1] == "watching");
    numbers.filter_map(|pair| pair[0].parse::<usize>().ok()).sum()
}

/// What they saw.
#[derive(Debug)]
pub struct Report {
    json: Value,
    holds: bool,
    log: String,
}

impl Report {
    /// A number such as `("hls", "errors")`.
    pub fn number(&self, protocol: &str, name: &str) -> u64 {
        self.json["viewers"][protocol][name].as_u64().unwrap_or(0)
    }

    /// A percentile such as `("hls", "firstPictureMs", "p99")`.
    pub fn percentile(&self, protocol: &str, name: &str, which: &str) -> u64 {
        self.json["viewers"][protocol][name][which].as_u64().unwrap_or(0)
    }

    /// Fails unless all that was expected held.
    #[track_caller]
    pub fn must_hold(&self) -> &Self {
        assert!(self.holds, "viewers noticed:\n{:#}\n{}", self.json, self.log);
        self
    }

    /// One line: what happened to whom.
    pub fn summary(&self) -> String {
        let number = |protocol: &str, name: &str| self.number(protocol, name);
        let one = |protocol: &str| {
            let names = ["viewers", "requests", "retried", "errors", "stalls", "gaps", "discontinuities", "mismatches"];
            let all: Vec<_> = names.iter().map(|name| format!("{} {name}", number(protocol, name))).collect();
            format!("{protocol}: {}", all.join(", "))
        };
        let protocols = self.json["viewers"].as_object().map(|all| all.keys().cloned().collect::<Vec<_>>());
        protocols.unwrap_or_default().iter().map(|protocol| one(protocol)).collect::<Vec<_>>().join("; ")
    }
}
