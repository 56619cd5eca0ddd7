//! What an encoder sends, measured: bit rate, frame rate, key frame distance, and what is wrong with it. Pure.
//!
//! Rates are taken over a few seconds of time that passes on *both* clocks: of a burst that an encoder sends after a
//! pause the media time counts, of media whose time stands still the clock.

use lectern_media::live::ingest::Written;
use lectern_media::track::Track;
use std::collections::VecDeque;

/// Rates are taken over this long: two GOPs of the recommended length, so that key frames even out.
const WINDOW_MS: u64 = 5_000;
/// The window moves in steps of this.
const STEP_MS: u64 = 500;
/// A rate above the limit is believed once this much was measured.
pub const REFUSE_AFTER_MS: u64 = WINDOW_MS;
/// All bytes of the connection, and the bytes of the segments that the media become, may exceed the limit of the media by
/// this many per cent: chunk headers, metadata and MPEG-TS packets add 2 to 15 % where frames are small.
const AROUND_PERCENT: u64 = 25;
/// Time stamps that step back by more than this have jumped, as in the rule for a new epoch (ADR 11).
const JUMP_BACK_MS: i64 = 500;
/// The same for stamps that step ahead of their arrival.
const JUMP_AHEAD_MS: i64 = 5_000;
/// Warnings about something that happened once stay this long.
const REMEMBER_MS: u64 = 60_000;
/// Video without a key frame for this long after the publish cannot be shown.
const NO_KEY_FRAME_MS: u64 = 10_000;
/// Key frame distance may exceed the segment by this many per cent before it is reported: clocks are not exact.
const GOP_TOLERANCE_PERCENT: u64 = 10;
/// Media that comes slower than this many per cent of real time empties the players' buffers.
const SLOW_PERCENT: u64 = 90;
/// That is looked at over this long, from one frame to another: between frames there is nothing to compare.
const SLOW_WINDOW_MS: u64 = 10_000;
/// What is missing in that time has to be more than lateness of the network.
const SLOW_MS_MIN: u64 = 1_000;

/// What a message is to the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sequence header.
    Config,
    /// A frame; `key` for a video frame that decoding can start at.
    Frame {
        /// See above.
        key: bool,
    },
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Video frames a second.
    pub frame_rate: Option<f64>,
    /// Bits a second, audio and video.
    pub bit_rate: Option<u64>,
    /// Distance of the last two key frames in milliseconds.
    pub gop_ms: Option<u64>,
    /// A name first, then the values: `GopTooLong (8.3s, segment 2s)`.
    pub warnings: Vec<String>,
}

/// One step of the window.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    from_ms: u64,
    bytes: u64,
    /// Pictures, and the time by which they moved on: each counts for the time since the one before.
    frames: u64,
    frames_ms: u64,
    media_ms: u64,
    /// Everything that came on the connection.
    received: u64,
    /// What the muxer made of the media.
    written: Written,
}

/// What is above the limit of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Bits a second.
    pub rate: u64,
    /// Of what, for the encoder to read.
    pub of: &'static str,
}

/// A frame of the leading track: when it came, and how far media time had moved on by then.
#[derive(Clone, Copy, Debug)]
struct Sample {
    arrival_ms: u64,
    media_ms: u64,
}

/// The measurement of one publish.
#[derive(Debug)]
pub struct Measure {
    since_ms: u64,
    segment_ms: u64,
    steps: VecDeque<Step>,
    /// Stamp and arrival of each track's last message.
    last: [Option<(u32, u64)>; 2],
    /// One for each step at most, and the newest.
    samples: VecDeque<Sample>,
    newest: Option<Sample>,
    /// The track whose time counts: video once there is some.
    leader: Option<Track>,
    last_key_stamp: Option<u32>,
    gop_ms: Option<u64>,
    configured: [bool; 2],
    jumped: Option<(u64, i64)>,
}

impl Measure {
    /// A publish that began at `now_ms`; `segment_ms` is what the key frame distance is compared with.
    #[must_use]
    pub fn new(now_ms: u64, segment_ms: u64) -> Self {
        Self {
            since_ms: now_ms,
            segment_ms,
            steps: VecDeque::new(),
            last: [None; 2],
            samples: VecDeque::new(),
            newest: None,
            leader: None,
            last_key_stamp: None,
            gop_ms: None,
            configured: [false; 2],
            jumped: None,
        }
    }

