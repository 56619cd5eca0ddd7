//! AAC: the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), and the ADTS header that MPEG-TS wants before every frame.

use crate::bits::BitReader;

mod adts;

pub use adts::{ADTS_HEADER_BYTES, AdtsHeader, MAX_ADTS_PAYLOAD_BYTES};

/// Samples per channel in a frame at [`Config::sample_rate`]. The variant with 960 has no ADTS form and is refused.
pub const SAMPLES_PER_FRAME: u32 = 1024;

/// Largest AudioSpecificConfig, bytes. Real ones have two to ten; every epoch carries it to every edge, so it must not be
/// a lever for a hostile encoder.
pub const MAX_CONFIG_BYTES: usize = 64;

/// Sampling frequencies by index (ISO/IEC 14496-3, table 1.18).
const FREQUENCIES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Audio object type of spectral band replication.
const SBR: u8 = 5;
/// Audio object type of parametric stereo.
const PS: u8 = 29;

/// The configuration of an audio track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Audio object type of the core codec: 1 Main, 2 LC, 3 SSR, 4 LTP.
    pub object_type: u8,
    /// Sampling frequency of the core codec in hertz: with SBR half of what is heard.
    pub sample_rate: u32,
    /// Sampling frequency that is heard, as far as it is signalled.
    pub output_rate: u32,
    /// Speakers, by the channel configuration; parametric stereo counts as two.
    pub channels: u8,
    /// RFC 6381 name, e.g. `mp4a.40.2`.
    pub codec_string: String,
    /// What every ADTS header of the track starts from.
    pub adts: AdtsHeader,
}

/// Why an AAC configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Larger than [`MAX_CONFIG_BYTES`].
    #[error("AudioSpecificConfig of {bytes} bytes, at most {MAX_CONFIG_BYTES} are accepted")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It ends in the middle.
    #[error("AudioSpecificConfig ends at byte {bytes}, in the middle of {reading}")]
    Short {
        /// Its size.
        bytes: usize,
        /// What was being read.
        reading: &'static str,
    },
    /// An ADTS header has room for Main, LC, SSR and LTP only.
    #[error("AAC object type {object_type} is not supported: MPEG-TS with ADTS carries types 1 to 4, best 2 (LC)")]
    ObjectType {
        /// The type found.
        object_type: u8,
    },
    /// A sampling frequency that has no index.
    #[error("AAC sampling frequency {hertz} Hz is not supported")]
    SampleRate {
        /// The frequency, 0 for a reserved index.
        hertz: u32,
    },
    /// A channel configuration that an ADTS header has no number for.
    #[error("AAC channel configuration {channel_configuration} is not supported")]
    Channels {
        /// The configuration found; 0 is a layout of its own.
        channel_configuration: u8,
    },
    /// frameLengthFlag is set.
    #[error("AAC with 960 samples a frame is not supported")]
    FrameLength,
}

impl Config {
    /// Reads an AudioSpecificConfig.
    ///
    /// # Errors
    /// What is not AAC in the sense of ADTS is refused: see [`ConfigError`].
    pub fn parse(config: &[u8]) -> Result<Self, ConfigError> {
        if config.len() > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge { bytes: config.len() });
        }
        let short = |reading| ConfigError::Short { bytes: config.len(), reading };
        let mut reader = BitReader::new(config);
        let mut object_type = object_type_of(&mut reader).ok_or_else(|| short("object type"))?;
        let rate = frequency_of(&mut reader).ok_or_else(|| short("sampling frequency"))?;
        let layout = reader.bits(4).ok_or_else(|| short("channel configuration"))? as u8;
        let mut extension = None;
        let mut output_rate = rate;
        if object_type == SBR || object_type == PS {
            extension = Some(object_type);
            output_rate = frequency_of(&mut reader).ok_or_else(|| short("extension sampling frequency"))?;
            object_type = object_type_of(&mut reader).ok_or_else(|| short("core object type"))?;
        }
        if !(1..=4).contains(&object_type) {
            return Err(ConfigError::ObjectType { object_type });
        }
        if !(1..=7).contains(&layout) {
            return Err(ConfigError::Channels { channel_configuration: layout });
        }
        skip_general_audio(&mut reader).ok_or_else(|| short("GASpecificConfig"))??;
        if extension.is_none()
            && let Some((found, rate)) = backward_compatible_extension(&mut reader)
        {
            extension = Some(found);
            output_rate = rate;
        }
        let index = FREQUENCIES.iter().position(|hertz| *hertz == rate);
        let Some(index) = index else { return Err(ConfigError::SampleRate { hertz: rate }) };
        let speakers = [0, 1, 2, 3, 4, 5, 6, 8].get(usize::from(layout)).copied().unwrap_or(0);
        Ok(Self {
            object_type,
            sample_rate: rate,
            output_rate,
            channels: if extension == Some(PS) { 2 } else { speakers },
            codec_string: format!("mp4a.40.{}", extension.unwrap_or(object_type)),
            adts: AdtsHeader::new(object_type, index as u8, layout),
        })
    }
}

/// GetAudioObjectType (table 1.16): 31 is an escape.
fn object_type_of(reader: &mut BitReader<'_>) -> Option<u8> {
    match reader.bits(5)? {
        31 => Some(32 + reader.bits(6)? as u8),
        object_type => Some(object_type as u8),
    }
}

/// samplingFrequencyIndex, with its escape to 24 bits. 0 for the reserved indices.
fn frequency_of(reader: &mut BitReader<'_>) -> Option<u32> {
    match reader.bits(4)? {
        15 => reader.bits(24),
        index => Some(FREQUENCIES.get(index as usize).copied().unwrap_or(0)),
    }
}

/// GASpecificConfig (4.4.1) for the object types that ADTS knows.
fn skip_general_audio(reader: &mut BitReader<'_>) -> Option<Result<(), ConfigError>> {
    if reader.bit()? {
        return Some(Err(ConfigError::FrameLength));
    }
    if reader.bit()? {
        reader.skip(14)?; // coreCoderDelay
    }
    reader.bit()?; // extensionFlag
    Some(Ok(()))
}

/// SBR and PS behind the core configuration, where old decoders do not look (1.6.6.2).
fn backward_compatible_extension(reader: &mut BitReader<'_>) -> Option<(u8, u32)> {
    if reader.bits(11)? != 0x2b7 || object_type_of(reader)? != SBR || !reader.bit()? {
        return None;
    }
    let rate = frequency_of(reader)?;
    let parametric_stereo = reader.left() >= 12 && reader.bits(11)? == 0x548 && reader.bit()?;
    Some((if parametric_stereo { PS } else { SBR }, rate))
}

#[cfg(test)]
mod tests;
