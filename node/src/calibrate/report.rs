//! What was found, for people. Pure.

use super::estimate::{Estimate, Level, Limit, ROUND_TRIP_S, Spread};
use crate::args::Protocol;
use std::fmt::{self, Write};

const KIB: f64 = 1_024.0;
/// A viewer whose cost changes by less than this, in per cent, between both steps costs the same.
const LINEAR_PERCENT: f64 = 5.0;

/// The result as text: a table, the limits, the lines to paste, what it does not tell.
#[must_use]
pub fn text(estimate: &Estimate) -> String {
    let mut out = String::new();
    // A String takes everything.
    let _ = write_all(&mut out, estimate);
    out
}

fn write_all(out: &mut String, e: &Estimate) -> fmt::Result {
    let protocol = match e.stream.protocol {
        Protocol::Hls => "HLS",
        Protocol::Flv => "HTTP-FLV",
        Protocol::Rtmp => "RTMP",
    };
    let (rate, segment_s) = (bits(float(e.stream.bitrate)), float(e.stream.segment_ms) / 1_000.0);
    writeln!(out, "{protocol} at {rate}, segments of {segment_s} s, measured on this machine over the loopback")?;
    writeln!(out, "(processor time of the edge alone; median of the windows, and their range)\n")?;
    writeln!(out, "  viewers   edge, cores               per viewer           sent    delivered")?;
    for level in &e.levels {
        row(out, level)?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "One core carries {} viewers, {}. {}",
        thousands(e.viewers_per_core),
        bits(e.bits_per_second_per_core),
        linearity(e.steeper_percent)
    )?;
    writeln!(
        out,
        "A viewer takes {} and {} of memory: {} in the edge (measured),\n{} in its kernel (reckoned: a socket, and what is \
         in flight to a viewer {:.0} ms away).",
        bits(e.viewer.bits_per_second),
        bytes(e.viewer.edge_bytes + e.viewer.kernel_bytes),
        bytes(e.viewer.edge_bytes),
        bytes(e.viewer.kernel_bytes),
        ROUND_TRIP_S * 1_000.0
    )?;
    writeln!(out)?;
    limits(out, e)?;
    writeln!(out)?;
    paste(out, e)?;
    for warning in &e.warnings {
        writeln!(out, "\nDoubtful: {warning}.")?;
    }
    Ok(())
}

fn row(out: &mut String, level: &Level) -> fmt::Result {
    let Spread { median, min, max } = level.edge_cores;
    let cores = format!("{median:.3} ({min:.3}–{max:.3})");
    let each = level.cores_per_viewer.map_or("–".to_owned(), |each| format!("{:.3} mcores", each * 1_000.0));
    let sent = if level.viewers == 0 { "–".to_owned() } else { bits(level.bits_per_second) };
    let delivered = level.delivered_percent.map_or("–".to_owned(), |percent| format!("{percent:.0} %"));
    let viewers = thousands(f64::from(level.viewers));
    writeln!(out, "  {viewers:>7}   {cores:<22} {each:>13} {sent:>14} {delivered:>12}")
}

fn linearity(steeper_percent: f64) -> String {
    match steeper_percent {
        change if change.abs() < LINEAR_PERCENT => {
            "At the double load a viewer costs the same, within 5 %: it is linear.".to_owned()
        }
        change if change < 0.0 => format!("At the double load a viewer costs {:.0} % less.", -change),
        change => format!("At the double load a viewer costs {change:.0} % more."),
    }
}

fn limits(out: &mut String, e: &Estimate) -> fmt::Result {
    let edge = &e.edge;
    let plural = if edge.streams == 1 { "stream" } else { "streams" };
    writeln!(
        out,
        "What an edge carries with {} {plural} live and {} % of processor, memory and network card kept free:",
        edge.streams, edge.headroom_percent
    )?;
    for bound in &e.bounds {
        let size = match bound.by {
            Limit::Processor => format!("{} cores", significant(edge.cores)),
            Limit::Memory => bytes(float(edge.memory_bytes.unwrap_or(0))),
            Limit::Network => bits(float(edge.egress_bits_per_second.unwrap_or(0))),
            Limit::OpenFiles => thousands(float(edge.descriptors)),
        };
        let decides = if bound.by == e.bound_by { "   the least: it decides" } else { "" };
        writeln!(
            out,
            "  {:<13} {size:>12}   {:>10} viewers{decides}",
            bound.by.name(),
            thousands(float(bound.viewers))
        )?;
    }
    if edge.memory_bytes.is_none() {
        writeln!(out, "  memory: not known (--memory)")?;
    }
    if edge.egress_bits_per_second.is_none() {
        writeln!(out, "  network card: not known (--egress)")?;
    }
    Ok(())
}

