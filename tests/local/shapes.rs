//! What encoders and senders of all kinds publish, in small shapes, and what has to become of each: a row a shape.
//! All are published at once, as streams of one event.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::follow::{self, Follower, Seen};
use e2e::frames::{pictures, starts_with_a_key_frame, transport_stream};
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::reel::{Reel, Tag};
use e2e::wait::{pause, wait_for};
use std::collections::BTreeSet;
use std::time::Duration;

/// Seconds of each shape: six segments of two seconds, and a half.
const SHAPE_S: u32 = 13;
/// Time for the slowest shape to be listed to its end.
const LISTED_S: u64 = 60;

/// A shape and its outcome.
struct Row {
    /// A name that is a stream's.
    name: &'static str,
    shape: fn(Reel) -> Reel,
    /// Listed segments.
    segments: usize,
    discontinuities: usize,
    /// Pictures that are published and never listed, at most: those before the first key frame that counts.
    lost: usize,
    /// What status says of the encoder, by the first word, at any time.
    warnings: &'static [&'static str],
}

/// A shape that is like any other after all.
const PLAIN: Row = Row { name: "plain", shape: |reel| reel, segments: 7, discontinuities: 0, lost: 0, warnings: &[] };

const ROWS: &[Row] = &[
    PLAIN,
    // Headers that are repeated at each key frame, with bits that mean nothing there.
    Row { name: "repeated", shape: |reel| repeated(reel, |_, header| header), ..PLAIN },
    Row { name: "composition", shape: |reel| repeated(reel, |n, header| header.with_byte(4, n * 80)), ..PLAIN },
    Row {
        name: "inter-header",
        shape: |reel| repeated(reel, |n, header| header.with_byte(0, 0x17 + n * 0x10)),
        ..PLAIN
    },
    // The first time is anything, and wraps.
    Row { name: "wrapping", shape: |reel| stamps(reel, |t_ms| t_ms.wrapping_sub(5_000)), ..PLAIN },
    Row { name: "late-start", shape: |reel| stamps(reel, |t_ms| t_ms + 1_000_000), ..PLAIN },
    Row {
        name: "no-metadata",
        shape: |reel| reel.each(|tag| if tag.kind == 18 { vec![] } else { vec![tag] }),
        ..PLAIN
    },
    // Sound is sent 0.4 s before the picture of the same time.
    Row {
        name: "sound-ahead",
        shape: |reel| {
            reel.each(|tag| {
                let early_ms = if tag.kind == 8 { 400 } else { 0 };
                vec![Tag { at_ms: tag.at_ms.saturating_sub(early_ms), ..tag }]
            })
        },
        ..PLAIN
    },
    // A slide each two seconds, with sound.
    Row {
        name: "slides",
        shape: |reel| reel.each(|tag| if tag.picture() == Some(false) { vec![] } else { vec![tag] }),
        ..PLAIN
    },
];

/// Repeats the header of the video at each key frame, as `change` makes it of the count (0 and 1 in turn) and the first.
fn repeated(reel: Reel, change: fn(u8, Tag) -> Tag) -> Reel {
    let header = reel.tags().iter().find(|tag| tag.kind == 9 && tag.is_header()).expect("a header").clone();
    let mut count = 0;
    reel.each(|tag| {
        if tag.picture() != Some(true) {
            return vec![tag];
        }
        count = 1 - count;
        let again = Tag { at_ms: tag.at_ms, t_ms: tag.t_ms, ..change(count, header.clone()) };
        vec![again, tag]
    })
}

/// Other time stamps at the same times.
fn stamps(reel: Reel, change: fn(u32) -> u32) -> Reel {
    reel.each(|tag| vec![Tag { t_ms: change(tag.t_ms), ..tag }])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_becomes_what_it_has_to() {
    let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
    let fleet = Fleet::new(&names, 2).unwrap();
    let _running = (fleet.start_ingest().await.unwrap(), fleet.start_edge(0).await.unwrap(), fleet.start_edge(1).await);
    fleet.wait_ready(0).await.unwrap();
    let clip = Reel::default().then(Clip::Small, SHAPE_S).unwrap();
    let mut published = Vec::new();
    for row in ROWS {
        let reel = (row.shape)(clip.clone());
        let count = reel.tags().iter().filter(|tag| tag.picture().is_some()).count();
        let followers =
            [0, 1].map(|edge| Follower::start(&format!("http://{}", fleet.edge(edge).unwrap().http), row.name));
        published.push((row, count, followers, reel.publish(&fleet.publish_url(row.name))));
    }
    let mut warnings: Vec<BTreeSet<String>> = vec![BTreeSet::new(); ROWS.len()];
    while !published.iter().all(|(.., publisher)| publisher.is_finished()) {
        let status = fleet.ingest_status().await.unwrap().ingest.unwrap();
        for (row, known) in ROWS.iter().zip(&mut warnings) {
            let said = status.streams.get(row.name).map(|stream| stream.warnings.clone()).unwrap_or_default();
            known.extend(said.iter().map(|text| text.split(' ').next().unwrap_or_default().to_owned()));
        }
        pause(Duration::from_millis(500)).await;
    }
    let mut wrong = Vec::new();
    for ((row, count, followers, publisher), warnings) in published.into_iter().zip(warnings) {
        if let Err(error) = publisher.await.unwrap() {
            wrong.push(format!("{}: the publisher was closed: {error:#}", row.name));
            continue;
        }
        let listed = wait_for("all segments are listed at both edges", LISTED_S, || async {
            followers.iter().all(|follower| follower.seen().segments.len() >= row.segments).then_some(())
        });
        let listed = listed.await;
        let seen = followers.map(|follower| follower.seen());
        let outcome = match listed {
            Ok(()) => check(&fleet, row, count, &warnings, &seen).await,
            Err(error) => Err(error.context(format!("segments: {:?}", seen[0].segments.keys()))),
        };
        if let Err(error) = outcome {
            wrong.push(format!("{}: {error:#}", row.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn check(
    fleet: &Fleet,
    row: &Row,
    published: usize,
    warnings: &BTreeSet<String>,
    seen: &[Seen],
) -> anyhow::Result<()> {
    follow::agree(seen)?;
    let seen = &seen[0];
    anyhow::ensure!(
        seen.segments.len() == row.segments,
        "{} segments: {:?}",
        seen.segments.len(),
        seen.segments.keys()
    );
    let discontinuities = seen.history.last().map_or(0, |text| text.matches("#EXT-X-DISCONTINUITY\n").count());
    anyhow::ensure!(discontinuities == row.discontinuities, "{discontinuities} discontinuities");
    anyhow::ensure!(!seen.history.iter().any(|text| text.contains("EXT-X-GAP")), "gaps");
    let expected: BTreeSet<_> = row.warnings.iter().map(|word| (*word).to_owned()).collect();
    anyhow::ensure!(*warnings == expected, "warnings {warnings:?}");
    for (name, body) in &seen.segments {
        transport_stream(body)?;
        anyhow::ensure!(starts_with_a_key_frame(body)?, "{name} does not begin with a key frame");
    }
    let file = fleet.folder.path().join(format!("{}.ts", row.name));
    std::fs::write(&file, seen.segments.values().flatten().copied().collect::<Vec<u8>>())?;
    let decoded = pictures(&file).await?.len();
    let least = published - row.lost;
    anyhow::ensure!((least..=published).contains(&decoded), "{decoded} pictures of {published} decoded");
    Ok(())
}
