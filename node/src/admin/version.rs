//! The version of a status: it grows when anything but measured numbers changes.

use lectern_api::node_status::{EdgeStream, IngestStream, NodeStatus, RelayStatus, kind};

/// Gives out versions. Starts at the start time, so that a poller who knew the process before is answered at once.
pub(super) struct Versions {
    version: u64,
    last: Option<NodeStatus>,
}

impl Versions {
    pub(super) fn new(start_ms: u64) -> Self {
        Self { version: start_ms, last: None }
    }

    /// The version of `status`, another one than before if it says something else.
    pub(super) fn of(&mut self, status: &NodeStatus) -> u64 {
        let settled = settled(status.clone());
        if self.last.as_ref() != Some(&settled) {
            self.version += 1;
            self.last = Some(settled);
        }
        self.version
    }
}

/// Without what is measured and moves by itself.
fn settled(mut status: NodeStatus) -> NodeStatus {
    status.version = 0;
    if let Some(ingest) = &mut status.ingest {
        ingest.refused.clear();
        ingest.relays.iter_mut().for_each(settle_relay);
        ingest.streams.values_mut().for_each(settle_ingest_stream);
    }
    if let Some(edge) = &mut status.edge {
        (edge.connections, edge.viewers, edge.refused_15s, edge.egress_bytes) = (0, 0, 0, 0);
        (edge.refusals_15s, edge.admitted) = (0, 0);
        edge.streams.values_mut().for_each(settle_edge_stream);
    }
    status
}

fn settle_relay(relay: &mut RelayStatus) {
    relay.lag_ms = 0;
}

fn settle_ingest_stream(stream: &mut IngestStream) {
    (stream.frame_rate, stream.bit_rate, stream.gop_ms, stream.last_msn) = (None, None, None, None);
    // A warning is its first word; the rest are numbers for people.
    let only_kind = |text: &mut String| text.truncate(kind(text).len());
    stream.warnings.iter_mut().for_each(only_kind);
    if let Some(standby) = &mut stream.standby {
        standby.bit_rate = None;
        standby.reason.iter_mut().for_each(only_kind);
    }
}

fn settle_edge_stream(stream: &mut EdgeStream) {
    (stream.last_msn, stream.rtmp, stream.flv) = (None, 0, 0);
    stream.fetches.clear();
    stream.reloads = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use lectern_api::node_status::{IngestStatus, Standby};

    fn with(change: impl FnOnce(&mut IngestStream)) -> NodeStatus {
        let mut stream = IngestStream { live: true, ..IngestStream::default() };
        change(&mut stream);
        let ingest = IngestStatus { streams: [("a".to_owned(), stream)].into(), ..IngestStatus::default() };
        NodeStatus { ingest: Some(ingest), ..NodeStatus::default() }
    }

    #[test]
    fn measured_numbers_move_without_a_new_version_and_facts_do_not() {
        let mut versions = Versions::new(100);
        assert_eq!(versions.of(&with(|_| ())), 101);
        assert_eq!(versions.of(&with(|s| s.bit_rate = Some(7))), 101);
        assert_eq!(versions.of(&with(|s| s.warnings = vec!["GopTooLong (8.3s)".into()])), 102);
        assert_eq!(versions.of(&with(|s| s.warnings = vec!["GopTooLong (8.4s)".into()])), 102);
        let standby = |reason: &str, bit_rate| {
            let reason = Some(reason.to_owned());
            with(|s| s.standby = Some(Standby { reason, bit_rate, ..Standby::default() }))
        };
        assert_eq!(versions.of(&standby("Steadying (1.0s of 10.0s)", None)), 103);
        assert_eq!(versions.of(&standby("Steadying (2.0s of 10.0s)", Some(7))), 103);
        assert_eq!(versions.of(&standby("NoKeyFrame", None)), 104);
        assert_eq!(versions.of(&with(|s| s.live = false)), 105);
    }
}
