//! The muxer: frames in, whole segments out. See the module above for what its bytes are.

use super::pes::{Audio, Malformed, Sink, Video};
use super::psi::Tables;
use super::{AUDIO_PID, Counters, VIDEO_PID};
use crate::flv::{AudioCodec, AudioPacket, AudioTag, VideoCodec, VideoPacket, VideoTag};
use crate::ledger::{Digest, PROFILE, Profile};
use crate::track::{Frame, Track, TrackSet};
use crate::codec::{aac, avc};
use bytes::Bytes;

/// Room for the first segment: 2 s at 2 Mbit/s. Later ones are sized by the one before.
const FIRST_SEGMENT_BYTES: usize = 512 * 1024;

/// Cuts no segments, but writes them: the same frames from the same counters give the same bytes, whatever came
/// before.
///
/// ```text
/// start_segment → push … push → finish_segment → start_segment → …
/// ```
///
/// Who needs only length and hash of a segment opens it with [`Muxer::start_digest`] and closes it with
/// [`Muxer::finish_digest`]: no more than one frame is held then.
#[derive(Debug)]
pub struct Muxer {
    tables: Tables,
    video: Option<Video>,
    audio: Option<Audio>,
    counters: Counters,
    segment: Segment,
    /// What a frame is written into before it is digested: one piece of memory that stays in the processor's cache.
    scratch: Vec<u8>,
    /// Size of the last segment: what the next one is given room for. Decides no byte.
    last_bytes: usize,
    skipped: u64,
}

#[derive(Debug)]
enum Segment {
    /// No frame is taken.
    Closed,
    /// The bytes so far.
    Open(Vec<u8>),
    /// What the bytes were, without keeping them.
    Digested(Box<Digest>),
}

/// Why there is no muxer for a set of tracks.
#[derive(Debug, thiserror::Error)]
pub enum MuxError {
    /// A profile of another release.
    #[error("profile {profile} is not known, this build speaks {PROFILE}")]
    Profile {
        /// The profile asked for.
        profile: Profile,
    },
    /// Neither video nor audio.
    #[error("there is no track to mux")]
    NoTracks,
    /// The video's configuration.
    #[error("failed to read the video configuration")]
    Video {
        /// Why.
        #[source]
        source: avc::ConfigError,
    },
    /// The audio's configuration.
    #[error("failed to read the audio configuration")]
    Audio {
        /// Why.
        #[source]
        source: aac::ConfigError,
    },
    /// PAT or PMT could not be written.
    #[error("failed to write the program tables: {message}")]
    Tables {
        /// What `mpeg2ts` said.
        message: String,
    },
}

impl Muxer {
    /// A muxer for the tracks of an epoch, with no segment open.
    ///
    /// # Errors
    /// An unknown profile, no track, or a configuration that cannot be carried: see [`MuxError`].
    pub fn new(profile: Profile, tracks: &TrackSet, counters: Counters) -> Result<Self, MuxError> {
        if profile != PROFILE {
            return Err(MuxError::Profile { profile });
        }
        let video = tracks.video.as_ref().map(avc::Config::from_flv_body).transpose();
        let video = video.map_err(|source| MuxError::Video { source })?.map(Video::new);
        let audio = tracks.audio.as_deref().map(aac::Config::from_flv_body).transpose();
        let audio = audio.map_err(|source| MuxError::Audio { source })?;
        let audio = audio.map(|config| Audio::new(config, video.is_none()));
        if video.is_none() && audio.is_none() {
            return Err(MuxError::NoTracks);
        }
        let tables = Tables::new(video.is_some(), audio.is_some())
            .map_err(|error| MuxError::Tables { message: error.to_string() })?;
        let (last_bytes, counters) = (FIRST_SEGMENT_BYTES, four_bits(counters));
        Ok(Self {
            tables,
            video,
            audio,
            counters,
            segment: Segment::Closed,
            scratch: Vec::new(),
            last_bytes,
            skipped: 0,
        })
    }

    /// Opens a segment. One that was open is dropped, its counters with it.
    pub fn start_segment(&mut self) {
        let mut out = Vec::with_capacity(self.last_bytes + self.last_bytes / 8);
        self.open(&mut out);
        self.segment = Segment::Open(out);
    }

