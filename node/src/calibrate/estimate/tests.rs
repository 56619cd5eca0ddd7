//! From readings to a recommendation: tables of cases with round numbers.

use super::*;

const STREAM: Stream = Stream { bitrate: 3_000_000, protocol: Protocol::Hls, segment_ms: 2_000 };
pub const EDGE: Edge = Edge {
    cores: 2.0,
    memory_bytes: None,
    egress_bits_per_second: None,
    descriptors: 1_048_576,
    streams: 1,
    headroom_percent: 30,
};

/// Windows of two seconds in which an edge took so many thousandths of a core, and every viewer one segment.
fn step(viewers: u32, millicores: &[u64], anonymous_bytes: u64) -> Step {
    let mut readings = vec![Reading::default()];
    for cores in millicores {
        let last = *readings.last().unwrap();
        readings.push(Reading {
            at: last.at + Duration::from_secs(2),
            edge: last.edge + Duration::from_millis(2 * cores),
            machine: last.machine + Duration::from_millis(4 * cores),
            bytes: last.bytes + u64::from(viewers) * 750_000,
            segments: last.segments + u64::from(viewers),
        });
    }
    Step { viewers, readings, anonymous_bytes }
}

/// 10 thousandths of a core without a viewer, 0.1 for each viewer, 8,000 bytes for each viewer.
pub fn run() -> Run {
    Run {
        stream: STREAM,
        idle: step(0, &[10, 12, 9], 2_000_000),
        half: step(500, &[60, 70, 50], 6_000_000),
        all: step(1_000, &[110, 100, 120], 10_000_000),
        resident_bytes: 20_000_000,
        throttled: 0,
        failed: (0, None),
    }
}

fn bound(estimate: &Estimate, by: Limit) -> u64 {
    estimate.bounds.iter().find(|bound| bound.by == by).expect("is there").viewers
}

#[test]
fn the_processor_carries_what_is_left_of_it_by_the_cost_of_a_viewer() {
    let estimate = estimate(&run(), EDGE).unwrap();
    let [idle, half, all] = estimate.levels;
    assert_eq!((idle.edge_cores.median, idle.edge_cores.min, idle.edge_cores.max), (0.010, 0.009, 0.012));
    assert_eq!((idle.cores_per_viewer, idle.delivered_percent), (None, None));
    assert!((half.cores_per_viewer.unwrap() - 0.000_1).abs() < 1e-9);
    assert!((all.delivered_percent.unwrap() - 100.0).abs() < 1e-6);
    assert!((estimate.viewers_per_core - 10_000.0).abs() < 1e-3);
    assert!((estimate.bits_per_second_per_core - 30e9).abs() < 1.0);
    // (2 × 0.7 − 0.01) / 0.0001
    assert!(bound(&estimate, Limit::Processor).abs_diff(13_900) <= 1);
    assert_eq!((estimate.bound_by, estimate.viewers_per_edge), (Limit::Processor, 13_000), "two digits, rounded down");
    assert_eq!(estimate.egress_bits_per_second_per_edge, None);
    let [warning] = estimate.warnings.as_slice() else { panic!("{:?}", estimate.warnings) };
    assert!(warning.contains("13900 viewers need 41.7 Gbit/s") || warning.contains("13899"), "{warning}");
}

#[test]
fn the_least_limit_decides() {
    type Change = fn(&mut Edge);
    let table: [(&str, Change, Limit, u64); 7] = [
        ("as it is", |_| {}, Limit::Processor, 13_900),
        ("half the cores", |edge| edge.cores = 1.0, Limit::Processor, 6_900),
        ("nothing kept free", |edge| edge.headroom_percent = 0, Limit::Processor, 19_900),
        ("streams cost though they have no viewer", |edge| edge.streams = 11, Limit::Processor, 12_900),
        // 7 Gbit/s, of which 94 % is payload, by 3 Mbit/s
        ("a network card", |edge| edge.egress_bits_per_second = Some(10_000_000_000), Limit::Network, 2_196),
        // 700 MB without 20 for the edge and 19.5 for the list, by 8,000 + 4,096 + 75,000
        ("memory", |edge| edge.memory_bytes = Some(1_000_000_000), Limit::Memory, 7_583),
        ("open files", |edge| edge.descriptors = 4_096, Limit::OpenFiles, 2_048),
    ];
    for (what, change, by, viewers) in table {
        let mut edge = EDGE;
        change(&mut edge);
        let estimate = estimate(&run(), edge).unwrap();
        assert_eq!(estimate.bound_by, by, "{what}");
        assert!(bound(&estimate, by).abs_diff(viewers) <= 1, "{what}: {:?}", estimate.bounds);
        assert_eq!(estimate.viewers_per_edge, two_digits(bound(&estimate, by)), "{what}");
    }
}

