//! What an ingest says of itself: `/status` and `/metrics`.

use super::forward::Forwards;
use super::state::Ingest;
use crate::admin::{Exposition, Kind, Metric, StatusSource};
use crate::relay::links::Relays;
use crate::relay::source::Source;
use lectern_api::node_status::{IngestStatus, NodeStatus};
use std::sync::{Arc, PoisonError};

const BUILD: Metric = Metric {
    name: "lectern_build_info",
    kind: Kind::Gauge,
    labels: &["role", "version"],
    help: "Always 1; the version of the software.",
};
const LIVE: Metric = Metric {
    name: "lectern_ingest_stream_live",
    kind: Kind::Gauge,
    labels: &["stream"],
    help: "Whether an encoder is publishing.",
};
const BIT_RATE: Metric = Metric {
    name: "lectern_ingest_stream_bits_per_second",
    kind: Kind::Gauge,
    labels: &["stream"],
    help: "Measured bit rate of the publisher.",
};
const FRAME_RATE: Metric = Metric {
    name: "lectern_ingest_stream_frames_per_second",
    kind: Kind::Gauge,
    labels: &["stream"],
    help: "Measured video frame rate of the publisher.",
};
const GOP: Metric = Metric {
    name: "lectern_ingest_stream_gop_seconds",
    kind: Kind::Gauge,
    labels: &["stream"],
    help: "Distance of the last two key frames.",
};
const WARNING: Metric = Metric {
    name: "lectern_ingest_stream_warning",
    kind: Kind::Gauge,
    labels: &["stream", "warning"],
    help: "1 for each thing that is wrong with what the encoder sends.",
};
const RING: Metric = Metric {
    name: "lectern_ingest_stream_ring_bytes",
    kind: Kind::Gauge,
    labels: &["stream"],
    help: "Media that is kept for edges that join.",
};
const RECEIVED: Metric = Metric {
    name: "lectern_ingest_stream_received_bytes_total",
    kind: Kind::Counter,
    labels: &["stream"],
    help: "Audio and video that publishers sent.",
};
const FORCED: Metric = Metric {
    name: "lectern_ingest_stream_forced_cuts",
    kind: Kind::Gauge,
    labels: &["stream"],
    help: "Segments of the current epoch that had to end without a key frame.",
};
const LINKS: Metric = Metric {
    name: "lectern_ingest_relay_links",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Relay links, one per edge and stream: those that are open and those there should be.",
};
const LAG: Metric = Metric {
    name: "lectern_ingest_relay_lag_seconds",
    kind: Kind::Gauge,
    labels: &["peer"],
    help: "How far the slowest link to an edge is behind.",
};
const REFUSED: Metric = Metric {
    name: "lectern_ingest_publishers_refused_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "Publishers that were refused or closed for what they sent.",
};
const WAITING: Metric = Metric {
    name: "lectern_ingest_connections_waiting",
    kind: Kind::Gauge,
    labels: &[],
    help: "Connections that have not published yet.",
};

/// What an ingest tells Prometheus.
pub const METRICS: &[Metric] =
    &[BUILD, LIVE, BIT_RATE, FRAME_RATE, GOP, WARNING, RING, RECEIVED, FORCED, LINKS, LAG, REFUSED, WAITING];

/// See the module.
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
        IngestStatus {
            config_version: ingest.config().version.clone(),
            seed_fingerprint: ingest.seed_fingerprint(),
            keys: keys.counts(),
            key_problems: keys.problems().to_vec(),
            streams: streams.iter().map(|(name, stream)| (name.clone(), stream.status())).collect(),
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
            for warning in &stream.warnings {
                out.add(&WARNING, &[name, warning.split(' ').next().unwrap_or_default()], 1);
            }
        }
        for (name, stream) in self.ingest.streams().iter() {
            out.add(&RING, &[name], stream.ring_bytes() as u64);
            out.add(&RECEIVED, &[name], stream.received_bytes());
            out.add(&FORCED, &[name], stream.forced_cuts());
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
