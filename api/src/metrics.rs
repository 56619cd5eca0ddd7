//! The metrics of all programs: one table, which the programs expose and `docs/metrics.md` is written from.
//!
//! Names, kinds and labels are API: alerts, dashboards and autoscalers of others read them.

pub mod edge;
mod exposition;
pub mod ingest;
pub mod metrics_api;
pub mod operator;

pub use exposition::{Exposition, Value};

/// One family of metrics, as it is documented and as it is exposed.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// `lectern_…`; counters end in `_total`, units are base units.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

impl Metric {
    /// The unit of its values, which the name ends in; empty where a value is a number of things or a state.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let units =
            [("_bits_per_second", "bit/s"), ("_frames_per_second", "1/s"), ("_seconds", "s"), ("_bytes", "byte")];
        units.iter().find(|(suffix, _)| name.ends_with(suffix)).map_or("", |(_, unit)| unit)
    }
}

/// The kinds that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size, in buckets.
    Histogram,
}

impl Kind {
    /// As the text format names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Declares the metrics of one program: a static of each, and the table of all.
macro_rules! metrics {
    ($($name:ident: $kind:ident $text:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $name: Metric =
                Metric { name: $text, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )*
        /// All of them.
        pub static TABLE: &[&Metric] = &[$(&$name),*];
    };
}
use metrics;

/// The tables by who exposes them.
pub static PROGRAMS: [(&str, &[&Metric]); 4] = [
    ("Ingest", ingest::TABLE),
    ("Edge", edge::TABLE),
    ("Operator", operator::TABLE),
    ("Metrics API", metrics_api::TABLE),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    const HEAD: &str = "\
# Metrics

Every pod answers `GET /metrics` on its port `admin` (9090) in the Prometheus text format. Only the replica of the operator
that leads reports `lectern_event_…`. Alerts and dashboard of the chart use these names. The table is in `api/src/metrics/`;
`UPDATE=1 cargo test -p lectern-api` writes this file from it.
";

    #[test]
    fn the_reference_is_current() {
        let mut text = HEAD.to_owned();
        for (program, table) in PROGRAMS {
            let _ =
                write!(text, "\n## {program}\n\n| name | kind | unit | labels | meaning |\n|---|---|---|---|---|\n");
            let mut table = table.to_vec();
            table.sort_by_key(|metric| metric.name);
            for metric in table {
                let Metric { name, kind, labels, help } = metric;
                let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
                let (kind, unit, labels) = (kind.name(), metric.unit(), labels.join(", "));
                let _ = writeln!(text, "| `{name}` | {kind} | {unit} | {labels} | {help} |");
            }
        }
        lectern_golden::check(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md"), &text);
    }

    #[test]
    fn names_say_what_they_count_and_no_name_is_used_twice() {
        let mut seen = BTreeSet::new();
        for metric in PROGRAMS.iter().flat_map(|(_, table)| table.iter()) {
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.name.starts_with("lectern_") && metric.help.ends_with('.'), "{}", metric.name);
            assert!(seen.insert(metric.name), "{} is there twice", metric.name);
        }
    }
}
