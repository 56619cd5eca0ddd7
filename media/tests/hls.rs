//! Playlists: their text against golden files (`UPDATE=1` rewrites them), their meaning against an independent parser.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../fuzz/checks/playlist.rs"]
mod check;

use bytes::Bytes;
use lectern_media::hls::{self, Kind, Listing};
use lectern_media::ledger::{Entry, Hash, Ledger, Life, ListProfile, Presentation, Profile, Variant};
use proptest::prelude::*;

/// 2026-12-01T01:00:00.123Z.
const EPOCH: u64 = 1_796_086_800_123;

fn presentation(first_epoch: u64) -> Presentation {
    let codecs = "avc1.64001f,mp4a.40.2".into();
    Presentation {
        first_epoch,
        target_s: 2,
        variant: Variant {
            bandwidth: 4_500_000,
            codecs,
            resolution: Some((1280, 720)),
            average: Some(3_010_000),
            frame_rate_milli: Some(29_970),
        },
        list_profile: ListProfile::ONE,
    }
}

/// Segments of these epochs, two seconds each; every change of the epoch opens one.
fn ledger(epochs: &[u64]) -> Ledger {
    let mut entries: Vec<Entry> = Vec::new();
    for (msn, epoch) in (115_000_000u64..).zip(epochs) {
        let before = entries.last().filter(|last| last.epoch == *epoch);
        let dseq = entries.last().map_or(28_861_200, |last| last.dseq + u64::from(before.is_none()));
        entries.push(Entry {
            msn,
            epoch: *epoch,
            profile: Profile::ONE,
            dseq,
            t_ms: before.map_or(0, |last| last.t_ms + 2000),
            duration_us: 2_000_000,
            length: 750_000,
            hash: Hash::of(&msn.to_be_bytes()),
            messages: 150,
            opens_epoch: before.is_none(),
            gap: false,
        });
    }
    let first = entries.first().map_or(0, |entry| entry.msn);
    Ledger { presentation: Some(presentation(epochs[0])), first, entries, ..Ledger::default() }
}

fn media_playlist(ledger: &Ledger) -> Option<Bytes> {
    Listing::live(ledger).map(|listing| hls::media_playlist(&listing))
}

fn multivariant_playlist(ledger: &Ledger) -> Option<Bytes> {
    Listing::live(ledger).map(|listing| hls::multivariant_playlist(&listing))
}

fn golden(name: &str, text: &[u8]) {
    let path = format!("{}/testdata/hls/{name}.m3u8", env!("CARGO_MANIFEST_DIR"));
    lectern_golden::check(path, std::str::from_utf8(text).unwrap());
}

#[test]
fn playlists_are_those_of_list_profile_1() {
    const LATER: u64 = EPOCH + 600_000;
    let two_epochs = || ledger(&[EPOCH, EPOCH, EPOCH, LATER, LATER, LATER]);
    let from = |index: usize| {
        let mut ledger = two_epochs();
        ledger.first = ledger.entries[index].msn;
        ledger
    };
    let mut odd = ledger(&[EPOCH; 3]);
    odd.entries[0].duration_us = 1_966_000;
    odd.entries[1].duration_us = 2_002_333;
    odd.entries[1].t_ms = 1_966;
    odd.entries[2].duration_us = 300_000;
    let mut gap = two_epochs();
    gap.entries[1].gap = true;
    gap.entries[3].gap = true;
    let mut next_session = from(3);
    next_session.presentation = Some(presentation(LATER));
    let table = [
        ("first-segment", ledger(&[EPOCH])),
        ("durations", odd),
        ("discontinuity", two_epochs()),
        ("discontinuity-first", from(3)),
        ("discontinuity-gone", from(4)),
        ("gap", gap),
        ("ended", Ledger { life: Life::Ended, ..two_epochs() }),
        ("next-presentation", next_session),
    ];
    for (name, ledger) in table {
        golden(name, &media_playlist(&ledger).unwrap());
    }
    golden("index", &multivariant_playlist(&two_epochs()).unwrap());
}

