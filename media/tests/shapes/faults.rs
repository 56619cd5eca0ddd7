//! Shapes by name, most of them from reports about other servers, each of which once ended a lecture.

use crate::bench::{AAC_CONFIG, AVC_CONFIG, BEGIN_MS, Bench, Send, picture};
use bytes::Bytes;
use lectern_media::ledger::{Ledger, Remembered};
use lectern_media::track::Track;

/// An encoder that publishes from the beginning, with its headers.
fn published() -> Bench {
    let mut bench = Bench::new();
    bench.send(0, Send::Publish);
    bench.config(0, 0);
    bench
}

/// 10 pictures a second with a key frame each 2 s and sound each 50 ms: arrivals `from..to`, stamps `arrival + shift`.
fn lecture(bench: &mut Bench, from_ms: u64, to_ms: u64, video_shift: i64, audio_shift: Option<i64>) {
    let stamp = |at: u64, shift: i64| u32::try_from(at.cast_signed() + shift).expect("above zero");
    for at in (from_ms..to_ms).step_by(50) {
        let n = u32::try_from(at).expect("short");
        if at.is_multiple_of(100) {
            bench.video(at, stamp(at, video_shift), n, at.is_multiple_of(2_000));
        }
        if let Some(shift) = audio_shift {
            bench.audio(at, stamp(at, shift), n);
        }
    }
}

#[test]
fn the_clock_of_the_picture_begins_anew_while_sound_goes_on() {
    let mut bench = published();
    lecture(&mut bench, 0, 6_000, 0, Some(0));
    assert_eq!(bench.warnings(), [""; 0]);
    lecture(&mut bench, 6_000, 100_000, -6_000, Some(0));
    assert_eq!(bench.warnings(), ["TracksDisagree (6.0s)"]);
    assert_eq!(bench.epochs.len(), 2, "{:#?}", bench.notes);
    assert!((48..=50).contains(&bench.closed.len()), "{}", bench.closed.len());
    assert_eq!(bench.starts_with_key().0, bench.closed.len());
    assert!(bench.waited_ms <= 2_400, "{}", bench.waited_ms);
    assert_eq!(bench.pictures, 1_000);
}

#[test]
fn the_clock_of_the_sound_begins_anew_while_pictures_go_on() {
    let mut bench = published();
    lecture(&mut bench, 0, 6_000, 0, Some(0));
    lecture(&mut bench, 6_000, 20_000, 0, Some(-6_000));
    assert_eq!(bench.warnings(), ["TracksDisagree (6.0s)"]);
    lecture(&mut bench, 20_000, 30_000, 0, Some(0));
    assert_eq!(bench.warnings(), [""; 0], "the sound is back on the clock of the picture");
    assert_eq!((bench.epochs.len(), bench.pictures), (1, 300));
    assert_eq!(bench.starts_with_key(), (14, 14));
}

#[test]
fn a_clock_that_jumps_all_the_time_is_not_followed_for_ever() {
    let mut bench = published();
    for second in 0..120 {
        let shift = if second % 2 == 0 { 500_000 } else { 0 };
        lecture(&mut bench, second * 2_000, second * 2_000 + 2_000, shift, Some(0));
    }
    let most =
        bench.epochs.iter().map(|from| bench.epochs.iter().filter(|at| (from..&(from + 60_000)).contains(at)).count());
    assert!(most.max() <= Some(3), "the first one, and two a minute: {:#?}", bench.notes);
    assert_eq!(bench.pictures, 2_400);
    assert!(bench.waited_ms <= 2_400, "{}", bench.waited_ms);
}

#[test]
fn a_jump_between_key_frames_costs_no_picture() {
    let mut bench = published();
    for n in 0..600_u32 {
        let stamp = if n < 70 { n * 100 } else { 1_000_000 + n * 100 };
        bench.video(u64::from(n) * 100, stamp, n, n % 600 == 0);
    }
    assert_eq!((bench.epochs.len(), bench.pictures), (1, 600));
    assert!(bench.waited_ms <= 12_000, "{}", bench.waited_ms);
}

#[test]
fn pictures_up_to_thirty_seconds_apart_are_listed() {
    // (seconds of 10 pictures a second at the start, distance of the pictures after them, with sound)
    for (dense_s, every_ms, sound) in [
        (0, 5_000, false),
        (0, 30_000, false),
        (6, 2_500, false),
        (6, 30_000, false),
        (6, 30_000, true),
        (0, 30_000, true),
    ] {
        let what = format!("{dense_s} s, then each {every_ms} ms, sound {sound}");
        let mut bench = published();
        lecture(&mut bench, 0, dense_s * 1_000, 0, sound.then_some(0));
        let mut pictures = dense_s * 10;
        for at in (dense_s * 1_000..180_000).step_by(50) {
            let n = u32::try_from(at).expect("short");
            if (at - dense_s * 1_000).is_multiple_of(every_ms) {
                bench.video(at, n, n, true);
                pictures += 1;
            }
            if sound {
                bench.audio(at, n, n);
            }
        }
        bench.run_to(195_000);
        assert_eq!((bench.epochs.len(), bench.pictures), (1, pictures), "{what}: {:#?}", bench.notes);
        let listed: usize = bench.closed.iter().map(|closed| closed.pictures.len()).sum();
        assert_eq!(listed as u64, pictures, "{what}");
        assert!(bench.waited_ms <= 12_000, "{what}: {} ms", bench.waited_ms);
    }
}

