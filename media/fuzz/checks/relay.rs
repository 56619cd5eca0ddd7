//! The relay: documents of any content are read or refused, and an edge and an ingest survive those that were read.
//!
//! An input is lines. `v TIME HEX` and `a TIME HEX` are media; any other line is the JSON of a relay message. What an
//! ingest sends goes to an edge, what an edge sends goes to an ingest, each 40 ms after the line before.

use bytes::Bytes;
use lectern_media::live::LinkId;
use lectern_media::live::edge::Edge;
use lectern_media::live::ingest::{Cutting, Ingest, Settings};
use lectern_media::relay::{RELAY_HANDLER, RelayMessage, decode, encode};
use lectern_media::track::Track;

/// Lines above this are not read: a run of the fuzzer has to end.
const LINES_MAX: usize = 200;
/// Unix milliseconds at which an input begins.
const BEGIN_MS: u64 = 1_780_000_000_000;
/// Between two lines.
const STEP_MS: u64 = 40;

/// Feeds the lines of `data` to an edge and an ingest, and checks that written messages are read again as the same.
pub fn any_documents(data: &[u8]) {
    let (link, mut now_ms) = (LinkId(1), BEGIN_MS);
    let mut edge = Edge::new(now_ms);
    let cutting = Cutting { segment_ms: 2_000, window: 4 };
    let settings = Settings { ingest: 7, cutting, end_after_ms: 20_000, ring_bytes_max: 1 << 20 };
    let mut ingest = Ingest::new(settings, now_ms);
    edge.link_opened(now_ms, link);
    for line in data.split(|b| *b == b'\n').take(LINES_MAX) {
        now_ms += STEP_MS;
        if let Some((track, stamp, body)) = media(line) {
            edge.frame(now_ms, link, track, stamp, body);
        } else if let Ok(message) = decode(&document(line)) {
            assert_eq!(decode(&encode(&message)).expect("a written message is read"), message);
            deliver(&mut edge, &mut ingest, now_ms, link, message);
        }
        edge.tick(now_ms);
        ingest.tick(now_ms);
        while edge.poll().is_some() {}
        while ingest.poll().is_some() {}
    }
    for held in edge.view().segments.values() {
        assert_eq!(held.bytes.len() as u64, held.entry.length, "an edge holds only what matches its entry");
    }
}

fn deliver(edge: &mut Edge, ingest: &mut Ingest, now_ms: u64, link: LinkId, message: RelayMessage) {
    match message {
        RelayMessage::Greeting(greeting) => ingest.greeting(now_ms, link, greeting),
        RelayMessage::Outranked(outranked) => ingest.outranked(now_ms, &outranked),
        RelayMessage::Missing(missing) => ingest.missing(link, &missing),
        message => edge.message(now_ms, link, message),
    }
}

/// A line of JSON as the AMF0 data message that carries it: the name as a string, the document as a long string.
fn document(json: &[u8]) -> Vec<u8> {
    let mut payload = vec![2];
    payload.extend_from_slice(&u16::try_from(RELAY_HANDLER.len()).expect("a short name").to_be_bytes());
    payload.extend_from_slice(RELAY_HANDLER.as_bytes());
    payload.push(12);
    payload.extend_from_slice(&u32::try_from(json.len()).expect("a short line").to_be_bytes());
    payload.extend_from_slice(json);
    payload
}

fn media(line: &[u8]) -> Option<(Track, u32, Bytes)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let track = match words.next()? {
        "v" => Track::Video,
        "a" => Track::Audio,
        _ => return None,
    };
    let stamp = words.next()?.parse().ok()?;
    let hex = words.next()?;
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let body: Option<Vec<u8>> = (0..hex.len() / 2).map(|index| byte(index * 2)).collect();
    Some((track, stamp, body?.into()))
}
