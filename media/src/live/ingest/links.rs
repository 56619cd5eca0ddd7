//! Greetings, and what edges report: how an ingest learns the past, opens links, and settles with another ingest.

use super::{Ingest, Link, Memory, Output, Source};
use crate::ledger::{EpochId, Ledger, Msn};
use crate::live::LinkId;
use crate::live::ring::{Content, Replay};
use crate::relay::{Announcement, Greeting, LiveLink, Missing, Outranked, RelayMessage};
use std::sync::Arc;

/// Entries a link may report as missing at once: more than any list has.
const MISSING_MAX: usize = 4_096;

impl Ingest {
    /// How many serving edges there are: greetings of so many are awaited, within the time since the start.
    pub fn expect_greetings(&mut self, now_ms: u64, edges: usize) {
        if let Memory::Learning { expected, .. } = &mut self.memory {
            *expected = Some(edges);
        }
        self.learn_if_complete(now_ms);
    }

    /// The first message of an edge on a new link.
    pub fn greeting(&mut self, now_ms: u64, link: LinkId, greeting: Greeting) {
        let settled = (greeting.ledger.clone(), greeting.live_link);
        self.links.insert(link, Link { greeting: Some(greeting), ..Link::default() });
        match self.memory {
            Memory::Learning { .. } => self.learn_if_complete(now_ms),
            Memory::Known => {
                self.settle(now_ms, &settled.0, settled.1);
                self.lower_lists(now_ms);
                self.open_link(link);
            }
        }
    }

    /// The connection is gone.
    pub fn link_closed(&mut self, now_ms: u64, link: LinkId) {
        let closed = self.links.remove(&link);
        self.link_lost_lists(now_ms, closed.as_ref());
        self.settle_gaps();
    }

    /// An edge follows another ingest, or knows more than it was told.
    pub fn outranked(&mut self, now_ms: u64, outranked: &Outranked) {
        if matches!(self.memory, Memory::Known) {
            self.settle(now_ms, &outranked.ledger, outranked.live_link);
        }
    }

    /// An edge could get these segments neither from its link nor from a sibling.
    pub fn missing(&mut self, link: LinkId, missing: &Missing) {
        if let Some(state) = self.links.get_mut(&link) {
            state.missing = missing.msns.iter().copied().take(MISSING_MAX).collect();
        }
        self.settle_gaps();
    }

    fn learn_if_complete(&mut self, now_ms: u64) {
        let Memory::Learning { expected: Some(expected), .. } = self.memory else { return };
        if self.links.len() >= expected {
            self.finish_learning(now_ms);
        }
    }

    pub(super) fn finish_learning(&mut self, now_ms: u64) {
        let Memory::Learning { held, .. } = std::mem::replace(&mut self.memory, Memory::Known) else { return };
        let greetings: Vec<_> = self.links.values().filter_map(|l| l.greeting.as_ref()).collect();
        self.ledger = Ledger::merged(greetings.iter().map(|g| &g.ledger));
        self.life_since_ms = now_ms;
        let other = greetings.iter().filter_map(|g| g.live_link).filter(|l| l.epoch > 0).max_by_key(|l| l.epoch);
        if let Some(other) = other {
            self.yield_to(now_ms, other);
        }
        self.ledger.lower_lists(self.all_write());
        let links: Vec<_> = self.links.keys().copied().collect();
        for link in links {
            self.open_link(link);
        }
        for (arrival_ms, message) in held {
            self.receive(arrival_ms, message);
        }
        self.go_on(now_ms);
    }

    /// Compares what an edge knows with what was decided here: numbers that were given out are never given out again, and
    /// of two ingests the one with the later epoch goes on.
    fn settle(&mut self, now_ms: u64, theirs: &Ledger, live_link: Option<LiveLink>) {
        let own = self.open_epoch().unwrap_or(0).max(self.ledger.rank().0);
        let other = live_link.filter(|l| l.ingest != self.settings.ingest && l.epoch > own);
        if let Some(other) = other {
            // The own epoch ends with its own numbers before the other's are taken in.
            self.yield_to(now_ms, other);
            self.learn(theirs);
            return;
        }
        let theirs_last = theirs.remembered.map_or(0, |r| r.msn);
        match &self.source {
            // A late, lower ledger changes nothing that is listed.
            Source::Live(epoch) if theirs.rank().0 > epoch.id() || (!epoch.listed() && theirs_last >= epoch.msn()) => {
                self.reopen(now_ms);
                self.learn(theirs);
            }
            Source::Live(_) => {}
            Source::Absent { .. } | Source::Opening(_) => self.learn(theirs),
        }
    }

