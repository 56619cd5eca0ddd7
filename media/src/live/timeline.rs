//! From an encoder's time stamps to the time of the stream: [`Clock`] for one publish, [`Timeline`] for one epoch. Only
//! the ingest does this; edges never repair.
//!
//! Every message has a time stamp and an arrival. Where the two go on alike there is no jump, however long the pause;
//! where they disagree the track's time is set anew from the arrival (ADR 11).

use crate::track::Track;
use std::collections::VecDeque;

/// A track whose stamps step back by more than this has jumped; smaller steps are raised to the next millisecond.
const JUMP_BACK_MS: i64 = 500;
/// A track whose stamps step ahead of their arrival by more than this has jumped. As far as any publisher may be ahead
/// of the clock: an encoder that was late by less and has caught up has not jumped.
const JUMP_AHEAD_MS: i64 = 5_000;
/// Stamps of two tracks that are further apart than this, in the order in which they arrive, are not of one clock.
/// Video encoders that look ahead hold a picture back for up to some 4 s.
const APART_MS: i64 = 5_000;
/// How much lateness is remembered: a message may come this much sooner than the one before without a jump. A network
/// stall of that length is made good; an encoder that was suspended for longer starts over.
const LATE_MS_MAX: i64 = 30_000;
/// Two tracks whose times are set apart by less than this are not reported: ears and eyes hardly notice.
const DISAGREE_MS: i64 = 500;
/// The disagreement of two tracks is over once one of them has been silent for this long.
const DISAGREE_SILENT_MS: u64 = 10_000;
/// What the last message of a track is taken to last at most, where the one before tells.
const STEP_MS_MAX: u64 = 3_000;

/// What a time stamp says, before it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Milliseconds on the clock of this publish.
    pub(super) at: i64,
    /// By how much the stamp disagrees with what its arrival tells, if it has jumped.
    pub(super) jump: Option<i64>,
    stamp: u32,
    unwrapped: i64,
    offset: i64,
}

/// One track's stamps.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// The last stamp, and what it unwrapped to.
    stamp: u32,
    unwrapped: i64,
    /// Added to unwrapped stamps.
    offset: i64,
    /// Time and arrival of the last message.
    at: i64,
    arrival: i64,
    /// Distance to the message before.
    step: i64,
    /// The furthest that a message has been ahead of its arrival; what lateness is measured from.
    best_lead: i64,
}

impl Pace {
    fn begin(reading: &Reading, arrival: i64) -> Self {
        let Reading { at, stamp, unwrapped, offset, .. } = *reading;
        Self { stamp, unwrapped, offset, at, arrival, step: 0, best_lead: at - arrival }
    }

    /// Differences are taken modulo 2³²: half the circle forward, half back.
    fn unwrap(&self, stamp: u32) -> i64 {
        self.unwrapped + i64::from(stamp.wrapping_sub(self.stamp).cast_signed())
    }

    /// Where the track stands when nothing was lost since its last message.
    fn at_arrival(&self, arrival: i64) -> i64 {
        self.at + (arrival - self.arrival).max(self.step).max(1)
    }

    fn read(&self, stamp: u32) -> Reading {
        let unwrapped = self.unwrap(stamp);
        Reading { at: unwrapped + self.offset, jump: None, stamp, unwrapped, offset: self.offset }
    }

    fn take(&mut self, reading: &Reading, arrival: i64) {
        let lead = reading.at - arrival;
        self.best_lead = match reading.jump {
            Some(_) => lead,
            None => lead.max(self.best_lead.min(lead + LATE_MS_MAX)),
        };
        self.step = (reading.at - self.at).clamp(0, 1_000);
        (self.stamp, self.unwrapped, self.offset) = (reading.stamp, reading.unwrapped, reading.offset);
        (self.at, self.arrival) = (reading.at, arrival);
    }
}

/// The clock of one publish: both tracks beside one another, in milliseconds that begin with the arrival of the first
/// message and go on through jumps.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    video: Option<Pace>,
    audio: Option<Pace>,
}

impl Clock {
    /// Reads the stamp of a message that arrived at `now_ms`; changes nothing.
    pub(super) fn read(&self, now_ms: u64, track: Track, stamp: u32) -> Reading {
        let now = now_ms.cast_signed();
        let (own, other) = match track {
            Track::Video => (&self.video, &self.audio),
            Track::Audio => (&self.audio, &self.video),
        };
        match (own, other) {
            (Some(own), other) => own_reading(own, other.as_ref(), now, stamp),
            (None, Some(other)) => first_beside(other, now, stamp),
            (None, None) => {
                let unwrapped = i64::from(stamp);
                Reading { at: now, jump: None, stamp, unwrapped, offset: now - unwrapped }
            }
        }
    }

    /// The message that was read is taken in.
    pub(super) fn accept(&mut self, now_ms: u64, track: Track, reading: &Reading) {
        let slot = match track {
            Track::Video => &mut self.video,
            Track::Audio => &mut self.audio,
        };
        match slot {
            Some(pace) => pace.take(reading, now_ms.cast_signed()),
            None => *slot = Some(Pace::begin(reading, now_ms.cast_signed())),
        }
    }

    /// The track whose jumps are jumps of the stream: video, once there is some.
    pub(super) fn leader(&self) -> Track {
        if self.video.is_some() { Track::Video } else { Track::Audio }
    }

