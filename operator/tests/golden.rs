//! What people read, as files: the plan of every example, and the status of a healthy event. `UPDATE=1` rewrites them;
//! the difference is what a review looks at.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its files must fail")]

use jiff::Timestamp;
use lectern::plan::{Audience, Autoscaler, EdgeSeen, EdgesSeen, Images, IngestSeen, Observed, plan, status};
use lectern::{input, show};
use lectern_api::node_status::{IngestStatus, IngestStream, NodeStatus, RelayStatus};
use std::path::{Path, PathBuf};

/// In a window of two-halls.yaml, at whose start edges stand ready.
const NOW: &str = "2026-12-01T01:30:00Z";

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    lectern_golden::check(path, text);
}

fn examples() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    files
}

#[test]
fn every_example_can_work_and_its_plan_reads_well() {
    let now: Timestamp = NOW.parse().unwrap();
    for path in examples() {
        let (raw, event) = input::event(&path).unwrap_or_else(|error| panic!("{error:#}"));
        kube::core::cel::validate_cel(&raw).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let text = show::text(&event, &plan(&event, &Observed::default(), now), now);
        golden(&format!("plan-{}.txt", path.file_stem().unwrap().to_string_lossy()), &text);
    }
}

#[test]
fn a_healthy_event_reads_well() {
    let now: Timestamp = NOW.parse().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/two-halls.yaml");
    let (_, event) = input::event(&path).unwrap();
    let seen = healthy();
    let status = status::of(&event, &plan(&event, &seen, now), &seen, None, now);
    golden("status-healthy.yaml", &serde_yaml::to_string(&status).unwrap());
}

/// Eight edges, one of which is just starting; hall-a is live.
fn healthy() -> Observed {
    let hall_a = IngestStream {
        live: true,
        since_ms: Some(1_796_000_000_000),
        publisher: Some("192.0.2.1:5000".into()),
        encoder: Some("obs-output module (libobs version 30.1.2)".into()),
        video_codec: Some("avc1.64001f".into()),
        audio_codec: Some("mp4a.40.2".into()),
        width: Some(1920),
        height: Some(1080),
        frame_rate: Some(29.97),
        bit_rate: Some(3_141_592),
        gop_ms: Some(8_333),
        warnings: vec!["GopTooLong (8.3s, segment 2s)".into()],
        ..Default::default()
    };
    let streams = [("hall-a".to_owned(), true), ("hall-b".to_owned(), true)];
    let relay = |number: u8| RelayStatus {
        peer: format!("10.0.0.{number}:1936"),
        streams: streams.clone().into(),
        ..Default::default()
    };
    let edge = |number: u8| EdgeSeen {
        name: format!("open-lectures-edge-{number}"),
        ready: number < 8,
        detail: (number == 8).then(|| "ContainerCreating".into()),
        relay: Some(([10, 0, 0, number], 1936).into()),
        ..Default::default()
    };
    let ingest = IngestStatus {
        streams: [("hall-a".to_owned(), hall_a)].into(),
        relays: (1..=8).map(relay).collect(),
        ..Default::default()
    };
    Observed {
        ingest: Some(IngestSeen {
            ready: true,
            address: Some("203.0.113.5:1935".into()),
            status: Some(NodeStatus { ready: true, ingest: Some(ingest), ..Default::default() }),
            ..Default::default()
        }),
        edges: Some(EdgesSeen {
            desired: 8,
            nodes: (1..=8).map(edge).collect(),
            http: Some("http://203.0.113.7".into()),
            rtmp: Some("rtmp://203.0.113.8:1935".into()),
        }),
        audience: Some(Audience { viewers: 1_234, refused: 0, egress_bits_per_second: Some(3_700_000_000) }),
        autoscaler: Some(Autoscaler {
            active: true,
            reason: "ValidMetricFound".into(),
            message: String::new(),
            at_maximum: false,
        }),
        images: Some(Images { wanted: "lectern:0.2.0".into(), in_use: Some("lectern:0.1.0".into()), turn: true }),
        objections: Some(Vec::new()),
        ..Default::default()
    }
}
