//! What must hold in each scenario: the figures of docs/autoscaling.md, with some margin.

use crate::audience::Audience;
use crate::control::Scaler;
use crate::plot;
use crate::run::{Run, Scenario};
use crate::world::START_MS;
use serde_json::json;

/// Ten times the audience that eight edges were made ready for arrives within a minute.
fn flash_crowd() -> Scenario {
    Scenario {
        name: "flash-crowd",
        title: "Flash crowd: 84,000 people in a minute, where 8,400 were expected",
        zero: "2026-12-01T01:00:00Z",
        seconds: 900,
        spec: json!({
            "edges": { "min": 2, "max": 120, "viewersPerEdge": 1500 },
            "schedule": [{ "name": "mornings", "start": "2026-12-01T01:00:00Z", "end": "2026-12-01T04:00:00Z", "min": 8 }],
        }),
        edges: 8,
        zones: 3,
        audience: Audience::new(&[(0, 1_000), (120, 8_400), (180, 84_000), (900, 80_000)]),
        from_s: 120,
        outage: 0..0,
        lost_zone: None,
        scaler: Scaler::AutoscalerAndBurst,
        phase_ms: 0,
        start_ms: START_MS,
    }
}

/// A million people in five minutes, from a standing start of twenty edges.
fn million() -> Scenario {
    Scenario {
        name: "million",
        title: "One million people in five minutes, a thousand edges",
        spec: json!({ "edges": { "min": 20, "max": 1000, "viewersPerEdge": 1500 } }),
        seconds: 1_200,
        edges: 20,
        audience: Audience::new(&[(0, 5_000), (120, 20_000), (420, 1_000_000), (1_200, 950_000)]),
        ..flash_crowd()
    }
}

/// 40,000 people in three quarters of an hour.
fn slow_rise() -> Scenario {
    Scenario {
        name: "slow-rise",
        title: "Slow rise: 40,000 people in 45 minutes",
        spec: json!({ "edges": { "min": 2, "max": 60, "viewersPerEdge": 1500 } }),
        seconds: 3_600,
        edges: 2,
        audience: Audience::new(&[(0, 300), (300, 600), (3_000, 40_000), (3_600, 40_000)]),
        from_s: 300,
        ..flash_crowd()
    }
}

/// Nine in ten go to lunch, and most of them come back.
fn lunch() -> Scenario {
    Scenario {
        name: "lunch",
        title: "Lunch: 40,000 people, 4,000 of them stay, 30,000 come back",
        spec: json!({ "edges": { "min": 2, "max": 60, "viewersPerEdge": 1500 } }),
        seconds: 9_000,
        edges: 40,
        audience: Audience::new(&[
            (0, 40_000),
            (600, 40_000),
            (900, 4_000),
            (6_000, 4_000),
            (6_900, 30_000),
            (9_000, 30_000),
        ]),
        from_s: 6_000,
        ..flash_crowd()
    }
}

/// A third of the edges is gone at one moment.
fn lost_zone() -> Scenario {
    Scenario {
        name: "lost-zone",
        title: "A zone is lost: ten of thirty edges",
        spec: json!({ "edges": { "min": 2, "max": 60, "viewersPerEdge": 1500 } }),
        seconds: 900,
        edges: 30,
        audience: Audience::new(&[(0, 30_500)]),
        from_s: 300,
        lost_zone: Some((300, "zone-1")),
        ..flash_crowd()
    }
}

/// Nobody answers for the metrics for a minute while people come.
fn metrics_gone() -> Scenario {
    Scenario {
        name: "metrics-gone",
        title: "Metrics gone for a minute while 20,000 people come",
        spec: json!({ "edges": { "min": 2, "max": 60, "viewersPerEdge": 1500 } }),
        seconds: 1_200,
        edges: 8,
        audience: Audience::new(&[(0, 8_000), (240, 8_000), (600, 28_000), (1_200, 28_000)]),
        from_s: 240,
        outage: 330..390,
        ..flash_crowd()
    }
}

