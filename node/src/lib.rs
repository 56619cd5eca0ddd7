//! Lectern's media node: the shell of sockets, files and clocks around the pure media path.
//!
//! `args` say what is wanted, `config` reads it, `ingest` and `edge` do the work until they are told to stop, `admin`
//! answers for both. Neither role imports the other. `calibrate` starts both as processes and measures the edge.

use anyhow::Context;
use args::{Args, Role};
use lectern_process::signals::Stop;
use lectern_process::{descriptors, logs};
use std::process::ExitCode;

pub mod admin;
pub mod args;
mod calibrate;
pub mod config;
pub mod edge;
pub mod ingest;
pub mod net;
pub mod relay;

/// Exit code of a node that failed while it ran.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of a node that was told something that cannot work: command line (clap's own code) or configuration.
pub const EXIT_USAGE: u8 = 2;

/// Runs a node to its end.
#[must_use]
pub fn main(args: Args) -> ExitCode {
    logs::init(&args.logs);
    let role = args.role.name();
    let is_node = !matches!(args.role, Role::Calibrate(_));
    match run(args) {
        Ok(()) => {
            if is_node {
                tracing::info!(role, "stopped");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = if error.downcast_ref::<config::ConfigError>().is_some() { EXIT_USAGE } else { EXIT_FAILED };
            tracing::error!(role, "{error:#}");
            ExitCode::from(code)
        }
    }
}

/// Free memory that each arena of the allocator keeps. glibc gives back what is above 128 KiB, and media comes and goes at
/// that size all the time: a sixth of an ingest's time went into page faults and mprotect(2).
#[cfg(target_env = "gnu")]
const FREE_BYTES_KEPT: libc::c_int = 8 << 20;

/// Larger allocations get pages of their own from the kernel, each zeroed: segments of usual streams should not.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES_MIN: libc::c_int = 2 << 20;

/// Tells the allocator how much free memory it may keep.
fn tune_allocator() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [(libc::M_TRIM_THRESHOLD, FREE_BYTES_KEPT), (libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)] {
        #[allow(unsafe_code, reason = "mallopt(3) is called before there is a second thread")]
        // It fails only for parameters that it does not know.
        let _ = unsafe { libc::mallopt(parameter, value) };
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    tune_allocator();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the asynchronous runtime")?;
    let result = runtime.block_on(async move {
        descriptors::raise_limit();
        let stop = Stop::listen()?;
        match args.role {
            Role::Ingest(options) => {
                let source = config::Source::ingest(options);
                let config = source.load()?;
                ingest::run(source, config, stop.token()).await
            }
            Role::Edge(options) => edge::run(config::edge(&options)?, stop).await,
            Role::Calibrate(options) => calibrate::run(options, stop.token()).await,
        }
    });
    // Blocking work that is still under way (a DNS question, say) must not hold up the end.
    runtime.shutdown_background();
    result
}
