//! Random numbers, from the operating system.

use anyhow::{Context as _, Result};

/// Any number, another one each time: for names of processes and for waits that should not coincide. Never for a secret.
#[must_use]
pub fn number() -> u64 {
    // It fails only on systems without a random source, where nothing else works either; the clock still differs.
    getrandom::u64().unwrap_or_else(|_| crate::clock::unix_ms())
}

/// Bytes that cannot be guessed: for secrets.
///
/// # Errors
/// When the operating system has no random source.
pub fn secret<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).context("failed to read random bytes from the operating system")?;
    Ok(bytes)
}
