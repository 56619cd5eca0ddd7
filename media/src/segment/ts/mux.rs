//! The muxer: frames in, whole segments out, with the bytes that the module above describes.

use super::pes::{Audio, Malformed, Sink, Video};
use super::psi::Tables;
use super::{AUDIO_PID, Counters, VIDEO_PID};
use crate::hash::Digest;
use crate::segment::tracks::{MuxError, Tracks};
use crate::track::{Class, Frame, Track};
use bytes::Bytes;

/// Room for the first segment: 2 s at 2 Mbit/s. Later ones are sized by the one before.
const FIRST_SEGMENT_BYTES: usize = 512 * 1024;

/// Writes MPEG-TS segments: see [`crate::segment::Muxer`].
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

impl Muxer {
    /// A muxer for these tracks, at least one, with no segment open.
    ///
    /// # Errors
    /// No track, or tables that cannot be written.
    pub fn new(tracks: Tracks, counters: Counters) -> Result<Self, MuxError> {
        let Tracks { video, audio } = tracks;
        if video.is_none() && audio.is_none() {
            return Err(MuxError::NoTracks);
        }
        let video = video.map(Video::new);
        let audio = audio.map(|config| Audio::new(config, video.is_none()));
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

    /// Bytes of the open segment so far; 0 while none is open.
    #[must_use]
    pub fn open_bytes(&self) -> u64 {
        match &self.segment {
            Segment::Closed => 0,
            Segment::Open(out) => out.len() as u64,
            Segment::Digested(digest) => digest.length(),
        }
    }

    /// Frames left out since the muxer was made.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// Counters come over the wire too, where they have eight bits.
fn four_bits(counters: Counters) -> Counters {
    let Counters { psi, video, audio } = counters;
    Counters { psi: psi & 0x0f, video: video & 0x0f, audio: audio & 0x0f }
}

fn push_video(video: &Video, sink: Sink<'_>, frame: &Frame) -> Result<(), Malformed> {
    match frame.class {
        Class::Media(media) => {
            video.write(sink, frame.t_ms, media.composition_ms, media.key, &media.payload(&frame.body))
        }
        Class::Config | Class::End => Ok(()),
        Class::Other | Class::NotCarried(_) => Err(Malformed),
    }
}

fn push_audio(audio: &mut Audio, sink: Sink<'_>, frame: &Frame) -> Result<(), Malformed> {
    match frame.class {
        Class::Media(media) => audio.push(sink, frame.t_ms, media.payload(&frame.body)),
        Class::Config | Class::End => Ok(()),
        Class::Other | Class::NotCarried(_) => Err(Malformed),
    }
}
