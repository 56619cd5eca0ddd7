//! The sequence parameter set (ITU-T H.264, 7.3.2.1.1): picture size, profile, level, frame rate.

use crate::bits::BitReader;

/// Largest width and height: level 6.2 ends at 16,384 (ITU-T H.264, table A-1: sqrt(8 × 139,264) macroblocks).
pub const MAX_SIDE_PIXELS: u32 = 16_896;

/// The fields of a sequence parameter set that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// profile_idc, e.g. 100 for High.
    pub profile: u8,
    /// level_idc, ten times the level, e.g. 31.
    pub level: u8,
    /// chroma_format_idc: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma and of a chroma sample beyond 8.
    pub bit_depths: (u8, u8),
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
    /// Nominal frame rate in thousandths of a frame per second, from the VUI's timing if it is there.
    pub frame_rate_milli: Option<u32>,
}

/// Why a sequence parameter set cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpsError {
    /// It ends, or a code in it is longer than the standard allows.
    #[error("sequence parameter set of {bytes} bytes ends in the middle")]
    Short {
        /// Its size.
        bytes: usize,
    },
    /// A value outside the standard's range.
    #[error("{field} is {value}, out of range")]
    Range {
        /// The syntax element.
        field: &'static str,
        /// Its value.
        value: u32,
    },
    /// Cropping leaves no picture, or the picture is larger than [`MAX_SIDE_PIXELS`].
    #[error("picture size {width}x{height} is out of range")]
    Size {
        /// Width that came out.
        width: i64,
        /// Height that came out.
        height: i64,
    },
}

impl Sps {
    /// Reads a NAL unit of type 7.
    ///
    /// # Errors
    /// See [`SpsError`]. Defects of the VUI only cost the frame rate.
    pub fn parse(unit: &[u8]) -> Result<Self, SpsError> {
        let raw = without_emulation_prevention(unit);
        let short = SpsError::Short { bytes: unit.len() };
        let mut reader = BitReader::new(&raw);
        reader.skip(8).ok_or(short)?;
        let profile = reader.bits(8).ok_or(short)? as u8;
        reader.skip(8).ok_or(short)?;
        let level = reader.bits(8).ok_or(short)? as u8;
        reader.ue().ok_or(short)?; // seq_parameter_set_id
        let chroma = Chroma::read(&mut reader, profile).ok_or(short)?;
        if chroma.format > 3 {
            return Err(SpsError::Range { field: "chroma_format_idc", value: chroma.format });
        }
        skip_picture_order(&mut reader, short)?;
        let (width, height) = picture_size(&mut reader, chroma).ok_or(short)?;
        let fits = |side: i64| u32::try_from(side).ok().filter(|side| (1..=MAX_SIDE_PIXELS).contains(side));
        let (Some(width), Some(height)) = (fits(width), fits(height)) else {
            return Err(SpsError::Size { width, height });
        };
        let narrow = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
        let (chroma_format, bit_depths) = (narrow(chroma.format), (narrow(chroma.depths.0), narrow(chroma.depths.1)));
        let frame_rate_milli = frame_rate_milli(&mut reader);
        Ok(Self { profile, level, chroma_format, bit_depths, width, height, frame_rate_milli })
    }
}

/// Removes each 3 that follows two zeros (7.4.1.1).
fn without_emulation_prevention(unit: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for byte in unit {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        raw.push(*byte);
    }
    raw
}

#[derive(Clone, Copy)]
struct Chroma {
    format: u32,
    separate_planes: bool,
    /// bit_depth_luma_minus8 and bit_depth_chroma_minus8.
    depths: (u32, u32),
}

impl Chroma {
    fn read(reader: &mut BitReader<'_>, profile: u8) -> Option<Self> {
        // The profiles whose parameter sets have these fields (7.3.2.1.1).
        if !matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            return Some(Self { format: 1, separate_planes: false, depths: (0, 0) });
        }
        let format = reader.ue()?;
        let separate_planes = format == 3 && reader.bit()?;
        let depths = (reader.ue()?, reader.ue()?);
        reader.skip(1)?;
        if reader.bit()? {
            for list in 0..if format == 3 { 12 } else { 8 } {
                if reader.bit()? {
                    skip_scaling_list(reader, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(Self { format, separate_planes, depths })
    }

    /// CropUnitX and CropUnitY (7.4.2.1.1), for frames.
    fn crop_units(self) -> (i64, i64) {
        match (self.separate_planes, self.format) {
            (false, 1) => (2, 2),
            (false, 2) => (2, 1),
            _ => (1, 1),
        }
    }
}

fn skip_scaling_list(reader: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + reader.se()? + 256) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

fn skip_picture_order(reader: &mut BitReader<'_>, short: SpsError) -> Result<(), SpsError> {
    reader.ue().ok_or(short)?; // log2_max_frame_num_minus4
    match reader.ue().ok_or(short)? {
        0 => {
            reader.ue().ok_or(short)?;
        }
        1 => {
            reader.skip(1).ok_or(short)?;
            reader.se().ok_or(short)?;
            reader.se().ok_or(short)?;
            let cycle = reader.ue().ok_or(short)?;
            if cycle > 255 {
                return Err(SpsError::Range { field: "num_ref_frames_in_pic_order_cnt_cycle", value: cycle });
            }
            for _ in 0..cycle {
                reader.se().ok_or(short)?;
            }
        }
        2 => {}
        value => return Err(SpsError::Range { field: "pic_order_cnt_type", value }),
    }
    reader.ue().ok_or(short)?; // max_num_ref_frames
    reader.skip(1).ok_or(short)
}

fn picture_size(reader: &mut BitReader<'_>, chroma: Chroma) -> Option<(i64, i64)> {
    let width = (i64::from(reader.ue()?) + 1) * 16;
    let map_units = i64::from(reader.ue()?) + 1;
    let frames_only = reader.bit()?;
    if !frames_only {
        reader.skip(1)?;
    }
    let fields = if frames_only { 1 } else { 2 };
    let height = map_units * 16 * fields;
    reader.skip(1)?; // direct_8x8_inference_flag
    if !reader.bit()? {
        return Some((width, height));
    }
    let mut crop = [0i64; 4];
    for side in &mut crop {
        *side = i64::from(reader.ue()?);
    }
    let [left, right, top, bottom] = crop;
    let (unit_x, unit_y) = chroma.crop_units();
    Some((width - (left + right) * unit_x, height - (top + bottom) * unit_y * fields))
}

/// The VUI as far as its timing (E.1.1): time_scale / (2 × num_units_in_tick).
fn frame_rate_milli(reader: &mut BitReader<'_>) -> Option<u32> {
    if !reader.bit()? {
        return None;
    }
    const EXTENDED_SAR: u32 = 255;
    if reader.bit()? && reader.bits(8)? == EXTENDED_SAR {
        reader.skip(32)?;
    }
    if reader.bit()? {
        reader.skip(1)?; // overscan_appropriate_flag
    }
    if reader.bit()? {
        reader.skip(4)?; // video_format, video_full_range_flag
        if reader.bit()? {
            reader.skip(24)?;
        }
    }
    if reader.bit()? {
        reader.ue()?; // chroma locations
        reader.ue()?;
    }
    if !reader.bit()? {
        return None;
    }
    let ticks = u64::from(reader.bits(32)?);
    let scale = u64::from(reader.bits(32)?);
    let milli = (scale * 1000).checked_div(ticks * 2)?;
    u32::try_from(milli).ok().filter(|milli| *milli > 0)
}
