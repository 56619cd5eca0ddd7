//! The pages of edges in headless Chromium, by `tests/browser/page.mjs`.

use crate::browser::follow_samples;
use crate::process::Running;
use crate::wait::wait_for;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

/// Pages that are open.
#[derive(Debug)]
pub struct Pages {
    samples: Arc<Mutex<Vec<Sample>>>,
    process: Running,
}

/// All pages at one moment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// Unix milliseconds.
    pub at: u64,
    /// In the order in which they were opened.
    pub pages: Vec<Page>,
}

/// One page at one moment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Page {
    /// The tab's title.
    pub title: String,
    /// How often it was loaded.
    pub loads: u32,
    /// Its players.
    pub players: Vec<Player>,
    /// Violations of its content security policy, and errors of its scripts.
    pub faults: Vec<String>,
    /// Origins that it asked.
    pub origins: Vec<String>,
    /// Names of what it stored.
    pub kept: Vec<String>,
    /// Cookies that it has.
    pub cookies: u32,
}

/// One player at one moment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Player {
    /// What it plays.
    pub stream: String,
    /// The name of its state.
    pub state: String,
    /// What it says over the picture.
    pub text: String,
    /// Position in seconds.
    pub time: f64,
    /// Frames decoded so far.
    pub frames: u64,
    /// It is silent.
    pub muted: bool,
    /// Width of the picture.
    pub width: u32,
}

impl Player {
    /// It plays, and has shown pictures.
    #[must_use]
    pub fn plays(&self) -> bool {
        self.state == "playing" && self.frames > 10 && self.time > 0.2
    }
}

impl Pages {
    /// Opens `urls` for `seconds` at most; `options` as in `page.mjs`.
    ///
    /// # Errors
    /// When node cannot be started.
    pub fn open(folder: &Path, urls: &[String], seconds: u64, options: &str) -> Result<Self> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("browser/page.mjs");
        let mut command = Command::new("node");
        command.arg(script).arg(seconds.to_string()).arg(options).args(urls);
        let mut process = Running::start_piped("pages", folder, &mut command)?;
        let samples = follow_samples(&mut process)?;
        Ok(Self { samples, process })
    }

    /// All samples so far.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest sample of page `n`.
    #[must_use]
    pub fn now(&self, n: usize) -> Page {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.last().and_then(|sample| sample.pages.get(n).cloned()).unwrap_or_default()
    }

    /// Waits until page `n` is as `wanted` says; gives it then.
    ///
    /// # Errors
    /// When it is not within `seconds`.
    pub async fn wait(&self, n: usize, what: &str, seconds: u64, wanted: impl Fn(&Page) -> bool) -> Result<Page> {
        wait_for(what, seconds, || async { Some(self.now(n)).filter(&wanted) })
            .await
            .with_context(|| format!("page {n} was last {:#?}\n{}", self.now(n), self.process.log()))
    }

    /// Presses a key in page `n`.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn press(&mut self, key: &str, n: usize) -> Result<()> {
        let input = self.process.child().stdin.as_mut().context("no input")?;
        writeln!(input, "{key} {n}").context("failed to press a key")
    }

    /// Closes them; says what each was at the end.
    ///
    /// # Errors
    /// When the browser does not end.
    pub async fn close(mut self) -> Result<Vec<Page>> {
        drop(self.process.child().stdin.take());
        self.process.wait(20).await?;
        Ok(self.samples().pop().map(|sample| sample.pages).unwrap_or_default())
    }
}
