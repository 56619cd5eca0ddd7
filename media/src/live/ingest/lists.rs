//! Which text of playlists a stream has (ADR 15): the best one that every edge writes. It is lowered at once, before an
//! older edge learns of the stream, and raised with a segment.

use super::{Ingest, Link, Memory, Source};
use crate::ledger::{Life, ListProfile};

/// An edge of the release before that loses its link comes back within this time, or is not Ready any more: it is found
/// dead after [`crate::relay::LINK_DEAD_MS`], and answers from the list that it has for
/// [`crate::ledger::LIST_AGE_MS_MAX`]. The text does not change to and fro with each lost link.
const OLDER_GONE_MS: u64 = 10_000;

/// What holds the text back.
#[derive(Debug)]
pub(super) struct Lists {
    /// When an older edge was last known to be there, or may have been: the ingest has only just learnt of the stream.
    older_ms: u64,
}

impl Lists {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { older_ms: now_ms }
    }
}

impl Ingest {
    /// The list profile of the segment that closes next.
    pub(super) fn choose_lists(&mut self, now_ms: u64) {
        let best = self.all_write();
        if best < ListProfile::NEWEST {
            self.lists.older_ms = now_ms;
        }
        let now = self.ledger.list_profile();
        let goes_on = self.ledger.presentation.is_some() && self.ledger.life == Life::Open;
        let waits = goes_on && now_ms < self.lists.older_ms + OLDER_GONE_MS;
        let next = if best > now && waits { now } else { best };
        if let Source::Live(epoch) = &mut self.source {
            epoch.write_lists(next);
        }
    }

    /// Before a link opens whose edge does not write what the ledger says: all edges write less from here on.
    pub(super) fn lower_lists(&mut self, now_ms: u64) {
        let lowered = self.ledger.lower_lists(self.all_write());
        self.choose_lists(now_ms);
        if lowered && matches!(self.memory, Memory::Known) {
            self.announce();
        }
    }

    /// A link ended. If its edge writes an older text, it may come back, and is Ready meanwhile.
    pub(super) fn link_lost_lists(&mut self, now_ms: u64, link: Option<&Link>) {
        let greeting = link.and_then(|link| link.greeting.as_ref());
        if greeting.is_some_and(|greeting| greeting.list_profile < ListProfile::NEWEST) {
            self.lists.older_ms = now_ms;
        }
    }

    /// What all greeted edges write. While there is none, what the ledger says: its edges may be on their way.
    pub(super) fn all_write(&self) -> ListProfile {
        let greetings = self.links.values().filter_map(|Link { greeting, .. }| greeting.as_ref());
        let least = greetings.map(|greeting| greeting.list_profile).min();
        least.unwrap_or(self.ledger.list_profile()).min(ListProfile::NEWEST)
    }
}