#[test]
fn a_publisher_that_is_silent_goes_on_where_it_was() {
    let mut bench = published();
    lecture(&mut bench, 0, 6_500, 0, Some(0));
    bench.run_to(60_000);
    assert_eq!(bench.warnings(), ["NothingListed (for 48s: no audio or video came for 53s)"]);
    lecture(&mut bench, 60_000, 70_000, 0, Some(0));
    assert_eq!((bench.epochs.len(), bench.pictures), (1, 165));
    assert_eq!(bench.warnings(), [""; 0]);
}

#[test]
fn configurations_that_cannot_be_read_are_passed_over() {
    for (track, empty) in [(Track::Video, &[0x17, 0, 0, 0, 0][..]), (Track::Audio, &[0xaf, 0][..])] {
        let mut bench = Bench::new();
        bench.send(0, Send::Publish);
        bench.send(0, Send::Message(track, 0, Bytes::copy_from_slice(empty)));
        bench.config(300, 0);
        lecture(&mut bench, 2_000, 6_000, 0, Some(0));
        bench.send(6_000, Send::Message(track, 6_000, Bytes::copy_from_slice(empty)));
        lecture(&mut bench, 6_000, 12_000, 0, Some(0));
        assert_eq!((bench.refused.clone(), bench.epochs.len(), bench.pictures), (None, 1, 100));
        assert!(bench.warnings()[0].starts_with("UnreadableConfiguration ("), "{:?}", bench.warnings());
        bench.run_to(14_000);
    }
}

#[test]
fn sound_that_is_ahead_of_the_picture_leaves_key_frames_at_the_start() {
    for ahead in [0, 200, 400, 1_000, 3_000] {
        let mut bench = published();
        lecture(&mut bench, 0, 40_000, 4_000 - ahead, Some(4_000));
        let (keys, segments) = bench.starts_with_key();
        assert_eq!(keys, segments, "{ahead} ms ahead");
        assert!((18..=19).contains(&segments), "{ahead} ms ahead: {segments}");
        assert!(bench.closed.iter().all(|closed| closed.entry.duration_us == 2_000_000), "{ahead} ms ahead");
        assert_eq!((bench.epochs.len(), bench.warnings()), (1, Vec::new()), "{ahead} ms ahead");
    }
}

#[test]
fn the_first_key_frame_of_a_session_is_listed() {
    let mut bench = published();
    bench.video(0, 0, 0, true);
    bench.send(100, Send::Unpublish);
    bench.send(600, Send::Publish);
    bench.config(600, 0);
    for n in 0..300_u32 {
        bench.video(600 + u64::from(n) * 100, n * 100, n, n % 100 == 0);
    }
    assert_eq!(bench.epochs.len(), 2);
    assert_eq!(bench.pictures, 301);
    assert_eq!(bench.closed[0].pictures[0], (0, true), "{:?}", bench.closed[0]);
    assert!(bench.closed[0].at_ms <= 12_600, "{}", bench.closed[0].at_ms);
}

#[test]
fn a_single_key_frame_is_listed() {
    let mut bench = Bench::new();
    bench.send(0, Send::Publish);
    bench.video(0, 0, 7, true);
    bench.send(10, Send::Message(Track::Video, 0, Bytes::from_static(AVC_CONFIG)));
    assert_eq!(bench.ingest.warnings(BEGIN_MS + 9_999), []);
    bench.run_to(12_000);
    assert_eq!(bench.warnings(), [""; 0]);
    assert_eq!(bench.closed.len(), 1);
    assert_eq!(bench.closed[0].pictures, [(7, true)]);
}

#[test]
fn a_track_that_comes_late_costs_no_picture() {
    let mut bench = Bench::new();
    bench.send(0, Send::Publish);
    bench.send(0, Send::Message(Track::Video, 0, Bytes::from_static(AVC_CONFIG)));
    for n in 0..400_u32 {
        let at = u64::from(n) * 100;
        bench.video(at, n * 100, n, n % 100 == 0);
        if n == 30 {
            bench.send(at, Send::Message(Track::Audio, 3_000, Bytes::from_static(AAC_CONFIG)));
        }
        if n > 30 {
            bench.audio(at, n * 100, n);
        }
    }
    assert_eq!((bench.epochs.len(), bench.pictures), (2, 400), "{:#?}", bench.notes);
    assert!(bench.ingest.tracks().is_some_and(|tracks| tracks.audio.is_some()));
}

