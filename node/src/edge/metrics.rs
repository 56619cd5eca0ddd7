//! The metrics of an edge.

use crate::admin::{Kind, Metric};

macro_rules! metrics {
    ($($name:ident: $kind:ident $text:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $name: Metric =
                Metric { name: $text, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )*
        /// All of them, for the reference in docs/metrics.md.
        pub const TABLE: &[Metric] =
            &[$(Metric { name: $text, kind: Kind::$kind, labels: &[$($label),*], help: $help }),*];
    };
}

metrics! {
    ANSWERS: Counter "lectern_edge_http_answers_total" ["class"]
        "Answers of the HTTP port: playlist, segment, page, not_modified, not_found, refused, unavailable.";
    CAPACITY: Gauge "lectern_edge_capacity_viewers" [] "Viewers that this edge carries.";
    CONNECTIONS: Gauge "lectern_edge_connections" ["stream", "protocol"] "Open RTMP and HTTP-FLV connections.";
    EGRESS: Counter "lectern_edge_egress_bytes_total" ["protocol"] "Bytes written to viewers.";
    HTTP_CONNECTIONS: Gauge "lectern_edge_http_connections" [] "Open connections of the HTTP port.";
    LAST_MSN: Gauge "lectern_edge_last_msn" ["stream"] "Media sequence number of the newest listed segment.";
    LEVEL: Gauge "lectern_edge_level" ["stream"] "1 if the stream does not keep this edge from being Ready.";
    LINKED: Gauge "lectern_edge_linked" ["stream"] "1 if the relay link is alive.";
    MISBEHAVED: Counter "lectern_edge_misbehaved_connections_total" []
        "Connections that were ended because they did not say what they wanted in time, or wrongly.";
    MISMATCHES: Counter "lectern_edge_segment_mismatches_total" []
        "Segments that came out otherwise than the ingest has them: a defect.";
    READY: Gauge "lectern_edge_ready" [] "1 if this edge is Ready.";
    REFUSED: Gauge "lectern_edge_refused_15s" [] "Distinct newcomers that were refused in the last 15 s.";
    SIBLING_FETCHES: Counter "lectern_edge_sibling_fetches_total" ["result"]
        "Segments that were asked of other edges: ok, failed.";
    SKIPS: Counter "lectern_edge_viewer_skips_total" []
        "Times an RTMP or HTTP-FLV viewer was too slow and skipped to a key frame.";
    STALLS: Counter "lectern_edge_viewer_stalls_total" []
        "RTMP and HTTP-FLV viewers that were closed because they took nothing for 10 s.";
    VIEWERS: Gauge "lectern_edge_viewers" []
        "Viewers as this edge alone counts them: what refusal of newcomers goes by.";
}
