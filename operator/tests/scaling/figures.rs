//! What a run is judged by.

use crate::control::Operator;
use crate::run::{Sample, Scenario};
use crate::world::{Kind, World};
use std::path::Path;

/// The figures of one run.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Most people who wanted to watch at a time.
    pub people: u64,
    /// Newcomers who were refused at least once, in per cent of all.
    pub refused_percent: f64,
    /// The wait of newcomers, in seconds.
    pub wait_p99_s: u64,
    pub wait_max_s: u64,
    /// From the moment at which the crowd sets out to the first edge that is Ready for it, in seconds.
    pub first_edge_s: Option<u64>,
    /// Until Ready edges carry everybody who wants to watch, for good.
    pub capacity_s: u64,
    /// Seconds in which they did not.
    pub short_s: usize,
    /// Viewers of the fullest edge at its worst, in per cent of what it carries.
    pub fullest_percent: u64,
    /// Most and fewest Ready edges.
    pub edges_most: u32,
    pub edges_fewest: u32,
    /// Edge hours, in per cent of what it takes to have everybody at the target.
    pub edge_hours_percent: u64,
    /// Edges that were let go, and how many people watched there in the mean, in per cent of what an edge carries.
    pub let_go: usize,
    pub let_go_percent: u64,
    /// Connections that broke or found nobody.
    pub broken: u64,
    pub raises: u32,
    pub costs: usize,
    pub lost: u32,
}

impl Figures {
    pub fn of(scenario: &Scenario, kind: Kind, samples: &[Sample], world: &World, operator: &Operator) -> Self {
        let seen = &world.seen;
        let short = |sample: &Sample| u64::from(sample.ready) * kind.capacity < sample.wanted;
        let from = scenario.from_s as usize;
        let after = &samples[from.min(samples.len())..];
        let before = samples[from.saturating_sub(1)].ready;
        let edges: u64 = samples.iter().map(|sample| u64::from(sample.ready)).sum();
        let needed: u64 = samples.iter().map(|sample| sample.wanted.div_ceil(kind.target).max(1)).sum();
        let let_go = seen.let_go.len();
        let waits: Vec<(u64, u64)> = seen.waits.iter().map(|(wait, people)| (*wait, *people)).collect();
        Self {
            people: samples.iter().map(|sample| sample.wanted).max().unwrap(),
            refused_percent: seen.refused as f64 * 100.0 / seen.newcomers.max(1) as f64,
            wait_p99_s: percentile(&waits, 99),
            wait_max_s: waits.last().map_or(0, |(wait, _)| *wait),
            first_edge_s: after.iter().position(|sample| sample.ready > before).map(|at| at as u64 + 1),
            capacity_s: after.iter().rposition(short).map_or(0, |at| at as u64 + 2),
            short_s: samples.iter().filter(|sample| short(sample)).count(),
            fullest_percent: seen.fullest_percent,
            edges_most: samples.iter().map(|sample| sample.ready).max().unwrap(),
            edges_fewest: samples.iter().map(|sample| sample.ready).min().unwrap(),
            edge_hours_percent: edges * 100 / needed,
            let_go,
            let_go_percent: seen.let_go.iter().sum::<u64>() * 100 / kind.capacity / (let_go.max(1) as u64),
            broken: seen.broken,
            raises: operator.raises,
            costs: operator.costs,
            lost: operator.lost,
        }
    }

    /// Cells for the table of docs/autoscaling.md.
    fn row(&self) -> String {
        let capacity = if self.capacity_s == 0 { "always".into() } else { format!("{} s", self.capacity_s) };
        let first = self.first_edge_s.map_or_else(|| "–".into(), |seconds| format!("{seconds} s"));
        format!(
            "{} | {first} | {capacity} | {:.1} % | {} s | {} s | {} % | {}–{} | {} % |",
            grouped(self.people),
            self.refused_percent,
            self.wait_p99_s,
            self.wait_max_s,
            self.fullest_percent,
            self.edges_fewest,
            self.edges_most,
            self.edge_hours_percent,
        )
    }

    /// Compares the row of docs/autoscaling.md that begins with `title`, or writes it there.
    pub fn golden(&self, title: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/autoscaling.md");
        let begin = format!("| {title} | ");
        lectern_golden::check_line(path, &begin, &format!("{begin}{}", self.row()));
    }
}

/// The smallest wait that so many per cent do not exceed.
fn percentile(waits: &[(u64, u64)], percent: u64) -> u64 {
    let all: u64 = waits.iter().map(|(_, people)| people).sum();
    let mut sum = 0;
    let found = waits.iter().find(|(_, people)| {
        sum += people;
        sum * 100 >= all * percent
    });
    found.map_or(0, |(wait, _)| *wait)
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
