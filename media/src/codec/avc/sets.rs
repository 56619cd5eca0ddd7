//! Parameter sets: which of them are in force, and the record that carries them.
//!
//! A set that comes inside an access unit takes the place of the one with its number from there on (ITU-T H.264,
//! 7.4.1.2.1). Encoders that change their picture size without a new sequence header rely on it.

use super::{Config, nal};
use crate::bits::BitReader;
use bytes::Bytes;

impl Config {
    /// Whether both records give a decoder the same parameter sets. Other bits of a record have no meaning to it.
    #[must_use]
    pub fn means_the_same(&self, other: &Self) -> bool {
        let same =
            |own: &[Bytes], other: &[Bytes]| own.iter().map(|set| bare(set)).eq(other.iter().map(|set| bare(set)));
        self.nal_length_size == other.nal_length_size
            && same(&self.sps, &other.sps)
            && same(&self.sps_ext, &other.sps_ext)
            && same(&self.pps, &other.pps)
    }

    /// The configuration in force from an access unit on that brings parameter sets of its own. `None` where it brings
    /// none, or only ones that are in force already, and where what would come out cannot be read.
    #[must_use]
    pub fn changed_by(&self, access_unit: &[u8]) -> Option<Self> {
        let (mut sps, mut sps_ext, mut pps) = (self.sps.clone(), self.sps_ext.clone(), self.pps.clone());
        let mut changed = false;
        // Those of the access unit come first, in their order: the first one names the stream.
        let mut places = [0; 3];
        for unit in nal::units(access_unit, self.nal_length_size) {
            let unit = unit.ok()?;
            let (sets, place) = match nal::unit_type(unit) {
                nal::SPS => (&mut sps, 0),
                nal::SPS_EXT => (&mut sps_ext, 1),
                nal::PPS => (&mut pps, 2),
                _ => continue,
            };
            if sets.iter().any(|set| bare(set) == bare(unit)) {
                continue;
            }
            changed = true;
            let number = number(unit)?;
            sets.retain(|set| self::number(set) != Some(number));
            let at = places[place].min(sets.len());
            sets.insert(at, Bytes::copy_from_slice(unit));
            places[place] = at + 1;
        }
        let config = Self { sps, sps_ext, pps, ..self.clone() };
        if changed { Self::parse(&config.record()?).ok() } else { None }
    }

    /// The AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2). `None` of more sets than it can list.
    #[must_use]
    pub fn record(&self) -> Option<Bytes> {
        let first = self.sps.first()?;
        let mut record = vec![1];
        record.extend_from_slice(first.get(1..4)?);
        record.push(0xfc | (self.nal_length_size - 1));
        let count = u8::try_from(self.sps.len()).ok().filter(|count| *count < 32)?;
        put(&mut record, 0xe0 | count, &self.sps)?;
        put(&mut record, u8::try_from(self.pps.len()).ok()?, &self.pps)?;
        if matches!(first.get(1)?, 100 | 110 | 122 | 144) {
            let (luma, chroma) = self.info.bit_depths;
            record.extend([0xfc | self.info.chroma_format, 0xf8 | luma & 7, 0xf8 | chroma & 7]);
            put(&mut record, u8::try_from(self.sps_ext.len()).ok()?, &self.sps_ext)?;
        }
        Some(record.into())
    }
}

fn put(record: &mut Vec<u8>, count: u8, sets: &[Bytes]) -> Option<()> {
    record.push(count);
    for set in sets {
        record.extend_from_slice(&u16::try_from(set.len()).ok()?.to_be_bytes());
        record.extend_from_slice(set);
    }
    Some(())
}

/// A unit without zeros behind it: they belong to the byte stream that it was cut out of (7.4.1, B.1).
fn bare(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    unit.get(..end).unwrap_or_default()
}

/// seq_parameter_set_id or pic_parameter_set_id (7.3.2.1.1, 7.3.2.1.2, 7.3.2.2).
fn number(unit: &[u8]) -> Option<u32> {
    // The largest, 255, has seventeen bits, so it lies in the first bytes; emulation prevention cannot be before it.
    let skipped = if nal::unit_type(unit) == nal::SPS { 4 } else { 1 };
    BitReader::new(unit.get(skipped..)?).ue()
}
