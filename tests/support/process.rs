//! Child processes that end with the test, whatever happens, and whose logs are shown when it fails.

use crate::wait::wait_for;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Lines of a log that a failing test shows.
const LOG_LINES: usize = 60;
/// How long a process that is asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// The path of one of our binaries: beside this test's own executable, or in the folder `LECTERN_BIN_DIR`.
///
/// # Errors
/// When it is not there, with the command that builds it.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find this test's own path")?;
    let beside = own.ancestors().nth(2).context("the test's executable lies in no folder")?;
    let folder = std::env::var_os("LECTERN_BIN_DIR").map_or_else(|| beside.to_owned(), PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        bail!("{} is not there: run `cargo build --workspace` first", path.display());
    }
    Ok(path)
}

/// A running process in a process group of its own.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    /// Read through this, so that it can still be shown when the folder is gone.
    log: File,
    polite: bool,
}

impl Running {
    /// Starts `command` with its output in `folder/NAME.log`. What runs under `name` is killed when this is dropped.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        let log = open_log(name, folder)?;
        let share = || log.try_clone().context("failed to share the log file");
        command.stdin(Stdio::null()).stdout(share()?).stderr(share()?);
        Self::spawn(name, log, command)
    }

    /// As [`Running::start`], with standard output left to the caller through [`Running::child`].
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_piped(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        let log = open_log(name, folder)?;
        let errors = log.try_clone().context("failed to share the log file")?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        Self::spawn(name, log, command)
    }

    fn spawn(name: &str, log: File, command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.process_group(0).spawn().with_context(|| format!("failed to start {program}"))?;
        Ok(Self { name: name.to_owned(), child, log, polite: false })
    }

    /// When dropped it is asked to end first: it has children of its own.
    #[must_use]
    pub fn politely(mut self) -> Self {
        self.polite = true;
        self
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("failed to ask for {}", self.name))
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal_to(self.pid(), signal)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended after `seconds`.
    pub async fn wait(&mut self, seconds: u64) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        wait_for(&what, seconds, || std::future::ready(self.ended().transpose())).await?
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("failed to kill {}", self.name))?;
        self.child.wait().map(|_| ()).with_context(|| format!("failed to wait for {}", self.name))
    }

    /// All that it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        let mut bytes = vec![0; self.log.metadata().map_or(0, |m| usize::try_from(m.len()).unwrap_or(0))];
        let read = self.log.read_at(&mut bytes, 0).unwrap_or(0);
        String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
    }
}

impl Drop for Running {
    #[allow(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
            eprintln!("---- {} (pid {}), the end of its log:\n{}", self.name, self.pid(), tail.join("\n"));
        }
        if self.polite && matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.signal(Signal::SIGTERM);
            let deadline = Instant::now() + GRACE;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
        // Its own group: whatever it started and did not take along goes too.
        let _ = killpg(Pid::from_raw(i32::try_from(self.pid()).unwrap_or(0)), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn open_log(name: &str, folder: &Path) -> Result<File> {
    let path = folder.join(format!("{name}.log"));
    let options = File::options().create(true).read(true).append(true).open(&path);
    options.with_context(|| format!("failed to make {}", path.display()))
}

/// Sends a signal to the process of that id.
///
/// # Errors
/// When there is none.
pub fn signal_to(pid: u32, signal: Signal) -> Result<()> {
    let target = Pid::from_raw(i32::try_from(pid).context("no process id")?);
    kill(target, signal).with_context(|| format!("failed to send {signal} to {pid}"))
}

/// Whether the process of that id runs. One that has ended does not, even while its parent has not waited for it.
#[must_use]
pub fn is_there(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Resident memory of a process in KiB (proc(5), `VmRSS`).
///
/// # Errors
/// When there is no such process.
pub fn resident_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("no process {pid}"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")
}

/// Open file descriptors of a process.
///
/// # Errors
/// When there is no such process.
pub fn descriptors(pid: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd")).with_context(|| format!("no process {pid}"))?.count())
}

/// Runs a program to its end and gives what it printed: standard output and standard error.
///
/// # Errors
/// When it cannot be started, or does not end within `seconds`.
pub async fn output(command: &mut Command, seconds: u64) -> Result<(ExitStatus, String, String)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut command = tokio::process::Command::from(std::mem::replace(command, Command::new("true")));
    command.stdin(Stdio::null()).kill_on_drop(true);
    let done = tokio::time::timeout(Duration::from_secs(seconds), command.output());
    let done = done.await.with_context(|| format!("{program} did not end within {seconds} s"))?;
    let done = done.with_context(|| format!("failed to run {program}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((done.status, text(done.stdout), text(done.stderr)))
}

/// Ports for tests: below those that the system gives to outgoing connections (from 32,768), which would take them.
const PORTS: std::ops::Range<u16> = 12_000..30_000;

/// A TCP port of the loopback without a listener, which this process has not given out before.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Test processes that run side by side begin far from one another.
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..count {
        let step = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let port = PORTS.start + u16::try_from(begin.wrapping_add(step) % count).unwrap_or(0);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {} to {}", PORTS.start, PORTS.end)
}
