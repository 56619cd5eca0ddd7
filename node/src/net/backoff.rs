//! How long to wait before dialling again. Pure; randomness comes in.

/// First wait in milliseconds.
const FIRST_MS: u64 = 50;
/// Longest wait in milliseconds.
const LONGEST_MS: u64 = 2_000;

/// Doubles from [`FIRST_MS`] to [`LONGEST_MS`]; each wait is shortened by up to a half, so that links that were cut
/// together do not come back together.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait. `random` is any number.
    pub fn next_ms(&mut self, random: u64) -> u64 {
        let full = FIRST_MS.checked_shl(self.failures).unwrap_or(LONGEST_MS).min(LONGEST_MS);
        self.failures = (self.failures + 1).min(16);
        full - random % (full / 2 + 1)
    }

    /// It worked: the next failure starts from the beginning.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_to_two_seconds_and_starts_again() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next_ms(0)).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(backoff.next_ms(1_000), 1_000);
        assert_eq!(backoff.next_ms(1_001), 2_000);
        backoff.reset();
        assert_eq!(backoff.next_ms(7), 43);
    }
}
