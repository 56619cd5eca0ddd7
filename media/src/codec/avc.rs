//! H.264: the decoder configuration (ISO/IEC 14496-15, 5.3.3.1), length-prefixed NAL units, and the fields of a sequence
//! parameter set (ITU-T H.264, 7.3.2.1.1) that playlists and status show.

use crate::cursor::{Cursor, Short};
use bytes::Bytes;

pub mod nal;
mod sets;
mod sps;

pub use sps::{Sps, SpsError};

/// Largest decoder configuration, bytes. Real ones have 30 to 200; its parameter sets are repeated before every key frame
/// of every segment, so a larger one would multiply what a publisher sends.
pub const MAX_CONFIG_BYTES: usize = 4 * 1024;

/// The decoder configuration of a video track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sequence parameter sets, NAL header included; at least one.
    pub sps: Vec<Bytes>,
    /// Sequence parameter set extensions (alpha planes; hardly ever there).
    pub sps_ext: Vec<Bytes>,
    /// Picture parameter sets, at least one.
    pub pps: Vec<Bytes>,
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub nal_length_size: u8,
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
    /// The first sequence parameter set, read.
    pub info: Sps,
    /// RFC 6381 name, `avc1.PPCCLL`: the three bytes behind the header of the first sequence parameter set (3.3). Those of
    /// the record are meant to repeat them; where they differ, decoders go by the parameter set.
    pub codec_string: String,
}

/// Why a decoder configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Larger than [`MAX_CONFIG_BYTES`].
    #[error("AVC configuration of {bytes} bytes, at most {MAX_CONFIG_BYTES} are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It ends in the middle.
    #[error("AVC configuration ends at byte {bytes}, in the middle of {reading}")]
    Short {
        /// Its size.
        bytes: usize,
        /// What was being read.
        reading: &'static str,
    },
    /// configurationVersion is not 1.
    #[error("AVC configuration has version {version}, not 1")]
    Version {
        /// The version found.
        version: u8,
    },
    /// lengthSizeMinusOne is 2, which the standard excludes.
    #[error("AVC configuration has NAL unit lengths of 3 bytes, which ISO/IEC 14496-15 excludes")]
    LengthSize,
    /// A parameter set of another NAL unit type than its place asks for.
    #[error("AVC configuration has a NAL unit of type {found} in the list of type {wanted}")]
    NalType {
        /// The type its place asks for.
        wanted: u8,
        /// The type found.
        found: u8,
    },
    /// A list that must have an entry has none.
    #[error("AVC configuration has no {what}")]
    Missing {
        /// `SPS` or `PPS`.
        what: &'static str,
    },
    /// The first sequence parameter set cannot be read.
    #[error("failed to read the sequence parameter set")]
    Sps {
        /// Why.
        #[source]
        source: SpsError,
    },
}

impl From<Short> for ConfigError {
    fn from(short: Short) -> Self {
        Self::Short { bytes: short.position + short.left, reading: short.what }
    }
}

impl Config {
    /// Reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2).
    ///
    /// # Errors
    /// See [`ConfigError`]. Bytes after the record are ignored, as the standard asks of readers.
    pub fn parse(record: &Bytes) -> Result<Self, ConfigError> {
        if record.len() > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge { bytes: record.len() });
        }
        let mut cursor = Cursor::new(record);
        let version = cursor.u8("version")?;
        if version != 1 {
            return Err(ConfigError::Version { version });
        }
        let profile = cursor.u8("profile")?;
        cursor.take(2, "profile compatibility and level")?;
        let nal_length_size = (cursor.u8("length size")? & 3) + 1;
        if nal_length_size == 3 {
            return Err(ConfigError::LengthSize);
        }
        let count = cursor.u8("number of SPS")? & 0x1f;
        let sps = sets(&mut cursor, record, count, (nal::SPS, "SPS"))?;
        let count = cursor.u8("number of PPS")?;
        let pps = sets(&mut cursor, record, count, (nal::PPS, "PPS"))?;
        let first = sps.first().ok_or(ConfigError::Missing { what: "SPS" })?;
        if pps.is_empty() {
            return Err(ConfigError::Missing { what: "PPS" });
        }
        let info = Sps::parse(first).map_err(|source| ConfigError::Sps { source })?;
        let sps_ext = extension(&mut cursor, record, profile)?;
        let codec_string = codec_string(first);
        Ok(Self { width: info.width, height: info.height, sps, sps_ext, pps, nal_length_size, info, codec_string })
    }

    /// Every parameter set in the order in which a decoder wants them.
    pub fn parameter_sets(&self) -> impl Iterator<Item = &Bytes> {
        self.sps.iter().chain(&self.sps_ext).chain(&self.pps)
    }
}

/// Readable sets have these bytes: reading one needs more of them.
fn codec_string(sps: &[u8]) -> String {
    let [profile, constraints, level] = sps.get(1..4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
}

/// A list of parameter sets, each with its length in two bytes before it. `wanted` is their NAL unit type and what it is
/// called.
fn sets(
    cursor: &mut Cursor<'_>,
    record: &Bytes,
    count: u8,
    (wanted, called): (u8, &'static str),
) -> Result<Vec<Bytes>, ConfigError> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let length = cursor.u16(called)?;
        let set = record.slice_ref(cursor.take(usize::from(length), called)?);
        let found = set.first().map(|header| header & 0x1f);
        let found = found.ok_or(ConfigError::Short { bytes: record.len(), reading: called })?;
        if found != wanted {
            return Err(ConfigError::NalType { wanted, found });
        }
        sets.push(set);
    }
    Ok(sets)
}

/// The tail that records of High profiles have and many encoders leave out.
fn extension(cursor: &mut Cursor<'_>, record: &Bytes, profile: u8) -> Result<Vec<Bytes>, ConfigError> {
    let there = matches!(profile, 100 | 110 | 122 | 144) && cursor.rest().len() >= 4;
    if !there {
        return Ok(Vec::new());
    }
    cursor.take(3, "chroma format and bit depths")?; // the SPS has them as well
    let count = cursor.u8("number of SPS extensions")?;
    sets(cursor, record, count, (nal::SPS_EXT, "SPS extension"))
}

#[cfg(test)]
mod tests;
