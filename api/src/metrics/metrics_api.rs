//! The metrics of the metrics API.

use super::{Kind, Metric, metrics};

metrics! {
    LAST_ROUND: Gauge "lectern_metrics_api_last_round_timestamp_seconds" []
        "When the last round over all edges ended, as Unix time; 0 before the first.";
    ROUND_DURATION: Gauge "lectern_metrics_api_round_duration_seconds" [] "Duration of the last round.";
    IMPUTED: Gauge "lectern_metrics_api_imputed_edges" []
        "Edges that did not answer in the last round and whose viewers were estimated.";
}
