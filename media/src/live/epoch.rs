//! An open epoch at the ingest: it muxes as every edge will, decides where segments end, and writes their entries.

use super::timeline::Timeline;
use crate::hls::cut::{self, Cut};
use crate::hls::variant::{self, Listed, Newest};
use crate::hls::window;
use crate::ledger::{Entry, EpochId, Ledger, Life, ListProfile, Msn, NUMBERS_BEGIN_MS, Presentation};
use crate::relay::{Closed, End, Epoch, Mark};
use crate::segment::{Carry, MuxError, Muxer, Profile};
use crate::track::{Frame, Track, TrackSet};
use bytes::Bytes;
use std::ops::AddAssign;

/// Where no edge remembers numbers, media sequence numbers count these milliseconds since [`NUMBERS_BEGIN_MS`]: no
/// segment is that short, so a number is above all that were ever given out.
const MSN_MS: u64 = 250;
/// The same for discontinuity sequence numbers, and few: with each playlist hls.js walks through all numbers below those that
/// are listed ([ADR 17](../../../docs/adr/0017-discontinuity-numbers-stay-small.md)).
const DSEQ_MS: u64 = 300_000;

/// A segment is closed without another message once nothing came for this long: what it shows is listed while the
/// picture stands still. Shorter silences are lateness of the network.
const SILENT_MS: u64 = 5_000;
/// The same where the segment's first message came long ago, [`WAITED_MS`].
const SILENT_MS_MIN: u64 = 1_500;
/// See [`SILENT_MS_MIN`]; more than the longest first segment.
const WAITED_MS: u64 = 11_000;
/// Whatever came is listed after this time, also where media comes late all the while.
const LISTED_MS_MAX: u64 = 11_900;
/// Messages that are further apart than this are pictures that stand still: the last one is shown until the next.
const STILL_MS: u64 = 1_000;

/// How segments are cut and listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutting {
    /// Wanted duration in milliseconds.
    pub segment_ms: u64,
    /// Segments of that duration that the list covers.
    pub window: u32,
}

/// How much was muxed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of segments.
    pub bytes: u64,
    /// Milliseconds of media in them.
    pub media_ms: u64,
}

impl AddAssign for Written {
    fn add_assign(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.media_ms += more.media_ms;
    }
}

impl Written {
    /// What came since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(before.bytes), media_ms: self.media_ms.saturating_sub(before.media_ms) }
    }
}

/// The segment that is being filled.
#[derive(Clone, Copy, Debug)]
struct Segment {
    msn: Msn,
    t_ms: u64,
    carry: Carry,
    messages: u32,
    pictures: u32,
    opens_epoch: bool,
    /// It begins with its first message, after a pause that belongs to no segment.
    waits: bool,
}

impl Segment {
    /// One that begins at `t_ms`, after others of its epoch.
    fn empty(msn: Msn, t_ms: u64, carry: Carry) -> Self {
        Self { msn, t_ms, carry, messages: 0, pictures: 0, opens_epoch: false, waits: false }
    }
}

/// The epoch that is being written.
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
    /// When its first message was there, or would have been in time; arrivals of the first one of the open segment and
    /// of the newest.
    arrivals_ms: [u64; 3],
    /// Given when its first segment closes.
    dseq: Option<u64>,
    /// Bytes of the segments that are closed.
    closed_bytes: u64,
    /// Cuts that no key frame allowed, so far.
    forced_cuts: u64,
    /// A segment had more pictures than the encoder declares.
    outrun: bool,
    /// The text of playlists from the next segment on.
    list_profile: ListProfile,
}

