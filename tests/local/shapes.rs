//! What encoders and senders of all kinds publish, in small shapes, and what has to become of each: a row a shape.
//! All are published at once, as streams of one event.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::browser::play_all;
use e2e::follow::{self, Follower, Seen};
use e2e::frames::{pictures, starts_with_a_key_frame, transport_stream};
use e2e::http;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::reel::{Reel, Tag};
use e2e::wait::{pause, wait_for};
use lectern_media::codec::avc::{self, nal};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Whose parameter sets are in force at the end.
    video: Clip,
    watched: Watched,
    /// A session that ends half a second before the one of the shape begins.
    before: Option<fn() -> Reel>,
}

/// How hls.js plays a list from its beginning. No error ends it, and nine tenths of the pictures are decoded.
#[derive(Clone, Copy)]
enum Watched {
    /// To its end.
    Whole,
    /// Each picture lasts a thirtieth of a second in its buffer, so that its position stands still (ADR 11).
    WithHoles,
    /// It begins again at the segment where sound begins, that many milliseconds after the first picture (ADR 11).
    AgainFrom(u32),
}

/// A shape that is like any other after all.
const PLAIN: Row = Row {
    name: "plain",
    shape: |reel| reel,
    segments: 7,
    discontinuities: 0,
    lost: 0,
    warnings: &[],
    video: Clip::Small,
    watched: Watched::Whole,
    before: None,
};

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
    // The same without sound. The last one ends the session at once: its tail is too short to be listed.
    Row {
        name: "silent-slides",
        shape: |reel| reel.each(|tag| if tag.kind == 9 && tag.picture() != Some(false) { vec![tag] } else { vec![] }),
        segments: 6,
        lost: 1,
        watched: Watched::WithHoles,
        ..PLAIN
    },
    // The picture stands still for six seconds, with sound.
    Row {
        name: "paused",
        shape: |reel| {
            reel.each(
                |tag| {
                    if tag.picture().is_some() && (4_000..10_000).contains(&tag.at_ms) { vec![] } else { vec![tag] }
                },
            )
        },
        warnings: &["GopTooLong"],
        ..PLAIN
    },
    // A camera starts again: its clock begins at zero, and the sound goes on.
    Row {
        name: "restarted-camera",
        shape: |reel| {
            reel.each(|tag| {
                let again = tag.kind == 9 && tag.at_ms >= 6_000;
                vec![Tag { t_ms: tag.t_ms - if again { 6_000 } else { 0 }, ..tag }]
            })
        },
        discontinuities: 1,
        warnings: &["TimestampJump", "TracksDisagree"],
        ..PLAIN
    },
    // Configurations without a record, before the right one and in between.
    Row {
        name: "empty-video-first",
        shape: |reel| headers(reel, 9, |header| vec![Tag::video(0, EMPTY), late(header, 300)]),
        warnings: &["UnreadableConfiguration"],
        ..PLAIN
    },
    Row {
        name: "empty-sound-first",
        shape: |reel| headers(reel, 8, |header| vec![header.with_body(&[0xaf, 0]), late(header, 300)]),
        warnings: &["UnreadableConfiguration"],
        ..PLAIN
    },
    Row {
        name: "empty-in-between",
        shape: |reel| headers(reel, 9, |header| vec![header, Tag::video(5_000, EMPTY)]),
        warnings: &["UnreadableConfiguration"],
        ..PLAIN
    },
    // Sound begins after the first segment.
    Row {
        name: "late-sound",
        shape: |reel| {
            let from = |tag: &Tag| if tag.is_header() { 3_000 } else { 0 };
            reel.each(|tag| match tag.kind {
                18 => vec![],
                8 if tag.is_header() => vec![Tag { at_ms: from(&tag), t_ms: from(&tag), ..tag }],
                8 if tag.at_ms <= 3_000 => vec![],
                _ => vec![tag],
            })
        },
        discontinuities: 1,
        watched: Watched::AgainFrom(4_000),
        ..PLAIN
    },
    // The size changes, and only the key frames say so.
    Row {
        name: "sets-in-key-frames",
        shape: |_| sets_in_key_frames(),
        discontinuities: 1,
        video: Clip::Plain,
        ..PLAIN
    },
    // Start codes in the place of lengths, and between units that have one length together.
    Row { name: "annex-b", shape: |reel| pictures_as(reel, annex_b), ..PLAIN },
    Row { name: "joined", shape: |reel| pictures_as(reel, joined), ..PLAIN },
    // A session of a tenth of a second, and one with a key frame each 8.3 s.
    Row {
        name: "again-at-once",
        shape: |_| clip(Clip::DefaultGop, SHAPE_S),
        video: Clip::DefaultGop,
        before: Some(|| clip(Clip::DefaultGop, 1).each(|tag| if tag.at_ms < 100 { vec![tag] } else { vec![] })),
        segments: 2,
        warnings: &["GopTooLong"],
        ..PLAIN
    },
    // The record repeats profile and level wrongly.
    Row {
        name: "zero-level",
        shape: |reel| headers(reel, 9, |header| vec![header.with_byte(6, 0).with_byte(7, 0).with_byte(8, 0)]),
        ..PLAIN
    },
];

