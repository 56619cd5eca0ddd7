//! Newcomers that a full edge sent away: demand that shows nowhere else.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// How long a refused newcomer counts: they retry every second or so, those who gave up are gone after this.
pub const REFUSED_WINDOW_MS: u64 = 15_000;
/// Newcomers that are told apart. More of them would only say "very many", and memory has to end somewhere.
pub const REFUSED_MAX: usize = 65_536;

/// Refusals are counted by the second.
const SLOTS: u64 = REFUSED_WINDOW_MS / 1_000;

/// The distinct (address, user agent) that were refused in the last [`REFUSED_WINDOW_MS`], at most [`REFUSED_MAX`], and
/// how often they were: a viewer that tries again is at another edge each time, and is known to each of them. From both
/// follows how many people there are.
#[derive(Debug, Default)]
pub struct Refused {
    seen: Mutex<HashMap<u64, u64>>,
    tries: Mutex<[Second; SLOTS as usize]>,
}

/// Refusals in one second of the node's clock.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    second: u64,
    tries: u64,
}

impl Refused {
    /// A newcomer was refused at `now_ms`.
    pub fn record(&self, address: IpAddr, user_agent: &[u8], now_ms: u64) {
        let mut hasher = DefaultHasher::new();
        (address, user_agent).hash(&mut hasher);
        self.tried(now_ms / 1_000);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let who = hasher.finish();
        if seen.len() >= REFUSED_MAX && !seen.contains_key(&who) {
            seen.retain(|_, at| now_ms.saturating_sub(*at) < REFUSED_WINDOW_MS);
            if seen.len() >= REFUSED_MAX {
                return;
            }
        }
        seen.insert(who, now_ms);
    }

    /// Refusals in the last [`REFUSED_WINDOW_MS`] before `now_ms`, rounded to seconds.
    pub fn tries(&self, now_ms: u64) -> u64 {
        let now = now_ms / 1_000;
        let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        tries.iter().filter(|slot| now.saturating_sub(slot.second) < SLOTS).map(|slot| slot.tries).sum()
    }

    fn tried(&self, second: u64) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut tries[(second % SLOTS) as usize];
        if slot.second != second {
            *slot = Second { second, tries: 0 };
        }
        slot.tries += 1;
    }

    /// How many there are at `now_ms`.
    pub fn count(&self, now_ms: u64) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| now_ms.saturating_sub(*at) < REFUSED_WINDOW_MS);
        if seen.is_empty() {
            seen.shrink_to_fit();
        }
        seen.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{REFUSED_MAX, REFUSED_WINDOW_MS, Refused};
    use std::net::{IpAddr, Ipv4Addr};

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from(n).into()
    }

    #[test]
    fn one_newcomer_counts_once_however_often_it_tries() {
        let refused = Refused::default();
        for at in 0..10 {
            refused.record(address(1), b"hls.js", at * 1_000);
        }
        refused.record(address(1), b"vlc", 0);
        refused.record(address(2), b"hls.js", 0);
        assert_eq!(refused.count(9_000), 3);
        assert_eq!(refused.tries(9_000), 12, "every try is a refusal");
        assert_eq!((refused.tries(15_000), refused.tries(23_999), refused.tries(24_000)), (9, 1, 0));
    }

    #[test]
    fn who_gave_up_is_forgotten_after_the_window() {
        let refused = Refused::default();
        refused.record(address(1), b"", 0);
        refused.record(address(2), b"", 5_000);
        assert_eq!(refused.count(REFUSED_WINDOW_MS - 1), 2);
        assert_eq!(refused.count(REFUSED_WINDOW_MS), 1);
        assert_eq!(refused.count(REFUSED_WINDOW_MS + 5_000), 0);
    }

    #[test]
    fn the_set_is_bounded_and_makes_room_for_the_recent() {
        let refused = Refused::default();
        let max = u32::try_from(REFUSED_MAX).unwrap();
        for n in 0..max + 10 {
            refused.record(address(n), b"", 0);
        }
        assert_eq!(refused.count(1), REFUSED_MAX as u64);
        refused.record(address(max + 20), b"", REFUSED_WINDOW_MS);
        assert_eq!(refused.count(REFUSED_WINDOW_MS), 1);
    }
}
