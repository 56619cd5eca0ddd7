//! The report: JSON at the end, a line now and then on the way.

use crate::args::Args;
use crate::crowd::{Shared, tallies};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::Duration;

/// What a run ends with.
#[derive(Debug)]
pub struct Report {
    json: Value,
    broken: Vec<String>,
}

impl Report {
    /// Whether everything held that `--expect` named.
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Puts the report together.
pub fn report(args: &Args, shared: &Shared) -> Report {
    let mut protocols = Map::new();
    let mut expectations = Map::new();
    let mut broken = Vec::new();
    for (kind, tally) in tallies(shared) {
        let name = format!("{kind:?}").to_lowercase();
        for expectation in &args.expect {
            let holds = expectation.holds(&tally);
            if !holds {
                broken.push(format!("{name}: {}", expectation.name()));
            }
            expectations.insert(format!("{name}: {}", expectation.name()), json!(holds));
        }
        protocols.insert(name, serde_json::to_value(&*tally).unwrap_or_default());
    }
    let json = json!({
        "seconds": (shared.now_ms() / 100.0).round() / 10.0,
        "cpuSeconds": cpu_seconds(),
        "hashed": shared.truth().hashed(),
        "expectations": expectations,
        "holds": broken.is_empty(),
        "viewers": protocols,
    });
    Report { json, broken }
}

/// Writes the report where `args` say, and what did not hold to standard error.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "the output of this program")]
pub fn deliver(report: &Report, args: &Args) -> Result<()> {
    let text = serde_json::to_string_pretty(&report.json).context("failed to write the report")?;
    match &args.json {
        Some(path) => {
            std::fs::write(path, text + "\n").with_context(|| format!("failed to write {}", path.display()))?
        }
        None => println!("{text}"),
    }
    for broken in &report.broken {
        eprintln!("did not hold: {broken}");
    }
    Ok(())
}

/// One line of progress. Takes the bytes at the last one and returns those of now.
pub fn progress(shared: &Shared, before: u64, period: Duration) -> u64 {
    let mut line = format!("{:4.0}s", shared.now_ms() / 1_000.0);
    let mut bytes = 0;
    for (kind, t) in tallies(shared) {
        bytes += t.bytes;
        line += &format!(" | {kind:?} {} watching", t.sessions.max(t.pictures).saturating_sub(t.ended));
        let faults = [
            ("joining", t.viewers - t.pictures),
            ("ended", t.ended),
            ("refused", t.refusals),
            ("retried", t.retried),
            ("errors", t.errors),
            ("stalls", t.stalls),
            ("mismatches", t.mismatches),
        ];
        for (name, count) in faults.into_iter().filter(|(_, count)| *count > 0) {
            line += &format!(", {count} {name}");
        }
    }
    let megabits = (bytes.saturating_sub(before) * 8) as f64 / 1e6 / period.as_secs_f64();
    // Progress is for people: a program that reads the report loses nothing by it.
    let _ = writeln!(std::io::stderr(), "{line} | {megabits:.0} Mbit/s");
    bytes
}

/// CPU time of this process so far: what the generator itself cost.
fn cpu_seconds() -> f64 {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    getrusage(UsageWho::RUSAGE_SELF)
        .map_or(0.0, |usage| (usage.user_time() + usage.system_time()).num_milliseconds() as f64 / 1_000.0)
}
