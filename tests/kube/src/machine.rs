//! A machine: what a node runs on. Three small programs, all of them this crate's binary:
//!
//! * `machine` makes a PID namespace, starts `init` in it and waits for the end of either its standard input (the
//!   lifeline, held by the process that started the machine) or `init`; then it kills `init`, removes the node's cgroup and, when
//!   no other process needs it, the work folder.
//! * `init` is process 1 of the namespace. It makes the other namespaces and collects dead children. When it ends, the
//!   kernel kills everything in the namespace, which is how a power cut is played, too.
//! * `enter` runs a command inside: it joins the namespaces, passes signals and the exit status on, and takes the
//!   command with it when it is killed.

use crate::work::{self, WorkFolder};
use crate::{cgroup, wait};
use anyhow::{Context as _, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::Duration;

/// How long a machine may take to be gone after its power was cut: the kernel ends perhaps a hundred processes.
const POWER_OFF_LIMIT: Duration = Duration::from_secs(30);

/// Exit status of a command that a signal ended, less the signal's number: as shells say it.
const SIGNALLED: i32 = 128;

/// What `init` prepares before anything else runs. `/run` and `/var/log` are the machine's own: containerd, runc, CNI
/// and kubelet have fixed places there. Mounts are shared among the machine's processes and with no other process.
const MOUNTS: &str = "
mount --make-rprivate /
mount --make-rshared /
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t tmpfs -o mode=755,size=512m tmpfs /run
mount -t tmpfs -o mode=755,size=512m tmpfs /var/log
ip link set lo up
";

/// A running machine. Dropping it is pulling the plug.
#[derive(Debug)]
pub struct Machine {
    runner: PathBuf,
    init: Pid,
    parent: Child,
    lifeline: Option<ChildStdin>,
}

impl Machine {
    /// Starts the machine of `node`. `runner` is the binary of this crate.
    ///
    /// # Errors
    /// When a namespace, mount or cgroup cannot be made; the reason is on standard error, too.
    pub fn boot(runner: &Path, work: &Path, node: &str) -> Result<Self> {
        let mut parent = Command::new(runner)
            .arg("machine")
            .args([work.as_os_str(), node.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start {}", runner.display()))?;
        let lifeline = parent.stdin.take();
        let mut line = String::new();
        let output = parent.stdout.take().context("failed to take the machine's output")?;
        BufReader::new(output).read_line(&mut line).context("failed to read what the machine says")?;
        let init = line.trim().parse().map(Pid::from_raw);
        let init = init.with_context(|| format!("failed to boot machine {node}: see standard error"))?;
        Ok(Self { runner: runner.to_owned(), init, parent, lifeline })
    }

    /// A command that will run inside the machine: in its network, with its mounts, and ending with it.
    #[must_use]
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(&self.runner);
        command.arg("enter").arg(self.init.to_string()).arg("--").arg(program.into());
        command
    }

    /// Process 1 of the machine, as this process sees it: `/proc/PID/ns/net` is its network.
    #[must_use]
    pub fn init(&self) -> Pid {
        self.init
    }

    /// Pulls the plug and waits until nothing of the machine is left.
    ///
    /// # Errors
    /// When something is still there after [`POWER_OFF_LIMIT`].
    pub fn power_off(mut self) -> Result<()> {
        self.cut();
        let parent = &mut self.parent;
        let status = wait::until("the machine to be gone", POWER_OFF_LIMIT, || Ok(parent.try_wait()?))?;
        ensure!(status.success(), "the machine left something behind ({status}): see standard error");
        Ok(())
    }

    fn cut(&mut self) {
        drop(self.lifeline.take());
        // The machine's parent would do it as soon as it sees the end of the lifeline; this is sooner.
        let _ = kill(self.init, Signal::SIGKILL);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.cut();
        let _ = wait::until("the machine to be gone", POWER_OFF_LIMIT, || Ok(self.parent.try_wait()?));
    }
}

/// The program `machine`.
///
/// # Errors
/// When the machine cannot be started, or something of it cannot be removed afterwards.
pub fn run_machine(work: &Path, node: &str) -> Result<()> {
    // It ends when its lifeline does, not at Ctrl-C: it has to clean up after processes that end then.
    SigSet::all().thread_block().context("failed to block signals")?;
    let work = WorkFolder::join(work)?;
    let cgroup = work::cgroup_name(work.path(), node);
    cgroup::create(&cgroup)?;
    let ran = run_init();
    cgroup::remove(&cgroup)?;
    work.leave()?;
    ran
}

fn run_init() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWPID).context("failed to make a PID namespace (root is needed)")?;
    let runner = std::env::current_exe().context("failed to find this program")?;
    let mut init = Command::new(runner)
        .arg("init")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("failed to start process 1")?;
    let output = init.stdout.take().context("failed to take the output of process 1")?;
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line).context("failed to read what process 1 says")?;
    if line.is_empty() {
        bail!("process 1 ended at once: {}", init.wait().context("failed to wait for process 1")?);
    }
    println!("{}", init.id());
    std::io::stdout().flush().context("failed to say that the machine is up")?;
    wait_for_the_end(&std::io::stdin(), output.get_ref())?;
    let _ = init.kill();
    init.wait().context("failed to wait for process 1")?;
    Ok(())
}

