//! What numbers of a relay message may be. A peer proves that it knows the token, not that its numbers make sense: sums
//! and differences of those that pass here stay far away from the ends of their types.

use super::{Announcement, Closed, Epoch, Greeting, Mark, Metadata, RelayMessage};
use crate::ledger::{Entry, Ledger, Presentation};

/// Unix milliseconds, and media and discontinuity sequence numbers: the year 10,889, and as many segments.
const ORDINAL_MAX: u64 = 1 << 48;
/// Microseconds of one segment: 12 days. A list of 65,536 of them does not overflow.
const DURATION_US_MAX: u64 = 1 << 40;
/// Bytes of one segment: 1 TiB.
const LENGTH_MAX: u64 = 1 << 40;
/// Seconds of a target duration: one day.
const TARGET_S_MAX: u32 = 86_400;

/// The first number of `message` that is out of bounds, as its name and value.
pub(super) fn excess(message: &RelayMessage) -> Option<(&'static str, u64)> {
    match message {
        RelayMessage::Greeting(greeting) => of_greeting(greeting),
        RelayMessage::Announcement(announcement) => of_announcement(announcement),
        RelayMessage::Epoch(Epoch { epoch, presentation, .. }) => {
            ordinal("epoch", *epoch).or_else(|| ordinal("presentation", *presentation))
        }
        RelayMessage::Mark(Mark { epoch, msn, t_ms, closed, .. }) => ordinal("epoch", *epoch)
            .or_else(|| ordinal("msn", *msn))
            .or_else(|| ordinal("tMs", *t_ms))
            .or_else(|| closed.as_ref().and_then(of_closed)),
        RelayMessage::Metadata(Metadata { epoch, .. }) => ordinal("epoch", *epoch),
        RelayMessage::End(end) => ordinal("epoch", end.epoch)
            .or_else(|| ordinal("tMs", end.t_ms))
            .or_else(|| end.closed.as_ref().and_then(of_closed)),
        RelayMessage::Outranked(outranked) => of_ledger(&outranked.ledger)
            .or_else(|| outranked.live_link.and_then(|live| ordinal("liveLink.epoch", live.epoch))),
        RelayMessage::Missing(missing) => missing.msns.iter().find_map(|msn| ordinal("msns", *msn)),
        RelayMessage::Life(life) => ordinal("presentation", life.presentation),
        // What comes back in a probe is compared with what was sent.
        RelayMessage::Event(_) | RelayMessage::Heartbeat(_) | RelayMessage::Probe(_) => None,
    }
}

fn of_greeting(greeting: &Greeting) -> Option<(&'static str, u64)> {
    of_ledger(&greeting.ledger)
        .or_else(|| greeting.held.iter().find_map(|msn| ordinal("held", *msn)))
        .or_else(|| greeting.live_link.and_then(|live| ordinal("liveLink.epoch", live.epoch)))
}

fn of_announcement(announcement: &Announcement) -> Option<(&'static str, u64)> {
    of_ledger(&announcement.ledger)
        .or_else(|| announcement.open_epoch.and_then(|epoch| ordinal("openEpoch", epoch)))
        .or_else(|| announcement.replay_from.and_then(|msn| ordinal("replayFrom", msn)))
        .or_else(|| ordinal("segmentMs", announcement.segment_ms))
}

fn of_closed(closed: &Closed) -> Option<(&'static str, u64)> {
    of_entry(&closed.entry).or_else(|| ordinal("first", closed.first)).or_else(|| of_presentation(&closed.presentation))
}

pub(super) fn of_ledger(ledger: &Ledger) -> Option<(&'static str, u64)> {
    let remembered = ledger.remembered.and_then(|r| {
        ordinal("remembered.msn", r.msn)
            .or_else(|| ordinal("remembered.dseq", r.dseq))
            .or_else(|| ordinal("remembered.epochEndMs", r.epoch_end_ms))
    });
    remembered
        .or_else(|| ordinal("first", ledger.first))
        .or_else(|| ordinal("longestUs", ledger.longest_us))
        .or_else(|| ledger.presentation.as_ref().and_then(of_presentation))
        .or_else(|| ledger.entries.iter().find_map(of_entry))
}

fn of_presentation(presentation: &Presentation) -> Option<(&'static str, u64)> {
    let target = u64::from(presentation.target_s);
    ordinal("firstEpoch", presentation.first_epoch)
        .or_else(|| above("targetS", target, u64::from(TARGET_S_MAX)))
        .or_else(|| ordinal("bandwidth", presentation.variant.bandwidth))
        .or_else(|| presentation.variant.average.and_then(|average| ordinal("average", average)))
}

fn of_entry(entry: &Entry) -> Option<(&'static str, u64)> {
    ordinal("msn", entry.msn)
        .or_else(|| ordinal("epoch", entry.epoch))
        .or_else(|| ordinal("dseq", entry.dseq))
        .or_else(|| ordinal("tMs", entry.t_ms))
        .or_else(|| above("durationUs", entry.duration_us, DURATION_US_MAX))
        .or_else(|| above("length", entry.length, LENGTH_MAX))
}

fn ordinal(name: &'static str, value: u64) -> Option<(&'static str, u64)> {
    above(name, value, ORDINAL_MAX)
}

fn above(name: &'static str, value: u64, max: u64) -> Option<(&'static str, u64)> {
    (value > max).then_some((name, value))
}