    /// Opens a segment of which only length and hash are wanted. One that was open is dropped, its counters with it.
    pub fn start_digest(&mut self) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        self.open(&mut scratch);
        let mut digest = Box::<Digest>::default();
        digest.update(&scratch);
        self.scratch = scratch;
        self.segment = Segment::Digested(digest);
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        self.tables.write(out, self.counters.psi);
        self.counters.psi = (self.counters.psi + 1) & 0x0f;
        if let Some(audio) = &mut self.audio {
            audio.clear();
        }
    }

    /// Appends a frame to the open segment. Frames that cannot be carried are left out and counted, and so is every
    /// frame while no segment is open; repeated sequence headers are left out without being counted.
    pub fn push(&mut self, frame: &Frame) {
        let Self { video, audio, counters, segment, scratch, .. } = self;
        let out = match segment {
            Segment::Closed => {
                self.skipped += 1;
                return;
            }
            Segment::Open(out) => out,
            Segment::Digested(_) => {
                scratch.clear();
                &mut *scratch
            }
        };
        let pushed = match (frame.track, video, audio) {
            (Track::Video, Some(video), _) => {
                push_video(video, Sink { out, counter: &mut counters.video, pid: VIDEO_PID }, frame)
            }
            (Track::Audio, _, Some(audio)) => {
                push_audio(audio, Sink { out, counter: &mut counters.audio, pid: AUDIO_PID }, frame)
            }
            (Track::Video, None, _) | (Track::Audio, _, None) => Err(Malformed),
        };
        if let Segment::Digested(digest) = segment {
            digest.update(scratch);
        }
        if pushed.is_err() {
            self.skipped += 1;
        }
    }

    /// Closes the segment: its bytes, and the counters that the next one starts with. Without an open segment, or with
    /// one that is digested, the bytes are empty.
    pub fn finish_segment(&mut self) -> (Bytes, Counters) {
        let Segment::Open(mut out) = std::mem::replace(&mut self.segment, Segment::Closed) else {
            return (Bytes::new(), self.counters);
        };
        self.flush(&mut out);
        self.last_bytes = out.len();
        // Segments are kept for minutes: what was reserved and not used goes back.
        out.shrink_to_fit();
        (Bytes::from(out), self.counters)
    }

    /// Closes a segment that [`Muxer::start_digest`] opened: its length and hash, and the counters that the next one
    /// starts with. Without one the digest is that of no bytes.
    pub fn finish_digest(&mut self) -> (Digest, Counters) {
        let Segment::Digested(mut digest) = std::mem::replace(&mut self.segment, Segment::Closed) else {
            return (Digest::default(), self.counters);
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        self.flush(&mut scratch);
        digest.update(&scratch);
        self.scratch = scratch;
        (*digest, self.counters)
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if let Some(audio) = &mut self.audio {
            audio.flush(Sink { out, counter: &mut self.counters.audio, pid: AUDIO_PID });
        }
    }

    /// Drops an open segment and goes on with these counters, as a mark gives them.
    pub fn restart(&mut self, counters: Counters) {
        self.segment = Segment::Closed;
        self.counters = four_bits(counters);
    }

    /// The counters as they stand: between two segments, those the next one starts with.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes of the open segment so far, without the audio that waits.
    #[must_use]
    pub fn open_bytes(&self) -> usize {
        match &self.segment {
            Segment::Closed => 0,
            Segment::Open(out) => out.len(),
            Segment::Digested(digest) => usize::try_from(digest.length()).unwrap_or(usize::MAX),
        }
    }

    /// Frames left out since the muxer was made.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The video's configuration.
    #[must_use]
    pub fn video(&self) -> Option<&avc::Config> {
        self.video.as_ref().map(|video| &video.config)
    }

    /// The audio's configuration.
    #[must_use]
    pub fn audio(&self) -> Option<&aac::Config> {
        self.audio.as_ref().map(|audio| &audio.config)
    }
}

/// Counters come over the wire too, where they have eight bits.
fn four_bits(counters: Counters) -> Counters {
    let Counters { psi, video, audio } = counters;
    Counters { psi: psi & 0x0f, video: video & 0x0f, audio: audio & 0x0f }
}

fn push_video(video: &Video, sink: Sink<'_>, frame: &Frame) -> Result<(), Malformed> {
    let tag = VideoTag::parse(&frame.body).map_err(|_| Malformed)?;
    match (tag.codec, tag.packet) {
        (VideoCodec::Avc, VideoPacket::Nalu) => video.write(sink, frame.t_ms, tag.composition_ms, tag.key, tag.data),
        (VideoCodec::Avc, VideoPacket::SequenceHeader | VideoPacket::EndOfSequence) => Ok(()),
        (VideoCodec::Avc, VideoPacket::Other) | (VideoCodec::Id(_) | VideoCodec::FourCc(_), _) => Err(Malformed),
    }
}

fn push_audio(audio: &mut Audio, sink: Sink<'_>, frame: &Frame) -> Result<(), Malformed> {
    let tag = AudioTag::parse(&frame.body).map_err(|_| Malformed)?;
    match (tag.codec, tag.packet) {
        (AudioCodec::Aac, AudioPacket::Raw) => audio.push(sink, frame.t_ms, frame.body.slice_ref(tag.data)),
        (AudioCodec::Aac, AudioPacket::SequenceHeader) => Ok(()),
        (AudioCodec::Aac, AudioPacket::Other) | (AudioCodec::Format(_) | AudioCodec::FourCc(_), _) => Err(Malformed),
    }
}