fn paste(out: &mut String, e: &Estimate) -> fmt::Result {
    writeln!(out, "To paste into the LiveEvent:\n\nspec:\n  edges:\n    viewersPerEdge: {}", e.viewers_per_edge)?;
    if let Some(bits) = e.egress_bits_per_second_per_edge {
        writeln!(out, "    egressBitsPerSecondPerEdge: {}", quantity(bits))?;
    }
    let [.., all] = &e.levels;
    let beyond = float(e.viewers_per_edge) / f64::from(all.viewers.max(1));
    writeln!(
        out,
        "\nAn edge refuses newcomers at these numbers. The autoscaler aims at targetUtilizationPercent (70) of them by\n\
         itself: do not take that off again."
    )?;
    if beyond > 1.0 {
        writeln!(
            out,
            "Measured were {} viewers, the rest is reckoned: {} times as many.",
            thousands(f64::from(all.viewers)),
            significant(beyond)
        )?;
    }
    writeln!(
        out,
        "A loopback is no network: a card costs interrupts and acknowledgements, and here no player looks at the bytes.\n\
         Take the processor's figure as the most there can be, and look at the first real audience\n\
         (docs/autoscaling.md)."
    )
}

#[allow(clippy::cast_precision_loss, reason = "what is shown has three digits")]
fn float(number: u64) -> f64 {
    number as f64
}

/// Three significant digits, without zeros at the end.
fn significant(number: f64) -> String {
    let decimals = match number.abs() {
        n if n >= 99.95 => 0,
        n if n >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn scaled(number: f64, base: f64, units: &[&str]) -> String {
    let mut number = number;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    while number >= base * 0.999_5 {
        let Some(larger) = units.next() else { break };
        number /= base;
        unit = larger;
    }
    format!("{} {unit}", significant(number))
}

fn bits(per_second: f64) -> String {
    scaled(per_second, 1_000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
}

fn bytes(number: f64) -> String {
    scaled(number, KIB, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// Whole, with commas.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// As Kubernetes writes it, as short as it goes without losing anything: 6.5G.
fn quantity(number: u64) -> String {
    for (factor, unit) in [(1_000_000_000_u64, "G"), (1_000_000, "M"), (1_000, "k")] {
        if number >= factor && number.is_multiple_of(factor / 10) {
            let (whole, tenths) = (number / factor, number % factor / (factor / 10));
            return if tenths == 0 { format!("{whole}{unit}") } else { format!("{whole}.{tenths}{unit}") };
        }
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::estimate::{Edge, estimate, tests};
    use super::*;

    /// `UPDATE=1` rewrites it; the difference is what a review looks at.
    #[test]
    fn the_result_reads_well() {
        let edge = Edge { memory_bytes: Some(1 << 30), egress_bits_per_second: Some(10_000_000_000), ..tests::EDGE };
        let mut run = tests::run();
        run.throttled = 3;
        let text = text(&estimate(&run, edge).unwrap());
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/calibrate.txt");
        lectern_golden::check(file, &text);
    }

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!(
            (bits(3_122_000.0), bits(29e9), bits(999.7e6)),
            ("3.12 Mbit/s".into(), "29 Gbit/s".into(), "1 Gbit/s".into())
        );
        assert_eq!(
            (bytes(512.0), bytes(85_000.0), bytes(KIB * KIB * KIB)),
            ("512 B".into(), "83 KiB".into(), "1 GiB".into())
        );
        assert_eq!(
            (thousands(999.0), thousands(13_900.0), thousands(1e6)),
            ("999".into(), "13,900".into(), "1,000,000".into())
        );
        assert_eq!((significant(2.0), significant(1.5), significant(13.9)), ("2".into(), "1.5".into(), "13.9".into()));
    }

    #[test]
    fn quantities_read_back_as_what_they_were() {
        for (number, text) in
            [(6_500_000_000, "6.5G"), (930_000_000, "930M"), (12_000, "12k"), (1_234, "1234"), (66_000_000_000, "66G")]
        {
            assert_eq!(quantity(number), text);
            assert_eq!(lectern_api::quantity::Quantity(text.into()).whole(), Ok(number));
        }
    }
}
