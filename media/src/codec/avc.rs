//! H.264 as FLV carries it: the decoder configuration (ISO/IEC 14496-15, 5.3.3.1), length-prefixed NAL units and what
//! of a sequence parameter set (ITU-T H.264, 7.3.2.1.1) people want to know.

use crate::flv::{VideoCodec, VideoPacket, VideoTag};
use bytes::Bytes;

pub mod nal;
mod sps;

pub use sps::{Sps, SpsError};

/// Largest decoder configuration. Real ones have 30 to 200 bytes; it is repeated at every IDR of every segment, so it
/// must not be a lever for a hostile encoder.
pub const MAX_CONFIG_BYTES: usize = 16 * 1024;

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
    /// RFC 6381 name, `avc1.PPCCLL`.
    pub codec_string: String,
}

/// Why a decoder configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Another codec, or H.264 in an Enhanced RTMP header.
    #[error("video is {codec}: not supported, only H.264 is")]
    Codec {
        /// Which.
        codec: VideoCodec,
    },
    /// The tag body is no sequence header.
    #[error("not an AVC sequence header")]
    NotASequenceHeader,
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

impl Config {
    /// Reads the body of an FLV video tag that is an AVC sequence header.
    ///
    /// # Errors
    /// Another codec, another packet type, or a configuration that [`Config::parse`] refuses.
    pub fn from_flv_body(body: &Bytes) -> Result<Self, ConfigError> {
        let tag = VideoTag::parse(body).map_err(|_| ConfigError::NotASequenceHeader)?;
        if tag.codec != VideoCodec::Avc {
            return Err(ConfigError::Codec { codec: tag.codec });
        }
        if tag.packet != VideoPacket::SequenceHeader {
            return Err(ConfigError::NotASequenceHeader);
        }
        Self::parse(&body.slice_ref(tag.data))
    }

    /// Reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2).
    ///
    /// # Errors
    /// See [`ConfigError`]. Bytes after the record are ignored, as the standard asks of readers.
    pub fn parse(record: &Bytes) -> Result<Self, ConfigError> {
        if record.len() > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge { bytes: record.len() });
        }
        let mut cursor = Cursor { record, at: 0 };
        let version = cursor.byte("version")?;
        if version != 1 {
            return Err(ConfigError::Version { version });
        }
        let profile = cursor.byte("profile")?;
        let compatibility = cursor.byte("profile compatibility")?;
        let level = cursor.byte("level")?;
        let nal_length_size = (cursor.byte("length size")? & 3) + 1;
        if nal_length_size == 3 {
            return Err(ConfigError::LengthSize);
        }
        let count = cursor.byte("number of SPS")? & 0x1f;
        let sps = cursor.sets(count, nal::SPS, "SPS")?;
        let count = cursor.byte("number of PPS")?;
        let pps = cursor.sets(count, nal::PPS, "PPS")?;
        let first = sps.first().ok_or(ConfigError::Missing { what: "SPS" })?;
        if pps.is_empty() {
            return Err(ConfigError::Missing { what: "PPS" });
        }
        let info = Sps::parse(first).map_err(|source| ConfigError::Sps { source })?;
        let sps_ext = cursor.extension(profile)?;
        let codec_string = format!("avc1.{profile:02x}{compatibility:02x}{level:02x}");
        Ok(Self { width: info.width, height: info.height, sps, sps_ext, pps, nal_length_size, info, codec_string })
    }

    /// Every parameter set in the order in which a decoder wants them.
    pub fn parameter_sets(&self) -> impl Iterator<Item = &Bytes> {
        self.sps.iter().chain(&self.sps_ext).chain(&self.pps)
    }
}

/// Where in the record reading stands.
struct Cursor<'a> {
    record: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    fn short(&self, reading: &'static str) -> ConfigError {
        ConfigError::Short { bytes: self.record.len(), reading }
    }

    fn byte(&mut self, reading: &'static str) -> Result<u8, ConfigError> {
        let byte = *self.record.get(self.at).ok_or_else(|| self.short(reading))?;
        self.at += 1;
        Ok(byte)
    }

    fn sets(&mut self, count: u8, wanted: u8, reading: &'static str) -> Result<Vec<Bytes>, ConfigError> {
        let mut sets = Vec::new();
        for _ in 0..count {
            let length = usize::from(self.byte(reading)?) << 8 | usize::from(self.byte(reading)?);
            let end = self.at + length;
            if end > self.record.len() {
                return Err(self.short(reading));
            }
            let set = self.record.slice(self.at..end);
            self.at = end;
            let found = set.first().map(|header| header & 0x1f).ok_or_else(|| self.short(reading))?;
            if found != wanted {
                return Err(ConfigError::NalType { wanted, found });
            }
            sets.push(set);
        }
        Ok(sets)
    }

    /// The tail that records of High profiles have and many encoders leave out.
    fn extension(&mut self, profile: u8) -> Result<Vec<Bytes>, ConfigError> {
        let there = matches!(profile, 100 | 110 | 122 | 144) && self.record.len() >= self.at + 4;
        if !there {
            return Ok(Vec::new());
        }
        self.at += 3; // chroma format and bit depths: the SPS says them as well
        let count = self.byte("number of SPS extensions")?;
        self.sets(count, nal::SPS_EXT, "SPS extension")
    }
}

#[cfg(test)]
mod tests;
