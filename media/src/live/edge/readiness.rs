//! Whether a stream keeps its edge out of the Service, as a function of what is known: an edge that lacks segments that
//! others list must get no viewers.

/// Without ingest and siblings for this long after its start an edge is Ready and empty.
pub const ALONE_MS: u64 = 5_000;
/// An edge that knew siblings and reaches neither them nor the ingest for this long is not Ready.
pub const UNREACHED_MS: u64 = crate::ledger::LIST_AGE_MS_MAX;
/// A list that stays behind the ledger for this long is stale.
pub const STALE_MS: u64 = 3_000;

/// What readiness depends on. Times are milliseconds ago.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Since the start.
    pub(super) age_ms: u64,
    /// An ingest or a sibling has sent its ledger.
    pub(super) known: bool,
    /// Since the list fell behind the ledger; `None` while it is level.
    pub(super) behind_ms: Option<u64>,
    /// It was level before.
    pub(super) was_level: bool,
    /// It was Ready until now.
    pub(super) was_ready: bool,
    /// The relay link is alive.
    pub(super) linked: bool,
    /// Siblings were ever known.
    pub(super) has_siblings: bool,
    /// Since the ingest or a sibling was last reached.
    pub(super) reached_ms: u64,
}

pub(super) fn ready(facts: Facts) -> bool {
    let Facts { age_ms, known, behind_ms, was_level, was_ready, linked, has_siblings, reached_ms } = facts;
    if !known {
        return age_ms >= ALONE_MS;
    }
    // What it lists while it is behind may be older than anything that the others still have.
    if !was_level || behind_ms.is_some_and(|ms| ms >= STALE_MS || !was_ready) {
        return false;
    }
    linked || !has_siblings || reached_ms < UNREACHED_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_ready_when_it_has_what_the_others_have() {
        let level = Facts {
            age_ms: 60_000,
            known: true,
            behind_ms: None,
            was_level: true,
            was_ready: true,
            linked: true,
            has_siblings: true,
            reached_ms: 0,
        };
        let table = [
            ("level and linked", level, true),
            ("just started", Facts { age_ms: 100, known: false, was_level: false, linked: false, ..level }, false),
            ("alone for long", Facts { known: false, was_level: false, linked: false, ..level }, true),
            ("joining", Facts { was_level: false, behind_ms: Some(100), ..level }, false),
            ("a moment behind", Facts { behind_ms: Some(100), ..level }, true),
            ("back, with an old list", Facts { behind_ms: Some(100), was_ready: false, ..level }, false),
            ("back, and level", Facts { was_ready: false, ..level }, true),
            ("stale", Facts { behind_ms: Some(STALE_MS), ..level }, false),
            ("follows siblings", Facts { linked: false, reached_ms: 1_000, ..level }, true),
            ("cut off", Facts { linked: false, reached_ms: UNREACHED_MS, ..level }, false),
            (
                "the only one, ingest gone",
                Facts { linked: false, has_siblings: false, reached_ms: 99_000, ..level },
                true,
            ),
        ];
        for (what, facts, expected) in table {
            assert_eq!(ready(facts), expected, "{what}");
        }
    }
}
