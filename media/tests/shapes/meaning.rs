//! Headers, parameter sets and frames by their meaning: what changes the tracks of a stream, and what does not.

use crate::bench::{AAC_CONFIG, AVC_CONFIG, Bench, Send, picture};
use bytes::Bytes;
use lectern_media::codec::avc::nal;
use lectern_media::codec::{Config, avc};
use lectern_media::track::Track;

/// SPS and PPS of another encoder: 640x360, with the numbers of those in [`AVC_CONFIG`].
const OTHER_SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03,
    0x00, 0x32, 0x0f, 0x16, 0x2e, 0x48,
];
const OTHER_PPS: &[u8] = &[0x68, 0xcb, 0x83, 0xcb, 0x20];

/// A key frame whose slice is shorter than its length says.
const LYING: &[u8] = &[0x17, 1, 0, 0, 0, 0, 0, 9, 0, 0x65, 0x88, 0x84, 0x00, 0x33, 0xff];

/// A publisher with a header of each track.
fn published() -> Bench {
    let mut bench = Bench::new();
    bench.send(0, Send::Publish);
    bench.config(0, 0);
    bench
}

/// 10 pictures a second with sound, from one second to another; `key` makes the key frame of each second from the
/// milliseconds since the start and its number, and may publish something before it.
fn lecture(bench: &mut Bench, seconds: std::ops::Range<u64>, key: &dyn Fn(&mut Bench, u64, u32) -> Bytes) {
    for at in (seconds.start * 1_000..seconds.end * 1_000).step_by(100) {
        let n = u32::try_from(at).expect("short");
        let body = if at.is_multiple_of(1_000) { key(bench, at, n) } else { picture(n, false) };
        bench.send(at, Send::Message(Track::Video, n, body));
        bench.audio(at, n, n);
    }
}

fn plain(_: &mut Bench, _: u64, n: u32) -> Bytes {
    picture(n, true)
}

/// A key frame with these NAL units before its slice.
fn key_with(n: u32, units: &[&[u8]]) -> Bytes {
    let plain = picture(n, true);
    let (header, slice) = plain.split_at(5);
    let with_length = |unit: &&[u8]| [&u32::try_from(unit.len()).expect("short").to_be_bytes()[..], unit].concat();
    let units: Vec<u8> = units.iter().flat_map(with_length).collect();
    [header, &units, slice].concat().into()
}

/// The configuration of the video in the open epoch.
fn video(bench: &Bench) -> avc::Config {
    let header = bench.ingest.tracks().and_then(|tracks| tracks.video.clone()).expect("an epoch with video is open");
    let Ok(Config::Avc(config)) = Config::read(Track::Video, &header) else { panic!("no H.264: {header:?}") };
    config
}

#[test]
fn repeated_headers_that_differ_in_bits_without_meaning_open_no_epoch() {
    let changed = |header: &[u8], place: usize, byte: u8| {
        let mut header = header.to_vec();
        header[place] = byte;
        Bytes::from(header)
    };
    let table = [
        ("composition time of a header", Track::Video, changed(AVC_CONFIG, 4, 80)),
        ("frame type of a header", Track::Video, changed(AVC_CONFIG, 0, 0x27)),
        ("level of the record", Track::Video, changed(AVC_CONFIG, 8, 0)),
        ("a byte behind the record", Track::Video, [AVC_CONFIG, &[7]].concat().into()),
        ("sound type of a header", Track::Audio, changed(AAC_CONFIG, 0, 0xae)),
        ("a byte behind the configuration", Track::Audio, [AAC_CONFIG, &[0]].concat().into()),
    ];
    for (case, track, other) in table {
        let own = Bytes::from_static(if track == Track::Video { AVC_CONFIG } else { AAC_CONFIG });
        let mut bench = published();
        lecture(&mut bench, 0..20, &|bench, at, n| {
            let header = if at.is_multiple_of(2_000) { own.clone() } else { other.clone() };
            bench.send(at, Send::Message(track, n, header));
            picture(n, true)
        });
        assert_eq!((bench.epochs.len(), bench.pictures), (1, 200), "{case}: {:#?}", bench.notes);
    }
}