    /// When a message of `track` last came.
    pub(super) fn heard_ms(&self, track: Track) -> Option<u64> {
        let pace = match track {
            Track::Video => &self.video,
            Track::Audio => &self.audio,
        };
        pace.map(|p| p.arrival.cast_unsigned())
    }

    /// When a message at `at` would have arrived if nothing had been late. Lateness of [`APART_MS`] at most is undone: a
    /// publisher's clock may have stood still.
    pub(super) fn in_time_ms(&self, arrival_ms: u64, at: i64) -> u64 {
        let leads = [self.video, self.audio].into_iter().flatten().map(|pace| pace.best_lead);
        let in_time = u64::try_from(at - leads.max().unwrap_or(0)).unwrap_or(0);
        in_time.clamp(arrival_ms.saturating_sub(APART_MS.cast_unsigned()), arrival_ms)
    }

    /// By how many milliseconds the stamps of the two tracks disagree, while both run.
    pub(super) fn disagreement_ms(&self, now_ms: u64) -> Option<u64> {
        let (video, audio) = (self.video?, self.audio?);
        let fresh = |pace: &Pace| now_ms.saturating_sub(pace.arrival.cast_unsigned()) < DISAGREE_SILENT_MS;
        let apart = video.read(audio.stamp).at - audio.at;
        (fresh(&video) && fresh(&audio) && apart.abs() >= DISAGREE_MS).then_some(apart.unsigned_abs())
    }
}

/// The first message of a track beside one that runs: its stamp counts if it is near.
fn first_beside(other: &Pace, now: i64, stamp: u32) -> Reading {
    let near = other.read(stamp);
    let expected = other.at + (now - other.arrival);
    if (near.at - expected).abs() <= APART_MS {
        return near;
    }
    Reading { at: expected, offset: expected - near.unwrapped, ..near }
}

fn own_reading(own: &Pace, other: Option<&Pace>, now: i64, stamp: u32) -> Reading {
    let reading = own.read(stamp);
    let (by, lead) = (reading.at - own.at, reading.at - now);
    let ahead = lead - (own.at - own.arrival) > JUMP_AHEAD_MS && lead > own.best_lead + JUMP_AHEAD_MS;
    let behind = other.filter(|other| reading.at < other.at - APART_MS);
    let expected = match behind {
        _ if by < -JUMP_BACK_MS || ahead => own.at_arrival(now),
        Some(other) => other.at.max(own.at + 1),
        None => return reading,
    };
    let jump = Some(reading.at - expected);
    // An encoder that starts its clock over does so for both tracks, one after the other: if the stamp fits the other
    // track's clock again, the two agree.
    let near = other
        .map(|other| other.read(stamp))
        .filter(|near| (near.at - expected).abs() < APART_MS && near.at >= own.at - JUMP_BACK_MS);
    match near {
        Some(near) => Reading { jump, ..near },
        None => Reading { at: expected, jump, offset: expected - reading.unwrapped, ..reading },
    }
}

/// Times of one epoch: from its first message on, strictly rising per track.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// The publish's time of the epoch's first message.
    base: i64,
    video: Option<u64>,
    audio: Option<u64>,
    last: u64,
    /// Distance of the last two messages of the leading track, an estimate of how long the last one lasts.
    step: u64,
}

impl Timeline {
    /// An epoch whose first message is at `base`.
    pub(super) fn new(base: i64) -> Self {
        Self { base, video: None, audio: None, last: 0, step: 0 }
    }

    /// Milliseconds since the epoch of a message at `at`; `None` if it lies before the first one.
    pub(super) fn place(&mut self, track: Track, at: i64) -> Option<u64> {
        let slot = match track {
            Track::Video => &mut self.video,
            Track::Audio => &mut self.audio,
        };
        let before = *slot;
        let t = u64::try_from(at - self.base).ok().or(before)?;
        let t = before.map_or(t, |before| t.max(before + 1));
        *slot = Some(t);
        if let Some(before) = before
            && t > self.last
        {
            self.step = t - before;
        }
        self.last = self.last.max(t);
        Some(t)
    }

    /// What [`Timeline::place`] makes of `at`, without the rule that times rise.
    pub(super) fn t_ms(&self, at: i64) -> u64 {
        u64::try_from(at - self.base).unwrap_or(0)
    }

    /// Where the epoch ends if nothing more comes: the last message and what it probably lasts.
    pub(super) fn end(&self) -> u64 {
        self.last + self.step.min(STEP_MS_MAX)
    }

    /// Time of the newest message.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
}

/// Jumps that open an epoch: at most so many in a time, since an epoch that did not help is not opened for ever.
#[derive(Clone, Debug, Default)]
pub(super) struct Jumps(VecDeque<u64>);

impl Jumps {
    /// Epochs that jumps may open in [`Jumps::MS`].
    const MAX: usize = 2;
    /// See [`Jumps::MAX`].
    const MS: u64 = 60_000;

    /// Whether one more may open an epoch at `now_ms`; it is counted then.
    pub(super) fn allow(&mut self, now_ms: u64) -> bool {
        while self.0.front().is_some_and(|at| at + Self::MS <= now_ms) {
            self.0.pop_front();
        }
        let allowed = self.0.len() < Self::MAX;
        if allowed {
            self.0.push_back(now_ms);
        }
        allowed
    }
}

#[cfg(test)]
mod tests;
