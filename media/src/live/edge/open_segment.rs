//! The open segment at an edge: media since the last mark, muxed as it comes.

use crate::ledger::{Entry, EpochId, Hash, Msn, Profile};
use crate::live::view::Segment;
use crate::relay::{Epoch, Mark};
use crate::segment::{Carry, Muxer};
use crate::time::unwrap_ms;
use crate::track::{Frame, Message, Track, TrackSet};
use bytes::Bytes;

/// An epoch as an edge knows it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) epoch: EpochId,
    pub(super) presentation: EpochId,
    pub(super) profile: Profile,
    pub(super) tracks: TrackSet,
}

impl Known {
    /// `None` if a configuration is not what it should be.
    pub(super) fn read(epoch: &Epoch) -> Option<Self> {
        let tracks = epoch.tracks()?;
        Some(Self { epoch: epoch.epoch, presentation: epoch.presentation, profile: epoch.profile, tracks })
    }
}

/// The media of one segment since its mark, and the muxer that they go into.
#[derive(Debug)]
pub(super) struct OpenSegment {
    epoch: EpochId,
    profile: Profile,
    msn: Msn,
    t_ms: u64,
    tracks: TrackSet,
    carry: Carry,
    muxer: Muxer,
    frames: Vec<Frame>,
}

impl OpenSegment {
    /// Starts at `mark`. `None` if what the epoch announced cannot be muxed, or the mark is of another epoch.
    pub(super) fn new(known: &Known, mark: &Mark) -> Option<Self> {
        if known.epoch != mark.epoch {
            return None;
        }
        let mut muxer = Muxer::new(known.profile, &known.tracks, mark.counters).ok()?;
        muxer.start_segment();
        Some(Self {
            epoch: known.epoch,
            profile: known.profile,
            msn: mark.msn,
            t_ms: mark.t_ms,
            tracks: known.tracks.clone(),
            carry: mark.counters,
            muxer,
            frames: Vec::new(),
        })
    }

    pub(super) fn epoch(&self) -> EpochId {
        self.epoch
    }

    pub(super) fn msn(&self) -> Msn {
        self.msn
    }

    /// Adds a message; its 32-bit time is unwrapped from that of the mark.
    pub(super) fn push(&mut self, track: Track, stamp: u32, body: Bytes) -> Frame {
        let frame = Message::read(track, body).at(unwrap_ms(self.t_ms, stamp));
        self.muxer.push(&frame);
        self.frames.push(frame.clone());
        frame
    }

    /// The segment of `entry`, if all its messages are here and they make its bytes.
    pub(super) fn into_segment(mut self, entry: &Entry) -> Result<Segment, Unfit> {
        let wanted = entry.messages as usize;
        if (self.epoch, self.profile, self.msn) != (entry.epoch, entry.profile, entry.msn) || self.frames.len() < wanted
        {
            return Err(Unfit::Incomplete);
        }
        if self.frames.len() > wanted {
            // The end came without its mark and more had arrived: mux again what belongs to the entry.
            self.muxer = Muxer::new(self.profile, &self.tracks, self.carry).map_err(|_| Unfit::Differs)?;
            self.muxer.start_segment();
            self.frames.iter().take(wanted).for_each(|frame| self.muxer.push(frame));
        }
        let (bytes, _) = self.muxer.finish_segment();
        if Hash::of(&bytes) != entry.hash {
            return Err(Unfit::Differs);
        }
        Ok(Segment { entry: entry.clone(), bytes })
    }
}

/// Why an open segment does not become the one of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is another segment, or messages are missing.
    Incomplete,
    /// The bytes differ from those of the entry: a defect, counted; the segment is fetched.
    Differs,
}