    /// A message of `bytes` bytes came, with the time stamp the encoder gave it.
    pub fn message(&mut self, now_ms: u64, track: Track, stamp: u32, kind: Kind, bytes: usize) {
        let moved = match kind {
            Kind::Frame { .. } => self.moved(now_ms, track, stamp),
            Kind::Config => None,
        };
        let leads = self.leader == Some(track);
        if leads && let Some(by) = moved {
            self.sample(now_ms, by);
        }
        let step = self.step(now_ms);
        step.bytes += bytes as u64;
        if leads {
            step.media_ms += moved.unwrap_or(0);
        }
        if track == Track::Video
            && let Some(by) = moved
        {
            step.frames += 1;
            step.frames_ms += by;
        }
        let Kind::Frame { key } = kind else {
            self.configured[index(track)] = true;
            return;
        };
        if key {
            // RTMP time wraps at 2^32 ms: the difference does not care.
            self.gop_ms = self.last_key_stamp.map(|last| u64::from(stamp.wrapping_sub(last)));
            self.last_key_stamp = Some(stamp);
        }
    }

    /// So many bytes came on the connection, whatever they were.
    pub fn received(&mut self, now_ms: u64, bytes: u64) {
        self.step(now_ms).received += bytes;
    }

    /// The muxer made this of its media since the last time.
    pub fn written(&mut self, now_ms: u64, more: Written) {
        self.step(now_ms).written += more;
    }

    /// What is above the limit: media above `max_bps` for [`REFUSE_AFTER_MS`]; or the whole connection, or the segments,
    /// above it by [`AROUND_PERCENT`]. Those two are compared with what the whole window allows, so a flood is noticed as
    /// soon as it has used that up.
    #[must_use]
    pub fn above(&self, now_ms: u64, max_bps: u64) -> Option<Excess> {
        let long_enough = now_ms.saturating_sub(self.since_ms) >= REFUSE_AFTER_MS;
        if let Some(rate) = self.bit_rate(now_ms).filter(|rate| long_enough && *rate > max_bps) {
            return Some(Excess { rate, of: "audio and video" });
        }
        let (span_ms, total) = self.window(now_ms);
        let around_bps = max_bps.saturating_mul(100 + AROUND_PERCENT) / 100;
        let Written { bytes, media_ms } = total.written;
        [
            (total.received, span_ms, "all messages together"),
            (bytes, media_ms.max(self.clock_ms(now_ms)), "the segments that it becomes"),
        ]
        .into_iter()
        .map(|(bytes, over_ms, of)| Excess { rate: bytes * 8_000 / over_ms.max(WINDOW_MS), of })
        .find(|excess| excess.rate > around_bps)
    }

    /// What is known at `now_ms`.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a few hundred frames and a few thousand milliseconds")]
    pub fn report(&self, now_ms: u64) -> Report {
        let (_, total) = self.window(now_ms);
        let frame_rate = (total.frames_ms >= 1_000)
            .then(|| (total.frames as f64 * 10_000.0 / total.frames_ms as f64).round() / 10.0);
        let bit_rate = self.bit_rate(now_ms);
        Report { frame_rate, bit_rate, gop_ms: self.gop_ms, warnings: self.warnings(now_ms) }
    }

    fn bit_rate(&self, now_ms: u64) -> Option<u64> {
        let (span_ms, total) = self.window(now_ms);
        (span_ms >= 1_000).then(|| total.bytes * 8_000 / span_ms)
    }

    /// Time that counts, and the sums in the window.
    fn window(&self, now_ms: u64) -> (u64, Step) {
        let from = window_from(now_ms);
        let mut total = Step::default();
        for step in self.steps.iter().filter(|s| s.from_ms >= from) {
            total.bytes += step.bytes;
            total.frames += step.frames;
            total.frames_ms += step.frames_ms;
            total.media_ms += step.media_ms;
            total.received += step.received;
            total.written += step.written;
        }
        (self.clock_ms(now_ms).max(total.media_ms), total)
    }