/// Returns when no process can write to one of the two any more.
fn wait_for_the_end(lifeline: &std::io::Stdin, init: &std::process::ChildStdout) -> Result<()> {
    let mut both = [lifeline.as_fd(), init.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    loop {
        match poll(&mut both, PollTimeout::NONE) {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("failed to wait for the end of the machine"),
        }
    }
}

/// The program `init`. It ends only when it is killed.
///
/// # Errors
/// When the namespaces cannot be made.
pub fn run_process_1() -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("failed to tie process 1 to its parent")?;
    let others = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
    unshare(others).context("failed to make namespaces")?;
    // Blocked, a child's end is kept for `wait` below.
    let mut child_ended = SigSet::empty();
    child_ended.add(Signal::SIGCHLD);
    child_ended.thread_block().context("failed to block SIGCHLD")?;
    let mounted = Command::new("sh").args(["-ec", MOUNTS]).stdout(Stdio::null()).status();
    let mounted = mounted.context("failed to run sh")?;
    ensure!(mounted.success(), "failed to set up the machine's mounts ({mounted})");
    println!("ready");
    std::io::stdout().flush().context("failed to say that process 1 is ready")?;
    loop {
        child_ended.wait().context("failed to wait for children")?;
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|s| s != WaitStatus::StillAlive) {}
    }
}

/// The program `enter`: runs `command` in the machine whose process 1 is `init`.
///
/// # Errors
/// When the machine is not there, or the command cannot be started.
pub fn run_enter(init: i32, command: &[OsString]) -> Result<ExitCode> {
    let here = std::env::current_dir().context("failed to find the current folder")?;
    let runner = std::env::current_exe().context("failed to find this program")?;
    let namespaces = ["ipc", "net", "pid", "mnt"].map(|name| format!("/proc/{init}/ns/{name}"));
    let files: Result<Vec<File>> =
        namespaces.iter().map(|path| File::open(path).with_context(|| format!("failed to open {path}"))).collect();
    for (file, path) in files?.into_iter().zip(&namespaces) {
        setns(file, CloneFlags::empty()).with_context(|| format!("failed to join {path}"))?;
    }
    // Joining a mount namespace moves to its root.
    std::env::set_current_dir(&here).with_context(|| format!("failed to enter {}", here.display()))?;
    let signals = SigSet::all();
    signals.thread_block().context("failed to block signals")?;
    let mut child = Command::new(runner).arg("become").arg("--").args(command).spawn();
    let child = child.as_mut().map_err(|e| anyhow::anyhow!("failed to start: {e}"))?;
    loop {
        match signals.wait().context("failed to wait for a signal")? {
            Signal::SIGCHLD => {
                if let Some(status) = child.try_wait().context("failed to wait for the command")? {
                    let code = status.code().or(status.signal().map(|s| SIGNALLED + s)).unwrap_or(1);
                    return Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)));
                }
            }
            signal => pass_on(child, signal),
        }
    }
}

fn pass_on(child: &Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// The program `become`: `command`, but it dies with its parent. Only returns when that fails.
///
/// # Errors
/// When the command cannot be started.
pub fn run_become(command: &[OsString]) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("failed to tie the command to its parent")?;
    // `enter` blocks signals to pass them on, and what is blocked is inherited.
    SigSet::all().thread_unblock().context("failed to let signals through")?;
    let (program, arguments) = command.split_first().context("no command was given")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("failed to run {}", program.display()))
}
