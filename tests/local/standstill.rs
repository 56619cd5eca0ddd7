//! Edges that stand still for seconds, are killed, lose their ingest or their publisher, in random order, while viewers
//! take lists from any edge and segments from any other: no listed segment is a 404, no byte differs, nothing goes back.
//!
//! One minute in the gate; `LONG=1` runs five seeds of two minutes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::follow::read;
use e2e::http;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::process::Running;
use e2e::publish::persistent;
use e2e::wait::pause;
use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const STREAM: &str = "hall-a";
const EDGES: usize = 3;
const READERS: u64 = 6;
/// Between two lists of one reader.
const READ_EVERY: Duration = Duration::from_millis(250);
/// The shortest run in which everything is done once at least.
const SHORT: (std::ops::Range<u64>, Duration) = (1..2, Duration::from_secs(60));
const LONG: (std::ops::Range<u64>, Duration) = (1..6, Duration::from_secs(120));

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn edge(&mut self) -> usize {
        usize::try_from(self.below(EDGES as u64)).unwrap()
    }
}

/// What all readers saw.
#[derive(Default)]
struct Seen {
    segments: BTreeMap<String, [u8; 32]>,
    fetched: u64,
    /// Told to come again, or no answer: an edge that is away.
    later: u64,
    /// The last number that each edge listed since its start.
    last: BTreeMap<usize, u64>,
    problems: Vec<String>,
}

async fn reader(edges: Arc<Vec<String>>, seen: Arc<Mutex<Seen>>, mut random: Random) {
    let mut known: BTreeMap<String, ()> = BTreeMap::new();
    loop {
        pause(READ_EVERY).await;
        let from = random.edge();
        let Ok(answer) = http::get(&format!("{}/media.m3u8", edges[from])).await else { continue };
        let Ok(list) = (if answer.status == 200 { read(&answer.text()) } else { continue }) else { continue };
        note_list(&seen, from, list.media_sequence + list.segments.len() as u64);
        let gap = |segment: &m3u8_rs::MediaSegment| segment.unknown_tags.iter().any(|tag| tag.tag == "X-GAP");
        for segment in list.segments.iter().filter(|segment| !gap(segment)) {
            if known.contains_key(&segment.uri) {
                continue;
            }
            let at = random.edge();
            match http::get(&format!("{}/{}", edges[at], segment.uri)).await {
                Ok(answer) if answer.status == 200 => {
                    known.insert(segment.uri.clone(), ());
                    note_segment(&seen, &segment.uri, &answer.body);
                }
                Ok(answer) if answer.status == 404 => {
                    let text = answer.text();
                    let problem = format!("edge {from} lists {}, edge {at} says 404: {text}", segment.uri);
                    seen.lock().unwrap().problems.push(problem);
                }
                _ => seen.lock().unwrap().later += 1,
            }
        }
    }
}

fn note_list(seen: &Mutex<Seen>, edge: usize, last: u64) {
    let mut seen = seen.lock().unwrap();
    let before = seen.last.insert(edge, last).unwrap_or(0);
    // Two readers may hear one edge in another order than it spoke: one segment.
    if last + 1 < before {
        seen.problems.push(format!("edge {edge} went back from {before} to {last}"));
    }
}

fn note_segment(seen: &Mutex<Seen>, name: &str, body: &[u8]) {
    let mut seen = seen.lock().unwrap();
    seen.fetched += 1;
    let hash: [u8; 32] = Sha256::digest(body).into();
    if *seen.segments.entry(name.to_owned()).or_insert(hash) != hash {
        seen.problems.push(format!("{name} has two contents"));
    }
}

struct Stage {
    fleet: Fleet,
    ingest: Option<Running>,
    edges: Vec<Option<Running>>,
    publisher: Option<Running>,
}

impl Stage {
    async fn start() -> Self {
        let fleet = Fleet::new(&[STREAM], EDGES).unwrap();
        let ingest = Some(fleet.start_ingest().await.unwrap());
        let mut edges = Vec::new();
        for edge in 0..EDGES {
            edges.push(Some(fleet.start_edge(edge).await.unwrap()));
        }
        let mut stage = Self { fleet, ingest, edges, publisher: None };
        stage.publish();
        for edge in 0..EDGES {
            stage.fleet.wait_live(edge, STREAM, 2).await.unwrap();
        }
        stage
    }

    fn publish(&mut self) {
        let url = self.fleet.publish_url(STREAM);
        self.publisher = Some(persistent("publisher", self.fleet.folder.path(), Clip::Thin, &url).unwrap());
    }

    /// One misfortune; what it was.
    async fn misfortune(&mut self, random: &mut Random, seen: &Mutex<Seen>) -> String {
        let edge = random.edge();
        match random.below(8) {
            0..=4 => {
                let ms = 1_000 + random.below(6_000);
                let node = self.edges[edge].as_ref().unwrap();
                node.signal(Signal::SIGSTOP).unwrap();
                pause(Duration::from_millis(ms)).await;
                node.signal(Signal::SIGCONT).unwrap();
                format!("edge {edge} stood still for {ms} ms")
            }
            5 => {
                self.edges[edge] = None;
                seen.lock().unwrap().last.remove(&edge);
                self.edges[edge] = Some(self.fleet.start_edge(edge).await.unwrap());
                self.fleet.wait_ready(edge).await.unwrap();
                format!("edge {edge} was killed")
            }
            6 => {
                self.ingest = None;
                pause(Duration::from_millis(random.below(2_000))).await;
                self.ingest = Some(self.fleet.start_ingest().await.unwrap());
                "the ingest was killed".to_owned()
            }
            _ => {
                self.publisher = None;
                pause(Duration::from_millis(random.below(3_000))).await;
                self.publish();
                "the publisher was killed".to_owned()
            }
        }
    }
}

async fn storm(seed: u64, length: Duration) {
    let mut stage = Stage::start().await;
    let address = |edge| format!("http://{}/live/{STREAM}", stage.fleet.edge(edge).unwrap().http);
    let edges = Arc::new((0..EDGES).map(address).collect::<Vec<_>>());
    let seen = Arc::new(Mutex::new(Seen::default()));
    let spread = |n: u64| Random((seed * 1_000 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let readers: Vec<_> =
        (0..READERS).map(|n| tokio::spawn(reader(edges.clone(), seen.clone(), spread(n + 1)))).collect();
    let (mut random, began, mut story) = (spread(0), Instant::now(), Vec::new());
    while began.elapsed() < length {
        pause(Duration::from_millis(1_500 + random.below(3_000))).await;
        let what = stage.misfortune(&mut random, &seen).await;
        story.push(format!("{:>6} {what}", began.elapsed().as_millis()));
    }
    pause(Duration::from_secs(5)).await;
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    let seen = seen.lock().unwrap();
    let Seen { fetched, later, segments, problems, .. } = &*seen;
    println!("seed {seed}: {fetched} fetches of {} segments, {later} told to come again\n{story:#?}", segments.len());
    assert!(problems.is_empty(), "seed {seed}: {} problems: {problems:#?}\n{story:#?}", problems.len());
    assert!(*fetched > 100 && *later < *fetched, "seed {seed}: {fetched} fetched, {later} told to come again");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_listed_segment_is_a_404_whatever_stands_still_or_dies() {
    let (seeds, length) = if std::env::var_os("LONG").is_some() { LONG } else { SHORT };
    for seed in seeds {
        storm(seed, length).await;
    }
}
