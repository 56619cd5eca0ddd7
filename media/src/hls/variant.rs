//! What `index.m3u8` says of the stream (RFC 8216, 4.3.4.2). The ingest decides it whenever a segment closes, from what is
//! listed and the configurations: every edge gets it with the mark.

use crate::amf0;
use crate::codec::Config;
use crate::ledger::{Entry, Variant};
use crate::track::{Track, TrackSet};

/// BANDWIDTH is the peak bit rate of segments times three halves: it must bound the segments to come, and encoders with
/// a rate control of 2 s swing by less than that around their mean.
const HEADROOM: (u64, u64) = (3, 2);

/// BANDWIDTH is rounded up to a multiple of this, so that it is a figure people recognise.
const STEP_BITS_PER_S: u64 = 50_000;

/// The same for AVERAGE-BANDWIDTH: a quarter of what sound alone needs.
const AVERAGE_STEP_BITS_PER_S: u64 = 10_000;

/// BANDWIDTH goes down once it is more than this many times what it would be now: a figure that follows each scene helps
/// no player.
const TOO_HIGH: u64 = 2;

/// AVERAGE-BANDWIDTH goes down once it is more than 5/4 of the mean: it has to be near what is sent, and a figure that
/// changes with each segment helps no player. The mean never exceeds it.
const AVERAGE_OVER: (u64, u64) = (5, 4);

/// More frames a second than this are no frame rate but the ticks of a clock: some encoders write those.
const FRAME_RATE_MILLI_MAX: u32 = 300_000;
/// A segment with more pictures than 11/10 of what was declared shows that the declaration is wrong.
const PICTURES_OVER: (u64, u64) = (11, 10);

/// More than this in metadata is no bit rate: it is what the node accepts at the most.
const DECLARED_BITS_PER_S_MAX: u64 = 200_000_000;

/// What is listed, as far as the variant depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// What was said before, if the presentation goes on.
    pub before: Option<&'a Variant>,
    /// Entries of about a minute, the newest aside.
    pub entries: &'a [Entry],
    /// Segments of another epoch are listed.
    pub other_epochs: bool,
    /// A segment of this epoch had more pictures than declared ([`outruns`]).
    pub outrun: bool,
    /// Target duration in seconds: much shorter segments say nothing of the bit rate.
    pub target_s: u32,
}

/// The segment that closes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Newest {
    /// Its length.
    pub bytes: u64,
    /// How long it lasted, in microseconds.
    pub lasted_us: u64,
    /// Pictures in it.
    pub pictures: u32,
}

/// The variant once a segment is listed as well, in an epoch with these tracks.
/// Configurations that cannot be read are left out; no muxer would have taken them.
#[must_use]
pub fn variant(tracks: &TrackSet, newest: Newest, listed: &Listed<'_>) -> Variant {
    let read = |track, body: &Option<_>| body.as_ref().and_then(|body| Config::read(track, body).ok());
    let (video, audio) = (read(Track::Video, &tracks.video), read(Track::Audio, &tracks.audio));
    // A track that this epoch does not have is named as long as segments are listed that do.
    let before = listed.before.filter(|_| listed.other_epochs);
    let named =
        |audio: bool| before?.codecs.split(',').find(|name| name.starts_with("mp4a") == audio && !name.is_empty());
    let names = [
        video.as_ref().map(Config::name).or_else(|| named(false)),
        audio.as_ref().map(Config::name).or_else(|| named(true)),
    ];
    let resolution = match &video {
        Some(video) => video.resolution(),
        None => before.and_then(|before| before.resolution),
    };
    let names: Vec<_> = names.into_iter().flatten().collect();
    let own = video.as_ref().map(|video| frame_rate_milli(video, tracks).filter(|_| !listed.outrun));
    let earlier = named(false).and(before).map(|before| before.frame_rate_milli);
    // The highest of all that is listed (RFC 8216, 4.3.4.2): unknown while that of one epoch is.
    let frame_rate_milli = own.into_iter().chain(earlier).reduce(|one, other| Some(one?.max(other?))).flatten();
    let bandwidth = followed(tracks, newest, listed);
    let average = Some(average(newest, listed).min(bandwidth));
    Variant { bandwidth, codecs: names.join(","), resolution, average, frame_rate_milli }
}

