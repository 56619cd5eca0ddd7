//! What ffmpeg encoded, muxed here, must be what ffmpeg decodes.
//!
//! `testdata/bframes.flv` was made for this with ffmpeg 5.1.9: six seconds of x264 (High, two B-frames, key frame every
//! 2 s, an odd size that needs cropping, buffering period SEI before every key frame) and AAC.

use crate::{demux, flv};
use bytes::Bytes;
use lectern_media::ledger::Hash;
use lectern_media::segment::ts::{AUDIO_PID, Counters, VIDEO_PID};
use lectern_media::segment::{Carry, Muxer, Profile};
use lectern_media::track::{Frame, Message, Track, TrackSet};
use std::process::Command;

const BFRAMES: &[u8] = include_bytes!("../../testdata/bframes.flv");
const VIDEO_FRAMES: usize = 150;

/// Cut at every key frame; audio only in one piece.
fn segments(tracks: &TrackSet, frames: &[Frame]) -> Vec<Bytes> {
    let mut muxer = Muxer::new(Profile::ONE, tracks, Carry::default()).unwrap();
    let mut segments = Vec::new();
    muxer.start_segment();
    for (place, frame) in frames.iter().enumerate() {
        if frame.key() && place > 0 {
            segments.push(muxer.finish_segment().0);
            muxer.start_segment();
        }
        muxer.push(frame);
    }
    segments.push(muxer.finish_segment().0);
    assert_eq!(muxer.skipped(), 0);
    segments
}

/// What ffmpeg says of a PTS before its DTS; it decodes all the same.
const TOLERATED: &str = "Invalid timestamps stream=0";

/// Runs ffmpeg or ffprobe; the lines it wrote, after making sure that it had nothing else to complain about.
fn lines(program: &str, file: &[u8], before: &[&str], after: &[&str]) -> Vec<String> {
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(input.path(), file).unwrap();
    let output = Command::new(program)
        .args(["-v", "warning"])
        .args(before)
        .arg("-i")
        .arg(input.path())
        .args(after)
        .output()
        .unwrap_or_else(|error| panic!("failed to run {program}, which scripts/setup installs: {error}"));
    let complaints = String::from_utf8_lossy(&output.stderr);
    let fine = complaints.lines().all(|line| line.contains(TOLERATED));
    assert!(output.status.success() && fine, "{program} {after:?}: {complaints}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// MD5 of every decoded picture, in order of presentation.
fn pictures(file: &[u8]) -> Vec<String> {
    let lines = lines("ffmpeg", file, &[], &["-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"]);
    let md5 = |line: &String| line.rsplit(',').next().map(|md5| md5.trim().to_owned());
    lines.iter().filter(|line| !line.starts_with('#')).filter_map(md5).collect()
}

/// MD5 of all decoded sound.
fn sound(file: &[u8]) -> Vec<String> {
    lines("ffmpeg", file, &[], &["-map", "0:a", "-c:a", "pcm_s16le", "-f", "md5", "-"])
}

/// Times of presentation in milliseconds, in order of decoding.
fn times(file: &[u8], track: &str) -> Vec<i64> {
    let show = ["-select_streams", track, "-show_entries", "packet=pts_time", "-of", "csv=p=0"];
    let ms = |line: &String| (line.trim_end_matches(',').parse::<f64>().unwrap() * 1000.0).round() as i64;
    lines("ffprobe", file, &show, &[]).iter().filter(|line| !line.is_empty()).map(ms).collect()
}

#[test]
fn pictures_and_sound_are_those_of_the_encoder() {
    let (tracks, frames) = flv::read(BFRAMES);
    let segments = segments(&tracks, &frames);
    assert_eq!(segments.len(), 3);
    let whole = segments.concat();
    let wanted = pictures(BFRAMES);
    assert_eq!(wanted.len(), VIDEO_FRAMES);
    assert_eq!(pictures(&whole), wanted);
    assert_eq!(sound(&whole), sound(BFRAMES));
    let delayed = |times: Vec<i64>| times.into_iter().map(|t| t + 700).collect::<Vec<_>>();
    assert_eq!(times(&whole, "v"), delayed(times(BFRAMES, "v")));

    // Every segment can be decoded alone.
    for (segment, wanted) in segments.iter().zip(wanted.chunks(50)) {
        assert_eq!(pictures(segment), wanted);
    }
}

#[test]
fn sound_alone_and_pictures_alone() {
    let (tracks, frames) = flv::read(BFRAMES);
    let of = |track| frames.iter().filter(|frame| frame.track == track).cloned().collect::<Vec<_>>();
    let audio = segments(&TrackSet { video: None, ..tracks.clone() }, &of(Track::Audio)).concat();
    assert_eq!(sound(&audio), sound(BFRAMES));
    let video = segments(&TrackSet { audio: None, ..tracks }, &of(Track::Video)).concat();
    assert_eq!(pictures(&video), pictures(BFRAMES));
}

#[test]
fn negative_composition_offsets_keep_pictures_and_times() {
    let (tracks, mut frames) = flv::read(BFRAMES);
    frames.retain(|frame| frame.track == Track::Video);
    for frame in &mut frames {
        let mut body = frame.body.to_vec();
        let composition_ms = i32::from_be_bytes([body[2], body[3], body[4], 0]) >> 8;
        body[2..5].copy_from_slice(&(composition_ms - 80).to_be_bytes()[1..]);
        *frame = Message::read(Track::Video, body.into()).at(frame.t_ms);
    }
    let negative = frames.iter().filter(|frame| frame.body[2] & 0x80 != 0).count();
    assert!(negative > 40, "{negative} frames have one");
    let video = segments(&TrackSet { audio: None, ..tracks }, &frames).concat();
    assert_eq!(pictures(&video), pictures(BFRAMES));
    let shifted: Vec<_> = times(BFRAMES, "v").into_iter().map(|t| t + 700 - 80).collect();
    assert_eq!(times(&video, "v"), shifted);
}

#[test]
fn every_packet_passes_the_independent_reader() {
    let (tracks, frames) = flv::read(BFRAMES);
    let mut counters = Counters::default();
    let (mut pictures, mut sounds) = (0, 0);
    for bytes in segments(&tracks, &frames) {
        let segment = demux::read(&bytes, counters);
        counters = segment.counters;
        assert!(segment.pes[0].random_access, "a segment begins with a random access point");
        pictures += segment.of(VIDEO_PID).len();
        sounds += segment.of(AUDIO_PID).len();
    }
    assert_eq!(pictures, VIDEO_FRAMES);
    // 259 AAC frames, six a packet, and a shorter packet at the end of a segment.
    let audio = frames.iter().filter(|frame| frame.track == Track::Audio).count();
    assert!((audio.div_ceil(6)..=audio.div_ceil(6) + 3).contains(&sounds), "{sounds} packets of {audio} frames");
}

/// Hash of the segments of `bframes.flv`. It cannot change as long as profile 1 lives: edges of two releases serve the
/// same stream side by side during an upgrade. Other bytes need another profile.
const PROFILE_1: [&str; 3] =
    ["564552b026b99f1d9670104e6e4fc66f", "4c96117da42e55c19a4fa1758773c32c", "4d754ee66f6ce6eb928a16fdf8c37b76"];

#[test]
fn the_bytes_of_profile_1_are_frozen() {
    let (tracks, frames) = flv::read(BFRAMES);
    let hashes: Vec<_> = segments(&tracks, &frames).iter().map(|bytes| Hash::of(bytes).to_string()).collect();
    assert_eq!(hashes, PROFILE_1, "profile 1 is frozen");
}
