//! MPEG-TS segments (ISO/IEC 13818-1) as a pure function of frames: profile 1.

use serde::{Deserialize, Serialize};

/// Continuity counters (4 bits each) as they stand at the start of a segment; they run on across segments.
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
