//! Segments: how the media between two marks becomes the bytes that players download.
//!
//! A [`Profile`] decides everything about those bytes, and what follows from their container: file extension, content
//! type, and what a segment hands on to the next one ([`Carry`]). [`Muxer::new`] picks the code for it. A second
//! container gets a folder next to [`ts`] and an arm in each of the enums here.

use crate::hash::Digest;
use crate::track::{Frame, TrackSet};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

mod profile;
mod tracks;
pub mod ts;

pub use profile::Profile;
pub use tracks::{MuxError, Tracks};

/// What a segment hands on to the next one of its epoch. A mark carries it, so that an edge can mux from there on
/// without the segments before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Carry {
    /// MPEG-TS.
    Ts(ts::Counters),
}

impl Default for Carry {
    fn default() -> Self {
        Self::Ts(ts::Counters::default())
    }
}

/// Writes the segments of an epoch; cuts none. The same frames from the same carry give the same bytes, whatever came
/// before.
///
/// ```text
/// start_segment → push … push → finish_segment → start_segment → …
/// ```
///
/// A caller that needs only length and hash of a segment opens it with [`Muxer::start_digest`] and closes it with
/// [`Muxer::finish_digest`]: no more than one frame is held then.
#[derive(Debug)]
pub enum Muxer {
    /// MPEG-TS.
    Ts(ts::Muxer),
}

impl Muxer {
    /// The muxer of `profile` for the tracks of an epoch, with no segment open.
    ///
    /// # Errors
    /// An unknown profile, no track, or a configuration that cannot be carried: see [`MuxError`].
    pub fn new(profile: Profile, tracks: &TrackSet, carry: Carry) -> Result<Self, MuxError> {
        if !profile.is_spoken() {
            return Err(MuxError::Profile { profile });
        }
        let Carry::Ts(counters) = carry;
        ts::Muxer::new(Tracks::read(tracks)?, counters).map(Self::Ts)
    }

    /// Opens a segment. One that was open is dropped.
    pub fn start_segment(&mut self) {
        let Self::Ts(muxer) = self;
        muxer.start_segment();
    }

    /// Opens a segment of which only length and hash are wanted. One that was open is dropped.
    pub fn start_digest(&mut self) {
        let Self::Ts(muxer) = self;
        muxer.start_digest();
    }

    /// Appends a frame to the open segment. Frames that cannot be carried are left out and counted, and so is every
    /// frame while no segment is open; repeated sequence headers are left out without being counted.
    pub fn push(&mut self, frame: &Frame) {
        let Self::Ts(muxer) = self;
        muxer.push(frame);
    }

    /// Closes the segment: its bytes, and what the next one starts with. Without an open segment, or with one that is
    /// digested, the bytes are empty.
    pub fn finish_segment(&mut self) -> (Bytes, Carry) {
        let Self::Ts(muxer) = self;
        let (bytes, counters) = muxer.finish_segment();
        (bytes, Carry::Ts(counters))
    }

    /// Closes a segment that [`Muxer::start_digest`] opened: its length and hash, and what the next one starts with.
    /// Without one the digest is that of no bytes.
    pub fn finish_digest(&mut self) -> (Digest, Carry) {
        let Self::Ts(muxer) = self;
        let (digest, counters) = muxer.finish_digest();
        (digest, Carry::Ts(counters))
    }

    /// Bytes of the open segment so far; 0 while none is open.
    #[must_use]
    pub fn open_bytes(&self) -> u64 {
        let Self::Ts(muxer) = self;
        muxer.open_bytes()
    }

    /// Frames left out since the muxer was made.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        let Self::Ts(muxer) = self;
        muxer.skipped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carry_is_written_as_its_counters_and_read_from_any_part_of_them() {
        let carry = Carry::Ts(ts::Counters { psi: 1, video: 2, audio: 3 });
        let json = serde_json::to_string(&carry).unwrap();
        assert_eq!(json, r#"{"psi":1,"video":2,"audio":3}"#);
        assert_eq!(serde_json::from_str::<Carry>(&json).unwrap(), carry);
        let partly = serde_json::from_str::<Carry>(r#"{"video":2,"new":true}"#).unwrap();
        assert_eq!(partly, Carry::Ts(ts::Counters { video: 2, ..ts::Counters::default() }));
    }

    #[test]
    fn what_cannot_be_muxed_is_refused_by_name() {
        let new = |profile, video: Option<&'static [u8]>, audio: Option<&'static [u8]>| {
            let body = |body: Option<&'static [u8]>| body.map(Bytes::from_static);
            let tracks = TrackSet { video: body(video), audio: body(audio), metadata: None };
            let error = Muxer::new(Profile(profile), &tracks, Carry::default()).map(|_| ()).unwrap_err();
            match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            }
        };
        const AAC: Option<&[u8]> = Some(b"\xaf\0\x12\x10");
        assert_eq!(new(9, None, AAC), "profile 9 is not known, this build speaks 1 at most");
        assert_eq!(new(1, None, None), "there is no track to mux");
        assert_eq!(
            new(1, Some(b"\x90hvc1\0"), AAC),
            "failed to read the configuration of the video track: HEVC is not carried: use H.264 and AAC"
        );
        assert_eq!(
            new(1, None, Some(b"\x2f\0")),
            "failed to read the configuration of the audio track: MP3 is not carried: use H.264 and AAC"
        );
    }
}
