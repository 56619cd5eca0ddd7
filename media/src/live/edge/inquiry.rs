//! How an edge comes to know that a name is in no list: it asks the ingest how far its own knowledge reaches, and its
//! siblings for what they list. Only then may it say that a segment does not exist.

use super::{ASKED_MAX, Edge, Output};
use crate::ledger::{Entry, Ledger};
use crate::live::LinkId;
use crate::relay::{Probe, RelayMessage};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Requests for names that are not known are gathered for this long at most, so that they cost the ingest and the
/// siblings little however many there are.
const ROUND_EVERY_MS: u64 = 200;
/// A sibling that has not answered after this is away or stands still. What it lists is not known then: it is asked
/// again.
const ROUND_MS: u64 = 1_000;
/// No request waits for longer than this: then nothing is asked any more.
const WANTED_MS_MAX: u64 = 10_000;
/// Entries of siblings that are remembered: a ledger has some dozens, and siblings differ by a few.
const RUMOURS_MAX: usize = 64;

/// Whether the edge has asked, and what the answers were.
#[derive(Debug, Default)]
pub(super) struct Inquiry {
    /// A request that came at this time waits for an answer.
    wanted_ms: u64,
    /// It still does, as far as that can be told from here.
    is_wanted: bool,
    /// All that the ingest had said at this time is known here.
    level_ms: u64,
    /// The ingest was asked, on this link, at this time.
    probe: Option<(LinkId, u64)>,
    round: Option<Round>,
    /// When the last round began that every sibling answered.
    heard_ms: u64,
    /// When the last round began, finished or not.
    began_ms: u64,
    /// What siblings list and this edge does not know.
    rumours: Vec<Rumour>,
}

/// An entry of a sibling, and when the last round began that found it.
#[derive(Debug)]
struct Rumour {
    entry: Entry,
    round_ms: u64,
}

/// Siblings that are being asked.
#[derive(Debug)]
struct Round {
    began_ms: u64,
    waiting: BTreeSet<SocketAddr>,
    /// A sibling did not answer.
    failed: bool,
}

impl Inquiry {
    /// See [`crate::live::View::level_ms`].
    pub(super) fn level_ms(&self) -> u64 {
        self.level_ms
    }

    /// See [`crate::live::View::heard_ms`].
    pub(super) fn heard_ms(&self) -> u64 {
        self.heard_ms
    }

    /// See [`crate::live::View::rumours`].
    pub(super) fn rumours(&self) -> impl Iterator<Item = &Entry> {
        self.rumours.iter().map(|rumour| &rumour.entry)
    }

    /// The probe came back on the link that the stream is taken from.
    fn returned(&mut self, link: LinkId, probe: Probe) {
        if self.probe.is_some_and(|(asked, at_ms)| asked == link && at_ms == probe.asked_ms) {
            self.probe = None;
            self.level_ms = self.level_ms.max(probe.asked_ms);
        }
    }

