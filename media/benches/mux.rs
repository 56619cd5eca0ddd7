//! What muxing costs: one segment of two seconds, as an ingest and every edge write it.
//!
//! `cargo bench -p lectern-media --bench mux`. The figure is bytes of elementary streams a second on one core; beside it
//! stands a plain copy of the same bytes, which is the least that a segment can cost, and `mpeg2ts` writing packets of
//! the same payload, which is what the hot path would cost with it.
#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use lectern_media::ledger::Hash;
use lectern_media::segment::{Carry, Muxer, Profile};
use lectern_media::track::{Frame, Message, Track, TrackSet};
use mpeg2ts::ts::payload::Bytes as Payload;
use mpeg2ts::ts::{
    ContinuityCounter, Pid, TransportScramblingControl, TsHeader, TsPacket, TsPacketWriter, TsPayload, WriteTsPacket,
};

const FILE: &[u8] = include_bytes!("../testdata/bframes.flv");
/// Bit rates of video to measure, kbit/s.
const RATES: [u64; 3] = [600, 3_000, 8_000];

fn main() {
    divan::main();
}

/// The sequence headers of the test file: it begins with them, after the metadata.
fn tracks() -> TrackSet {
    let (mut tracks, mut at) = (TrackSet::default(), 13);
    while tracks.video.is_none() || tracks.audio.is_none() {
        let size = usize::from(FILE[at + 1]) << 16 | usize::from(FILE[at + 2]) << 8 | usize::from(FILE[at + 3]);
        let body = Bytes::from_static(&FILE[at + 11..at + 11 + size]);
        match FILE[at] {
            9 => tracks.video = Some(body),
            8 => tracks.audio = Some(body),
            _ => {}
        }
        at += 11 + size + 4;
    }
    tracks
}

/// Two seconds: 30 pictures a second, the first a key frame of ten times the size of the others, and 47 AAC frames a
/// second of 128 kbit/s. Nothing decodes them here, so the payload is filler.
fn segment(kbit_per_s: u64) -> Vec<Frame> {
    const PICTURES: u64 = 60;
    let unit = usize::try_from(kbit_per_s * 1000 / 8 * 2 / (PICTURES + 9)).unwrap();
    let mut frames = Vec::new();
    for n in 0..PICTURES {
        let size = if n == 0 { unit * 10 } else { unit };
        let mut body = vec![if n == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 40];
        body.extend_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
        body.push(if n == 0 { 0x65 } else { 0x41 });
        body.resize(body.len() + size - 1, 0x5a);
        frames.push(Message::read(Track::Video, body.into()).at(n * 1000 / 30));
    }
    for n in 0..94 {
        let mut body = vec![0xaf, 1];
        body.resize(2 + 340, 0xa5);
        frames.push(Message::read(Track::Audio, body.into()).at(n * 1024 / 48));
    }
    frames.sort_by_key(|frame| frame.t_ms);
    frames
}

fn payload(frames: &[Frame]) -> BytesCount {
    BytesCount::new(frames.iter().map(|frame| frame.body.len()).sum::<usize>())
}

#[divan::bench(args = RATES)]
fn mux(bencher: Bencher<'_, '_>, kbit_per_s: u64) {
    let frames = segment(kbit_per_s);
    let mut muxer = Muxer::new(Profile::ONE, &tracks(), Carry::default()).unwrap();
    bencher.counter(payload(&frames)).bench_local(|| {
        muxer.start_segment();
        frames.iter().for_each(|frame| muxer.push(frame));
        muxer.finish_segment()
    });
    assert_eq!(muxer.skipped(), 0);
}

#[divan::bench(args = RATES)]
fn mux_and_hash(bencher: Bencher<'_, '_>, kbit_per_s: u64) {
    let frames = segment(kbit_per_s);
    let mut muxer = Muxer::new(Profile::ONE, &tracks(), Carry::default()).unwrap();
    bencher.counter(payload(&frames)).bench_local(|| {
        muxer.start_segment();
        frames.iter().for_each(|frame| muxer.push(frame));
        Hash::of(&muxer.finish_segment().0)
    });
}

#[divan::bench(args = RATES)]
fn copy_only(bencher: Bencher<'_, '_>, kbit_per_s: u64) {
    let frames = segment(kbit_per_s);
    let size = frames.iter().map(|frame| frame.body.len()).sum();
    bencher.counter(payload(&frames)).bench_local(|| {
        let mut out = Vec::with_capacity(size);
        frames.iter().for_each(|frame| out.extend_from_slice(&frame.body));
        Bytes::from(out)
    });
}

#[divan::bench(args = RATES)]
fn mpeg2ts_packets(bencher: Bencher<'_, '_>, kbit_per_s: u64) {
    let frames = segment(kbit_per_s);
    bencher.counter(payload(&frames)).bench_local(|| {
        let mut writer = TsPacketWriter::new(Vec::with_capacity(2 << 20));
        let mut counter = ContinuityCounter::new();
        for frame in &frames {
            for chunk in frame.body.chunks(184) {
                let header = TsHeader {
                    transport_error_indicator: false,
                    transport_priority: false,
                    pid: Pid::new(0x100).unwrap(),
                    transport_scrambling_control: TransportScramblingControl::NotScrambled,
                    continuity_counter: counter,
                };
                counter.increment();
                let payload = Some(TsPayload::PesContinuation(Payload::new(chunk).unwrap()));
                writer.write_ts_packet(&TsPacket { header, adaptation_field: None, payload }).unwrap();
            }
        }
        writer.into_stream()
    });
}
