//! The metrics of an edge.

use super::{Kind, Metric, metrics};

metrics! {
    ANSWERS: Counter "lectern_edge_http_answers_total" ["class"]
        "Answers of the HTTP port by class: playlist, segment, page, not_modified, not_found, refused, unavailable.";
    CAPACITY: Gauge "lectern_edge_capacity_viewers" [] "Viewers that this edge can serve, as configured.";
    CONNECTIONS: Gauge "lectern_edge_connections" ["stream", "protocol"] "Open RTMP and HTTP-FLV connections.";
    EGRESS: Counter "lectern_edge_egress_bytes_total" ["protocol"] "Bytes written to viewers.";
    HTTP_CLOSED: Counter "lectern_edge_http_closed_connections_total" ["reason"]
        "Connections of the HTTP port that the edge closed, by reason: stalled (an answer stood still for 10 s or took more than 60 s), displaced (for a newcomer, idle longest), full (a newcomer, since viewers of HTTP-FLV hold all places).";
    HTTP_CONNECTIONS: Gauge "lectern_edge_http_connections" [] "Open connections of the HTTP port.";
    LAST_MSN: Gauge "lectern_edge_last_msn" ["stream"] "Media sequence number of the newest listed segment.";
    LEVEL: Gauge "lectern_edge_stream_caught_up" ["stream"] "1 if the stream has caught up, so that it does not prevent this edge from becoming Ready.";
    LINKED: Gauge "lectern_edge_linked" ["stream"] "1 if the relay link of the stream is alive.";
    MISBEHAVED: Counter "lectern_edge_misbehaved_connections_total" []
        "Connections closed because the client's request was late or malformed.";
    MISMATCHES: Counter "lectern_edge_segment_mismatches_total" []
        "Segments whose hash differed from the ingest's ledger. Any value above 0 is a defect.";
    READY: Gauge "lectern_edge_ready" [] "1 if this edge is Ready.";
    REFUSED: Gauge "lectern_edge_refused_15s" [] "Distinct new viewers that this edge refused in the last 15 s.";
    SIBLING_FETCHES: Counter "lectern_edge_sibling_fetches_total" ["result"]
        "Segments requested from other edges, by result: ok, failed.";
    SKIPS: Counter "lectern_edge_viewer_skips_total" []
        "Times that an RTMP or HTTP-FLV viewer fell behind and was moved on to a key frame.";
    STALLS: Counter "lectern_edge_viewer_stalls_total" []
        "RTMP and HTTP-FLV viewers whose connection was closed because they read nothing for 10 s.";
    VIEWERS: Gauge "lectern_edge_viewers" []
        "Viewers as this edge counts them by itself; it refuses new viewers by this number.";
}
