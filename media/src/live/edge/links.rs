//! The links of an edge: which one the stream is taken from, and what their messages do.

use super::open_segment::{Known, OpenSegment, Unfit};
use super::{Edge, LiveItem, Output};
use crate::ledger::{Entry, EpochId, Ledger, Msn, Profile};
use crate::live::LinkId;
use crate::relay::{
    Announcement, Closed, End, Epoch, HEARTBEAT_MS, Heartbeat, IngestId, LINK_DEAD_MS, LiveLink, Mark, Metadata,
    Missing, Outranked, RelayMessage,
};

/// One relay connection.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) ingest: IngestId,
    pub(super) heard_ms: u64,
    /// Version of the last announcement; 0 before the first.
    version: u64,
    ledger: Ledger,
    pub(super) open_epoch: Option<EpochId>,
    epoch: Option<Known>,
    /// The msn of the next mark, as far as known: what is before it will not come on this link.
    next_mark: Option<Msn>,
    pub(super) segment_ms: u64,
}

impl Link {
    /// The first epoch of a presentation that has no listed segment yet, if one is open.
    pub(super) fn starting(&self, truth: &Ledger) -> Option<EpochId> {
        let epoch = self.epoch.as_ref().filter(|e| Some(e.epoch) == self.open_epoch)?;
        let listed = truth.presentation.as_ref().is_some_and(|p| p.first_epoch == epoch.presentation);
        (!listed).then_some(epoch.presentation)
    }

    /// The profile of `epoch`, if it is the one that the link's media belong to.
    pub(super) fn profile_of(&self, epoch: EpochId) -> Option<Profile> {
        self.epoch.as_ref().filter(|known| known.epoch == epoch).map(|known| known.profile)
    }

    fn rank(&self) -> EpochId {
        self.open_epoch.unwrap_or(0)
    }

    /// What a segment that closes does to the link's ledger.
    fn close(&mut self, closed: Option<&Closed>) {
        if let Some(closed) = closed {
            self.ledger.close(&closed.entry, closed.first, &closed.presentation);
        }
    }
}

impl Edge {
    /// A connection of an ingest with the right token. The caller sends [`Edge::greeting`].
    pub fn link_opened(&mut self, now_ms: u64, link: LinkId) {
        self.links.insert(link, Link { heard_ms: now_ms, ..Link::default() });
    }

    /// The connection is gone.
    pub fn link_closed(&mut self, now_ms: u64, link: LinkId) {
        self.links.remove(&link);
        if self.source == Some(link) {
            self.source = None;
            let best =
                self.links.iter().filter(|(_, l)| l.version > 0).max_by_key(|(_, l)| l.rank()).map(|(id, _)| *id);
            if let Some(best) = best {
                if self.links.get(&best).is_some_and(|l| l.ledger.rank() >= self.truth.rank()) {
                    self.adopt(best, false);
                } else {
                    self.tell_outranked(now_ms, best);
                }
            }
        }
        self.settle(now_ms);
    }

    /// A message of the ingest. Epochs, marks and ends count only on the link that the stream is taken from.
    pub fn message(&mut self, now_ms: u64, link: LinkId, message: RelayMessage) {
        self.heard(now_ms, link);
        if !self.links.contains_key(&link) {
            return;
        }
        match message {
            RelayMessage::Announcement(announcement) => self.announced(now_ms, link, announcement),
            RelayMessage::Epoch(epoch) => self.epoch(now_ms, link, &epoch),
            RelayMessage::Mark(mark) => self.mark(now_ms, link, &mark),
            RelayMessage::Metadata(change) => self.metadata(link, &change),
            RelayMessage::End(end) => self.ended(now_ms, link, &end),
            RelayMessage::Life(life) => {
                let source = self.source == Some(link);
                if let Some(state) = self.links.get_mut(&link)
                    && state.ledger.pass(life.presentation, life.life)
                    && source
                {
                    self.truth.pass(life.presentation, life.life);
                }
            }
            RelayMessage::Probe(probe) => self.probe_returned(link, probe),
            // The caller handles the event; a heartbeat only shows that the link is alive; edges send the other kinds.
            RelayMessage::Event(_)
            | RelayMessage::Heartbeat(_)
            | RelayMessage::Greeting(_)
            | RelayMessage::Outranked(_)
            | RelayMessage::Missing(_) => {}
        }
        self.settle(now_ms);
    }

