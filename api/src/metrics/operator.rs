//! The metrics of the operator.

use super::{Kind, Metric, metrics};

metrics! {
    LEADER: Gauge "lectern_operator_leader" [] "1 if this replica leads.";
    RECONCILES: Counter "lectern_operator_reconciles_total" [] "Reconcile passes, each over one event.";
    ERRORS: Counter "lectern_operator_reconcile_errors_total" ["stage"]
        "Reconcile passes that failed, by stage: observe, apply, report.";
    DURATION: Histogram "lectern_operator_reconcile_duration_seconds" []
        "Duration of a pass, from the first read to the last write.";
    WATCH_RESTARTS: Counter "lectern_operator_watch_restarts_total" []
        "Watches that were interrupted and had to be restarted.";
    EVENTS: Gauge "lectern_events" ["phase"] "Events by phase.";
    CONDITION: Gauge "lectern_event_condition" ["namespace", "event", "type"]
        "Status of a condition: 1 True, 0 False, -1 Unknown.";
    EDGES: Gauge "lectern_event_edges" ["namespace", "event", "state"]
        "Edges by state: desired, ready, min (floors included), max.";
    VIEWERS: Gauge "lectern_event_viewers" ["namespace", "event"]
        "Viewers on all edges of the event; absent while the number is unknown.";
    DEMAND: Gauge "lectern_event_demand" ["namespace", "event"]
        "Demand in viewers that the autoscaler goes by; absent while it is unknown.";
    LIVE_STREAMS: Gauge "lectern_event_live_streams" ["namespace", "event"] "Streams with a publisher.";
}
