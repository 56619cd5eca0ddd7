//! Any frames at all: what goes in comes out, and nothing but the frames and the counters decides a byte.

use crate::build::{self, both, expected_video, video};
use crate::demux;
use lectern_media::codec::aac::ADTS_HEADER_BYTES;
use lectern_media::ledger::Hash;
use lectern_media::segment::Tracks;
use lectern_media::segment::ts::{AUDIO_PID, Counters, Muxer, VIDEO_PID};
use lectern_media::track::{Frame, Message, Track};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Input {
    Video { step_ms: u64, composition_ms: i32, key: bool, units: Vec<Vec<u8>> },
    Audio { step_ms: u64, payload: Vec<u8> },
    Any { track: Track, step_ms: u64, body: Vec<u8> },
}

fn nal_unit() -> impl Strategy<Value = Vec<u8>> {
    (prop_oneof![Just(1u8), Just(5), Just(6), Just(7), Just(8), Just(9), 0..32u8], vec(any::<u8>(), 0..900)).prop_map(
        |(kind, mut unit)| {
            unit.insert(0, 0x60 | kind);
            unit
        },
    )
}

fn input() -> impl Strategy<Value = Input> {
    let composition = prop_oneof![Just(0), -200..400, -(1 << 23)..(1 << 23)];
    prop_oneof![
        4 => (0..200u64, composition, any::<bool>(), vec(nal_unit(), 0..5)).prop_map(
            |(step_ms, composition_ms, key, units)| Input::Video { step_ms, composition_ms, key, units }
        ),
        6 => (0..60u64, vec(any::<u8>(), 0..500))
            .prop_map(|(step_ms, payload)| Input::Audio { step_ms, payload }),
        1 => (prop_oneof![Just(Track::Video), Just(Track::Audio)], 0..60u64, vec(any::<u8>(), 0..60))
            .prop_map(|(track, step_ms, body)| Input::Any { track, step_ms, body }),
    ]
}

fn frames(start_ms: u64, inputs: &[Input]) -> Vec<Frame> {
    let mut t_ms = start_ms;
    let mut frames = Vec::new();
    for input in inputs {
        frames.push(match input {
            Input::Video { step_ms, composition_ms, key, units } => {
                t_ms += step_ms;
                let units: Vec<_> = units.iter().map(Vec::as_slice).collect();
                video(t_ms, *composition_ms, *key, &units)
            }
            Input::Audio { step_ms, payload } => {
                t_ms += step_ms;
                crate::build::audio(t_ms, payload)
            }
            Input::Any { track, step_ms, body } => {
                t_ms += step_ms;
                Message::read(*track, body.clone().into()).at(t_ms)
            }
        });
    }
    frames
}

fn mux(muxer: &mut Muxer, frames: &[Frame]) -> (bytes::Bytes, Counters) {
    muxer.start_segment();
    frames.iter().for_each(|frame| muxer.push(frame));
    muxer.finish_segment()
}

fn is_good_audio(frame: &Frame) -> bool {
    frame.track == Track::Audio && matches!(frame.body.as_ref(), [0xa0..=0xaf, 1, _, ..])
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        inputs in vec(input(), 0..60),
        start_ms in prop_oneof![Just(0u64), 0..200_000_000u64, (1u64 << 32) - 5000..(1 << 32) + 5000],
        psi in 0..16u8, v in 0..16u8, a in 0..16u8,
    ) {
        let frames = frames(start_ms, &inputs);
        let before = Counters { psi, video: v, audio: a };
        let mut muxer = build::muxer(&both(), before).unwrap();
        let (bytes, after) = mux(&mut muxer, &frames);
        let segment = demux::read(&bytes, before);
        prop_assert_eq!(segment.counters, after);

        let config = Tracks::read(&both()).unwrap().video.unwrap();
        let sent: Vec<_> =
            frames.iter().filter_map(|frame| Some((frame, expected_video(frame, &config)?))).collect();
        let got = segment.of(VIDEO_PID);
        prop_assert_eq!(got.len(), sent.len());
        for ((frame, data), pes) in sent.iter().zip(got) {
            let composition = i64::from(i32::from_be_bytes([frame.body[2], frame.body[3], frame.body[4], 0]) >> 8);
            let pts = ((frame.t_ms as i64 + composition) * 90 + 63_000).rem_euclid(1 << 33) as u64;
            prop_assert_eq!(&pes.data, data);
            prop_assert_eq!(pes.pts, pts);
            prop_assert_eq!(pes.dts.unwrap_or(pts), (frame.t_ms * 90 + 63_000) % (1 << 33));
            prop_assert_eq!(pes.pcr, Some(frame.t_ms * 90 % (1 << 33)));
        }

        let sent: Vec<_> = frames.iter().filter(|frame| is_good_audio(frame)).collect();
        let mut next = 0;
        for pes in segment.of(AUDIO_PID) {
            prop_assert_eq!(pes.pts, (sent[next].t_ms * 90 + 63_000) % (1 << 33));
            let mut rest = &pes.data[..];
            let mut count = 0;
            while !rest.is_empty() {
                let length = usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5]) >> 5;
                prop_assert_eq!(&rest[ADTS_HEADER_BYTES..length], &sent[next].body[2..]);
                rest = &rest[length..];
                next += 1;
                count += 1;
            }
            prop_assert!((1..=6).contains(&count));
        }
        prop_assert_eq!(next, sent.len());
    }

    #[test]
    fn a_digest_is_that_of_the_bytes(segments in vec(vec(input(), 0..60), 1..3)) {
        let mut kept = build::muxer(&both(), Counters::default()).unwrap();
        let mut digested = build::muxer(&both(), Counters::default()).unwrap();
        for inputs in &segments {
            let frames = frames(1000, inputs);
            let (bytes, after) = mux(&mut kept, &frames);
            digested.start_digest();
            frames.iter().for_each(|frame| digested.push(frame));
            let (digest, counters) = digested.finish_digest();
            prop_assert_eq!((digest.length(), digest.hash()), (bytes.len() as u64, Hash::of(&bytes)));
            prop_assert_eq!((counters, digested.skipped()), (after, kept.skipped()));
        }
    }

    #[test]
    fn nothing_but_frames_and_counters_decides(
        history in vec(vec(input(), 0..20), 0..4),
        inputs in vec(input(), 0..60),
        dropped in any::<bool>(),
        psi in 0..16u8, v in 0..16u8, a in 0..16u8,
    ) {
        let counters = Counters { psi, video: v, audio: a };
        let frames_now = frames(1000, &inputs);
        let fresh = mux(&mut build::muxer(&both(), counters).unwrap(), &frames_now);
        demux::read(&fresh.0, counters);

        let mut old = build::muxer(&both(), Counters::default()).unwrap();
        for past in &history {
            mux(&mut old, &frames(0, past));
        }
        if dropped {
            old.start_segment();
            frames(0, &inputs).iter().for_each(|frame| old.push(frame));
        }
        old.restart(counters);
        prop_assert_eq!(&mux(&mut old, &frames_now), &fresh);

        // And cut in two, the counters carry on: the packets after the tables are the same but for the audio's grouping.
        let half = frames_now.len() / 2;
        let mut cut = build::muxer(&both(), counters).unwrap();
        let (first, between) = mux(&mut cut, &frames_now[..half]);
        let (second, after) = mux(&mut cut, &frames_now[half..]);
        prop_assert_eq!(demux::read(&first, counters).counters, between);
        prop_assert_eq!(demux::read(&second, between).counters, after);
    }
}