#[test]
fn playlists_are_those_of_list_profile_2() {
    let second = |epochs: &[u64]| {
        let mut ledger = ledger(epochs);
        ledger.presentation.as_mut().unwrap().list_profile = ListProfile::TWO;
        ledger
    };
    let mut gap = second(&[EPOCH, EPOCH, EPOCH]);
    gap.entries[1].gap = true;
    golden("2-gap", &media_playlist(&gap).unwrap());
    golden("2-index", &multivariant_playlist(&gap).unwrap());
    let mut unknown = second(&[EPOCH]);
    unknown.presentation.as_mut().unwrap().variant.frame_rate_milli = None;
    golden("2-index-no-rate", &multivariant_playlist(&unknown).unwrap());
    let two_epochs = [EPOCH, EPOCH, EPOCH + 60_000];
    assert_eq!(media_playlist(&second(&two_epochs)), media_playlist(&ledger(&two_epochs)), "only gaps differ");
}

#[test]
fn there_is_no_playlist_before_the_first_segment_and_after_the_end() {
    let live = ledger(&[EPOCH, EPOCH]);
    let beyond = live.entries[1].msn + 1;
    let table = [
        ("nothing was ever live", Ledger::default()),
        ("nothing is listed", Ledger { first: beyond, ..live.clone() }),
        ("no presentation", Ledger { presentation: None, ..live.clone() }),
        ("gone", Ledger { life: Life::Gone, ..live.clone() }),
    ];
    for (case, ledger) in table {
        assert_eq!((media_playlist(&ledger), multivariant_playlist(&ledger)), (None, None), "{case}");
    }
    assert!(media_playlist(&live).is_some() && multivariant_playlist(&live).is_some());
}

#[test]
fn a_list_of_a_session_differs_from_a_live_one_by_its_type() {
    let ledger = ledger(&[EPOCH, EPOCH, EPOCH + 60_000]);
    let live = Listing::live(&ledger).unwrap();
    let text = |listing: &Listing<'_>| String::from_utf8(hls::media_playlist(listing).to_vec()).unwrap();
    for (kind, ended, tag) in [(Kind::Event, false, "EVENT"), (Kind::Vod, true, "VOD")] {
        let session = text(&Listing { kind, ended, ..live });
        let expected = text(&Listing { ended, ..live });
        assert_eq!(session.replace(&format!("#EXT-X-PLAYLIST-TYPE:{tag}\n"), ""), expected);
        assert_eq!(session.lines().count(), expected.lines().count() + 1);
        assert_eq!(session.ends_with("#EXT-X-ENDLIST\n"), ended);
    }
}

#[test]
fn codecs_from_the_wire_cannot_add_lines_or_attributes() {
    let mut ledger = ledger(&[EPOCH]);
    ledger.presentation.as_mut().unwrap().variant.codecs = "avc1\",X=\"\r\n#EXT-X-ENDLIST\n".into();
    let text = multivariant_playlist(&ledger).unwrap();
    let (_, playlist) = m3u8_rs::parse_master_playlist(&text).unwrap();
    assert_eq!(playlist.variants.len(), 1);
    assert_eq!(playlist.variants[0].codecs.as_deref(), Some("avc1,X=#EXT-X-ENDLIST"));
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 4);
}

#[test]
fn the_multivariant_playlist_names_one_variant() {
    let (_, playlist) = m3u8_rs::parse_master_playlist(&multivariant_playlist(&ledger(&[EPOCH])).unwrap()).unwrap();
    let [variant] = &playlist.variants[..] else { panic!("{playlist:?}") };
    assert_eq!((variant.uri.as_str(), variant.bandwidth), ("media.m3u8", 4_500_000));
    assert_eq!(variant.codecs.as_deref(), Some("avc1.64001f,mp4a.40.2"));
    assert_eq!(variant.resolution.map(|r| (r.width, r.height)), Some((1280, 720)));
    assert!(!playlist.independent_segments);
}

proptest! {
    #[test]
    fn a_parser_reads_what_the_ledger_says(
        segments in proptest::collection::vec((0..4u32, 1..12_000_000u64, any::<bool>()), 1..40),
        from in any::<prop::sample::Index>(),
        ended in any::<bool>(),
    ) {
        let mut epoch = EPOCH;
        let epochs: Vec<_> = segments.iter().map(|(new, ..)| {
            epoch += if *new == 0 { 100_000 } else { 0 };
            epoch
        }).collect();
        let mut ledger = ledger(&epochs);
        for (entry, (_, duration_us, gap)) in ledger.entries.iter_mut().zip(&segments) {
            (entry.duration_us, entry.gap) = (*duration_us, *gap);
        }
        ledger.first = ledger.entries[from.index(ledger.entries.len())].msn;
        ledger.life = if ended { Life::Ended } else { Life::Open };

        check::agrees(&ledger);
    }
}
