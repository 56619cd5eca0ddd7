//! What an ingest says of itself: `/status` and `/metrics`.

use super::forward::Forwards;
use super::state::Ingest;
use super::stream::Stream;
use crate::admin::StatusSource;
use crate::relay::links::Relays;
use crate::relay::source::Source;
use lectern_api::metrics::Exposition;
use lectern_api::metrics::ingest::{
    BIT_RATE, BUILD, FORCED, FRAME_RATE, GOP, LAG, LINKS, LIVE, ON_BACKUP, RECEIVED, REFUSED, RING, STANDBY, SWITCHES,
    WAITING, WARNING,
};
use lectern_api::node_status::{IngestStatus, NodeStatus, kind};
use std::sync::{Arc, PoisonError};

/// Source of the answers to `/status` and `/metrics`.
pub(super) struct Status {
    ingest: Arc<Ingest>,
    relays: Arc<Relays>,
    forwards: Arc<Forwards>,
    boot: String,
}

impl Status {
    pub(super) fn new(ingest: Arc<Ingest>, relays: Arc<Relays>, forwards: Arc<Forwards>) -> Self {
        let boot = format!("{:016x}", ingest.id);
        Self { ingest, relays, forwards, boot }
    }

    fn ingest_status(&self) -> IngestStatus {
        let ingest = &self.ingest;
        let (keys, streams) = (ingest.keys(), ingest.streams());
        let refused = ingest.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let status_of = |(name, stream): (&String, &Arc<Stream>)| {
            let mut status = stream.status();
            if keys.only_backup(name) {
                status.warnings.push("OnlyBackupKey (no main encoder can publish: it has no key)".to_owned());
            }
            (name.clone(), status)
        };
        IngestStatus {
            config_version: ingest.config().version.clone(),
            seed_fingerprint: ingest.seed_fingerprint(),
            keys: keys.counts(),
            key_problems: keys.problems().to_vec(),
            streams: streams.iter().map(status_of).collect(),
            relays: self.relays.status(|stream, at| streams.get(stream).map_or(0, |s| s.lag_ms(at))),
            forwards: self.forwards.status(),
            refused: refused.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
        }
    }
}

impl StatusSource for Status {
    fn status(&self) -> NodeStatus {
        let stopping = self.ingest.stopping();
        NodeStatus {
            role: "ingest".to_owned(),
            version: 0,
            boot: self.boot.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            event: self.ingest.config().event.clone(),
            ready: !stopping,
            not_ready_reason: stopping.then(|| "stopping".to_owned()),
            draining: stopping,
            ingest: Some(self.ingest_status()),
            edge: None,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    fn metrics(&self, out: &mut Exposition) {
        out.add(&BUILD, &["ingest", env!("CARGO_PKG_VERSION")], 1);
        let status = self.ingest_status();
        for (name, stream) in &status.streams {
            out.add(&LIVE, &[name], stream.live);
            if let Some(rate) = stream.bit_rate {
                out.add(&BIT_RATE, &[name], rate);
            }
            if let Some(rate) = stream.frame_rate {
                out.add(&FRAME_RATE, &[name], rate);
            }
            if let Some(gop_ms) = stream.gop_ms {
                out.add(&GOP, &[name], gop_ms as f64 / 1_000.0);
            }
            out.add(&ON_BACKUP, &[name], stream.on_backup);
            if let Some(standby) = &stream.standby {
                out.add(&STANDBY, &[name, &standby.role], standby.ready);
            }
            for warning in &stream.warnings {
                out.add(&WARNING, &[name, kind(warning)], 1);
            }
        }
        for (name, stream) in self.ingest.streams().iter() {
            out.add(&RING, &[name], stream.ring_bytes() as u64);
            out.add(&RECEIVED, &[name], stream.received_bytes());
            out.add(&FORCED, &[name], stream.forced_cuts());
            out.add(&SWITCHES, &[name], stream.switches());
        }
        let totals = self.relays.totals();
        out.add(&LINKS, &["open"], totals.open);
        out.add(&LINKS, &["wanted"], totals.wanted);
        for relay in &status.relays {
            out.add(&LAG, &[&relay.peer], relay.lag_ms as f64 / 1_000.0);
        }
        for (reason, count) in &status.refused {
            out.add(&REFUSED, &[reason], *count);
        }
        out.add(&WAITING, &[], self.ingest.pending().len() as u64);
    }
}