    pub(super) fn heard(&mut self, now_ms: u64, link: LinkId) {
        if let Some(state) = self.links.get_mut(&link) {
            state.heard_ms = now_ms;
            self.reached_ms = now_ms;
        }
    }

    pub(super) fn alive_source(&self, now_ms: u64) -> Option<LinkId> {
        self.source.filter(|id| self.links.get(id).is_some_and(|l| now_ms < l.heard_ms + LINK_DEAD_MS))
    }

    pub(super) fn live_link(&self, now_ms: u64) -> Option<LiveLink> {
        let link = self.links.get(&self.alive_source(now_ms)?)?;
        Some(LiveLink { ingest: link.ingest, epoch: link.rank() })
    }

    /// Whether the live link will still bring the segment `msn`.
    pub(super) fn coming(&self, now_ms: u64, msn: Msn) -> bool {
        let source = self.alive_source(now_ms).and_then(|id| self.links.get(&id));
        source.and_then(|l| l.next_mark).is_some_and(|next| msn >= next)
    }

    pub(super) fn beat(&mut self, now_ms: u64) {
        if now_ms < self.beat_ms + HEARTBEAT_MS {
            return;
        }
        self.beat_ms = now_ms;
        for link in self.links.keys() {
            let message = RelayMessage::Heartbeat(Heartbeat { now_ms });
            self.outputs.push_back(Output::Send { link: *link, message });
        }
    }

    /// Reports to the ingest the segments that no sibling could provide, once for each new set.
    pub(super) fn report_missing(&mut self, now_ms: u64) {
        let msns = self.fetches.in_vain();
        let Some(link) = self.alive_source(now_ms) else { return };
        if msns != self.reported {
            self.reported.clone_from(&msns);
            self.outputs.push_back(Output::Send { link, message: RelayMessage::Missing(Missing { msns }) });
        }
    }

    fn announced(&mut self, now_ms: u64, link: LinkId, announcement: Announcement) {
        let Some(state) = self.links.get_mut(&link) else { return };
        if announcement.version <= state.version {
            return;
        }
        let first = state.version == 0;
        state.version = announcement.version;
        state.ingest = announcement.ingest;
        state.ledger = announcement.ledger;
        state.segment_ms = announcement.segment_ms;
        state.open_epoch = announcement.open_epoch;
        if first {
            state.next_mark = announcement.replay_from;
        }
        self.consider(now_ms, link, !first);
    }

    fn epoch(&mut self, now_ms: u64, link: LinkId, epoch: &Epoch) {
        let Some(state) = self.links.get_mut(&link) else { return };
        let Some(known) = Known::read(epoch) else {
            let reason = format!("epoch {} carries a configuration that is no hexadecimal text", epoch.epoch);
            self.outputs.push_back(Output::Close { link, reason });
            self.link_closed(now_ms, link);
            return;
        };
        state.epoch = Some(known);
        state.open_epoch = state.open_epoch.max(Some(epoch.epoch));
        if self.source == Some(link) {
            self.open_segment = None;
            self.show_epoch(link);
        } else {
            self.consider(now_ms, link, false);
        }
    }

    /// A text that is no hexadecimal one changes nothing.
    fn metadata(&mut self, link: LinkId, change: &Metadata) {
        let Some(state) = self.links.get_mut(&link) else { return };
        let Some(known) = state.epoch.as_mut().filter(|known| known.epoch == change.epoch) else { return };
        let Some(payload) = change.payload() else { return };
        known.tracks.metadata = Some(payload.clone());
        if self.source == Some(link) && self.live.epoch == change.epoch {
            self.outputs.push_back(Output::Live(LiveItem::Metadata(payload)));
        }
    }

    fn mark(&mut self, now_ms: u64, link: LinkId, mark: &Mark) {
        let Some(state) = self.links.get_mut(&link) else { return };
        state.close(mark.closed.as_ref());
        state.next_mark = Some(mark.msn);
        if self.source != Some(link) {
            return;
        }
        let next = state.epoch.as_ref().and_then(|known| OpenSegment::new(known, mark));
        let old = std::mem::replace(&mut self.open_segment, next);
        self.close(now_ms, old, mark.closed.as_ref());
    }

    fn ended(&mut self, now_ms: u64, link: LinkId, end: &End) {
        let Some(state) = self.links.get_mut(&link) else { return };
        state.close(end.closed.as_ref());
        if state.open_epoch <= Some(end.epoch) {
            state.open_epoch = None;
        }
        if self.source != Some(link) {
            return;
        }
        state.next_mark = state.next_mark.map(|next| next + u64::from(end.closed.is_some()));
        let old = self.open_segment.take();
        self.close(now_ms, old, end.closed.as_ref());
    }