/// A header of H.264 without a record.
const EMPTY: &[u8] = &[0x17, 0, 0, 0, 0];

fn clip(clip: Clip, seconds: u32) -> Reel {
    Reel::default().then(clip, seconds).expect("ffmpeg makes it")
}

fn late(tag: Tag, ms: u32) -> Tag {
    Tag { at_ms: ms, t_ms: ms, ..tag }
}

/// Other tags in the place of the headers of a track.
fn headers(reel: Reel, kind: u8, change: fn(Tag) -> Vec<Tag>) -> Reel {
    reel.each(|tag| if tag.kind == kind && tag.is_header() { change(tag) } else { vec![tag] })
}

/// Other access units in the place of those of the pictures.
fn pictures_as(reel: Reel, change: fn(&[&[u8]]) -> Vec<u8>) -> Reel {
    reel.each(|tag| {
        if tag.picture().is_none() {
            return vec![tag];
        }
        let (header, units) = tag.body.split_at(5);
        let units: Vec<_> = nal::units(units, 4).map(|unit| unit.expect("whole")).collect();
        vec![tag.with_body(&[header, &change(&units)].concat())]
    })
}

fn annex_b(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&[0, 0, 0, 1][..], unit].concat()).collect()
}

fn joined(units: &[&[u8]]) -> Vec<u8> {
    let unit = units.join(&[0, 0, 0, 1][..]);
    [&u32::try_from(unit.len()).expect("short").to_be_bytes()[..], &unit].concat()
}

