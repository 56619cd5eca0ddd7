//! Which connections may wait at the publish port before they have published. Pure.
//!
//! A connection that has not shown a key yet costs memory: there are at most so many of one address, and so many in
//! all, where the oldest makes room for the newest.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Connections of one address before publish (design section 9). An encoder needs one.
pub const WAITING_PER_ADDRESS_MAX: u32 = 64;
/// Connections before publish in all (design section 9): about 2,000 × 128 KiB of memory at worst.
pub const WAITING_MAX: usize = 2_000;

/// Name of a waiting connection; higher is younger.
pub type WaitingId = u64;

/// The answer to a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It waits under this name; `evicted` has to go for it.
    Admitted {
        /// Its name.
        id: WaitingId,
        /// The oldest, if the house was full.
        evicted: Option<WaitingId>,
    },
    /// Its address has too many already.
    Refused,
}

/// All waiting connections.
#[derive(Debug, Default)]
pub struct Waiting {
    next: WaitingId,
    by_id: BTreeMap<WaitingId, IpAddr>,
    by_address: BTreeMap<IpAddr, u32>,
}

impl Waiting {
    /// A connection from `address` was accepted.
    pub fn arrive(&mut self, address: IpAddr) -> Admission {
        let address = counted(address);
        let of_address = self.by_address.entry(address).or_default();
        if *of_address >= WAITING_PER_ADDRESS_MAX {
            return Admission::Refused;
        }
        *of_address += 1;
        let id = self.next;
        self.next += 1;
        self.by_id.insert(id, address);
        let oldest = self.by_id.first_key_value().map(|(id, _)| *id);
        let evicted = oldest.filter(|_| self.by_id.len() > WAITING_MAX);
        evicted.into_iter().for_each(|id| self.leave(id));
        Admission::Admitted { id, evicted }
    }

    /// It published, or closed. Unknown names are ignored: an evicted one leaves twice.
    pub fn leave(&mut self, id: WaitingId) {
        let Some(address) = self.by_id.remove(&id) else { return };
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// What counts as one address: IPv4 also when it comes as IPv6, and a /64 of IPv6, which is one subscriber.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn one_address_cannot_fill_the_house() {
        let mut waiting = Waiting::default();
        for _ in 0..WAITING_PER_ADDRESS_MAX {
            assert!(matches!(waiting.arrive(v4(1)), Admission::Admitted { evicted: None, .. }));
        }
        assert_eq!(waiting.arrive(v4(1)), Admission::Refused);
        assert_eq!(waiting.arrive("::ffff:0.0.0.1".parse().unwrap()), Admission::Refused);
        assert!(matches!(waiting.arrive(v4(2)), Admission::Admitted { .. }));
        waiting.leave(0);
        waiting.leave(0);
        assert!(matches!(waiting.arrive(v4(1)), Admission::Admitted { .. }));
        assert_eq!(waiting.arrive(v4(1)), Admission::Refused);
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_address() {
        let mut waiting = Waiting::default();
        for n in 0..WAITING_PER_ADDRESS_MAX {
            waiting.arrive(format!("2001:db8::{n:x}").parse().unwrap());
        }
        assert_eq!(waiting.arrive("2001:db8::ffff".parse().unwrap()), Admission::Refused);
        assert!(matches!(waiting.arrive("2001:db8:0:1::1".parse().unwrap()), Admission::Admitted { .. }));
    }

    #[test]
    fn when_full_the_oldest_goes() {
        let mut waiting = Waiting::default();
        for n in 0..u32::try_from(WAITING_MAX).unwrap() {
            assert!(matches!(waiting.arrive(v4(n)), Admission::Admitted { evicted: None, .. }));
        }
        assert!(matches!(waiting.arrive(v4(99_999)), Admission::Admitted { evicted: Some(0), .. }));
        assert!(matches!(waiting.arrive(v4(99_999)), Admission::Admitted { evicted: Some(1), .. }));
        assert_eq!(waiting.len(), WAITING_MAX);
    }
}