    /// A sibling answered with these entries, or not at all.
    pub(super) fn heard<'a>(
        &mut self,
        sibling: SocketAddr,
        entries: Option<impl Iterator<Item = &'a Entry>>,
        truth: &Ledger,
    ) {
        let Some(round) = &mut self.round else { return };
        if !round.waiting.remove(&sibling) {
            return;
        }
        round.failed |= entries.is_none();
        for entry in entries.into_iter().flatten().filter(|entry| !entry.gap) {
            let known = truth.entries.iter().any(|known| !known.gap && known.name() == entry.name());
            let again = self.rumours.iter_mut().find(|rumour| rumour.entry.name() == entry.name());
            if let Some(again) = again {
                again.round_ms = round.began_ms;
            } else if !known && self.rumours.len() < RUMOURS_MAX {
                self.rumours.push(Rumour { entry: entry.clone(), round_ms: round.began_ms });
            }
        }
    }

    /// Ends the round that every sibling has answered, or that has lasted long enough.
    fn finish(&mut self, now_ms: u64) {
        let over = |round: &mut Round| {
            let last_ms = round.began_ms + ROUND_MS;
            now_ms >= last_ms || (round.waiting.is_empty() && !round.failed)
        };
        if let Some(round) = self.round.take_if(over)
            && round.waiting.is_empty()
            && !round.failed
        {
            self.heard_ms = round.began_ms;
            self.rumours.retain(|rumour| rumour.round_ms >= round.began_ms);
        }
    }

    /// When something is due.
    pub(super) fn next_wake(&self) -> Option<u64> {
        if !self.is_wanted {
            return None;
        }
        let round = match &self.round {
            Some(round) => Some(round.began_ms + ROUND_MS),
            None => (self.heard_ms < self.wanted_ms).then_some(self.began_ms + ROUND_EVERY_MS),
        };
        let outdated = self.probe.filter(|(_, at_ms)| *at_ms < self.wanted_ms && self.level_ms < self.wanted_ms);
        let probe = outdated.map(|(_, at_ms)| at_ms + ROUND_EVERY_MS);
        round.into_iter().chain(probe).min()
    }

    /// Whether a request waits for what is not known yet.
    fn note_wanted(&mut self, now_ms: u64) -> bool {
        let unknown = self.level_ms < self.wanted_ms || self.heard_ms < self.wanted_ms;
        self.is_wanted = unknown && now_ms < self.wanted_ms + WANTED_MS_MAX;
        self.is_wanted
    }
}

impl Edge {
    /// A request came for a name that [`crate::live::View::verdict`] is not sure about. What is learnt shows in the
    /// next views.
    pub fn inquire(&mut self, now_ms: u64) {
        self.inquiry.wanted_ms = self.inquiry.wanted_ms.max(now_ms);
        self.settle(now_ms);
    }

    pub(super) fn probe_returned(&mut self, link: LinkId, probe: Probe) {
        if self.source == Some(link) {
            self.inquiry.returned(link, probe);
        }
    }

    /// Asks whom a waiting request needs to be asked, after every input.
    pub(super) fn investigate(&mut self, now_ms: u64) {
        self.inquiry.finish(now_ms);
        if !self.inquiry.note_wanted(now_ms) {
            return;
        }
        let (wanted_ms, began_ms) = (self.inquiry.wanted_ms, self.inquiry.began_ms);
        // Of a link that is gone nothing comes back.
        self.inquiry.probe = self.inquiry.probe.filter(|(link, _)| self.links.contains_key(link));
        if self.inquiry.level_ms < wanted_ms
            && let Some(link) = self.alive_source(now_ms)
            && self
                .inquiry
                .probe
                .is_none_or(|(asked, at_ms)| asked != link || at_ms < wanted_ms && now_ms >= at_ms + ROUND_EVERY_MS)
        {
            self.inquiry.probe = Some((link, now_ms));
            let message = RelayMessage::Probe(Probe { asked_ms: now_ms });
            self.outputs.push_back(Output::Send { link, message });
        }
        if self.inquiry.heard_ms < wanted_ms
            && self.inquiry.round.is_none()
            && (began_ms == 0 || now_ms >= began_ms + ROUND_EVERY_MS)
        {
            let waiting = self.some_siblings(now_ms);
            self.outputs.extend(waiting.iter().map(|sibling| Output::AskLedger { sibling: *sibling }));
            self.inquiry.began_ms = now_ms;
            self.inquiry.round = Some(Round { began_ms: now_ms, waiting, failed: false });
            self.inquiry.finish(now_ms);
        }
    }

    /// A few siblings, other ones each second.
    pub(super) fn some_siblings(&self, now_ms: u64) -> BTreeSet<SocketAddr> {
        let count = self.siblings.len();
        let turn = usize::try_from(now_ms / super::FOLLOW_MS).unwrap_or(0) * ASKED_MAX;
        (0..count.min(ASKED_MAX)).map(|n| self.siblings[(turn + n) % count]).collect()
    }
}