impl OpenEpoch {
    /// Opens `id` after what `ledger` says, with segments of `profile` and a first message at `base` on the publish's clock, which was
    /// there at `begun_ms`.
    ///
    /// # Errors
    /// The configurations of the encoder cannot be muxed.
    pub(super) fn open(
        id: EpochId,
        ledger: &Ledger,
        cutting: Cutting,
        profile: Profile,
        tracks: TrackSet,
        (begun_ms, base): (u64, i64),
    ) -> Result<Self, MuxError> {
        let mut muxer = Muxer::new(profile, &tracks, Carry::default())?;
        muxer.start_digest();
        let msn = ledger.remembered.map_or(id.saturating_sub(NUMBERS_BEGIN_MS) / MSN_MS, |r| r.msn + 1);
        let presentation = continued(ledger).map_or(id, |p| p.first_epoch);
        let segment = Segment { opens_epoch: true, ..Segment::empty(msn, 0, Carry::default()) };
        let timeline = Timeline::new(base);
        let arrivals_ms = [begun_ms; 3];
        Ok(Self {
            id,
            presentation,
            cutting,
            profile,
            tracks,
            muxer,
            timeline,
            segment,
            arrivals_ms,
            dseq: None,
            closed_bytes: 0,
            forced_cuts: 0,
            outrun: false,
            list_profile: ListProfile::ONE,
        })
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

    /// The publisher's metadata from here on.
    pub(super) fn set_metadata(&mut self, payload: Bytes) {
        self.tracks.metadata = Some(payload);
    }

    /// Whether a segment of it was listed.
    pub(super) fn listed(&self) -> bool {
        self.dseq.is_some()
    }

    /// The text of playlists from the next segment on.
    pub(super) fn write_lists(&mut self, list_profile: ListProfile) {
        self.list_profile = list_profile;
    }

    pub(super) fn forced_cuts(&self) -> u64 {
        self.forced_cuts
    }

    /// What was muxed so far, the open segment included.
    pub(super) fn written(&self) -> Written {
        Written { bytes: self.closed_bytes + self.muxer.open_bytes(), media_ms: self.timeline.last() }
    }

    /// Unix milliseconds up to which it reaches at `now_ms`.
    pub(super) fn end_ms(&self, now_ms: u64) -> u64 {
        self.id + self.end_t_ms(now_ms)
    }

    /// Milliseconds by which a message at `at` would be ahead of the clock, and by which the epoch was when it opened.
    pub(super) fn lead_ms(&self, now_ms: u64, at: i64) -> (u64, u64) {
        let media_ms = self.id + self.timeline.t_ms(at);
        (media_ms.saturating_sub(now_ms), self.id.saturating_sub(self.arrivals_ms[0]))
    }

    /// Milliseconds by which its newest message is further ahead of the clock than its first one was.
    pub(super) fn ahead_ms(&self, now_ms: u64) -> u64 {
        (self.timeline.last() + self.arrivals_ms[0]).saturating_sub(now_ms)
    }

    /// The message that announces it.
    pub(super) fn message(&self) -> Epoch {
        Epoch::announcing(self.id, self.presentation, self.profile, &self.tracks)
    }

    /// The mark of the segment that is being filled, closing `closed`.
    pub(super) fn mark(&self, closed: Option<Closed>) -> Mark {
        Mark { epoch: self.id, msn: self.segment.msn, t_ms: self.segment.t_ms, counters: self.segment.carry, closed }
    }

    /// Milliseconds since the epoch of a message at `at` on the publish's clock that arrived at `now_ms`; `None` if it
    /// is to be left out: it lies before the first one, or the epoch has no such track.
    pub(super) fn place(&mut self, now_ms: u64, track: Track, at: i64) -> Option<u64> {
        let known = match track {
            Track::Video => &self.tracks.video,
            Track::Audio => &self.tracks.audio,
        };
        known.as_ref()?;
        let t_ms = self.timeline.place(track, at)?;
        self.arrivals_ms[2] = now_ms;
        Some(t_ms)
    }

    /// Where a segment ends before `frame`, if one does. `video_silent`: no picture came for so long that sound decides.
    pub(super) fn cuts_before(&mut self, frame: &Frame, video_silent: bool, ledger: &Ledger) -> Option<u64> {
        if self.segment.waits {
            self.segment.waits = false;
            self.segment.t_ms = self.segment.t_ms.max(frame.t_ms);
            return None;
        }
        let state = cut::State {
            segment_ms: self.cutting.segment_ms,
            target_s: continued(ledger).map(|p| p.target_s),
            has_video: self.tracks.video.is_some(),
            video_silent,
            pictureless: self.segment.pictures == 0,
            start_ms: self.segment.t_ms,
        };
        match cut::decide(&state, frame) {
            Cut::No => None,
            Cut::AtKey => Some(frame.t_ms),
            Cut::Forced => {
                self.forced_cuts += 1;
                // Sound that waited for a picture does not make the segment longer than it may be.
                let waited = state.has_video && frame.track == Track::Audio;
                Some(if waited { frame.t_ms.min(self.longest_t_ms(ledger)) } else { frame.t_ms })
            }
        }
    }

    /// When its newest message arrived.
    pub(super) fn newest_arrival_ms(&self) -> u64 {
        self.arrivals_ms[2]
    }

    /// When the open segment is to be closed because nothing more comes.
    pub(super) fn silence_due_ms(&self, ledger: &Ledger) -> Option<u64> {
        if self.segment.messages == 0 {
            return None;
        }
        let [_, first_ms, newest_ms] = self.arrivals_ms;
        let full_ms = first_ms + self.longest_t_ms(ledger) - self.segment.t_ms;
        let silent_ms = (newest_ms + SILENT_MS).min(first_ms + WAITED_MS).max(newest_ms + SILENT_MS_MIN);
        Some(full_ms.max(silent_ms).min(first_ms + LISTED_MS_MAX))
    }

    /// Closes the open segment, since nothing more comes. The next one begins with its first message.
    pub(super) fn close_silent(&mut self, now_ms: u64, ledger: &mut Ledger) -> Closed {
        let longest_t_ms = self.longest_t_ms(ledger);
        let t_ms = self.end_t_ms(now_ms).min(longest_t_ms).max(self.timeline.last().max(self.segment.t_ms) + 1);
        let closed = self.cut(t_ms, ledger);
        self.segment.waits = true;
        closed
    }

    fn longest_t_ms(&self, ledger: &Ledger) -> u64 {
        self.segment.t_ms + cut::longest_ms(continued(ledger).map(|p| p.target_s))
    }

    /// Where it ends if nothing more comes: a picture that stands still is shown until now.
    fn end_t_ms(&self, now_ms: u64) -> u64 {
        let last = self.timeline.last();
        match self.timeline.end() - last {
            1..STILL_MS => self.timeline.end(),
            _ => last + now_ms.saturating_sub(self.arrivals_ms[2]).min(cut::FIRST_SEGMENT_MS_MAX),
        }
    }

    /// Adds a frame to the segment. Returns whether the segment can carry it.
    pub(super) fn push(&mut self, frame: &Frame) -> bool {
        let skipped = self.muxer.skipped();
        if self.segment.messages == 0 {
            self.arrivals_ms[1] = self.arrivals_ms[2];
        }
        self.muxer.push(frame);
        self.segment.messages += 1;
        self.segment.pictures += u32::from(frame.track == Track::Video);
        self.muxer.skipped() == skipped
    }

    /// Closes the segment at `t_ms`, where the next one starts, and enters it into the ledger.
    pub(super) fn cut(&mut self, t_ms: u64, ledger: &mut Ledger) -> Closed {
        let (closed, carry) = self.close(t_ms, ledger);
        self.segment = Segment::empty(self.segment.msn + 1, t_ms, carry);
        self.muxer.start_digest();
        closed
    }

    /// Ends the epoch; a tail that is long enough is entered into the ledger.
    pub(super) fn end(mut self, now_ms: u64, ledger: &mut Ledger) -> End {
        let t_ms = self.end_t_ms(now_ms);
        let worth = t_ms.saturating_sub(self.segment.t_ms) >= cut::PIECE_MS_MIN && self.segment.messages > 0;
        let closed = worth.then(|| self.close(t_ms, ledger).0);
        End { epoch: self.id, t_ms, closed }
    }

    fn close(&mut self, t_ms: u64, ledger: &mut Ledger) -> (Closed, Carry) {
        let (digest, carry) = self.muxer.finish_digest();
        self.closed_bytes += digest.length();
        let segment = self.segment;
        let remembered = ledger.remembered;
        let dseq = *self.dseq.get_or_insert_with(|| {
            remembered.map_or(self.id.saturating_sub(NUMBERS_BEGIN_MS) / DSEQ_MS, |r| r.dseq + 1)
        });
        let lasted_us = (t_ms - segment.t_ms) * 1_000;
        let newest = Newest { bytes: digest.length(), lasted_us, pictures: segment.pictures };
        self.outrun = self.outrun || variant::outruns(&self.tracks, newest);
        let presentation = self.followed(ledger, newest);
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

    /// The presentation once a segment is listed as well.
    fn followed(&self, ledger: &Ledger, newest: Newest) -> Presentation {
        let known = continued(ledger);
        let (entries, listed) = known.map_or((&[][..], &[][..]), |_| (ledger.entries.as_slice(), ledger.listed()));
        let target_s = known.map_or_else(|| cut::target_s(self.cutting.segment_ms, newest.lasted_us), |p| p.target_s);
        let other_epochs = listed.iter().any(|entry| entry.epoch != self.id);
        let listed = Listed { before: known.map(|p| &p.variant), entries, other_epochs, outrun: self.outrun, target_s };
        let variant = crate::hls::variant(&self.tracks, newest, &listed);
        Presentation { first_epoch: self.presentation, target_s, variant, list_profile: self.list_profile }
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
