//! When an audience is expected.

use crate::duration::Duration;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time in which at least `min` edges stand ready.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.end > self.start").message("schedule[].end must be after its start"),
    validation = Rule::new("!has(self.repeat) || has(self.timeZone)")
        .message("schedule[].repeat needs timeZone, e.g. Asia/Shanghai: only then is it clear when nine o'clock is after the clocks change"),
    validation = Rule::new("!has(self.until) || has(self.repeat)")
        .message("schedule[].until needs repeat: without it the window ends at its end"),
    validation = Rule::new("!has(self.repeat) || self.end - self.start <= (self.repeat == 'Weekly' ? duration('168h') : duration('24h'))")
        .message("schedule[]: a window must not be longer than what it repeats by (24h, or 168h if Weekly)"),
    validation = Rule::new("duration(self.prewarm) <= duration('6h')").message("schedule[].prewarm must be at most 6h")
)]
pub struct ScheduleWindow {
    /// Name of the window, unique in the event. Status and Kubernetes Events use it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,

    /// What the audience reads in the timetable of the page. Default: the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub title: Option<String>,

    /// The streams that belong to the session, by name; empty: all. For the timetable of the page only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 40)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub streams: Vec<String>,

    /// When the session begins, with offset, e.g. 2026-12-01T09:00:00+08:00.
    #[schemars(schema_with = "date_time")]
    pub start: String,

    /// When the session ends, with offset. Afterwards edges are removed as viewers leave.
    #[schemars(schema_with = "date_time")]
    pub end: String,

    /// How long before the start the edges are started.
    #[serde(default = "default_prewarm")]
    pub prewarm: Duration,

    /// Smallest number of edges in this window. About: expected viewers / (viewersPerEdge × targetUtilizationPercent).
    #[schemars(range(min = 1, max = 1000))]
    pub min: u32,

    /// Daily, Weekdays (Monday to Friday) or Weekly, at the same time of the day in timeZone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,

    /// The last day on which a repetition may begin, e.g. 2026-12-04. Without it the window repeats for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_date")]
    pub until: Option<String>,

    /// The time zone of repetitions, by its IANA name. A time that the clocks skip is the later one; a time that comes
    /// twice is the earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// How often a window comes back.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Every day.
    Daily,
    /// Monday to Friday.
    Weekdays,
    /// On the same day of each week.
    Weekly,
}

fn default_prewarm() -> Duration {
    Duration::new("10m")
}

/// RFC 3339 with offset; the API server compares such fields as times.
fn date_time(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "format": "date-time" })
}

fn optional_date(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "format": "date", "nullable": true })
}
