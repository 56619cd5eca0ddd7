//! Connections that have not yet said what they want, on every port that strangers or nodes connect to: how many of them
//! there may be, and which one is closed when there are more.
//!
//! A newcomer is never refused. When its address has its full share, or all places are taken, another connection is
//! closed for it: of the address that holds most places, the one that has come least far for longest. So an address can
//! only displace itself while others hold fewer places, and a peer that has sent `connect` outlasts silent ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// How many connections may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From one address; see [`subscriber`] for what counts as one.
    pub per_address: usize,
    /// In all.
    pub total: usize,
}

impl Limits {
    /// Ports that strangers reach. A hall of viewers or encoders behind one address needs some dozens at a moment; 2,000
    /// connections hold about 128 KiB each at worst.
    pub const PUBLIC: Self = Self { per_address: 64, total: 2_000 };
    /// The relay port. An ingest dials one link for each of its 64 streams, and a new one may begin before the old one
    /// has gone.
    pub const RELAY: Self = Self { per_address: 256, total: 2_000 };
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Progress {
    /// Nothing, or a part of a handshake.
    Silent,
    /// A `connect` command.
    Connected,
}

/// The name of a connection in a [`WaitingRoom`]; never used again.
pub type WaitingId = u64;

/// How far a connection has come, and a number that is lower the longer it has been there.
type Standing = (Progress, u64);

/// Who waits, and who has to go. Pure: no socket, no clock.
#[derive(Debug)]
pub struct WaitingRoom {
    limits: Limits,
    next: u64,
    by_id: HashMap<WaitingId, (IpAddr, Standing)>,
    by_address: BTreeMap<IpAddr, BTreeMap<Standing, WaitingId>>,
    /// Addresses by the places that they hold. Of those that hold equally many, the last is the one whose connection has
    /// come least far for longest.
    shares: BTreeSet<(usize, Reverse<Standing>, IpAddr)>,
}

impl WaitingRoom {
    /// An empty room.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, next: 0, by_id: HashMap::new(), by_address: BTreeMap::new(), shares: BTreeSet::new() }
    }

    /// A connection from `address` was accepted. Gives its name, and that of the connection that has to go for it.
    pub fn arrive(&mut self, address: IpAddr) -> (WaitingId, Option<WaitingId>) {
        let address = subscriber(address);
        let own = self.by_address.get(&address).map_or(0, BTreeMap::len);
        let crowded = if own >= self.limits.per_address {
            Some(address)
        } else if self.by_id.len() >= self.limits.total {
            self.shares.last().map(|(_, _, address)| *address)
        } else {
            None
        };
        let evicted = crowded.and_then(|address| self.by_address.get(&address)?.values().next().copied());
        if let Some(id) = evicted {
            self.leave(id);
        }
        let id = self.number();
        self.insert(id, address, (Progress::Silent, id));
        (id, evicted)
    }

    /// A connection has come so far. It never goes back; unknown names are ignored.
    pub fn advance(&mut self, id: WaitingId, progress: Progress) {
        if let Some((address, standing)) = self.by_id.get(&id).copied()
            && standing.0 < progress
        {
            self.leave(id);
            let since = self.number();
            self.insert(id, address, (progress, since));
        }
    }

    /// A connection said what it wants, or closed. Unknown names are ignored: an evicted connection leaves twice.
    pub fn leave(&mut self, id: WaitingId) {
        let Some((address, standing)) = self.by_id.remove(&id) else { return };
        self.change(address, |held| {
            held.remove(&standing);
        });
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn insert(&mut self, id: WaitingId, address: IpAddr, standing: Standing) {
        self.by_id.insert(id, (address, standing));
        self.change(address, |held| {
            held.insert(standing, id);
        });
    }

    /// Changes what an address holds, and keeps `shares` in step.
    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut BTreeMap<Standing, WaitingId>)) {
        let share = |held: &BTreeMap<Standing, WaitingId>| {
            held.first_key_value().map(|(standing, _)| (held.len(), Reverse(*standing), address))
        };
        let held = self.by_address.entry(address).or_default();
        if let Some(before) = share(held) {
            self.shares.remove(&before);
        }
        change(held);
        match share(held) {
            Some(after) => _ = self.shares.insert(after),
            None => _ = self.by_address.remove(&address),
        }
    }
}

/// What counts as one address: IPv4 also when it comes as IPv6, and a /64 of IPv6, which is one subscriber.
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
    }
}

/// The waiting connections of one port.
#[derive(Debug)]
pub struct PendingConnections {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    room: WaitingRoom,
    evict: HashMap<WaitingId, CancellationToken>,
}

/// A place in [`PendingConnections`]; dropping it frees the place.
#[derive(Debug)]
pub struct Slot {
    pending: Arc<PendingConnections>,
    id: WaitingId,
    evicted: CancellationToken,
}

impl PendingConnections {
    /// None yet.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::new(Inner { room: WaitingRoom::new(limits), evict: HashMap::new() }) })
    }

    /// A connection from `address` was accepted; another one may have to close for it.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Slot {
        let mut inner = self.lock();
        let (id, evicted) = inner.room.arrive(address);
        if let Some(token) = evicted.and_then(|id| inner.evict.remove(&id)) {
            token.cancel();
        }
        let evicted = CancellationToken::new();
        inner.evict.insert(id, evicted.clone());
        Slot { pending: Arc::clone(self), id, evicted }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().room.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The connection has come so far.
    pub fn advance(&self, progress: Progress) {
        self.pending.lock().room.advance(self.id, progress);
    }

    /// Cancelled when the connection has to close for another one.
    #[must_use]
    pub fn evicted(&self) -> CancellationToken {
        self.evicted.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut inner = self.pending.lock();
        inner.room.leave(self.id);
        inner.evict.remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
