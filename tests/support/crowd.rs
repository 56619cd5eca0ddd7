//! `lectern-crowd` from a test.

use crate::process::{Running, binary};
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Time for the crowd to go home.
const END_S: u64 = 15;

/// A running crowd.
#[derive(Debug)]
pub struct Crowd {
    process: Running,
    report: PathBuf,
}

impl Crowd {
    /// Starts one. `arguments` as on the command line, without `--json`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, folder: &Path, arguments: &[&str]) -> Result<Self> {
        let report = folder.join(format!("{name}.json"));
        let mut command = Command::new(binary("lectern-crowd")?);
        command.args(arguments).arg("--json").arg(&report);
        Ok(Self { process: Running::start(name, folder, &mut command)?, report })
    }

    /// Waits until it ends by itself: within `seconds`.
    ///
    /// # Errors
    /// When it does not, or leaves no report.
    pub async fn wait(mut self, seconds: u64) -> Result<Report> {
        let status = self.process.wait(seconds + END_S).await?;
        let text =
            std::fs::read_to_string(&self.report).with_context(|| format!("no report:\n{}", self.process.log()))?;
        Ok(Report { json: serde_json::from_str(&text)?, success: status.success(), log: self.process.log() })
    }

    /// The last line of progress; empty before the first.
    #[must_use]
    pub fn progress(&self) -> String {
        self.process.log().lines().last().unwrap_or_default().to_owned()
    }

    /// Sends it home and takes its report.
    ///
    /// # Errors
    /// When it does not end, or leaves no report.
    pub async fn finish(self) -> Result<Report> {
        self.process.signal(Signal::SIGTERM)?;
        self.wait(0).await
    }
}

/// What a crowd saw.
#[derive(Debug)]
pub struct Report {
    json: Value,
    success: bool,
    log: String,
}

impl Report {
    /// A number of the report, such as `("hls", "errors")`.
    #[must_use]
    pub fn number(&self, protocol: &str, name: &str) -> u64 {
        self.json["viewers"][protocol][name].as_u64().unwrap_or(0)
    }

    /// A percentile of a distribution, such as `("hls", "firstPictureMs", "p99")`.
    #[must_use]
    pub fn percentile(&self, protocol: &str, name: &str, which: &str) -> u64 {
        self.json["viewers"][protocol][name][which].as_u64().unwrap_or(0)
    }

    /// Whether all that was expected held: its exit status.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.success
    }

    /// The whole report and what it said on the way.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n{}", self.json, self.log)
    }
}