/// Frames a second that the parameter sets declare, else the metadata; in thousandths.
fn frame_rate_milli(video: &Config, tracks: &TrackSet) -> Option<u32> {
    let sane = |milli: &u32| (1..=FRAME_RATE_MILLI_MAX).contains(milli);
    let declared = || number(tracks.metadata.as_deref()?, "framerate").map(|rate| rate * 1_000.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate; NaN gives 0")]
    let declared = || declared().map(|milli| milli.round() as u32);
    video.frame_rate_milli().filter(sane).or_else(|| declared().filter(sane))
}

/// Whether a segment shows that the declared frame rate is too low. Such a declaration says nothing of its whole epoch.
#[must_use]
pub fn outruns(tracks: &TrackSet, newest: Newest) -> bool {
    let video = tracks.video.as_ref().and_then(|body| Config::read(Track::Video, body).ok());
    let declared = video.and_then(|video| frame_rate_milli(&video, tracks));
    declared.is_some_and(|milli| !keeps_to(milli, newest))
}

/// Whether a segment has no more pictures than a frame rate allows.
fn keeps_to(milli: u32, newest: Newest) -> bool {
    let (times, over) = PICTURES_OVER;
    // The picture at either end may belong to a neighbour.
    let pictures = u128::from(newest.pictures.saturating_sub(1));
    pictures * 1_000_000_000 * u128::from(over) <= u128::from(milli) * u128::from(newest.lasted_us) * u128::from(times)
}

/// Bits a second over the entries and the newest segment, in steps.
fn average(newest: Newest, listed: &Listed<'_>) -> u64 {
    let known = listed.entries.iter().filter(|entry| !entry.gap).map(|entry| (entry.length, entry.duration_us));
    let (bytes, lasted_us) = known.fold((newest.bytes, newest.lasted_us), |(bytes, us), (length, duration_us)| {
        (bytes.saturating_add(length), us.saturating_add(duration_us))
    });
    let mean = bit_rate(bytes, lasted_us);
    let (times, over) = AVERAGE_OVER;
    match listed.before.and_then(|before| before.average) {
        Some(before) if mean <= before && before.saturating_mul(over) <= mean.saturating_mul(times) => before,
        Some(_) | None => mean.div_ceil(AVERAGE_STEP_BITS_PER_S).max(1).saturating_mul(AVERAGE_STEP_BITS_PER_S),
    }
}

/// What was said before, unless it is too low or far too high.
fn followed(tracks: &TrackSet, newest: Newest, listed: &Listed<'_>) -> u64 {
    let Newest { bytes, lasted_us: duration_us, .. } = newest;
    let long_enough = |duration_us: u64| duration_us * 2 >= u64::from(listed.target_s) * 1_000_000;
    let known = listed.entries.iter().filter(|e| !e.gap && long_enough(e.duration_us));
    let newest = (listed.before.is_none() || long_enough(duration_us)).then(|| bit_rate(bytes, duration_us));
    let declared = tracks.metadata.as_deref().map_or(0, declared);
    let peak = known.map(|e| bit_rate(e.length, e.duration_us)).chain(newest).max().unwrap_or(0);
    let wanted = bandwidth(peak).max(declared.div_ceil(STEP_BITS_PER_S) * STEP_BITS_PER_S);
    match listed.before.map(|before| before.bandwidth) {
        Some(before) if peak.max(declared) <= before && before <= wanted.saturating_mul(TOO_HIGH) => before,
        Some(_) | None => wanted,
    }
}

/// Bits a second that `onMetaData` declares, 0 if it does not.
fn declared(payload: &[u8]) -> u64 {
    let kilobits = |name| number(payload, name).unwrap_or(0.0);
    let bits = (kilobits("videodatarate") + kilobits("audiodatarate")) * 1_000.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate; NaN gives 0")]
    let bits = bits as u64;
    if bits > DECLARED_BITS_PER_S_MAX { 0 } else { bits }
}

/// A property of `onMetaData` that is a number.
fn number(payload: &[u8], name: &str) -> Option<f64> {
    let values = amf0::read_all(payload, amf0::Limits::METADATA).ok()?;
    values.get(1)?.get(name)?.as_number()
}

fn bit_rate(bytes: u64, duration_us: u64) -> u64 {
    let per_second = (u128::from(bytes) * 8 * 1_000_000).div_ceil(u128::from(duration_us.max(1)));
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

fn bandwidth(bits_per_s: u64) -> u64 {
    let (times, over) = HEADROOM;
    let per_second = (u128::from(bits_per_s) * u128::from(times)).div_ceil(u128::from(over));
    let per_second = u64::try_from(per_second).unwrap_or(u64::MAX).min(u64::MAX / 2);
    per_second.div_ceil(STEP_BITS_PER_S).max(1) * STEP_BITS_PER_S
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Listed<'static> =
        Listed { before: None, entries: &[], other_epochs: false, outrun: false, target_s: 2 };

    #[test]
    fn bandwidth_bounds_the_first_segment_and_is_a_round_figure() {
        let table = [
            (750_000, 2_000_000, 4_500_000),
            (750_001, 2_000_000, 4_550_000),
            (150_000, 2_000_000, 900_000),
            (188, 2_000_000, 50_000),
            (0, 0, 50_000),
        ];
        for (bytes, duration_us, wanted) in table {
            let found = variant(&TrackSet::default(), newest(bytes, duration_us), &FIRST).bandwidth;
            assert_eq!(found, wanted, "{bytes} bytes in {duration_us} µs");
        }
    }

    #[test]
    fn bandwidth_follows_what_is_sent() {
        // Bytes of a segment of 2 s, and what is said once it is listed.
        let rows = [(12_500, 100_000), (250_000, 1_500_000), (300_000, 1_500_000), (20_000, 1_500_000)];
        let mut before = None;
        let mut entries: Vec<Entry> = Vec::new();
        for (bytes, wanted) in rows {
            let listed = Listed { before: before.as_ref(), entries: &entries, ..FIRST };
            let found = variant(&TrackSet::default(), newest(bytes, 2_000_000), &listed);
            assert_eq!(found.bandwidth, wanted, "{bytes} bytes");
            before = Some(found);
            entries.push(Entry { length: bytes, duration_us: 2_000_000, ..entry() });
        }
        let quiet = [Entry { length: 20_000, duration_us: 2_000_000, ..entry() }];
        let listed = Listed { before: before.as_ref(), entries: &quiet, ..FIRST };
        assert_eq!(
            variant(&TrackSet::default(), newest(20_000, 2_000_000), &listed).bandwidth,
            150_000,
            "a minute later"
        );
        let tail = variant(&TrackSet::default(), newest(200_000, 300_000), &listed).bandwidth;
        assert_eq!(tail, 150_000, "a short tail says nothing");
    }

    #[test]
    fn metadata_declare_at_least_so_much() {
        let properties = [("videodatarate", 2_000.0), ("audiodatarate", 128.0)];
        let properties = properties.map(|(name, value)| (name.to_owned(), amf0::Value::from(value)));
        let payload = [amf0::Value::from("onMetaData"), amf0::Value::Object(properties.to_vec())];
        let tracks = TrackSet { metadata: Some(amf0::write_all(&payload)), ..TrackSet::default() };
        assert_eq!(variant(&tracks, newest(12_500, 2_000_000), &FIRST).bandwidth, 2_150_000);
    }

    #[test]
    fn codecs_are_those_of_what_is_listed() {
        let audio = TrackSet { audio: Some(vec![0xaf, 0, 0x12, 0x10].into()), ..TrackSet::default() };
        let wanted =
            Variant { bandwidth: 100_000, codecs: "mp4a.40.2".into(), average: Some(70_000), ..Variant::default() };
        assert_eq!(
            variant(&audio, newest(16_000, 2_000_000), &FIRST),
            wanted,
            "tracks that are not there are not named"
        );
        let resolution = Some((320, 180));
        let before = Variant { bandwidth: 100_000, codecs: "avc1.42c00b".into(), resolution, ..Variant::default() };
        let listed = Listed { before: Some(&before), other_epochs: true, ..FIRST };
        let both = variant(&audio, newest(16_000, 2_000_000), &listed);
        assert_eq!((both.codecs.as_str(), both.resolution), ("avc1.42c00b,mp4a.40.2", Some((320, 180))));
        let later = variant(&audio, newest(16_000, 2_000_000), &Listed { before: Some(&both), ..FIRST });
        assert_eq!(later, wanted, "once only this epoch is listed");
    }

    #[test]
    fn the_average_is_that_of_all_that_is_known_and_moves_only_when_it_really_moves() {
        let known: Vec<_> =
            [250_000, 250_000].map(|length| Entry { length, duration_us: 2_000_000, ..entry() }).to_vec();
        // Average before, bytes of a segment of 2 s behind two of 1 Mbit/s, and what is said then.
        let rows = [
            (None, 250_000, 1_000_000),
            (None, 10_000, 680_000),
            (Some(680_000), 250_000, 1_000_000),
            (Some(1_200_000), 250_000, 1_200_000),
            (Some(1_300_000), 250_000, 1_000_000),
        ];
        for (average, bytes, wanted) in rows {
            let before = Variant { average, bandwidth: 1_500_000, ..Variant::default() };
            let listed = Listed { before: Some(&before), entries: &known, ..FIRST };
            let found = variant(&TrackSet::default(), newest(bytes, 2_000_000), &listed);
            assert_eq!(found.average, Some(wanted), "{average:?}, {bytes} bytes");
            assert!(found.average <= Some(found.bandwidth));
        }
        let gap = [Entry { length: 2_500_000, duration_us: 2_000_000, gap: true, ..entry() }];
        let listed = Listed { entries: &gap, ..FIRST };
        let found = variant(&TrackSet::default(), newest(250_000, 2_000_000), &listed);
        assert_eq!(found.average, Some(1_000_000), "a gap was not sent");
    }

    #[test]
    fn the_frame_rate_is_what_is_declared_unless_more_pictures_came() {
        const AVC: &[u8] =
            b"\x17\0\0\0\0\x01\x42\xc0\x0b\xff\xe1\x00\x17\x67\x42\xc0\x0b\xda\x05\x06\x7e\x7c\x04\x40\x00\x00\x03\
            \x00\x40\x00\x00\x05\x03\xc5\x0a\xa8\x01\x00\x04\x68\xce\x0f\xc8";
        let video = TrackSet { video: Some(AVC.into()), ..TrackSet::default() };
        let of = |listed: &Listed<'_>| variant(&video, newest(1_000, 2_000_000), listed).frame_rate_milli;
        let declared = of(&FIRST).expect("the parameter set says it");
        let sent = |pictures| outruns(&video, Newest { pictures, ..newest(1_000, 2_000_000) });
        assert!(!sent(2 * declared / 1_000) && sent(4 * declared / 1_000), "twice as many came");
        assert_eq!(of(&Listed { outrun: true, ..FIRST }), None, "once the declaration was wrong");
        let codecs = "avc1.42c00b".to_owned();
        let rows = [Some(declared * 2), Some(declared / 2), None].map(|frame_rate_milli| Variant {
            frame_rate_milli,
            codecs: codecs.clone(),
            ..Variant::default()
        });
        for (before, both) in rows.iter().zip([Some(declared * 2), Some(declared), None]) {
            let listed = Listed { before: Some(before), ..FIRST };
            assert_eq!(of(&Listed { other_epochs: true, ..listed }), both, "segments of another epoch are listed");
            assert_eq!(of(&Listed { other_epochs: true, outrun: true, ..listed }), None, "an earlier rate is not ours");
            assert_eq!(of(&listed), Some(declared), "only this epoch is listed");
        }
        let sound = Variant { codecs: "mp4a.40.2".into(), ..Variant::default() };
        let listed = Listed { before: Some(&sound), other_epochs: true, ..FIRST };
        assert_eq!(of(&listed), Some(declared), "sound has no frame rate");
    }

    fn newest(bytes: u64, lasted_us: u64) -> Newest {
        Newest { bytes, lasted_us, pictures: 0 }
    }

    fn entry() -> Entry {
        Entry {
            msn: 1,
            epoch: 1,
            profile: crate::ledger::Profile::default(),
            dseq: 0,
            t_ms: 0,
            duration_us: 0,
            length: 0,
            hash: crate::ledger::Hash::default(),
            messages: 1,
            opens_epoch: false,
            gap: false,
        }
    }
}
