//! The renderer on any ledger: `m3u8-rs` reads what the ledger says, and what a player derives by counting tags is what
//! the ledger gave out.

#[path = "input.rs"]
#[allow(dead_code)]
mod input;

use input::Input;
use lectern_media::hls::{Listing, media_playlist, multivariant_playlist};
use lectern_media::ledger::{Entry, Hash, Ledger, Life, ListProfile, Presentation, Profile, Variant};

/// Programme times stay below the year 3000.
const EPOCH_MS_MAX: u64 = 32_503_680_000_000;

/// Life, target duration, first msn, first epoch, where the list begins, the variant; then eight bytes an entry.
#[allow(dead_code)]
pub fn round_trip(data: &[u8]) {
    let mut input = Input(data);
    let life = [Life::Open, Life::Ended, Life::Gone][input.number(1) as usize % 3];
    let target_s = input.number(1) as u32;
    let mut msn = input.number(5);
    let mut epoch = input.number(6) % EPOCH_MS_MAX;
    let skip = input.number(1);
    let bits = input.number(1);
    let opens_presentation = bits & 1 == 1;
    let list_profile = if bits & 2 == 2 { ListProfile::TWO } else { ListProfile::ONE };
    let codecs = String::from_utf8_lossy(input.bytes(12)).into_owned();
    let resolution = Some((input.number(2) as u32, input.number(2) as u32)).filter(|(width, _)| *width > 0);
    let bandwidth = input.number(5);
    let (average, frame_rate_milli) = (Some(bandwidth / 2), Some(bandwidth as u32));
    let variant = Variant { bandwidth, codecs, resolution, average, frame_rate_milli };
    let first_epoch = if opens_presentation { epoch } else { 0 };
    let (mut dseq, mut t_ms, first) = (input.number(4) + 1, 0, msn + skip % 32);
    let mut entries: Vec<Entry> = Vec::new();
    while !input.is_empty() {
        let flags = input.number(1);
        let opens_epoch = entries.is_empty() || flags & 1 == 1;
        if opens_epoch && !entries.is_empty() {
            (epoch, dseq, t_ms) = (epoch + 1 + input.number(3), dseq + 1, 0);
        }
        let duration_us = input.number(3);
        let gap = flags & 2 == 2;
        let hash = Hash::default();
        let profile = Profile::ONE;
        let (length, messages) = (188, 1);
        entries.push(Entry { msn, epoch, profile, dseq, t_ms, duration_us, length, hash, messages, opens_epoch, gap });
        msn += 1;
        t_ms += duration_us / 1000;
    }
    let presentation = Some(Presentation { first_epoch, target_s, variant, list_profile });
    agrees(&Ledger { presentation, life, first, entries, longest_us: 0, remembered: None });
}

/// Panics where the playlists of a ledger do not say what the ledger says.
pub fn agrees(ledger: &Ledger) {
    let listed = ledger.listed();
    let alive = ledger.presentation.as_ref().filter(|_| ledger.life != Life::Gone && !listed.is_empty());
    let Some(listing) = Listing::live(ledger) else {
        assert!(alive.is_none(), "a ledger with a list has playlists");
        return;
    };
    let (media, index) = (media_playlist(&listing), multivariant_playlist(&listing));
    let presentation = alive.expect("playlists come of a ledger with a list");
    let (rest, playlist) = m3u8_rs::parse_media_playlist(&media).expect("the media playlist parses");
    assert!(rest.is_empty());
    let second = presentation.list_profile == ListProfile::TWO;
    let gaps = second && listed.iter().any(|entry| entry.gap);
    assert_eq!(playlist.version, Some(if gaps { 8 } else { 3 }));
    assert_eq!(playlist.target_duration, u64::from(presentation.target_s));
    assert_eq!(playlist.media_sequence, listed[0].msn);
    assert_eq!(playlist.end_list, ledger.life == Life::Ended);
    assert!(!playlist.independent_segments && playlist.playlist_type.is_none() && playlist.unknown_tags.is_empty());
    assert_eq!(playlist.segments.len(), listed.len());
    let mut dseq = playlist.discontinuity_sequence;
    for (segment, entry) in playlist.segments.iter().zip(listed) {
        dseq += u64::from(segment.discontinuity);
        assert_eq!(dseq, entry.dseq);
        assert_eq!(segment.uri, entry.name().to_string());
        let seconds = entry.duration_us as f64 / 1e6;
        assert!((f64::from(segment.duration) - seconds).abs() <= seconds * 1e-6, "{seconds} s: {}", segment.duration);
        let time = segment.program_date_time.map(|time| time.timestamp_millis() as u64);
        assert_eq!(time, Some(entry.epoch + entry.t_ms));
        assert_eq!(segment.unknown_tags.iter().any(|tag| tag.tag == "X-GAP"), entry.gap);
    }
    let (rest, index) = m3u8_rs::parse_master_playlist(&index).expect("the multivariant playlist parses");
    assert!(rest.is_empty());
    let [variant] = &index.variants[..] else { panic!("not one variant: {index:?}") };
    assert_eq!((variant.uri.as_str(), variant.bandwidth), ("media.m3u8", presentation.variant.bandwidth));
    let resolution = variant.resolution.map(|size| (size.width as u32, size.height as u32));
    assert_eq!(resolution, presentation.variant.resolution);
    assert_eq!(variant.average_bandwidth, presentation.variant.average.filter(|_| second));
    let milli = variant.frame_rate.map(|rate| (rate * 1_000.0).round() as u32);
    assert_eq!(milli, presentation.variant.frame_rate_milli.filter(|_| second));
    assert!(index.unknown_tags.is_empty());
}
