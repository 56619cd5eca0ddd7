//! Samples in the Prometheus text format.

use super::Metric;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Collects samples; families come out sorted by name, samples in the order they were added.
#[derive(Default)]
pub struct Exposition {
    families: BTreeMap<&'static str, (&'static Metric, String)>,
}

impl Exposition {
    /// Adds a sample. `labels` are the values for `metric.labels`, in that order.
    #[allow(clippy::cast_precision_loss, reason = "beyond 2^53 the last digit of a counter means nothing")]
    pub fn add(&mut self, metric: &'static Metric, labels: &[&str], value: impl Into<Value>) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        let (_, text) = self.families.entry(metric.name).or_insert_with(|| (metric, String::new()));
        text.push_str(metric.name);
        for (i, (name, value)) in metric.labels.iter().zip(labels).enumerate() {
            text.push(if i == 0 { '{' } else { ',' });
            let _ = write!(text, "{name}=\"{}\"", Escaped(value));
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = match value.into() {
            Value::Whole(value) => writeln!(text, " {value}"),
            Value::Real(value) => writeln!(text, " {value}"),
        };
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        let mut out = String::new();
        for (name, (metric, samples)) in self.families {
            let _ = write!(out, "# HELP {name} {}\n# TYPE {name} {}\n{samples}", metric.help, metric.kind.name());
        }
        out
    }
}

/// The value of a sample.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A number of things.
    Whole(u64),
    /// Seconds, ratios.
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    static A: Metric = Metric { name: "a_total", kind: Kind::Counter, labels: &["stream", "why"], help: "As." };
    static B: Metric = Metric { name: "b_seconds", kind: Kind::Gauge, labels: &[], help: "Bs." };

    #[test]
    fn families_are_described_and_labels_escaped() {
        let mut out = Exposition::default();
        out.add(&B, &[], 0.5);
        out.add(&A, &["hall-a", "said \"no\"\n"], 3);
        out.add(&A, &["hall-b", "x"], 4);
        assert_eq!(
            out.finish(),
            "# HELP a_total As.\n# TYPE a_total counter\na_total{stream=\"hall-a\",why=\"said \\\"no\\\"\\n\"} 3\n\
             a_total{stream=\"hall-b\",why=\"x\"} 4\n# HELP b_seconds Bs.\n# TYPE b_seconds gauge\nb_seconds 0.5\n"
        );
    }
}
