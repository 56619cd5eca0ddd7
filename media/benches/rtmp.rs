//! What reading and writing RTMP costs: chunks at the sizes that encoders use, serialising for viewers, and AMF0.
//!
//! `cargo bench -p lectern-media --bench rtmp`. The stream is one of 5 Mbit/s at 30 frames a second with AAC beside it; it
//! is read in pieces of 16 KiB, as from a socket. Beside the reader stands a plain copy of the same bytes.
#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use lectern_media::amf0::{Limits, Value, read_all, write_all};
use lectern_media::rtmp::chunk::{Reader, header, serialise};
use lectern_media::rtmp::limits::AFTER_PUBLISH;
use lectern_media::rtmp::message::{csid, kind};

/// librtmp's default, OBS, ffmpeg and our own relay.
const CHUNK_SIZES: [u32; 3] = [128, 4_096, 60_000];
const SECONDS: u32 = 10;
const FRAMES_PER_S: u32 = 30;
/// 5 Mbit/s in 30 frames; a key frame every 2 s is five times as large.
const FRAME_BYTES: usize = 18_000;
const AUDIO_BYTES: usize = 370;
const READ_BYTES: usize = 16 * 1024;

fn main() {
    divan::main();
}

/// The stream on the wire.
fn wire(chunk_size: u32) -> Bytes {
    let mut out = serialise(csid::CONTROL, kind::SET_CHUNK_SIZE, 0, 0, &chunk_size.to_be_bytes(), 128).to_vec();
    for frame in 0..SECONDS * FRAMES_PER_S {
        let t_ms = frame * 1_000 / FRAMES_PER_S;
        let length = if frame % (2 * FRAMES_PER_S) == 0 { 5 * FRAME_BYTES } else { FRAME_BYTES };
        // No run of equal bytes that a copy could profit from.
        let body: Vec<u8> = (0..length).map(|n| (n as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        out.extend_from_slice(&serialise(csid::VIDEO, kind::VIDEO, 1, t_ms, &body, chunk_size));
        out.extend_from_slice(&serialise(csid::AUDIO, kind::AUDIO, 1, t_ms, &body[..AUDIO_BYTES], chunk_size));
    }
    out.into()
}

#[divan::bench(args = CHUNK_SIZES)]
fn chunks_read(bencher: Bencher<'_, '_>, chunk_size: u32) {
    let wire = wire(chunk_size);
    bencher.counter(BytesCount::new(wire.len())).bench_local(|| {
        let mut reader = Reader::new(AFTER_PUBLISH);
        let mut messages = 0_u32;
        for start in (0..wire.len()).step_by(READ_BYTES) {
            reader.push(wire.slice(start..(start + READ_BYTES).min(wire.len())));
            while let Some(message) = reader.next_message().unwrap() {
                divan::black_box(&message);
                messages += 1;
            }
        }
        messages
    });
}

#[divan::bench]
fn plain_copy(bencher: Bencher<'_, '_>) {
    let wire = wire(4_096);
    bencher.counter(BytesCount::new(wire.len())).bench_local(|| Bytes::copy_from_slice(&wire));
}

#[divan::bench(args = CHUNK_SIZES)]
fn chunks_written(bencher: Bencher<'_, '_>, chunk_size: u32) {
    let body = vec![7; FRAME_BYTES];
    bencher
        .counter(BytesCount::new(FRAME_BYTES))
        .bench_local(|| serialise(csid::VIDEO, kind::VIDEO, 1, 40, divan::black_box(&body), chunk_size));
}

#[divan::bench]
fn header_alone_written(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench_local(|| header(csid::VIDEO, kind::VIDEO, 1, divan::black_box(40), FRAME_BYTES));
}

/// What OBS sends, with three quarters of its properties.
fn metadata() -> Vec<Value> {
    let numbers = ["duration", "fileSize", "width", "height", "videocodecid", "videodatarate", "framerate"];
    let more = ["audiocodecid", "audiodatarate", "audiosamplerate", "audiosamplesize", "audiochannels"];
    let mut properties: Vec<_> =
        numbers.iter().chain(&more).map(|name| ((*name).to_owned(), Value::from(1_280.0))).collect();
    properties.push(("stereo".to_owned(), Value::Boolean(true)));
    properties.push(("encoder".to_owned(), Value::from("obs-output module (libobs version 30.0.0)")));
    vec![Value::from("onMetaData"), Value::EcmaArray(properties)]
}

#[divan::bench]
fn amf0_metadata_read(bencher: Bencher<'_, '_>) {
    let payload = write_all(&metadata());
    bencher
        .counter(BytesCount::new(payload.len()))
        .bench_local(|| read_all(divan::black_box(&payload), Limits::CONTROL).unwrap());
}

#[divan::bench]
fn amf0_metadata_written(bencher: Bencher<'_, '_>) {
    let values = metadata();
    let length = write_all(&values).len();
    bencher.counter(BytesCount::new(length)).bench_local(|| write_all(divan::black_box(&values)));
}
