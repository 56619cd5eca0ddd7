//! The metrics of an ingest.

use super::{Kind, Metric, metrics};

metrics! {
    BUILD: Gauge "lectern_build_info" ["role", "version"] "Always 1; the version of the software.";
    LIVE: Gauge "lectern_ingest_stream_live" ["stream"] "1 while an encoder publishes the stream.";
    BIT_RATE: Gauge "lectern_ingest_stream_bits_per_second" ["stream"] "Measured bit rate of the publisher.";
    FRAME_RATE: Gauge "lectern_ingest_stream_frames_per_second" ["stream"] "Measured frame rate of the publisher.";
    GOP: Gauge "lectern_ingest_stream_gop_seconds" ["stream"] "Distance of the last two key frames.";
    WARNING: Gauge "lectern_ingest_stream_warning" ["stream", "warning"]
        "1 for each fault in what the encoder sends; docs/encoders.md explains them.";
    RING: Gauge "lectern_ingest_stream_ring_bytes" ["stream"] "Media that the ingest keeps for edges that join.";
    RECEIVED: Counter "lectern_ingest_stream_received_bytes_total" ["stream"] "Audio and video received from publishers.";
    FORCED: Gauge "lectern_ingest_stream_forced_cuts" ["stream"]
        "Segments of the current epoch that had to end without a key frame.";
    STANDBY: Gauge "lectern_ingest_stream_standby_ready" ["stream", "role"]
        "1 while the encoder beside the one on air could take over; absent without one.";
    ON_BACKUP: Gauge "lectern_ingest_stream_on_backup" ["stream"] "1 while the encoder on air is the backup.";
    SWITCHES: Counter "lectern_ingest_stream_switches_total" ["stream"]
        "Changes between the main encoder and the backup.";
    LINKS: Gauge "lectern_ingest_relay_links" ["state"]
        "Relay links, one for each edge and stream: open, and wanted.";
    LAG: Gauge "lectern_ingest_relay_lag_seconds" ["peer"] "How far the slowest link to an edge is behind the encoder.";
    REFUSED: Counter "lectern_ingest_publishers_refused_total" ["reason"]
        "Publishers that the ingest refused, or closed for what they sent.";
    WAITING: Gauge "lectern_ingest_connections_waiting" [] "Connections that have not published yet.";
}
