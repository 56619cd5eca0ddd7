//! The second encoder of a stream in `status.streams`, and what of it people want to know when it changes.

use super::numbers::measured;
use lectern_api::live_event::{StandbyStatus, StreamStatus};
use lectern_api::node_status::{Standby, kind};

/// What the ingest says of it. A reason names a number that moves; while the reason is of the same kind its first text stays.
pub(super) fn of(now: &Standby, old: Option<&StandbyStatus>) -> StandbyStatus {
    let old = old.filter(|old| old.role == now.role && old.address == now.address);
    let before = old.and_then(|old| old.reason.clone());
    let same = |text: &str| before.clone().filter(|before| kind(before) == kind(text));
    StandbyStatus {
        role: now.role.clone(),
        address: now.address.clone(),
        ready: now.ready,
        reason: now.reason.as_ref().map(|text| same(text).unwrap_or_else(|| text.clone())),
        video_codec: now.video_codec.clone(),
        audio_codec: now.audio_codec.clone(),
        bit_rate: measured(now.bit_rate, old.and_then(|old| old.bit_rate)),
    }
}

/// A change of the two encoders of a stream. That the backup goes on air is a warning of its own (`OnBackup`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A second encoder is ready to take over.
    StandsBy {
        /// `main` or `backup`.
        role: String,
        /// Its address.
        address: String,
    },
    /// It was ready, and is neither there nor on air.
    Lost {
        /// `main` or `backup`.
        role: String,
    },
    /// The main encoder is on air in place of the backup.
    MainOnAir,
}

/// What changed between two statuses of a stream that is live in both.
#[must_use]
pub fn changes(before: &StreamStatus, after: &StreamStatus) -> Vec<Change> {
    if !before.live || !after.live {
        return Vec::new();
    }
    let switched = before.on_backup != after.on_backup;
    let ready = |stream: &StreamStatus| stream.standby.clone().filter(|standby| standby.ready);
    let mut all = Vec::new();
    if before.on_backup && !after.on_backup {
        all.push(Change::MainOnAir);
    }
    match (ready(before), ready(after)) {
        (None, Some(is)) => all.push(Change::StandsBy { role: is.role, address: is.address }),
        (Some(was), None) if !switched && after.standby.is_none() => all.push(Change::Lost { role: was.role }),
        _ => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(on_backup: bool, standby: Option<(&str, bool)>) -> StreamStatus {
        let standby = standby.map(|(role, ready)| StandbyStatus {
            role: role.into(),
            address: "192.0.2.2:40000".into(),
            ready,
            ..StandbyStatus::default()
        });
        StreamStatus { name: "a".into(), live: true, on_backup, standby, ..StreamStatus::default() }
    }

    #[test]
    fn a_standby_is_told_when_it_is_ready_when_it_is_lost_and_when_the_main_encoder_is_back() {
        let stands_by = |role: &str| Change::StandsBy { role: role.into(), address: "192.0.2.2:40000".into() };
        let lost = |role: &str| Change::Lost { role: role.into() };
        for (before, after, expected) in [
            (stream(false, None), stream(false, Some(("backup", false))), vec![]),
            (stream(false, Some(("backup", false))), stream(false, Some(("backup", true))), vec![stands_by("backup")]),
            (stream(false, Some(("backup", true))), stream(false, None), vec![lost("backup")]),
            // The main encoder fails and the backup goes on air: it is not lost.
            (stream(false, Some(("backup", true))), stream(true, None), vec![]),
            (stream(true, None), stream(true, Some(("main", true))), vec![stands_by("main")]),
            (stream(true, Some(("main", true))), stream(false, Some(("backup", true))), vec![Change::MainOnAir]),
            (stream(true, Some(("main", true))), StreamStatus::default(), vec![]),
        ] {
            assert_eq!(changes(&before, &after), expected, "{before:?} → {after:?}");
        }
    }

    #[test]
    fn a_reason_and_a_bit_rate_that_only_tick_change_nothing() {
        let now = |seconds: &str, bit_rate| Standby {
            role: "main".into(),
            address: "192.0.2.2:40000".into(),
            bit_rate: Some(bit_rate),
            reason: Some(format!("Steadying ({seconds} of 10.0s)")),
            ..Standby::default()
        };
        let first = of(&now("1.0s", 3_000_000), None);
        assert_eq!(of(&now("2.0s", 3_010_000), Some(&first)), first);
        let other = Standby { reason: Some("NoKeyFrame".into()), ..now("3.0s", 3_000_000) };
        assert_eq!(of(&other, Some(&first)).reason.as_deref(), Some("NoKeyFrame"));
    }
}
