//! Profile 1, rule by rule.

use crate::build::{self, AUDIO_HEADER, VIDEO_HEADER, annex_b, audio, both, hex, unit, video};
use crate::demux::{self, Segment};
use bytes::Bytes;
use lectern_media::codec;
use lectern_media::ledger::Hash;
use lectern_media::segment::ts::{AUDIO_PID, Counters, Muxer, VIDEO_PID};
use lectern_media::segment::{self, Carry, Profile};
use lectern_media::track::{Frame, Message, Track, TrackSet};
use mpeg2ts::es::StreamType;

const DELAY: u64 = 63_000;

fn muxer(tracks: &TrackSet) -> Muxer {
    build::muxer(tracks, Counters::default()).unwrap()
}

fn mux(tracks: &TrackSet, frames: &[Frame]) -> Segment {
    let mut muxer = muxer(tracks);
    muxer.start_segment();
    frames.iter().for_each(|frame| muxer.push(frame));
    let (bytes, counters) = muxer.finish_segment();
    let segment = demux::read(&bytes, Counters::default());
    assert_eq!(segment.counters, counters);
    segment
}

fn sets() -> Vec<Bytes> {
    let header = hex(VIDEO_HEADER);
    vec![header.slice(13..49), header.slice(52..57)]
}

#[test]
fn tables_name_the_tracks_and_where_the_clock_is() {
    let all = both();
    let segment = mux(&all, &[video(0, 0, true, &[&unit(5, 10)])]);
    let tracks: Vec<_> = segment.tracks.into_iter().collect();
    assert_eq!(tracks, [(VIDEO_PID, StreamType::H264), (AUDIO_PID, StreamType::AdtsAac)]);
    assert_eq!(segment.pcr_pid, Some(VIDEO_PID));

    let segment = mux(&TrackSet { video: None, ..all.clone() }, &[audio(0, &[1])]);
    assert_eq!(segment.tracks.into_iter().collect::<Vec<_>>(), [(AUDIO_PID, StreamType::AdtsAac)]);
    assert_eq!(segment.pcr_pid, Some(AUDIO_PID));

    let segment = mux(&TrackSet { audio: None, ..all }, &[video(0, 0, true, &[&unit(5, 10)])]);
    assert_eq!(segment.tracks.into_iter().collect::<Vec<_>>(), [(VIDEO_PID, StreamType::H264)]);
}

#[test]
fn a_key_frame_begins_with_delimiter_and_parameter_sets_before_any_sei() {
    let (sei, idr) = (unit(6, 30), unit(5, 400));
    let segment = mux(&both(), &[video(40, 80, true, &[&sei, &idr])]);
    let pes = &segment.pes[0];
    assert_eq!(pes.data, annex_b(&sets(), &[&sei, &idr]));
    assert!(pes.random_access);
    assert_eq!((pes.pts, pes.dts, pes.pcr), (120 * 90 + DELAY, Some(40 * 90 + DELAY), Some(40 * 90)));
}

#[test]
fn what_a_random_access_point_is() {
    let (idr, slice) = (unit(5, 40), unit(1, 40));
    let table = [
        ("IDR marked as key", true, &idr, true),
        ("IDR not marked", false, &idr, true),
        ("recovery point marked as key", true, &slice, true),
        ("inter picture", false, &slice, false),
    ];
    for (case, key, unit, random_access) in table {
        let segment = mux(&both(), &[video(0, 0, key, &[unit])]);
        let sets = if random_access { sets() } else { vec![] };
        assert_eq!(segment.pes[0].random_access, random_access, "{case}");
        assert_eq!(segment.pes[0].data, annex_b(&sets, &[unit]), "{case}");
    }
}

#[test]
fn delimiters_and_repeated_parameter_sets_of_the_encoder_are_dropped_and_other_ones_kept() {
    let (idr, delimiter) = (unit(5, 40), vec![9, 0x10]);
    let own = sets();
    let mut other = own[1].to_vec();
    other[2] ^= 0x55;
    let units: [&[u8]; 5] = [&delimiter, &own[0], &own[1], &other, &idr];
    let segment = mux(&both(), &[video(0, 0, true, &units)]);
    assert_eq!(segment.pes[0].data, annex_b(&own, &[&other, &idr]));

    let slice = unit(1, 40);
    let segment = mux(&both(), &[video(0, 0, false, &[&delimiter, &own[1], &slice])]);
    assert_eq!(segment.pes[0].data, annex_b(&[], &[&own[1], &slice]));
}

