//! Wrong keys by address, and how late their answers come.
//!
//! A right key is never looked up here: an encoder is not delayed for a stranger behind the same address. So nothing here
//! makes a short key safe. It bounds what an address that tries keys costs, and the alert on wrong keys tells of it.

use crate::net::lobby::subscriber;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Wrong keys of an address count together for this long from the first.
pub const GUESSES_MS: u64 = 60_000;
/// The answer to this wrong key of an address, and to all after it, comes late. An encoder whose key was changed tries
/// every few seconds, and a hall has several.
pub const GUESSES_LATE_FROM: u32 = 10;
/// So late.
pub const LATE: Duration = Duration::from_secs(1);
/// Late answers of one address that may be waited for at a time; more connections of it are closed without an answer.
pub const LATE_ANSWERS_MAX: u32 = 4;
/// Addresses that are remembered, 40 bytes each; of more, the one whose first wrong key is longest ago is forgotten.
pub const ADDRESSES_MAX: usize = 4_096;

/// How a wrong key is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// At once.
    Now,
    /// After [`LATE`]; until then it holds one of the address's places.
    Late,
    /// The connection is closed without one.
    Never,
}

/// Who showed wrong keys. Pure.
#[derive(Debug, Default)]
pub struct Guesses {
    by_address: HashMap<IpAddr, Guesser>,
    /// When the count of each address began, oldest first. One per address.
    order: VecDeque<(u64, IpAddr)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Guesser {
    wrong: u32,
    waiting: u32,
}

impl Guesses {
    /// A wrong key came from `address`.
    pub fn wrong(&mut self, now_ms: u64, address: IpAddr) -> Answer {
        let address = subscriber(address);
        self.forget(now_ms);
        if !self.by_address.contains_key(&address) {
            if self.by_address.len() >= ADDRESSES_MAX {
                self.forget_first();
            }
            self.order.push_back((now_ms, address));
        }
        let guesser = self.by_address.entry(address).or_default();
        guesser.wrong = guesser.wrong.saturating_add(1);
        if guesser.wrong < GUESSES_LATE_FROM {
            Answer::Now
        } else if guesser.waiting >= LATE_ANSWERS_MAX {
            Answer::Never
        } else {
            guesser.waiting += 1;
            Answer::Late
        }
    }

    /// A late answer was given, or is not waited for any more.
    pub fn answered(&mut self, address: IpAddr) {
        // One that was forgotten meanwhile begins anew.
        if let Some(guesser) = self.by_address.get_mut(&subscriber(address)) {
            guesser.waiting = guesser.waiting.saturating_sub(1);
        }
    }

    fn forget(&mut self, now_ms: u64) {
        while self.order.front().is_some_and(|(since_ms, _)| since_ms + GUESSES_MS <= now_ms) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, address)) = self.order.pop_front() {
            self.by_address.remove(&address);
        }
    }
}

/// A late answer that is waited for; dropping it frees the place of its address.
#[derive(Debug)]
pub struct LateAnswer {
    guesses: Arc<Mutex<Guesses>>,
    address: IpAddr,
}

impl LateAnswer {
    /// The place that [`Answer::Late`] took for `address`.
    #[must_use]
    pub fn new(guesses: &Arc<Mutex<Guesses>>, address: IpAddr) -> Self {
        Self { guesses: Arc::clone(guesses), address }
    }
}

impl Drop for LateAnswer {
    fn drop(&mut self) {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner).answered(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Answer::{Late, Never, Now};

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn the_tenth_wrong_key_in_a_minute_is_answered_late_and_few_wait_at_a_time() {
        let mut guesses = Guesses::default();
        let answers: Vec<_> = (0..15).map(|n| guesses.wrong(n * 100, address(1))).collect();
        assert_eq!(answers[..9], [Now; 9]);
        assert_eq!(answers[9..], [Late, Late, Late, Late, Never, Never]);
        assert_eq!(guesses.wrong(1_500, address(2)), Now, "another address");
        guesses.answered(address(1));
        assert_eq!([(); 2].map(|()| guesses.wrong(1_600, address(1))), [Late, Never]);
        assert_eq!(guesses.wrong(GUESSES_MS, address(1)), Now, "a minute after the first");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let mut guesses = Guesses::default();
        let answers: Vec<_> =
            (0..11_u16).map(|n| guesses.wrong(0, format!("2001:db8::{n:x}").parse().unwrap())).collect();
        assert_eq!(answers[8..], [Now, Late, Late]);
        assert_eq!(guesses.wrong(0, "2001:db8:0:1::1".parse().unwrap()), Now);
    }

    #[test]
    fn a_bounded_number_of_addresses_is_remembered() {
        let mut guesses = Guesses::default();
        for round in 0..3 {
            for n in 0..100_000 {
                guesses.wrong(round, address(n));
            }
        }
        assert_eq!((guesses.by_address.len(), guesses.order.len()), (ADDRESSES_MAX, ADDRESSES_MAX));
        guesses.forget(GUESSES_MS + 3);
        assert_eq!((guesses.by_address.len(), guesses.order.len()), (0, 0));
    }
}
