//! Children that do not outlive the program that started them.

use nix::sys::signal::Signal;
use tokio::process::Command;

/// The kernel kills the child when the thread that starts it ends, so also when this process is killed itself and can
/// clean up nothing. Start it on the main thread: another one may end while the program goes on.
#[allow(
    unsafe_code,
    reason = "only what runs between fork and exec can ask for it; prctl and getppid are async-signal-safe"
)]
pub fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    // SAFETY: the closure allocates nothing and calls nothing but prctl(2) and getppid(2).
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have died before the line above.
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(nix::errno::Errno::ESRCH.into()) }
        });
    }
}
