//! Random shapes by seed: distances of pictures up to 30 s, sound or none, headers in any order, media late by up to
//! 5 s, stamps that begin anywhere; then the same with clocks that jump.
//!
//! `LECTERN_SEEDS=FROM..TO` runs others; a failing seed is named in the message.

use crate::bench::{AAC_CONFIG, AVC_CONFIG, Bench, Send, picture, sound};
use crate::random::Random;
use bytes::Bytes;
use lectern_media::track::Track;
use std::ops::Range;

/// Seeds that an ordinary run covers.
const SEEDS: Range<u64> = 0..1_000;
/// Shapes of one seed.
const SHAPES: u64 = 20;
/// How long a shape lasts.
const LASTS_MS: u64 = 70_000;
/// Whatever is published is listed within this time.
const LISTED_MS: u64 = 12_000;
/// Arrivals are late by at most this.
const LATE_MS: u64 = 5_000;

fn seeds() -> Range<u64> {
    let parse = |text: String| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    };
    match std::env::var("LECTERN_SEEDS") {
        Ok(text) => parse(text).expect("LECTERN_SEEDS is FROM..TO"),
        Err(_) => SEEDS,
    }
}

/// A message by the time at which an encoder without a network would send it.
struct Planned {
    at_ms: u64,
    track: Track,
    stamp: u32,
    body: Bytes,
}

/// What an encoder sends.
#[derive(Debug)]
struct Shape {
    /// Distances of pictures, changed at these times.
    every_ms: [(u64, u64); 2],
    /// Distance of key frames at the least.
    keys_ms: u64,
    video: bool,
    audio: bool,
    /// Pictures come this much after sound of the same stamp.
    ahead_ms: u64,
    video_header_ms: u64,
    audio_header_ms: u64,
    begin: u32,
    /// Clocks of video and audio jump: when, and by how much.
    jumps: Vec<(u64, Track, u32)>,
    late: bool,
}

fn pick(random: &mut Random, from: &[u64]) -> u64 {
    from[usize::try_from(random.below(from.len() as u64)).expect("few")]
}

fn shape(random: &mut Random, jumping: bool) -> Shape {
    const EVERY_MS: &[u64] = &[40, 100, 250, 1_000, 2_500, 5_000, 10_000, 30_000];
    let kinds = random.below(6);
    let mut jumps = Vec::new();
    for _ in 0..if jumping { 1 + random.below(4) } else { 0 } {
        let track = if random.below(3) == 0 { Track::Audio } else { Track::Video };
        let by = u32::try_from(random.below(1 << 32)).expect("32 bits");
        jumps.push((random.below(LASTS_MS), track, by));
    }
    let video = kinds != 0;
    Shape {
        every_ms: [(pick(random, EVERY_MS), 0), (pick(random, EVERY_MS), random.below(LASTS_MS))],
        keys_ms: pick(random, &[0, 500, 2_000, 4_000, 8_333, 20_000]),
        video,
        audio: !video || kinds > 2,
        ahead_ms: pick(random, &[0, 0, 200, 1_000, 3_000]),
        video_header_ms: pick(random, &[0, 0, 300]),
        audio_header_ms: pick(random, &[0, 0, 100, 700]),
        begin: u32::try_from(random.below(1 << 32)).expect("32 bits"),
        jumps,
        late: random.below(2) == 0,
    }
}

fn plan(shape: &Shape) -> Vec<Planned> {
    let stamp = |track: Track, at: u64| {
        let jumps = shape.jumps.iter().filter(|(from, of, _)| *of == track && at >= *from);
        let at = u32::try_from(at).expect("short");
        jumps.fold(shape.begin.wrapping_add(at), |stamp, (_, _, by)| stamp.wrapping_add(*by))
    };
    let mut planned = Vec::new();
    if shape.video {
        let body = Bytes::from_static(AVC_CONFIG);
        planned.push(Planned { at_ms: shape.video_header_ms, track: Track::Video, stamp: shape.begin, body });
        let (mut at, mut key_at, mut n) = (0, 0, 0);
        while at < LASTS_MS {
            let key = at >= key_at;
            if key {
                key_at = at + shape.keys_ms;
            }
            let body = picture(n, key);
            planned.push(Planned {
                at_ms: at + shape.ahead_ms,
                track: Track::Video,
                stamp: stamp(Track::Video, at),
                body,
            });
            let [(first, _), (second, from)] = shape.every_ms;
            let every = if at < from { first } else { second };
            // A key frame each 30 s at the least.
            if at + every > key_at && at + every > key_at + 30_000 - shape.keys_ms {
                key_at = at + every;
            }
            (at, n) = (at + every, n + 1);
        }
    }
    if shape.audio {
        let body = Bytes::from_static(AAC_CONFIG);
        planned.push(Planned { at_ms: shape.audio_header_ms, track: Track::Audio, stamp: shape.begin, body });
        for n in 0..u32::try_from(LASTS_MS / 64).expect("short") {
            let at = u64::from(n) * 64;
            planned.push(Planned { at_ms: at, track: Track::Audio, stamp: stamp(Track::Audio, at), body: sound(n) });
        }
    }
    planned.sort_by_key(|message| message.at_ms);
    planned
}

/// Publishes a shape through a network that is late, in order. Returns how many pictures it had.
fn publish(bench: &mut Bench, shape: &Shape, random: &mut Random) -> u64 {
    bench.send(0, Send::Publish);
    let (mut late_ms, mut arrived_ms, mut pictures) = (0, 0, 0);
    for message in plan(shape) {
        // Headers come in time.
        if shape.late && message.at_ms > 1_000 && random.below(40) == 0 {
            late_ms = if random.below(2) == 0 { 0 } else { random.below(LATE_MS) };
        }
        arrived_ms = (message.at_ms + late_ms).max(arrived_ms);
        pictures += u64::from(message.track == Track::Video && message.body[1] == 1);
        bench.send(arrived_ms, Send::Message(message.track, message.stamp, message.body));
    }
    bench.run_to(arrived_ms.max(LASTS_MS) + LISTED_MS + 1_000);
    pictures
}

fn run(seed: u64, jumping: bool) {
    let mut random = Random::new(seed ^ 0x5ea9e);
    for n in 0..SHAPES {
        let shape = shape(&mut random, jumping);
        let mut bench = Bench::new();
        let pictures = publish(&mut bench, &shape, &mut random);
        let context = || format!("seed {seed}, shape {n}: {shape:#?}\n{:#?}", bench.notes);
        assert!(!bench.closed.is_empty(), "nothing is listed: {}", context());
        assert!(bench.waited_ms <= LISTED_MS, "listed after {} ms: {}", bench.waited_ms, context());
        assert_eq!(bench.pictures, pictures, "pictures relayed: {}", context());
        assert_eq!(bench.refused, None, "{}", context());
        let epochs = |from: &u64| bench.epochs.iter().filter(|at| (*from..from + 60_000).contains(*at)).count();
        let most = bench.epochs.iter().map(epochs).max().unwrap_or(0);
        // The one that it begins with, one more for a track whose header came late, and two a minute for jumps.
        let header_late = shape.audio_header_ms > 0 || shape.video_header_ms > 0;
        let deserved = 1 + usize::from(header_late) + if jumping { 2 } else { 0 };
        assert!(most <= deserved, "{most} epochs: {}", context());
    }
}

#[test]
fn whatever_is_published_in_order_is_listed_soon() {
    for seed in seeds() {
        run(seed, false);
    }
}

#[test]
fn whatever_is_published_by_clocks_that_jump_is_listed_soon() {
    for seed in seeds() {
        run(seed, true);
    }
}