    /// Takes in a ledger. Every link follows each change: marks only say what they add.
    fn learn(&mut self, theirs: &Ledger) {
        let merged = Ledger::merged([&self.ledger, theirs]);
        if merged != self.ledger {
            self.ledger = merged;
            self.announce();
        }
    }

    fn yield_to(&mut self, now_ms: u64, other: LiveLink) {
        self.epoch_floor_ms = self.epoch_floor_ms.max(other.epoch + 1);
        match self.source {
            Source::Absent { .. } => {}
            Source::Opening(_) | Source::Live(_) => {
                self.unpublish(now_ms);
                let reason = format!("another ingest is live with the later epoch {}", other.epoch);
                self.outputs.push_back(Output::Yield { reason });
            }
        }
    }

    fn open_link(&mut self, link: LinkId) {
        let Some(greeting) = self.links.get(&link).and_then(|l| l.greeting.as_ref()) else { return };
        let replay = self.ring.replay(needed(&self.ledger, greeting)).or_else(|| self.next_mark());
        let mut announcement = self.announcement();
        announcement.replay_from = replay.as_ref().map(|r| r.msn);
        let from = replay.as_ref().map_or(self.ring.end(), |r| r.from);
        let mut preamble = vec![RelayMessage::Announcement(announcement)];
        preamble.extend(replay.map(|r| RelayMessage::Epoch(r.epoch.as_ref().clone())));
        self.outputs.push_back(Output::Open { link, preamble, from });
    }

    /// A ring that is too short for the open segment: the link starts with the next one, in the epoch that is open.
    fn next_mark(&self) -> Option<Replay> {
        match &self.source {
            Source::Live(epoch) => {
                Some(Replay { from: self.ring.end(), msn: epoch.msn() + 1, epoch: Arc::new(epoch.message()) })
            }
            Source::Opening(_) | Source::Absent { .. } => None,
        }
    }

    pub(super) fn announce(&mut self) {
        let announcement = self.announcement();
        self.ring.push(Content::Message(RelayMessage::Announcement(announcement)));
    }

    fn announcement(&mut self) -> Announcement {
        self.announcements += 1;
        Announcement {
            ingest: self.settings.ingest,
            version: self.announcements,
            ledger: self.ledger.clone(),
            open_epoch: self.open_epoch(),
            replay_from: None,
            segment_ms: self.settings.cutting.segment_ms,
        }
    }

    /// An entry that every greeted link reports as missing becomes a gap for all.
    fn settle_gaps(&mut self) {
        let links: Vec<_> = self.links.values().filter(|l| l.greeting.is_some()).collect();
        if links.is_empty() {
            return;
        }
        let first = self.ledger.first;
        let lost: Vec<Msn> = self
            .ledger
            .entries
            .iter()
            .filter(|e| e.msn >= first && !e.gap && links.iter().all(|l| l.missing.contains(&e.msn)))
            .map(|e| e.msn)
            .collect();
        if lost.is_empty() {
            return;
        }
        for entry in &mut self.ledger.entries {
            entry.gap |= lost.contains(&entry.msn);
        }
        self.announce();
    }
}

/// The first listed msn whose bytes the edge does not hold; the one after the last if it holds all.
fn needed(ledger: &Ledger, greeting: &Greeting) -> Msn {
    let holds = |msn: Msn, epoch: EpochId| {
        greeting.held.contains(&msn) && greeting.ledger.entries.iter().any(|e| e.msn == msn && e.epoch == epoch)
    };
    ledger
        .listed()
        .iter()
        .find(|e| !e.gap && !holds(e.msn, e.epoch))
        .map(|e| e.msn)
        .or_else(|| ledger.remembered.map(|r| r.msn + 1))
        .unwrap_or(0)
}
