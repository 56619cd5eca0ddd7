//! hls.js in headless Chromium, by `tests/browser/watch.mjs`.

use crate::process::{Running, output};
use crate::wait::wait_for;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

/// A page that plays.
#[derive(Debug)]
pub struct Browser {
    samples: Arc<Mutex<Vec<Sample>>>,
    process: Running,
}

/// The state of the page at one moment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// Unix milliseconds.
    pub at: u64,
    /// Position in seconds.
    pub time: f64,
    /// Frames decoded so far.
    pub frames: u64,
    /// Of these, not shown.
    pub dropped: u64,
    /// Programme time of the picture, unix milliseconds.
    pub date: Option<u64>,
    /// Width of the picture.
    pub width: u32,
    /// Times at which the position stood still for more than 250 ms after it had moved.
    pub stalls: Vec<Stall>,
    /// Milliseconds since the position last moved.
    pub still: u64,
    /// Errors that hls.js overcame.
    pub errors: Vec<String>,
    /// Errors that it did not.
    pub fatal: Vec<String>,
    /// Unix milliseconds at which the discontinuity number of what is played changed.
    pub discontinuities: Vec<u64>,
    /// The end was reached.
    pub ended: bool,
}

impl Sample {
    /// How far the picture is behind the encoder, in milliseconds.
    #[must_use]
    pub fn behind_ms(&self) -> Option<u64> {
        self.date.map(|date| self.at.saturating_sub(date))
    }
}

/// A stall of the page.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Stall {
    /// Unix milliseconds at which it began.
    pub at: u64,
    /// Milliseconds it lasted.
    pub ms: u64,
}

impl Browser {
    /// Opens `url` for `seconds` at most.
    ///
    /// # Errors
    /// When node cannot be started, or hls.js is not installed.
    pub fn open(name: &str, folder: &Path, url: &str, seconds: u64) -> Result<Self> {
        let browser = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("browser");
        anyhow::ensure!(
            browser.join("node_modules/hls.js").is_dir(),
            "hls.js is missing: run scripts/setup test first"
        );
        let script = browser.join("watch.mjs");
        let mut command = Command::new("node");
        command.arg(script).arg(url).arg(seconds.to_string());
        let mut process = Running::start_piped(name, folder, &mut command)?;
        let samples = follow_samples(&mut process)?;
        Ok(Self { samples, process })
    }

    /// All samples so far.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest sample; all zeros before the first.
    #[must_use]
    pub fn now(&self) -> Sample {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).last().cloned().unwrap_or_default()
    }

    /// Waits until the page plays: frames come and the position moves.
    ///
    /// # Errors
    /// When it does not within `seconds`.
    pub async fn wait_playing(&self, seconds: u64) -> Result<Sample> {
        wait_for("the page plays", seconds, || async {
            let now = self.now();
            (now.frames > 10 && now.time > 0.2 && now.still < 250).then_some(now)
        })
        .await
        .with_context(|| format!("last sample {:?}\n{}", self.now(), self.process.log()))
    }

    /// Closes the page.
    ///
    /// # Errors
    /// When the browser does not end.
    pub async fn close(mut self) -> Result<Sample> {
        drop(self.process.child().stdin.take());
        self.process.wait(15).await?;
        Ok(self.now())
    }
}

/// What hls.js made of one finished list (`tests/browser/shapes.mjs`).
#[derive(Clone, Debug, Deserialize)]
pub struct Played {
    /// The list.
    pub url: String,
    /// Position in seconds.
    pub time: f64,
    /// End of the list in seconds; none if it was never loaded.
    pub end: Option<f64>,
    /// Pictures decoded.
    pub frames: usize,
    /// Errors that hls.js overcame.
    pub errors: Vec<String>,
    /// Errors after which a new player began at the segment in question, as the page does where a track begins.
    pub restarts: Vec<String>,
    /// Other errors that ended the player.
    pub fatal: Vec<String>,
}

/// Plays all `urls`, each from the beginning of its list to its end, in any order.
///
/// # Errors
/// When node or the browser fails.
pub async fn play_all(urls: &[String]) -> Result<Vec<Played>> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("browser/shapes.mjs");
    let (status, lines, complaints) = output(Command::new("node").arg(script).args(urls), 120).await?;
    anyhow::ensure!(status.success(), "shapes.mjs: {status}: {complaints}");
    lines.lines().map(|line| serde_json::from_str(line).context("failed to read a line of shapes.mjs")).collect()
}

/// The samples that a script in `tests/browser` writes, a JSON document a line, as they come.
///
/// # Errors
/// When the output of `process` is not piped.
pub(crate) fn follow_samples<T>(process: &mut Running) -> Result<Arc<Mutex<Vec<T>>>>
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let out = process.child().stdout.take().context("no output")?;
    let samples = Arc::new(Mutex::new(Vec::new()));
    let mine = samples.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if let Ok(sample) = serde_json::from_str(&line) {
                mine.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            }
        }
    });
    Ok(samples)
}
