//! An open epoch at the ingest: it muxes as every edge will, decides where segments end, and writes their entries.

use super::timeline::{JUMP_AHEAD_MS, Placed, Timeline};
use crate::hls::cut::{self, Cut, FIRST_SEGMENT_MS_MAX};
use crate::hls::window;
use crate::ledger::{Entry, EpochId, Ledger, Life, Msn, NUMBERS_BEGIN_MS, Presentation};
use crate::relay::{Closed, End, Epoch, Mark};
use crate::segment::{Carry, MuxError, Muxer, Profile};
use crate::track::{Frame, Track, TrackSet};

/// A tail shorter than this is dropped at the end of an epoch: too short to be worth a request.
const TAIL_MS_MIN: u64 = 300;
/// Where no edge remembers numbers, media sequence numbers count these milliseconds since [`NUMBERS_BEGIN_MS`]: no
/// segment is that short, so a number is above all that were ever given out.
const MSN_MS: u64 = 250;
/// The same for discontinuity sequence numbers: at most one epoch a second is opened.
const DSEQ_MS: u64 = 1_000;

/// How segments are cut and listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutting {
    /// Wanted duration in milliseconds.
    pub segment_ms: u64,
    /// Segments of that duration that the list covers.
    pub window: u32,
}

/// The segment that is being filled.
#[derive(Clone, Copy, Debug)]
struct Segment {
    msn: Msn,
    t_ms: u64,
    carry: Carry,
    messages: u32,
    opens_epoch: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct OpenEpoch {
    id: EpochId,
    /// First epoch of the presentation.
    presentation: EpochId,
    cutting: Cutting,
    /// The profile of all its segments.
    profile: Profile,
    tracks: TrackSet,
    muxer: Muxer,
    timeline: Timeline,
    segment: Segment,
    /// Given when its first segment closes.
    dseq: Option<u64>,
    /// Cuts that no key frame allowed, so far.
    forced_cuts: u64,
}

impl OpenEpoch {
    /// Opens `id` after what `ledger` says, with segments of `profile` and a first message stamped `stamp`.
    ///
    /// # Errors
    /// The configurations of the encoder cannot be muxed.
    pub(super) fn open(
        id: EpochId,
        ledger: &Ledger,
        cutting: Cutting,
        profile: Profile,
        tracks: TrackSet,
        stamp: u32,
    ) -> Result<Self, MuxError> {
        let mut muxer = Muxer::new(profile, &tracks, Carry::default())?;
        muxer.start_digest();
        let msn = ledger.remembered.map_or(id.saturating_sub(NUMBERS_BEGIN_MS) / MSN_MS, |r| r.msn + 1);
        let presentation = continued(ledger).map_or(id, |p| p.first_epoch);
        let segment = Segment { msn, t_ms: 0, carry: Carry::default(), messages: 0, opens_epoch: true };
        let timeline = Timeline::new(stamp);
        Ok(Self { id, presentation, cutting, profile, tracks, muxer, timeline, segment, dseq: None, forced_cuts: 0 })
    }

    pub(super) fn id(&self) -> EpochId {
        self.id
    }

    /// The msn of the segment that is being filled.
    pub(super) fn msn(&self) -> Msn {
        self.segment.msn
    }

    pub(super) fn tracks(&self) -> &TrackSet {
        &self.tracks
    }

    /// Whether a segment of it was listed.
    pub(super) fn listed(&self) -> bool {
        self.dseq.is_some()
    }

    pub(super) fn forced_cuts(&self) -> u64 {
        self.forced_cuts
    }

    /// Unix milliseconds up to which it reaches.
    pub(super) fn end_ms(&self) -> u64 {
        self.id + self.timeline.end()
    }

    /// Unix milliseconds of the newest message, in the epoch's time.
    pub(super) fn media_ms(&self) -> u64 {
        self.id + self.timeline.last()
    }

    /// The message that announces it.
    pub(super) fn message(&self) -> Epoch {
        Epoch::announcing(self.id, self.presentation, self.profile, &self.tracks)
    }

    /// The mark of the segment that is being filled, closing `closed`.
    pub(super) fn mark(&self, closed: Option<Closed>) -> Mark {
        Mark { epoch: self.id, msn: self.segment.msn, t_ms: self.segment.t_ms, counters: self.segment.carry, closed }
    }

