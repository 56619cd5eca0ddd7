//! When an epoch opens, and with what.

#![allow(clippy::type_complexity, reason = "tables of cases")]

use super::*;
use crate::track::Class;

const VIDEO_CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 1];
const OTHER_CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 2];
const KEY: &[u8] = &[0x17, 1, 0, 0, 0];
const INTER: &[u8] = &[0x27, 1, 0, 0, 0];
const AUDIO_CONFIG: &[u8] = &[0xaf, 0, 0x11];
const AUDIO: &[u8] = &[0xaf, 1, 0x21];

/// The time of the message that the epoch begins with, the number of those that are kept, and when it opened.
fn opens(metadata: Option<&'static [u8]>, messages: &[(Track, u64, &'static [u8])]) -> Option<(u64, usize, u64)> {
    let mut opening = Opening::default();
    if let Some(payload) = metadata {
        opening.metadata(Bytes::from_static(payload));
    }
    let mut messages = messages.iter();
    let mut next = messages.next();
    for now_ms in 0..3_000 {
        while let Some((track, at, body)) = next.filter(|(_, at, _)| *at <= now_ms) {
            let message = Message::read(*track, Bytes::from_static(body));
            match message.class {
                Class::Config => opening.configuration(*track, message.body),
                _ => opening.media(Kept { arrival_ms: now_ms, at: at.cast_signed(), message }),
            }
            next = messages.next();
        }
        assert!(opening.wake_ms().is_none_or(|due| now_ms < due) || opening.clone().start(now_ms).is_some());
        if let Some(start) = opening.start(now_ms) {
            return Some((start.media[0].arrival_ms, start.media.len(), now_ms));
        }
    }
    None
}

#[test]
fn an_epoch_opens_with_the_first_key_frame_once_it_has_all_configurations() {
    use Track::{Audio, Video};
    const BOTH: &[u8] = b"\x00\x0cvideocodecid\x00\x0caudiocodecid";
    const AUDIO_ONLY: &[u8] = b"\x00\x0caudiocodecid";
    let start = [(Video, 0, VIDEO_CONFIG), (Video, 0, KEY)];
    let sound = [(Audio, 205, AUDIO_CONFIG), (Audio, 206, AUDIO)];
    let table: &[(&str, Option<&'static [u8]>, &[(Track, u64, &'static [u8])], Option<(u64, usize, u64)>)] = &[
        ("video that is named alone", Some(b"\x00\x0cvideocodecid"), &start, Some((0, 1, 0))),
        ("audio that is named is waited for", Some(BOTH), &[start[0], start[1], sound[0]], Some((0, 1, 205))),
        (
            "and the first key frame is kept",
            None,
            &[start[0], start[1], (Video, 40, INTER), sound[0]],
            Some((0, 2, 205)),
        ),
        ("not for ever", Some(BOTH), &start, Some((0, 1, 1_000))),
        ("video alone, nothing named", None, &start, Some((0, 1, 1_000))),
        ("audio alone, named", Some(AUDIO_ONLY), &sound, Some((206, 1, 206))),
        ("audio alone, nothing named", None, &sound, Some((206, 1, 1_206))),
        ("a header behind its key frame", None, &[start[1], sound[0], (Video, 300, VIDEO_CONFIG)], Some((0, 1, 300))),
        ("no configuration", None, &[(Video, 0, KEY), (Video, 2_000, KEY)], None),
        ("no key frame", None, &[start[0], (Video, 10, INTER), sound[0], sound[1]], None),
        (
            "sound before the first key frame is left out",
            None,
            &[sound[0], sound[1], (Video, 300, VIDEO_CONFIG), (Video, 310, KEY)],
            Some((310, 1, 310)),
        ),
        (
            "pictures of a configuration that has changed are left out",
            Some(BOTH),
            &[start[0], start[1], (Video, 100, OTHER_CONFIG), (Video, 110, KEY), sound[0]],
            Some((110, 1, 205)),
        ),
    ];
    for (what, metadata, messages, at) in table {
        assert_eq!(opens(*metadata, messages), *at, "{what}");
    }
}

#[test]
fn what_is_kept_is_bounded_in_time_and_bytes() {
    let mut opening = Opening::default();
    let kept = |at, body| Kept { arrival_ms: 0, at, message: Message::read(Track::Video, body) };
    for n in 0..100 {
        opening.media(kept(n * 40, Bytes::from(vec![0x17; 1 << 20])));
        assert!(opening.kept_bytes <= KEPT_BYTES_MAX);
    }
    opening.media(kept(1_000_000, Bytes::from_static(KEY)));
    assert_eq!((opening.kept.len(), opening.kept_bytes), (1, KEY.len()));
}
