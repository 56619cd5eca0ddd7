//! MPEG-TS segments (ISO/IEC 13818-1) as a pure function of frames: profile 1.
//!
//! Profile 1, frozen; its golden bytes are in the tests:
//!
//! | what | value |
//! |---|---|
//! | PIDs | PMT 0x1000, video 0x100, audio 0x101; program 1, transport stream 1, versions 0 |
//! | a segment | PAT, PMT, then PES packets in order of arrival |
//! | PTS, DTS | `(t + composition) · 90 + 63,000` and `t · 90 + 63,000`, mod 2³³, from the unwrapped `t`; DTS only if it differs |
//! | PCR | `t · 90` mod 2³³ (700 ms before the DTS, so that nothing is late) on every video PES; without video on every audio PES |
//! | video PES | one access unit: AUD, then at a random access point the SPS and PPS of the configuration, then the NAL units |
//! | audio PES | six AAC frames, each with its ADTS header; fewer at the end of a segment and before a gap |
//! | PES length | exact, 0 for video where it does not fit into 16 bits |
//! | random access indicator | on every access unit that is a key frame by its FLV header or has an IDR slice |
//! | stuffing | by adaptation field; after PAT and PMT by 0xff |
//! | continuity counters | run on over segments: [`Counters`] |
//!
//! A composition offset below zero gives a PTS before the DTS. It is passed on as it is, since any repair would need to
//! know the frames to come: ffmpeg warns and plays it.

use serde::{Deserialize, Serialize};

mod mux;
mod packet;
mod pes;
mod psi;

pub use mux::Muxer;
pub use packet::PACKET_BYTES;
pub use pes::AAC_FRAMES_PER_PES;

/// PID of the program map table.
pub const PMT_PID: u16 = 0x1000;
/// PID of the video.
pub const VIDEO_PID: u16 = 0x100;
/// PID of the audio.
pub const AUDIO_PID: u16 = 0x101;

/// What PTS and DTS have before the PCR, in ticks of 90 kHz: 700 ms. Audio waits up to 128 ms for its PES packet to
/// fill, so something must be there; the value is what nginx-rtmp and ffmpeg use and every player has seen.
pub const DELAY_TICKS: u64 = 63_000;

/// Continuity counters (4 bits each) as they stand at the start of a segment; they run on across segments. Each is
/// the value of the next packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    /// PAT and PMT (both advance together, once a segment).
    pub psi: u8,
    /// Video PID.
    pub video: u8,
    /// Audio PID.
    pub audio: u8,
}