/// A morning: edges stand ready from ten to nine, people come for nine, and go at twelve.
fn morning() -> Scenario {
    Scenario {
        name: "morning",
        title: "A morning: a session at 9:00 with prewarm 10m and min 16, from 8:40 to 12:40",
        zero: "2026-12-01T00:40:00Z",
        spec: json!({
            "edges": { "min": 2, "max": 60, "viewersPerEdge": 1500 },
            "schedule": [{
                "name": "mornings", "start": "2026-12-01T09:00:00+08:00", "end": "2026-12-01T12:00:00+08:00",
                "prewarm": "10m", "min": 16,
            }],
        }),
        seconds: 14_400,
        edges: 2,
        audience: Audience::new(&[
            (0, 0),
            (900, 200),
            (1_140, 2_000),
            (1_260, 14_000),
            (2_400, 18_000),
            (11_700, 16_000),
            (12_000, 3_000),
            (12_900, 0),
        ]),
        from_s: 1_140,
        ..flash_crowd()
    }
}

/// Runs it and compares its plot and its row in docs/autoscaling.md.
fn run(scenario: &Scenario) -> Run {
    let run = scenario.run();
    plot::golden(&run);
    run.figures.golden(&format!("[{0}](autoscaling/{0}.svg)", scenario.name));
    run
}

/// Edges never go faster than a tenth of them, or one, in a minute.
fn assert_paced(run: &Run) {
    for (second, pair) in run.samples.windows(61).enumerate() {
        let (before, after) = (pair[0].replicas, pair[60].replicas);
        assert!(after + (before / 10 + 1) >= before, "{before} to {after} in the minute from second {second}");
    }
}

#[test]
fn a_flash_crowd_finds_room_within_seconds() {
    let run = run(&flash_crowd());
    let figures = &run.figures;
    assert!(figures.first_edge_s.unwrap() <= 12 && figures.capacity_s <= 15, "{figures:#?}");
    assert!(figures.refused_percent <= 8.0 && figures.wait_p99_s <= 6 && figures.wait_max_s <= 12, "{figures:#?}");
    assert!(figures.fullest_percent <= 106, "{figures:#?}");
    assert!(figures.edges_most <= 92 && figures.edge_hours_percent <= 114, "{figures:#?}");
    assert!(figures.raises <= 12, "every raise is a write: {figures:#?}");
}

#[test]
fn it_does_so_whenever_the_autoscaler_happens_to_look() {
    for phase_ms in [3_000, 7_000, 11_000, 14_000] {
        let figures = flash_crowd().at_phase(phase_ms).run().figures;
        assert!(figures.capacity_s <= 15 && figures.wait_p99_s <= 6, "at {phase_ms} ms: {figures:#?}");
    }
}

#[test]
fn the_autoscaler_alone_would_take_more_than_twice_as_long() {
    let alone = flash_crowd().with(Scaler::Autoscaler).run().figures;
    alone.golden("flash-crowd, without burst");
    let both = flash_crowd().run().figures;
    assert!(alone.capacity_s > 2 * both.capacity_s && alone.refused_percent > 2.0 * both.refused_percent);
    assert!(alone.capacity_s <= 45 && alone.wait_p99_s <= 25, "and still not long: {alone:#?}");
}

#[test]
fn where_nobody_else_scales_the_operator_does_as_well() {
    let figures = flash_crowd().with(Scaler::Operator).run().figures;
    figures.golden("flash-crowd, backend `operator`");
    assert!(figures.capacity_s <= 30 && figures.wait_p99_s <= 16 && figures.edges_most <= 92, "{figures:#?}");
    for scenario in [slow_rise(), lunch(), metrics_gone()] {
        let run = scenario.with(Scaler::Operator).run();
        assert!(run.figures.refused_percent < 0.5, "{}: {:#?}", scenario.name, run.figures);
        assert_paced(&run);
    }
}

#[test]
fn edges_that_start_slowly_are_not_asked_for_twice() {
    let mut scenario = Scenario { start_ms: 30_000, ..flash_crowd() };
    scenario.spec["edges"]["max"] = json!(400);
    let figures = scenario.run().figures;
    figures.golden("flash-crowd, image to be pulled (30 s)");
    // Who is refused comes back every second, and is counted for 15 s after being let in: people count, not tries.
    assert!(figures.edges_most <= 120 && figures.capacity_s <= 55, "{figures:#?}");
}

