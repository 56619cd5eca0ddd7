//! How the commands that run asynchronous code start.

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};

/// How many threads a command works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling one: enough where most of the time is spent waiting, and it saves memory.
    One,
    /// One for each core.
    Many,
}

/// A runtime, in which a client of Kubernetes may connect.
///
/// # Errors
/// When the operating system refuses its descriptors or threads.
pub fn runtime(threads: Threads) -> Result<Runtime> {
    // Two crates of the tree bring a provider of cryptography each: rustls panics at the first connection unless one is
    // chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = match threads {
        Threads::One => Builder::new_current_thread(),
        Threads::Many => Builder::new_multi_thread(),
    };
    builder.enable_all().build().context("failed to start the asynchronous runtime")
}
