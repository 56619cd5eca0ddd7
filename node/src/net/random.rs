//! Random numbers, from the operating system.

/// Any number, another one each time: for names of processes and for waits that should not coincide.
#[must_use]
pub fn number() -> u64 {
    // It fails only on systems without a random source, where nothing else works either; the clock still differs.
    getrandom::u64().unwrap_or_else(|_| super::clock::unix_ms())
}