#[test]
fn parameter_sets_of_a_key_frame_are_the_only_ones_before_it_once_the_header_has_them() {
    // 3840x2160, with the numbers of the sets of the header.
    let sps = hex("6742c034da00f0010fb011000003000100000300780f1832a0");
    let idr = unit(5, 50);
    for units in [vec![&sps[..], &idr], vec![&sps[..], &sets()[1], &idr]] {
        let frame = video(0, 0, true, &units);
        let header = codec::changed_by(&hex(VIDEO_HEADER), &frame.body[5..]).unwrap();
        let segment = mux(&TrackSet { video: Some(header), ..both() }, &[frame]);
        assert_eq!(segment.pes[0].data, annex_b(&[sps.clone(), sets()[1].clone()], &[&idr]));
    }
}

#[test]
fn times_come_from_the_unwrapped_t_and_wrap_at_33_bits() {
    const HOURS_26_5_MS: u64 = (1 << 33) / 90; // 95,443,717 ms
    const WRAP_32_MS: u64 = 1 << 32;
    let table: &[(u64, i32)] = &[
        (0, 0),
        (HOURS_26_5_MS - 701, 0),
        (HOURS_26_5_MS - 700, 0),
        (HOURS_26_5_MS - 10, 80),
        (HOURS_26_5_MS, 0),
        (HOURS_26_5_MS + 1, 0),
        (WRAP_32_MS - 1, 40),
        (WRAP_32_MS, 0),
        (WRAP_32_MS + 1, 0),
        (1 << 40, 0),
        (0, -40),
        (0, -701),
        (1000, -500),
        (0, (1 << 23) - 1),
        (0, -(1 << 23)),
    ];
    for &(t_ms, composition_ms) in table {
        let segment = mux(&both(), &[video(t_ms, composition_ms, true, &[&unit(5, 10)])]);
        let wrap = |ticks: i128| u64::try_from(ticks.rem_euclid(1 << 33)).unwrap();
        let dts = wrap(i128::from(t_ms) * 90 + 63_000);
        let pts = wrap((i128::from(t_ms) + i128::from(composition_ms)) * 90 + 63_000);
        let pes = &segment.pes[0];
        assert_eq!((pes.pts, pes.dts.unwrap_or(pes.pts)), (pts, dts), "t {t_ms}, composition {composition_ms}");
        assert_eq!(pes.dts.is_some(), composition_ms != 0);
        assert_eq!(pes.pcr, Some(wrap(i128::from(t_ms) * 90)));
    }
}

#[test]
fn every_size_around_a_packet_keeps_its_bytes() {
    for size in 1..=(4 * 188) {
        let idr = unit(5, size);
        let slice = unit(1, size);
        let segment = mux(&both(), &[video(0, 40, true, &[&idr]), video(40, 0, false, &[&slice])]);
        assert_eq!(segment.pes[0].data, annex_b(&sets(), &[&idr]), "size {size}");
        assert_eq!(segment.pes[1].data, annex_b(&[], &[&slice]), "size {size}");
    }
}

#[test]
fn a_frame_over_64_kib_leaves_its_length_out() {
    // 65,535 - 8 of PES header - 10 of delimiter and start code is the largest that fits.
    for (size, length) in [(65_517, 65_535), (65_518, 0), (3_000_000, 0)] {
        let slice = unit(1, size);
        let segment = mux(&both(), &[video(0, 0, false, &[&slice])]);
        assert_eq!(segment.pes[0].length, length);
        assert_eq!(segment.pes[0].data, annex_b(&[], &[&slice]));
    }
}

