//! Frames for the tests: real configurations, and FLV tag bodies with any content.

use bytes::Bytes;
use lectern_media::codec::avc;
use lectern_media::segment::ts::{Counters, Muxer};
use lectern_media::segment::{MuxError, Tracks};
use lectern_media::track::{Frame, Message, Track, TrackSet};

/// AVC sequence header of `testdata/bframes.flv`: High, level 1.3, 322x182, one SPS and one PPS.
pub const VIDEO_HEADER: &str = "17000000000164000dffe100246764000dacd981519e226c04400000030040\
                                00000c9808009270\
                                00493e9a8c01e28533400100\
                                0568e97b2c8bfdf8f800";

/// AAC sequence header: LC, 44,100 Hz, stereo.
pub const AUDIO_HEADER: &str = "af001210";

pub fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub fn both() -> TrackSet {
    TrackSet { video: Some(hex(VIDEO_HEADER)), audio: Some(hex(AUDIO_HEADER)), metadata: None }
}

/// The muxer of these tracks, which starts from `counters`.
pub fn muxer(tracks: &TrackSet, counters: Counters) -> Result<Muxer, MuxError> {
    Muxer::new(Tracks::read(tracks)?, counters)
}

/// A video frame of these NAL units, each behind a length of four bytes.
pub fn video(t_ms: u64, composition_ms: i32, key: bool, units: &[&[u8]]) -> Frame {
    let mut body = vec![if key { 0x17 } else { 0x27 }, 1];
    body.extend_from_slice(&composition_ms.to_be_bytes()[1..]);
    for unit in units {
        body.extend_from_slice(&u32::try_from(unit.len()).unwrap().to_be_bytes());
        body.extend_from_slice(unit);
    }
    Message::read(Track::Video, body.into()).at(t_ms)
}

pub fn audio(t_ms: u64, payload: &[u8]) -> Frame {
    let body: Vec<u8> = [0xaf, 1].iter().chain(payload).copied().collect();
    Message::read(Track::Audio, body.into()).at(t_ms)
}

/// A NAL unit of this type and size, with bytes that differ by place.
pub fn unit(kind: u8, size: usize) -> Vec<u8> {
    let mut unit: Vec<u8> = (0..size).map(|place| (place % 251) as u8 | 1).collect();
    unit[0] = 0x60 | kind;
    unit
}

/// What the access unit looks like behind the muxer, by the description in `ts.rs` and not by its code.
pub fn annex_b(sets: &[Bytes], units: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 1, 9, 0xf0];
    for unit in sets.iter().map(|set| &set[..]).chain(units.iter().copied()) {
        bytes.extend_from_slice(&[0, 0, 0, 1]);
        bytes.extend_from_slice(unit);
    }
    bytes
}

/// What must come out of a video frame: `None` if it is not one that can be carried. By the description in `ts.rs` and
/// the specifications, sharing no code with the muxer.
pub fn expected_video(frame: &Frame, config: &avc::Config) -> Option<Vec<u8>> {
    let [first, 1, _, _, _, access_unit @ ..] = &frame.body[..] else { return None };
    let (extended, kind, codec) = (first >> 7, first >> 4 & 7, first & 15);
    if frame.track != Track::Video || extended == 1 || !(1..=4).contains(&kind) || codec != 7 {
        return None;
    }
    let mut units: Vec<&[u8]> = Vec::new();
    let mut rest = access_unit;
    while !rest.is_empty() {
        let (length, behind) = rest.split_at_checked(usize::from(config.nal_length_size))?;
        let length = length.iter().fold(0, |length, byte| length * 256 + usize::from(*byte));
        let (unit, behind) = behind.split_at_checked(length)?;
        units.extend((length > 0 && unit[0] & 31 != 9).then_some(unit));
        rest = behind;
    }
    let random_access = kind == 1 || units.iter().any(|unit| unit[0] & 31 == 5);
    let mut sets: Vec<Bytes> = Vec::new();
    if random_access {
        sets = [&config.sps[..], &config.sps_ext, &config.pps].concat();
        units.retain(|unit| !(matches!(unit[0] & 31, 7 | 8 | 13) && sets.iter().any(|set| set == unit)));
    }
    (!units.is_empty()).then(|| annex_b(&sets, &units))
}