/// Six seconds, then seven of another size, with its parameter sets in the key frames and no header.
fn sets_in_key_frames() -> Reel {
    let other = clip(Clip::Plain, 1);
    let record = other.tags().iter().find(|tag| tag.kind == 9 && tag.is_header()).expect("a header").body.slice(5..);
    let config = avc::Config::parse(&record).expect("readable");
    let sets = config.parameter_sets().map(|set| joined(&[set])).collect::<Vec<_>>().concat();
    let both = clip(Clip::Small, 6).then(Clip::Plain, 7).expect("ffmpeg makes it");
    both.each(|tag| match tag.picture() {
        _ if tag.at_ms <= 6_000 => vec![tag],
        Some(true) => vec![tag.with_body(&[&tag.body[..5], &sets, &tag.body[5..]].concat())],
        None if tag.kind == 18 || tag.is_header() => vec![],
        Some(false) | None => vec![tag],
    })
}

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
        let wanted = index_of(row, &reel);
        let (url, before) = (fleet.publish_url(row.name), row.before.map(|before| before()));
        let publisher = tokio::spawn(async move {
            if let Some(before) = before {
                before.publish(&url).await??;
                pause(Duration::from_millis(500)).await;
            }
            reel.publish(&url).await?
        });
        published.push((row, (count, wanted), followers, publisher));
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
    for ((row, (count, wanted), followers, publisher), warnings) in published.into_iter().zip(warnings) {
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
            Ok(()) => match check(&fleet, row, count, &warnings, &seen).await {
                Ok(()) => check_index(&fleet, row, &wanted).await,
                failed => failed,
            },
            Err(error) => Err(error.context(format!("segments: {:?}", seen[0].segments.keys()))),
        };
        if let Err(error) = outcome {
            wrong.push(format!("{}: {error:#}", row.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    hls_js_plays_them_all(&fleet, &clip).await;
}

async fn hls_js_plays_them_all(fleet: &Fleet, clip: &Reel) {
    let edge = fleet.edge(1).unwrap().http;
    let urls: Vec<_> = ROWS.iter().map(|row| format!("http://{edge}/live/{}/index.m3u8", row.name)).collect();
    let all = play_all(&urls).await.unwrap();
    let mut wrong = Vec::new();
    for (row, url) in ROWS.iter().zip(&urls) {
        let played = all.iter().find(|played| played.url == *url).unwrap();
        let (from_ms, restarts) = if let Watched::AgainFrom(ms) = row.watched { (ms, 1) } else { (0, 0) };
        let reel = (row.shape)(clip.clone());
        let published = reel.tags().iter().filter(|tag| tag.picture().is_some() && tag.at_ms >= from_ms).count();
        let to_the_end = played.end.is_some_and(|end| played.time >= end - 1.0);
        // A player is at its end before it shows the last picture.
        let enough = (played.frames + 1) * 10 >= (published - row.lost) * 9;
        let undisturbed = played.fatal.is_empty() && played.restarts.len() == restarts;
        if !(undisturbed && enough && (to_the_end || matches!(row.watched, Watched::WithHoles))) {
            wrong.push(format!("{}: {published} pictures published: {played:?}", row.name));
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
        anyhow::ensure!(starts_with_a_key_frame(body)? != Some(false), "{name} does not begin with a key frame");
    }
    let decoded = decoded(fleet, row, seen).await?;
    let least = published - row.lost;
    anyhow::ensure!((least..=published).contains(&decoded), "{decoded} pictures of {published} decoded");
    Ok(())
}

/// Pictures that ffmpeg decodes without a word, epoch by epoch.
async fn decoded(fleet: &Fleet, row: &Row, seen: &Seen) -> anyhow::Result<usize> {
    let mut epochs: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for (name, body) in &seen.segments {
        let epoch = name.split('-').nth(1).unwrap_or_default();
        epochs.entry(epoch).or_default().extend_from_slice(body);
    }
    let mut decoded = 0;
    for (epoch, bytes) in epochs {
        let file = fleet.folder.path().join(format!("{}-{epoch}.ts", row.name));
        std::fs::write(&file, bytes)?;
        decoded += pictures(&file).await?.len();
    }
    Ok(decoded)
}

/// What `index.m3u8` has to say once all is published.
fn index_of(row: &Row, reel: &Reel) -> Vec<String> {
    let own = clip(row.video, 1);
    let header = own.tags().iter().find(|tag| tag.kind == 9 && tag.is_header()).expect("a header");
    // The record of x264 repeats what its parameter set says.
    let video = header.body[6..9].iter().fold("avc1.".to_owned(), |name, byte| format!("{name}{byte:02x}"));
    let sound = reel.tags().iter().any(|tag| tag.kind == 8 && !tag.is_header());
    let codecs = if sound { format!("{video},mp4a.40.2") } else { video };
    vec![format!("CODECS=\"{codecs}\""), "FRAME-RATE=30.000".into(), "AVERAGE-BANDWIDTH=".into()]
}

async fn check_index(fleet: &Fleet, row: &Row, wanted: &[String]) -> anyhow::Result<()> {
    let mut texts = Vec::new();
    for edge in [0, 1] {
        let url = format!("http://{}/live/{}/index.m3u8", fleet.edge(edge)?.http, row.name);
        texts.push(http::get(&url).await?.text());
    }
    anyhow::ensure!(texts[0] == texts[1], "two edges: {texts:?}");
    for part in wanted {
        anyhow::ensure!(texts[0].contains(part), "{part} is not in {}", texts[0]);
    }
    Ok(())
}