#[test]
fn six_aac_frames_make_a_pes_packet_and_the_end_flushes_the_rest() {
    let frames: Vec<_> = (0..8).map(|n| audio(n * 1024 * 1000 / 44_100, &vec![n as u8; 100 + n as usize])).collect();
    let segment = mux(&both(), &frames);
    let pes = segment.of(AUDIO_PID);
    assert_eq!(pes.len(), 2);
    assert_eq!((pes[0].pts, pes[1].pts), (DELAY, 139 * 90 + DELAY));
    assert_eq!(pes[0].pcr, None);
    // LC (profile 1), index 4, two channels, 107 bytes with the header.
    assert_eq!(pes[0].data[..8], [0xff, 0xf1, 0x50, 0x80, 0x0d, 0x7f, 0xfc, 0]);
    let bytes: usize = (0..6).map(|n| 107 + n).sum();
    assert_eq!(pes[0].data.len(), bytes);
    assert_eq!(pes[1].data.len(), 113 + 114);
}

#[test]
fn audio_that_jumps_begins_a_new_pes_packet_and_jitter_does_not() {
    let at = |times: &[u64]| {
        let frames: Vec<_> = times.iter().map(|t_ms| audio(*t_ms, &[1, 2, 3])).collect();
        mux(&both(), &frames).of(AUDIO_PID).iter().map(|pes| (pes.pts - DELAY) / 90).collect::<Vec<_>>()
    };
    assert_eq!(at(&[0, 0, 0, 60, 90]), [0], "a batch with one time");
    assert_eq!(at(&[0, 23, 46 + 100]), [0], "a small gap");
    assert_eq!(at(&[0, 23, 46 + 101, 170]), [0, 147], "a gap that is heard");
    assert_eq!(at(&[1000, 1023, 900]), [1000, 900], "a step back");
}

#[test]
fn without_video_the_clock_is_on_the_audio() {
    let tracks = TrackSet { video: None, ..both() };
    let frames: Vec<_> = (0..7).map(|n| audio(5000 + n * 23, &[7; 200])).collect();
    let segment = mux(&tracks, &frames);
    assert_eq!(segment.pes.iter().map(|pes| pes.pcr).collect::<Vec<_>>(), [Some(5000 * 90), Some(5138 * 90)]);
}

#[test]
fn order_is_that_of_arrival() {
    let mut frames = vec![video(0, 0, true, &[&unit(5, 300)])];
    frames.extend((0..6).map(|n| audio(n * 23, &[1; 90])));
    frames.push(video(40, 0, false, &[&unit(1, 300)]));
    let pids: Vec<_> = mux(&both(), &frames).pes.iter().map(|pes| pes.pid).collect();
    assert_eq!(pids, [VIDEO_PID, AUDIO_PID, VIDEO_PID]);
}

