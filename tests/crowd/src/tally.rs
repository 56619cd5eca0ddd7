//! Counters and distributions of one protocol's viewers.

use serde::Serialize;
use std::fmt::Write;

/// Descriptions of problems that are kept; the rest is only counted.
const PROBLEMS_MAX: usize = 50;

/// What the viewers of one protocol saw. All times in milliseconds.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Viewers that were started.
    pub viewers: u64,
    /// Viewers that had a picture.
    pub pictures: u64,
    /// Sessions that viewers had a picture of: more than `pictures` when some came back for the next one.
    pub sessions: u64,
    /// Refusals to join: 503 with Retry-After, or a rejected play.
    pub refusals: u64,
    /// Looks at a page that was not live.
    pub not_live: u64,
    /// Requests, or connections of HTTP-FLV and RTMP.
    pub requests: u64,
    /// Those that failed and were tried once more.
    pub retried: u64,
    /// Those whose second try failed too.
    pub errors: u64,
    /// Segments, or frames.
    pub media: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Stalls of all viewers.
    pub stalls: u64,
    /// Their length in all.
    pub stalled_ms: u64,
    /// Viewers that stalled.
    pub stalled_viewers: u64,
    /// Segments marked EXT-X-GAP, or jumps of the media time.
    pub gaps: u64,
    /// Segments that had left the list before they were fetched.
    pub skipped: u64,
    /// Numbers or times that went back.
    pub back: u64,
    /// Playlists one segment behind what another connection had shown: allowed, worth knowing.
    pub behind: u64,
    /// Bytes, names or texts that contradict what an edge said before.
    pub mismatches: u64,
    /// Discontinuities that were followed, or new sequence headers.
    pub discontinuities: u64,
    /// Viewers that saw the end.
    pub ended: u64,
    /// From a viewer's start to its first picture.
    pub first_picture_ms: Distribution,
    /// From request to last byte of a segment.
    pub segment_ms: Distribution,
    /// Age of a segment's end when it had arrived, by EXT-X-PROGRAM-DATE-TIME.
    pub delay_ms: Distribution,
    /// Texts of the first problems.
    pub problems: Vec<String>,
}

impl Tally {
    /// Describes a problem at `now_ms` of the run.
    pub fn problem(&mut self, now_ms: f64, viewer: usize, what: impl std::fmt::Display) {
        if self.problems.len() < PROBLEMS_MAX {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = write!(text, "{:.1}s viewer {viewer}: {what}", now_ms / 1_000.0);
            self.problems.push(text);
        }
    }
}

/// Sub-buckets of each power of two: the error of a percentile is at most 1/32.
const SUB: u64 = 16;
/// Buckets in all: up to 2³² ms.
const BUCKETS: usize = 33 * SUB as usize;

/// A distribution of milliseconds in logarithmic buckets.
#[derive(Debug)]
pub struct Distribution {
    buckets: Vec<u32>,
    count: u64,
    max: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl Distribution {
    /// One more value; negative ones count as 0.
    pub fn add(&mut self, ms: f64) {
        let ms = ms.clamp(0.0, f64::from(u32::MAX)) as u64;
        if let Some(bucket) = self.buckets.get_mut(Self::bucket(ms)) {
            *bucket += 1;
        }
        self.count += 1;
        self.max = self.max.max(ms);
    }

    /// The value that `per_cent` of all do not exceed; 0 if there is none.
    pub fn percentile(&self, per_cent: u64) -> u64 {
        let wanted = (self.count * per_cent).div_ceil(100);
        let mut seen = 0;
        for (n, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted && seen > 0 {
                return Self::value(n as u64).min(self.max);
            }
        }
        self.max
    }

    fn bucket(ms: u64) -> usize {
        if ms < SUB {
            return ms as usize;
        }
        let power = u64::from(ms.ilog2() - SUB.ilog2());
        ((power + 1) * SUB + (ms >> power) - SUB) as usize
    }

    /// The upper end of a bucket.
    fn value(bucket: u64) -> u64 {
        if bucket < SUB {
            return bucket;
        }
        let power = bucket / SUB - 1;
        ((bucket % SUB + SUB + 1) << power) - 1
    }
}

impl Serialize for Distribution {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = s.serialize_struct("Distribution", 5)?;
        out.serialize_field("count", &self.count)?;
        out.serialize_field("p50", &self.percentile(50))?;
        out.serialize_field("p90", &self.percentile(90))?;
        out.serialize_field("p99", &self.percentile(99))?;
        out.serialize_field("max", &self.max)?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_thirtieth() {
        let mut times = Distribution::default();
        for ms in 1..=10_000 {
            times.add(f64::from(ms));
        }
        for (per_cent, exact) in [(50, 5_000.0), (90, 9_000.0), (99, 9_900.0), (100, 10_000.0)] {
            let found = times.percentile(per_cent) as f64;
            assert!((found - exact).abs() <= exact / 15.0, "{per_cent} %: {found}");
        }
        assert_eq!(Distribution::default().percentile(99), 0);
    }

    #[test]
    fn small_values_are_exact() {
        let mut times = Distribution::default();
        times.add(3.0);
        times.add(-1.0);
        assert_eq!((times.percentile(50), times.percentile(99)), (0, 3));
    }
}
