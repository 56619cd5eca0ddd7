//! What `index.m3u8` says of the stream (RFC 8216, 4.3.4.2). Decided once, when the first segment of a presentation
//! closes, from that segment and the configurations: every edge gets it with the mark.

use crate::codec::Config;
use crate::ledger::Variant;
use crate::track::{Track, TrackSet};

/// BANDWIDTH is the first segment's bit rate times three halves: it must bound the segments to come, and encoders with
/// a rate control of 2 s swing by less than that around their mean.
const HEADROOM: (u64, u64) = (3, 2);

/// BANDWIDTH is rounded up to a multiple of this, so that it is a figure people recognise.
const STEP_BITS_PER_S: u64 = 50_000;

/// The variant of a presentation with these tracks whose first segment has `bytes` and lasted `duration_us`.
/// Configurations that cannot be read are left out; no muxer would have taken them.
#[must_use]
pub fn variant(tracks: &TrackSet, bytes: u64, duration_us: u64) -> Variant {
    let bodies = [(Track::Video, &tracks.video), (Track::Audio, &tracks.audio)];
    let read = |(track, body): (Track, &Option<_>)| body.as_ref().and_then(|body| Config::read(track, body).ok());
    let configs: Vec<_> = bodies.into_iter().filter_map(read).collect();
    let names: Vec<_> = configs.iter().map(Config::name).collect();
    Variant {
        bandwidth: bandwidth(bytes, duration_us),
        codecs: names.join(","),
        resolution: configs.iter().find_map(Config::resolution),
    }
}

fn bandwidth(bytes: u64, duration_us: u64) -> u64 {
    let (times, over) = HEADROOM;
    let bits = u128::from(bytes) * 8 * 1_000_000 * u128::from(times);
    let per_second = bits.div_ceil(u128::from(duration_us.max(1)) * u128::from(over));
    let per_second = u64::try_from(per_second).unwrap_or(u64::MAX / 2);
    per_second.div_ceil(STEP_BITS_PER_S).max(1) * STEP_BITS_PER_S
}

#[cfg(test)]
mod tests {
    use super::{bandwidth, variant};
    use crate::ledger::Variant;
    use crate::track::TrackSet;

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
            assert_eq!(bandwidth(bytes, duration_us), wanted, "{bytes} bytes in {duration_us} µs");
        }
    }

    #[test]
    fn tracks_that_are_not_there_are_not_named() {
        let audio = TrackSet { audio: Some(vec![0xaf, 0, 0x12, 0x10].into()), ..TrackSet::default() };
        let wanted = Variant { bandwidth: 100_000, codecs: "mp4a.40.2".into(), resolution: None };
        assert_eq!(variant(&audio, 16_000, 2_000_000), wanted);
    }
}