#[test]
fn malformed_frames_leave_no_trace_but_a_count() {
    let raw = |track, body: &[u8]| Message::read(track, Bytes::copy_from_slice(body)).at(20);
    let long = vec![1; 8185];
    let table = [
        ("empty video", raw(Track::Video, &[])),
        ("short video", raw(Track::Video, &[0x17, 1, 0, 0])),
        ("no NAL unit", raw(Track::Video, &[0x17, 1, 0, 0, 0])),
        ("empty NAL units only", raw(Track::Video, &[0x17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("delimiter only", raw(Track::Video, &[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 9, 0xf0])),
        ("NAL unit cut", raw(Track::Video, &[0x17, 1, 0, 0, 0, 0, 0, 0, 5, 0x65, 1, 2, 3])),
        ("second NAL unit cut", raw(Track::Video, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65, 0, 0, 0, 9, 1])),
        ("length cut", raw(Track::Video, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65, 0, 0])),
        ("length of 4 GiB", raw(Track::Video, &[0x17, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x65])),
        ("another codec", raw(Track::Video, &[0x12, 1, 0, 0, 0, 0, 0, 0, 1, 0x65])),
        ("enhanced header", raw(Track::Video, &[0x91, b'h', b'v', b'c', b'1', 0, 0, 0, 1, 0x65])),
        ("command frame", raw(Track::Video, &[0x57, 1, 0, 0, 0, 0, 0, 0, 1, 0x65])),
        ("unknown packet type", raw(Track::Video, &[0x17, 9, 0, 0, 0, 0, 0, 0, 1, 0x65])),
        ("empty audio", raw(Track::Audio, &[])),
        ("audio without payload", raw(Track::Audio, &[0xaf, 1])),
        ("MP3", raw(Track::Audio, &[0x2f, 1, 1])),
        ("unknown audio packet type", raw(Track::Audio, &[0xaf, 2, 1])),
        ("more than ADTS can say", audio(20, &long)),
    ];
    let good = [video(0, 0, true, &[&unit(5, 100)]), audio(5, &[5; 50]), video(40, 0, false, &[&unit(1, 100)])];
    let bytes_of = |frames: &[&Frame]| {
        let mut muxer = muxer(&both());
        muxer.start_segment();
        frames.iter().for_each(|frame| muxer.push(frame));
        (muxer.finish_segment(), muxer.skipped())
    };
    let (clean, none) = bytes_of(&[&good[0], &good[1], &good[2]]);
    assert_eq!(none, 0);
    for (case, bad) in &table {
        let (dirty, skipped) = bytes_of(&[bad, &good[0], bad, &good[1], bad, &good[2], bad]);
        assert_eq!(dirty, clean, "{case}");
        assert_eq!(skipped, 4, "{case}");
    }
    let headers = [raw(Track::Video, &hex(VIDEO_HEADER)), raw(Track::Audio, &hex(AUDIO_HEADER))];
    let end_of_sequence = raw(Track::Video, &[0x17, 2, 0, 0, 0]);
    let (repeated, skipped) = bytes_of(&[&headers[0], &good[0], &headers[1], &good[1], &good[2], &end_of_sequence]);
    assert_eq!((repeated, skipped), (clean, 0), "repeated headers and the end of a sequence are no defects");
}

#[test]
fn a_track_that_is_not_in_the_set_is_skipped() {
    let mut muxer = muxer(&TrackSet { audio: None, ..both() });
    muxer.start_segment();
    muxer.push(&video(0, 0, true, &[&unit(5, 20)]));
    muxer.push(&audio(0, &[1, 2]));
    let (bytes, counters) = muxer.finish_segment();
    assert_eq!((demux::read(&bytes, Counters::default()).pes.len(), counters.audio, muxer.skipped()), (1, 0, 1));
}

#[test]
fn frames_outside_of_a_segment_are_skipped_and_restart_drops_an_open_one() {
    let mut muxer = muxer(&both());
    let key = video(0, 0, true, &[&unit(5, 2000)]);
    muxer.push(&key);
    assert_eq!(muxer.finish_segment(), (Bytes::new(), Counters::default()));
    muxer.start_segment();
    muxer.push(&key);
    muxer.push(&audio(0, &[1; 20]));
    let at = Counters { psi: 3, video: 15, audio: 9 };
    muxer.restart(at);
    muxer.push(&key);
    assert_eq!(muxer.skipped(), 2);
    muxer.start_segment();
    muxer.push(&key);
    let (bytes, _) = muxer.finish_segment();
    let segment = demux::read(&bytes, at);
    assert_eq!(segment.pes.len(), 1, "the audio that waited is gone");
}

/// What `bframes.flv` has none of. See `real::PROFILE_1`.
#[test]
fn the_bytes_of_profile_1_are_frozen_for_odd_input_too() {
    let frames = [
        video(1 << 33, -40, true, &[&unit(6, 9), &unit(5, 70_000)]),
        audio((1 << 33) + 1, &[1; 300]),
        audio((1 << 33) + 24, &[2; 8184]),
        audio((1 << 33) + 400, &[3]),
        video((1 << 33) + 40, 8_000_000, false, &[&unit(1, 157), &unit(1, 1)]),
        video((1 << 33) + 80, 0, false, &[&unit(1, 150)]),
    ];
    let hash = |tracks: &TrackSet, counters| {
        let mut muxer = segment::Muxer::new(Profile::ONE, tracks, Carry::Ts(counters)).unwrap();
        muxer.start_segment();
        frames.iter().for_each(|frame| muxer.push(frame));
        let (bytes, after) = muxer.finish_segment();
        assert_eq!(Carry::Ts(demux::read(&bytes, counters).counters), after);
        Hash::of(&bytes).to_string()
    };
    let counters = Counters { psi: 15, video: 9, audio: 14 };
    assert_eq!(hash(&both(), counters), "e775525dcb24c6bfd7dde137a247a275");
    let audio_only = TrackSet { video: None, ..both() };
    assert_eq!(hash(&audio_only, Counters::default()), "0c3ba389dd82d72c85b2bd0d0d8c09c4");
}