    /// Time of the clock in the window.
    fn clock_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(window_from(now_ms).max(self.since_ms))
    }

    fn step(&mut self, now_ms: u64) -> &mut Step {
        let from_ms = now_ms / STEP_MS * STEP_MS;
        if self.steps.back().is_none_or(|s| s.from_ms < from_ms) {
            self.steps.push_back(Step { from_ms, ..Step::default() });
        }
        while self.steps.front().is_some_and(|s| s.from_ms + WINDOW_MS + STEP_MS < now_ms) {
            self.steps.pop_front();
        }
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }

    /// How far a frame's track moved on; `None` where there is nothing to compare with. Notes jumps.
    fn moved(&mut self, now_ms: u64, track: Track, stamp: u32) -> Option<u64> {
        if self.leader.is_none() || (track == Track::Video && self.leader != Some(track)) {
            self.leader = Some(track);
            self.samples.clear();
            self.newest = Some(Sample { arrival_ms: now_ms, media_ms: 0 });
        }
        let (last, arrival_ms) = self.last[index(track)].replace((stamp, now_ms))?;
        let by = i64::from(stamp.wrapping_sub(last).cast_signed());
        let passed = i64::try_from(now_ms.saturating_sub(arrival_ms)).unwrap_or(i64::MAX);
        if by < -JUMP_BACK_MS || by.saturating_sub(passed) > JUMP_AHEAD_MS {
            self.jumped = Some((now_ms, by));
            // Across a jump distances mean nothing.
            self.last_key_stamp = self.last_key_stamp.map(|_| stamp);
            return None;
        }
        Some(u64::try_from(by).unwrap_or(0))
    }

    /// The leading track moved on by `by` milliseconds.
    fn sample(&mut self, now_ms: u64, by: u64) {
        let before = self.newest.unwrap_or(Sample { arrival_ms: now_ms, media_ms: 0 });
        if self.samples.back().is_none_or(|kept| kept.arrival_ms + STEP_MS <= before.arrival_ms) {
            self.samples.push_back(before);
        }
        self.newest = Some(Sample { arrival_ms: now_ms, media_ms: before.media_ms + by });
        // The last one before the window stays: frames may be further apart than it is long.
        while self.samples.get(1).is_some_and(|next| next.arrival_ms + SLOW_WINDOW_MS <= now_ms) {
            self.samples.pop_front();
        }
    }

    /// Per cent of real time at which media comes, if that is too slow.
    fn slow_percent(&self, now_ms: u64) -> Option<u64> {
        let (first, last) = (self.samples.front()?, self.newest.as_ref()?);
        if last.arrival_ms + SLOW_WINDOW_MS <= now_ms {
            return None;
        }
        let (clock_ms, media_ms) = (last.arrival_ms - first.arrival_ms, last.media_ms - first.media_ms);
        let slow =
            clock_ms >= WINDOW_MS && media_ms * 100 < clock_ms * SLOW_PERCENT && media_ms + SLOW_MS_MIN <= clock_ms;
        slow.then(|| media_ms * 100 / clock_ms)
    }

    /// Since the last key frame: an encoder that sends one at the start and never again is noticed too.
    fn running_gop_ms(&self) -> Option<u64> {
        let (newest, _) = self.last[index(Track::Video)]?;
        Some(u64::from(newest.wrapping_sub(self.last_key_stamp?)))
    }

    fn warnings(&self, now_ms: u64) -> Vec<String> {
        let mut warnings = Vec::new();
        let age_ms = now_ms.saturating_sub(self.since_ms);
        let segment_s = seconds(self.segment_ms);
        if let Some(gop_ms) = self.gop_ms.max(self.running_gop_ms())
            && gop_ms * 100 > self.segment_ms * (100 + GOP_TOLERANCE_PERCENT)
        {
            warnings.push(format!("GopTooLong ({}, segment {segment_s})", seconds(gop_ms)));
        }
        let video = self.last[index(Track::Video)].is_some();
        if video && self.last_key_stamp.is_none() && age_ms >= NO_KEY_FRAME_MS {
            warnings.push(format!("NoKeyFrame (none for {})", seconds(age_ms)));
        }
        for track in [Track::Video, Track::Audio] {
            if self.last[index(track)].is_some() && !self.configured[index(track)] {
                warnings.push(format!("NoSequenceHeader ({track:?} came without its configuration)"));
            }
        }
        if let Some((at_ms, by)) = self.jumped
            && now_ms.saturating_sub(at_ms) < REMEMBER_MS
        {
            let way = if by < 0 { "back" } else { "ahead" };
            warnings.push(format!("TimestampJump ({} {way})", seconds(by.unsigned_abs())));
        }
        if age_ms >= 2 * WINDOW_MS
            && let Some(percent) = self.slow_percent(now_ms)
        {
            warnings.push(format!("TooSlow ({percent}% of real time)"));
        }
        warnings
    }
}

/// Where the window begins. Whole steps only: a step that began before it would count bytes without their time.
fn window_from(now_ms: u64) -> u64 {
    now_ms.saturating_sub(WINDOW_MS).next_multiple_of(STEP_MS)
}

fn index(track: Track) -> usize {
    match track {
        Track::Video => 0,
        Track::Audio => 1,
    }
}