#[test]
fn with_a_network_card_its_limit_is_recommended_too() {
    let estimate = estimate(&run(), Edge { egress_bits_per_second: Some(10_000_000_000), ..EDGE }).unwrap();
    assert_eq!((estimate.viewers_per_edge, estimate.egress_bits_per_second_per_edge), (2_100, Some(6_500_000_000)));
    assert!(estimate.warnings.is_empty(), "{:?}", estimate.warnings);
}

#[test]
fn the_larger_step_counts_and_the_smaller_shows_whether_it_is_linear() {
    let mut steep = run();
    steep.all = step(1_000, &[160, 160, 160], 0);
    let estimate = estimate(&steep, EDGE).unwrap();
    assert!((estimate.viewers_per_core - 1_000.0 / 0.15).abs() < 1e-3);
    assert!((estimate.steeper_percent - 50.0).abs() < 1e-6);
    assert!(estimate.warnings.iter().any(|one| one.contains("costs 50 % more")), "{:?}", estimate.warnings);
    assert!(estimate.viewer.edge_bytes.abs() < 1e-9, "memory that shrank is none");
}

#[test]
fn what_makes_figures_doubtful_is_told() {
    let mut rough = run();
    rough.all = step(1_000, &[80, 110, 150], 0);
    for reading in &mut rough.all.readings {
        reading.segments = reading.segments * 9 / 10;
    }
    rough.throttled = 3;
    rough.failed = (2, Some("status 503".to_owned()));
    let warnings = estimate(&rough, EDGE).unwrap().warnings;
    for (warning, words) in warnings.iter().zip(["--egress", "90 %", "64 %", "3 times", "status 503"]) {
        assert!(warning.contains(words), "{warning}");
    }
    assert_eq!(warnings.len(), 5, "{warnings:?}");
}

#[test]
fn where_nothing_can_be_said_it_says_why() {
    let mut flat = run();
    flat.all = step(1_000, &[10, 10, 10], 0);
    assert_eq!(estimate(&flat, EDGE), Err(Unusable::NoRise { viewers: 1_000 }));

    let mut starved = run();
    starved.all.readings.iter_mut().for_each(|reading| reading.segments /= 2);
    assert!(matches!(estimate(&starved, EDGE), Err(Unusable::Starved { percent }) if (percent - 50.0).abs() < 1e-6));

    let small = Edge { memory_bytes: Some(32 << 20), ..EDGE };
    let error = estimate(&run(), small).unwrap_err();
    assert_eq!(error, Unusable::NoRoom { limit: Limit::Memory });
    assert!(error.to_string().contains("memory of such an edge carries no viewer"), "{error}");
}

#[test]
fn live_protocols_are_measured_by_bytes() {
    let mut live = run();
    live.stream.protocol = Protocol::Flv;
    for step in [&mut live.half, &mut live.all] {
        step.readings.iter_mut().for_each(|reading| reading.segments = 0);
    }
    let estimate = estimate(&live, EDGE).unwrap();
    assert!((estimate.levels[2].delivered_percent.unwrap() - 100.0).abs() < 1e-6);
}

#[test]
fn numbers_are_rounded_down_to_two_digits() {
    for (number, rounded) in [(0, 0), (7, 7), (42, 42), (199, 190), (13_999, 13_000), (1_000_000, 1_000_000)] {
        assert_eq!(two_digits(number), rounded, "{number}");
    }
}