#[test]
fn what_keeps_a_stream_from_being_listed_is_said() {
    type Case = (&'static str, Vec<(Track, Bytes)>);
    let config = (Track::Video, Bytes::from_static(AVC_CONFIG));
    let cases: [Case; 4] = [
        ("no audio or video came", vec![]),
        ("no key frame came", vec![config.clone(), (Track::Video, picture(1, false))]),
        (
            "video is announced and no picture came",
            vec![config, (Track::Audio, Bytes::from_static(AAC_CONFIG)), (Track::Audio, crate::bench::sound(1))],
        ),
        ("no configuration of video or audio that can be read came", vec![(Track::Video, picture(1, true))]),
    ];
    for (reason, messages) in cases {
        let mut bench = Bench::new();
        bench.send(0, Send::Publish);
        for at in (0..12_000_u32).step_by(100) {
            bench.run_to(u64::from(at));
            for (track, body) in &messages {
                bench.send(u64::from(at), Send::Message(*track, at, body.clone()));
            }
        }
        assert_eq!(bench.warnings(), [format!("NothingListed (for 11s: {reason})")]);
        bench.send(13_000, Send::Unpublish);
        assert_eq!(bench.warnings(), [""; 0]);
    }
}

#[test]
fn time_that_runs_away_comes_back() {
    let mut bench = published();
    for n in 0..20_000_u32 {
        bench.video(0, n * 1_900, n, true);
    }
    bench.run_to(300_000);
    assert_eq!(bench.refused, None);
    assert!(bench.ingest.ahead_ms(bench.now_ms) > 5_000, "the caller reads no more");
    bench.send(300_000, Send::Unpublish);
    let hostile = bench.closed.len();
    bench.send(300_100, Send::Publish);
    bench.config(300_100, 0);
    lecture(&mut bench, 302_000, 322_000, -302_000, Some(-302_000));
    assert!(bench.ingest.ahead_ms(bench.now_ms) < 5_000, "the honest encoder is read");
    let first = &bench.closed[hostile];
    assert!(first.at_ms <= 305_000, "listed after {} ms", first.at_ms);
    let ahead_ms = (first.entry.epoch + first.entry.t_ms).saturating_sub(BEGIN_MS + first.at_ms);
    assert!(ahead_ms < 20_000, "{ahead_ms} ms ahead");
}

#[test]
fn hostile_sessions_do_not_add_up() {
    let mut bench = Bench::new();
    for session in 0..200 {
        let at = session * 1_100;
        bench.send(at, Send::Publish);
        bench.config(at, 0);
        for n in 0..100_u32 {
            bench.video(at, n * 1_900, n, true);
        }
        bench.run_to(at + 1_050);
    }
    let last = &bench.closed.last().expect("listed").entry;
    let ahead_ms = (last.epoch + last.t_ms).saturating_sub(bench.now_ms);
    assert!(ahead_ms < 30_000, "{ahead_ms} ms ahead");
}

#[test]
fn a_floor_that_was_learnt_is_clamped() {
    let remembered = Remembered { msn: 500, dseq: 7, epoch_end_ms: BEGIN_MS + 36_000_000 };
    let mut bench = Bench::after(&Ledger { remembered: Some(remembered), ..Ledger::default() });
    bench.send(0, Send::Publish);
    bench.config(0, 0);
    lecture(&mut bench, 0, 10_000, 0, Some(0));
    assert_eq!(bench.closed.first().map(|closed| (closed.entry.msn, closed.at_ms)), Some((501, 2_000)));
    assert_eq!(bench.ingest.ahead_ms(bench.now_ms), 0, "and the encoder is read");
}

#[test]
fn what_the_variant_says_follows_the_stream() {
    let mut bench = Bench::new();
    bench.send(0, Send::Publish);
    bench.send(0, Send::Message(Track::Video, 0, Bytes::from_static(AVC_CONFIG)));
    // A slide, then motion of a megabit a second, then sound beside it.
    for at in (0..40_000_u32).step_by(100) {
        let mut body = picture(at, at % 2_000 == 0).to_vec();
        body.resize(if at < 10_000 { body.len() } else { 12_500 }, 0xff);
        let unit_bytes = u32::try_from(body.len() - 9).expect("short");
        body[5..9].copy_from_slice(&unit_bytes.to_be_bytes());
        bench.send(u64::from(at), Send::Message(Track::Video, at, Bytes::from(body)));
        if at == 20_100 {
            bench.send(20_100, Send::Message(Track::Audio, at, Bytes::from_static(AAC_CONFIG)));
        }
        if at > 20_100 {
            bench.audio(u64::from(at), at, at);
        }
        let variant = bench.ingest.ledger().presentation.as_ref().map(|p| p.variant.clone());
        match at {
            9_000 => assert_eq!(variant.map(|v| (v.bandwidth, v.codecs)), Some((50_000, "avc1.42c00b".to_owned()))),
            19_000 => assert!(variant.is_some_and(|v| (1_000_000..2_000_000).contains(&v.bandwidth))),
            _ => {}
        }
    }
    let variant = bench.ingest.ledger().presentation.as_ref().map(|p| p.variant.codecs.clone());
    assert_eq!(variant.as_deref(), Some("avc1.42c00b,mp4a.40.2"));
}