/// `2s`, `8.3s`.
fn seconds(ms: u64) -> String {
    let tenths = (ms + 50) / 100;
    if tenths.is_multiple_of(10) { format!("{}s", tenths / 10) } else { format!("{}.{}s", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Publishes `seconds` of 25 frames a second, 5,000 bytes each, a key frame every `gop` frames, arriving `speed`
    /// times as fast as real time.
    fn publish(gop: u32, seconds: u32, speed: u64) -> (Measure, u64) {
        let mut m = Measure::new(1_000, 2_000);
        m.message(1_000, Track::Video, 0, Kind::Config, 40);
        let mut now = 1_000;
        for i in 0..seconds * 25 {
            now = 1_000 + u64::from(i) * 40 / speed;
            m.message(now, Track::Video, i * 40, Kind::Frame { key: i % gop == 0 }, 5_000);
        }
        (m, now)
    }

    #[test]
    fn an_orderly_encoder_has_rates_and_no_warnings() {
        let (m, now) = publish(50, 20, 1);
        let report = m.report(now);
        assert_eq!(report.warnings, [""; 0]);
        assert_eq!(report.gop_ms, Some(2_000));
        let (rate, bits) = (report.frame_rate.unwrap(), report.bit_rate.unwrap());
        assert!((rate - 25.0).abs() < f64::EPSILON, "{rate}");
        assert!((980_000..=1_020_000).contains(&bits), "{bits}");
    }

    #[test]
    fn pictures_at_an_even_pace_are_never_too_slow() {
        for every_ms in [40, 500, 1_000, 2_000, 4_000, 10_000, 30_000] {
            let mut m = Measure::new(0, 2_000);
            m.message(0, Track::Video, 0, Kind::Config, 40);
            for now_ms in (0..120_000_u64).step_by(20) {
                if now_ms.is_multiple_of(every_ms) {
                    let stamp = u32::try_from(now_ms).unwrap();
                    m.message(now_ms, Track::Video, stamp, Kind::Frame { key: true }, 100);
                }
                let wrong = m.report(now_ms).warnings.iter().find(|w| !w.starts_with("GopTooLong")).cloned();
                assert_eq!(wrong, None, "a picture each {every_ms} ms, at {now_ms} ms");
            }
            assert_eq!(
                m.report(120_000).frame_rate,
                (every_ms < 5_000).then(|| 1_000.0 / every_ms as f64).map(|r| (r * 10.0).round() / 10.0)
            );
        }
    }

    #[test]
    fn the_frame_rate_is_right_from_the_first_report_on() {
        let mut m = Measure::new(1_000, 2_000);
        for i in 0..500_u64 {
            // Read each 80 ms, as publishers are.
            let now_ms = 1_000 + (i * 40).next_multiple_of(80);
            m.message(now_ms, Track::Video, u32::try_from(i * 40).unwrap(), Kind::Frame { key: i % 50 == 0 }, 5_000);
            let rate = m.report(now_ms).frame_rate;
            assert!(rate.is_none_or(|rate| (rate - 25.0).abs() < f64::EPSILON), "{rate:?} at {now_ms}");
        }
    }

    #[test]
    fn a_burst_is_measured_by_media_time() {
        let (m, now) = publish(50, 20, 4);
        let report = m.report(now);
        let bits = report.bit_rate.unwrap();
        assert!((950_000..=1_050_000).contains(&bits), "{bits}");
        assert_eq!(m.above(now + 1_000, 2_000_000), None);
    }

    #[test]
    fn media_whose_time_stands_still_is_measured_by_the_clock() {
        let mut m = Measure::new(0, 2_000);
        for i in 0..600 {
            m.message(i * 10, Track::Video, 7, Kind::Frame { key: false }, 50_000);
        }
        assert_eq!(m.above(4_000, 30_000_000), None, "too early to say");
        let rate = m.above(5_990, 30_000_000).unwrap().rate;
        assert!((36_000_000..=44_000_000).contains(&rate), "{rate}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (m, now) = publish(250, 21, 1);
        assert_eq!(m.report(now).warnings, ["GopTooLong (10s, segment 2s)"]);

        let mut m = Measure::new(0, 2_000);
        for i in 0..300_u32 {
            m.message(u64::from(i) * 40, Track::Video, i * 20, Kind::Frame { key: false }, 100);
        }
        let names: Vec<_> = m.report(12_000).warnings.iter().map(|w| w.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(names, ["NoKeyFrame", "NoSequenceHeader", "TooSlow"]);

        let (m, now) = publish(100_000, 4, 1);
        assert_eq!(m.report(now).warnings, ["GopTooLong (4s, segment 2s)"], "a single key frame at the start");

        let (mut m, now) = publish(50, 3, 1);
        m.message(now, Track::Video, 100_000, Kind::Frame { key: false }, 100);
        assert_eq!(m.report(now).warnings, ["TimestampJump (97s ahead)"]);
        assert_eq!(m.report(now + REMEMBER_MS).warnings.iter().filter(|w| w.starts_with("TimestampJump")).count(), 0);
    }

    #[test]
    fn the_wrap_of_rtmp_time_is_no_jump() {
        let mut m = Measure::new(0, 2_000);
        for i in 0..100_u32 {
            let stamp = (u32::MAX - 1_000).wrapping_add(i * 40);
            m.message(u64::from(i) * 40, Track::Video, stamp, Kind::Frame { key: i % 50 == 0 }, 100);
        }
        assert_eq!(m.report(4_000).gop_ms, Some(2_000));
        assert!(!m.report(4_000).warnings.iter().any(|w| w.starts_with("TimestampJump")));
    }
}