#[test]
fn parameter_sets_of_a_key_frame_that_differ_from_the_header_open_an_epoch_with_them() {
    let mut bench = published();
    lecture(&mut bench, 0..6, &plain);
    assert_eq!((video(&bench).width, video(&bench).height), (320, 180));
    lecture(&mut bench, 6..16, &|_, _, n| key_with(n, &[OTHER_SPS, OTHER_PPS]));
    assert_eq!((bench.epochs.len(), bench.pictures), (2, 160), "{:#?}", bench.notes);
    let config = video(&bench);
    assert_eq!((config.width, config.height, config.codec_string.as_str()), (640, 360, "avc1.42c01e"));
    assert_eq!((config.sps, config.pps), (vec![Bytes::from(OTHER_SPS)], vec![Bytes::from(OTHER_PPS)]));
    assert_eq!(bench.starts_with_key().0, bench.closed.len());
}

#[test]
fn an_old_header_that_is_repeated_between_key_frames_with_other_sets_opens_nothing() {
    let mut bench = published();
    lecture(&mut bench, 0..30, &|bench, at, n| {
        bench.send(at, Send::Message(Track::Video, n, Bytes::from_static(AVC_CONFIG)));
        key_with(n, &[OTHER_SPS, OTHER_PPS])
    });
    assert_eq!((bench.epochs.len(), bench.pictures), (1, 300), "{:#?}", bench.notes);
    assert_eq!(video(&bench).width, 640);
}

#[test]
fn parameter_sets_that_repeat_the_header_open_no_epoch() {
    let mut bench = published();
    lecture(&mut bench, 0..1, &plain);
    let config = video(&bench);
    let padded = [&config.pps[0][..], &[0, 0, 0]].concat();
    lecture(&mut bench, 1..10, &|_, _, n| key_with(n, &[&config.sps[0], &config.pps[0]]));
    lecture(&mut bench, 10..20, &|_, _, n| key_with(n, &[&config.sps[0], &padded]));
    assert_eq!((bench.epochs.len(), bench.pictures), (1, 200), "{:#?}", bench.notes);
}

/// The same key frame with a start code before each NAL unit.
fn annex_b(body: &[u8]) -> Bytes {
    let (header, units) = body.split_at(5);
    let with_start = |unit: Result<&[u8], _>| [&[0, 0, 0, 1][..], unit.expect("whole")].concat();
    let units: Vec<u8> = nal::units(units, 4).flat_map(with_start).collect();
    [header, &units].concat().into()
}

#[test]
fn start_codes_in_the_place_of_lengths_become_lengths() {
    let published = |change: fn(Bytes) -> Bytes| {
        let mut bench = published();
        lecture(&mut bench, 0..4, &plain);
        lecture(&mut bench, 4..9, &|_, _, n| change(key_with(n, &[&[9, 0xf0], &[6, 5, 1, 7, 0x80]])));
        lecture(&mut bench, 9..14, &|_, _, n| change(key_with(n, &[OTHER_SPS, OTHER_PPS])));
        let entries: Vec<_> = bench.closed.iter().map(|closed| closed.entry.clone()).collect();
        (bench.warnings(), bench.epochs.len(), entries)
    };
    let (warnings, epochs, entries) = published(|body| annex_b(&body));
    assert_eq!((warnings, epochs), (vec![], 2), "parameter sets between start codes are found, too");
    assert_eq!(entries, published(|body| body).2, "the same segments, byte for byte");
}

#[test]
fn pictures_with_lengths_that_lie_are_reported() {
    let mut bench = published();
    lecture(&mut bench, 0..4, &plain);
    assert_eq!(bench.warnings(), [""; 0]);
    lecture(&mut bench, 4..8, &|_, _, _| Bytes::from_static(LYING));
    assert_eq!(
        bench.warnings(),
        ["UnusableVideo (4 left out: lengths before NAL units that do not fit)"],
        "{:#?}",
        bench.notes
    );
    lecture(&mut bench, 8..70, &plain);
    assert_eq!(bench.warnings(), [""; 0], "a minute after the last one");
}

#[test]
fn sound_that_no_segment_can_carry_is_reported() {
    let mut bench = published();
    lecture(&mut bench, 0..4, &plain);
    bench.send(4_000, Send::Message(Track::Audio, 4_000, Bytes::from_static(&[0xaf, 1])));
    bench.send(4_000, Send::Message(Track::Audio, 4_020, [&[0xaf, 1][..], &[7; 8_200]].concat().into()));
    assert_eq!(bench.warnings(), ["UnusableAudio (2 left out: empty, or longer than an ADTS frame)"]);
}