    /// A segment of the source closes: the open one becomes it, if it can, and the ledger moves on.
    fn close(&mut self, now_ms: u64, open: Option<OpenSegment>, closed: Option<&Closed>) {
        let Some(closed) = closed else { return };
        self.keep(open, &closed.entry);
        if self.truth.close(&closed.entry, closed.first, &closed.presentation) {
            let others: Vec<_> = self
                .links
                .iter()
                .filter(|(id, l)| Some(**id) != self.source && l.version > 0)
                .map(|(id, _)| *id)
                .collect();
            for link in others {
                self.tell_outranked(now_ms, link);
            }
        }
    }

    fn keep(&mut self, open: Option<OpenSegment>, entry: &Entry) {
        if self.store.holds(entry) {
            return;
        }
        match open.map(|open| open.into_segment(entry)) {
            Some(Ok(segment)) => self.store.put(segment),
            Some(Err(Unfit::Differs)) => self.mismatches += 1,
            Some(Err(Unfit::Incomplete)) | None => {}
        }
    }

    /// The open segment, if the truth has an entry for it: the mark to this edge was lost, not the media.
    pub(super) fn close_by_truth(&mut self) {
        let Some(open) = self.open_segment.take() else { return };
        if let Some(entry) = self.truth.entries.iter().find(|e| e.msn == open.msn()).cloned() {
            self.keep(Some(open), &entry);
        }
    }

    /// Decides whether the stream is taken from `link`: of two ingests the one with the higher open epoch wins, at every
    /// edge and by the same numbers.
    fn consider(&mut self, now_ms: u64, link: LinkId, goes_on: bool) {
        let Some(state) = self.links.get(&link).filter(|l| l.version > 0) else { return };
        let current = self.alive_source(now_ms).filter(|id| *id != link).and_then(|id| self.links.get(&id));
        let Some(current) = current else {
            // Re-announced on the same link, the open segment goes on.
            let goes_on = goes_on && self.source == Some(link);
            self.adopt(link, goes_on);
            return;
        };
        let higher = match (state.rank(), current.rank()) {
            (0, 0) => state.ledger.rank() > self.truth.rank(),
            (theirs, ours) => theirs > ours,
        };
        if higher {
            let old = self.source;
            self.adopt(link, false);
            if let Some(old) = old {
                self.tell_outranked(now_ms, old);
            }
        } else {
            self.tell_outranked(now_ms, link);
        }
    }

    fn adopt(&mut self, link: LinkId, goes_on: bool) {
        let Some(state) = self.links.get(&link) else { return };
        self.source = Some(link);
        self.known = true;
        self.truth = state.ledger.clone();
        self.reported.clear();
        if !goes_on {
            self.close_by_truth();
            self.show_epoch(link);
        }
    }

    fn tell_outranked(&mut self, now_ms: u64, link: LinkId) {
        let message =
            RelayMessage::Outranked(Outranked { ledger: self.truth.clone(), live_link: self.live_link(now_ms) });
        self.outputs.push_back(Output::Send { link, message });
    }

    /// Viewers of RTMP and HTTP-FLV go over to the source's epoch, unless they have seen it.
    fn show_epoch(&mut self, link: LinkId) {
        let Some(known) = self.links.get(&link).and_then(|l| l.epoch.as_ref()) else { return };
        if known.epoch == self.live.epoch
            && let Some(metadata) = known.tracks.metadata.clone()
        {
            // They may have changed while no link was there to say so; the same ones again change nothing for viewers.
            self.outputs.push_back(Output::Live(LiveItem::Metadata(metadata)));
        }
        if known.epoch <= self.live.epoch {
            return;
        }
        let kinds = (known.tracks.video.is_some(), known.tracks.audio.is_some());
        let kinds_changed = self.live.kinds.is_some_and(|before| before != kinds);
        self.live = super::Live {
            epoch: known.epoch,
            zero_ms: known.epoch.saturating_sub(known.presentation),
            kinds: Some(kinds),
            video: None,
            audio: None,
        };
        let tracks = known.tracks.clone();
        self.outputs.push_back(Output::Live(LiveItem::Epoch { tracks, kinds_changed }));
    }
}
