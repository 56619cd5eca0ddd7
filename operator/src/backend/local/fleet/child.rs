//! One child process: how it is started, told to end, and when it is started again.

use super::news::News;
use anyhow::{Context, Result};
use lectern_process::child::die_with_parent;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A child that was Ready for so long starts with a clean slate when it dies.
const FORGIVEN_AFTER: Duration = Duration::from_secs(5);
/// The longest wait before a restart.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// How long to wait before the next start: at once, then 1, 2, 4 … 20 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A child died that had been Ready since `ready_since`: the wait before it is started again.
    pub(super) fn after_death(&mut self, ready_since: Option<Instant>, now: Instant) -> Duration {
        if ready_since.is_some_and(|since| now.duration_since(since) >= FORGIVEN_AFTER) {
            self.failures = 0;
        }
        let wait = match self.failures {
            0 => Duration::ZERO,
            failures => Duration::from_secs(1 << (failures - 1).min(5)).min(WAIT_MAX),
        };
        self.failures += 1;
        wait
    }
}

/// A hold on a running child. Signals go through the task that waits for it, so that none can reach a process that
/// merely has its number.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) pid: u32,
    signals: mpsc::UnboundedSender<Signal>,
}

impl Hold {
    pub(super) fn signal(&self, signal: Signal) {
        // A closed channel means that the child is gone: its news is under way.
        let _ = self.signals.send(signal);
    }
}

/// Starts `binary ROLE --config FILE` with its output in `log`. Its end goes to `news` as the death of `name` in its
/// `life`-th life.
pub(super) fn start(
    binary: &Path,
    role: &str,
    config: &Path,
    log: &Path,
    (name, life): (&str, u32),
    news: mpsc::Sender<News>,
) -> Result<Hold> {
    let output = File::options().create(true).append(true).open(log);
    let output = output.with_context(|| format!("failed to open {}", log.display()))?;
    let errors = output.try_clone().context("failed to share a log file")?;
    let mut command = Command::new(binary);
    command.arg(role).arg("--config").arg(config);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    // A group of its own: Ctrl-C reaches this program alone, which then drains in order.
    command.process_group(0).kill_on_drop(true);
    die_with_parent(&mut command);
    let child = command.spawn().with_context(|| format!("failed to start {}", binary.display()))?;
    let pid = child.id().context("a child ended before it began")?;
    let (signals, orders) = mpsc::unbounded_channel();
    tokio::spawn(attend(child, orders, name.to_owned(), life, news));
    Ok(Hold { pid, signals })
}

async fn attend(
    mut child: Child,
    mut orders: mpsc::UnboundedReceiver<Signal>,
    name: String,
    life: u32,
    news: mpsc::Sender<News>,
) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.ok(),
            Some(signal) = orders.recv() => {
                if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                    // The only failure is that it is gone already, which the other branch tells.
                    let _ = nix::sys::signal::kill(Pid::from_raw(pid), signal);
                }
            }
        }
    };
    let how = status.map_or_else(|| "it cannot be waited for".to_owned(), |status| status.to_string());
    let _ = news.send(News::Died { name, life, how }).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_come_at_once_and_then_ever_later() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.after_death(None, now).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 20, 20]);
    }

    #[test]
    fn five_seconds_of_ready_are_a_clean_slate() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        for _ in 0..4 {
            backoff.after_death(None, start);
        }
        let almost = start + Duration::from_millis(4_999);
        assert_eq!(backoff.after_death(Some(start), almost).as_secs(), 8);
        assert_eq!(backoff.after_death(Some(start), start + FORGIVEN_AFTER).as_secs(), 0);
        assert_eq!(backoff.after_death(None, start).as_secs(), 1);
    }
}