    pub(super) fn place(&mut self, track: Track, stamp: u32, ledger: &Ledger) -> Placed {
        let target_ms = continued(ledger).map_or(FIRST_SEGMENT_MS_MAX, |p| u64::from(p.target_s) * 1_000);
        self.timeline.place(track, stamp, target_ms.min(JUMP_AHEAD_MS))
    }

    /// Whether a segment ends before `frame`: see [`cut`].
    pub(super) fn cuts_before(&mut self, frame: &Frame, ledger: &Ledger) -> bool {
        let state = cut::State {
            segment_ms: self.cutting.segment_ms,
            target_s: continued(ledger).map(|p| p.target_s),
            has_video: self.tracks.video.is_some(),
            start_ms: self.segment.t_ms,
        };
        match cut::decide(&state, frame) {
            Cut::No => false,
            Cut::AtKey => true,
            Cut::Forced => {
                self.forced_cuts += 1;
                true
            }
        }
    }

    pub(super) fn push(&mut self, frame: &Frame) {
        self.muxer.push(frame);
        self.segment.messages += 1;
    }

    /// Closes the segment at `t_ms`, where the next one starts, and enters it into the ledger.
    pub(super) fn cut(&mut self, t_ms: u64, ledger: &mut Ledger) -> Closed {
        let (closed, carry) = self.close(t_ms, ledger);
        self.segment = Segment { msn: self.segment.msn + 1, t_ms, carry, messages: 0, opens_epoch: false };
        self.muxer.start_digest();
        closed
    }

    /// Ends the epoch; a tail that is long enough is entered into the ledger.
    pub(super) fn end(mut self, ledger: &mut Ledger) -> End {
        let t_ms = self.timeline.end();
        let worth = t_ms.saturating_sub(self.segment.t_ms) >= TAIL_MS_MIN && self.segment.messages > 0;
        let closed = worth.then(|| self.close(t_ms, ledger).0);
        End { epoch: self.id, t_ms, closed }
    }

    fn close(&mut self, t_ms: u64, ledger: &mut Ledger) -> (Closed, Carry) {
        let (digest, carry) = self.muxer.finish_digest();
        let segment = self.segment;
        let remembered = ledger.remembered;
        let dseq = *self.dseq.get_or_insert_with(|| {
            remembered.map_or(self.id.saturating_sub(NUMBERS_BEGIN_MS) / DSEQ_MS, |r| r.dseq + 1)
        });
        let lasted_us = (t_ms - segment.t_ms) * 1_000;
        let presentation = continued(ledger).cloned().unwrap_or_else(|| Presentation {
            first_epoch: self.presentation,
            target_s: cut::target_s(self.cutting.segment_ms, lasted_us),
            variant: crate::hls::variant(&self.tracks, digest.length(), lasted_us),
        });
        let entry = Entry {
            msn: segment.msn,
            epoch: self.id,
            profile: self.profile,
            dseq,
            t_ms: segment.t_ms,
            duration_us: cut::duration_us(segment.t_ms, t_ms, presentation.target_s),
            length: digest.length(),
            hash: digest.hash(),
            messages: segment.messages,
            opens_epoch: segment.opens_epoch,
            gap: false,
        };
        let first = first_after(ledger, &entry, &presentation, self.cutting);
        ledger.close(&entry, first, &presentation);
        (Closed { entry, first, presentation }, carry)
    }
}

/// The presentation that goes on, if the next segment belongs to it.
fn continued(ledger: &Ledger) -> Option<&Presentation> {
    ledger.presentation.as_ref().filter(|_| ledger.life == Life::Open)
}

/// `first` once `entry` is listed. Nothing of another presentation is listed, and nothing before a hole in the numbers
/// (two ingests had given out different ones).
fn first_after(ledger: &Ledger, entry: &Entry, presentation: &Presentation, cutting: Cutting) -> Msn {
    let goes_on = continued(ledger).is_some() && ledger.last().is_some_and(|last| last.msn + 1 == entry.msn);
    if !goes_on {
        return entry.msn;
    }
    let mut listed = ledger.listed().to_vec();
    listed.push(entry.clone());
    window::first(&listed, presentation.target_s, cutting.segment_ms, cutting.window)
}
