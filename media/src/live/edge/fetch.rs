//! Which segments are being fetched from which sibling.

use crate::ledger::{Msn, SegmentName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Fetches under way at once: a joining edge shares its siblings with their viewers.
const FETCHES_MAX: usize = 8;
/// When every sibling was asked in vain, the round starts again after this.
const RETRY_MS: u64 = 500;

#[derive(Debug, Default)]
struct Fetch {
    in_flight: Option<SocketAddr>,
    tried: BTreeSet<SocketAddr>,
    not_before_ms: u64,
    /// Every sibling has been asked at least once.
    in_vain: bool,
}

/// The segments that are wanted from siblings, and the requests under way.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    wanted: BTreeMap<SegmentName, Fetch>,
}

impl Fetches {
    /// Sets what is wanted and returns the requests to start now.
    pub(super) fn want(
        &mut self,
        now_ms: u64,
        names: &BTreeSet<SegmentName>,
        siblings: &[SocketAddr],
    ) -> Vec<(SocketAddr, SegmentName)> {
        self.wanted.retain(|name, _| names.contains(name));
        let mut busy = self.wanted.values().filter(|f| f.in_flight.is_some()).count();
        let mut requests = Vec::new();
        for name in names {
            let fetch = self.wanted.entry(*name).or_default();
            if fetch.in_flight.is_some() || now_ms < fetch.not_before_ms || busy >= FETCHES_MAX {
                continue;
            }
            match next_sibling(siblings, name.msn().unwrap_or(0), &fetch.tried) {
                Some(sibling) => {
                    fetch.in_flight = Some(sibling);
                    fetch.tried.insert(sibling);
                    busy += 1;
                    requests.push((sibling, *name));
                }
                None => {
                    fetch.tried.clear();
                    fetch.in_vain = true;
                    fetch.not_before_ms = now_ms + RETRY_MS;
                }
            }
        }
        requests
    }

    /// A request is answered, well or not.
    pub(super) fn answered(&mut self, sibling: SocketAddr, name: SegmentName) {
        if let Some(fetch) = self.wanted.get_mut(&name)
            && fetch.in_flight == Some(sibling)
        {
            fetch.in_flight = None;
        }
    }

    /// The numbers of segments that no sibling had.
    pub(super) fn in_vain(&self) -> Vec<Msn> {
        self.wanted.iter().filter(|(_, f)| f.in_vain).filter_map(|(name, _)| name.msn()).collect()
    }

    /// When a round starts again.
    pub(super) fn next_wake(&self) -> Option<u64> {
        self.wanted.values().filter(|f| f.in_flight.is_none()).map(|f| f.not_before_ms).min()
    }
}

/// Siblings in turn, beginning at another one for each segment: a join spreads over all of them.
fn next_sibling(siblings: &[SocketAddr], msn: Msn, tried: &BTreeSet<SocketAddr>) -> Option<SocketAddr> {
    let start = usize::try_from(msn).unwrap_or(0);
    (0..siblings.len()).map(|n| siblings[(start + n) % siblings.len()]).find(|s| !tried.contains(s))
}