#[test]
fn a_million_people_find_room() {
    let figures = run(&million()).figures;
    assert!(figures.people > 999_000 && figures.capacity_s <= 15, "{figures:#?}");
    assert!(figures.refused_percent <= 2.5 && figures.wait_p99_s <= 4, "{figures:#?}");
    assert!(figures.edges_most <= 1_000 && figures.edge_hours_percent <= 106, "{figures:#?}");
}

#[test]
fn a_slow_rise_refuses_nobody_and_needs_no_burst() {
    let run = run(&slow_rise());
    let figures = &run.figures;
    assert_eq!((figures.refused_percent, figures.raises, figures.short_s), (0.0, 0, 0), "{figures:#?}");
    assert!(figures.fullest_percent <= 90 && figures.edge_hours_percent <= 104, "{figures:#?}");
}

#[test]
fn at_lunch_the_edges_go_slowly_and_the_emptiest_first() {
    let run = run(&lunch());
    let figures = &run.figures;
    assert_eq!((figures.refused_percent, figures.raises), (0.0, 0), "{figures:#?}");
    assert_paced(&run);
    assert!(figures.edges_fewest <= 6 && figures.edge_hours_percent <= 125, "{figures:#?}");
    assert!(figures.let_go >= 30 && figures.let_go_percent <= 20, "{figures:#?}");
    assert!(figures.costs <= figures.let_go * 10, "every cost is a write: {figures:#?}");
}

#[test]
fn a_lost_zone_is_replaced_and_hardly_anybody_is_refused() {
    let run = run(&lost_zone());
    let figures = &run.figures;
    assert!(figures.capacity_s <= 20 && figures.refused_percent <= 2.0, "{figures:#?}");
    assert!(figures.fullest_percent <= 110 && figures.edges_most <= 45, "{figures:#?}");
    assert!(figures.lost > 0 && figures.lost <= 8, "one in ten seconds, a quarter in two minutes: {figures:#?}");
    // Ten edges' viewers once, and whoever met a dead edge before it left the Service.
    assert!(figures.broken <= 60_000, "{figures:#?}");
    assert!(run.samples.last().unwrap().ready >= 29);
}

#[test]
fn a_minute_without_metrics_costs_nothing() {
    let run = run(&metrics_gone());
    let figures = &run.figures;
    assert!(figures.refused_percent <= 0.5 && figures.fullest_percent <= 106, "{figures:#?}");
    assert_eq!(figures.let_go, 0, "{figures:#?}");
}

/// The case that stabilisation does not protect: nobody answers for longer than its window, and then hardly anybody is
/// there.
#[test]
fn nothing_goes_while_metrics_are_missing_and_little_at_once_when_they_are_back() {
    for scaler in [Scaler::AutoscalerAndBurst, Scaler::Operator] {
        let scenario = Scenario {
            name: "outage",
            title: "",
            seconds: 1_500,
            edges: 40,
            audience: Audience::new(&[(0, 40_000), (300, 40_000), (600, 2_000)]),
            outage: 290..900,
            from_s: 0,
            ..lunch()
        };
        let run = scenario.with(scaler).run();
        assert!(run.samples[290..895].iter().all(|sample| sample.replicas >= 39), "{scaler:?}");
        assert_paced(&run);
        assert!(run.figures.let_go > 0, "{scaler:?} lets go afterwards");
    }
}

#[test]
fn a_morning_is_prepared_before_people_come() {
    let run = run(&morning());
    let figures = &run.figures;
    // 8:50 is second 600, the session begins at second 1,200.
    let full = run.samples.iter().position(|sample| sample.ready >= 16).unwrap();
    assert!((600..=630).contains(&full), "full at second {full}");
    assert_eq!((figures.refused_percent, figures.short_s), (0.0, 0), "{figures:#?}");
    assert!(run.samples[600..11_990].iter().all(|sample| sample.min >= 16));
    assert_paced(&run);
    assert!(run.samples.last().unwrap().ready <= 4, "and let go afterwards");
}
