//! The muxer on any input: whatever the frames, the segment is read by `mpeg2ts` packet by packet, the access units
//! come out as they went in, and a muxer with another past writes the same bytes.

#[path = "../../tests/ts/build.rs"]
#[allow(dead_code)]
mod build;
#[path = "../../tests/ts/demux.rs"]
#[allow(dead_code)]
mod demux;
#[path = "input.rs"]
mod input;

use bytes::Bytes;
use input::Input;
use lectern_media::segment::Tracks;
use lectern_media::segment::ts::{Counters, Muxer, VIDEO_PID};
use lectern_media::track::{Frame, Message, Track, TrackSet};

/// One byte of tracks, three of counters, eight of time, for a configuration of the input's own two of length and the
/// record; then frames: a byte of track and step, two of length, the body.
pub fn round_trip(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.number(1);
    let before = Counters { psi: input.number(1) as u8, video: input.number(1) as u8, audio: input.number(1) as u8 };
    let start_ms = input.number(8) >> 8;
    let all = build::both();
    let tracks = match choice % 4 {
        0 => all,
        1 => TrackSet { video: None, ..all },
        2 => TrackSet { audio: None, ..all },
        _ => {
            let length = input.number(2) as usize;
            let record = input.bytes(length);
            TrackSet { video: Some([&[0x17, 0, 0, 0, 0], record].concat().into()), ..all }
        }
    };
    let frames = frames(&mut input, start_ms);
    let Ok(mut muxer) = build::muxer(&tracks, before) else { return };
    let (bytes, after) = mux(&mut muxer, &frames);
    let four_bits = |counter: u8| counter % 16;
    let at = Counters { psi: four_bits(before.psi), video: four_bits(before.video), audio: four_bits(before.audio) };
    let segment = demux::read(&bytes, at);
    assert_eq!(segment.counters, after);
    if let Some(config) = Tracks::read(&tracks).ok().and_then(|tracks| tracks.video) {
        let sent: Vec<_> = frames.iter().filter_map(|frame| build::expected_video(frame, &config)).collect();
        let got: Vec<_> = segment.of(VIDEO_PID).iter().map(|pes| pes.data.clone()).collect();
        assert!(sent == got, "access units differ");
    }
    muxer.start_segment();
    frames.iter().rev().for_each(|frame| muxer.push(frame));
    muxer.restart(before);
    assert!(mux(&mut muxer, &frames) == (bytes, after), "the past decides bytes");
}

fn frames(input: &mut Input<'_>, start_ms: u64) -> Vec<Frame> {
    let mut t_ms = start_ms;
    let mut frames = Vec::new();
    while !input.is_empty() {
        let head = input.number(1);
        t_ms += head >> 1;
        let track = if head & 1 == 0 { Track::Video } else { Track::Audio };
        let length = input.number(2) as usize;
        let body = Bytes::copy_from_slice(input.bytes(length));
        frames.push(Message::read(track, body).at(t_ms));
    }
    frames
}

fn mux(muxer: &mut Muxer, frames: &[Frame]) -> (Bytes, Counters) {
    muxer.start_segment();
    frames.iter().for_each(|frame| muxer.push(frame));
    muxer.finish_segment()
}
