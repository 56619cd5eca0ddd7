//! Reading single bits, most significant first: AVC parameter sets and AAC configurations are written so.

/// A cursor over the bits of a slice. Every read answers `None` past the end.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bits that are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.position
    }

    /// One bit.
    pub(crate) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.position / 8)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(bit == 1)
    }

    /// An unsigned number of at most 32 bits.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count.min(32)).try_fold(0u32, |value, _| Some(value << 1 | u32::from(self.bit()?)))
    }

    /// Leaves out `count` bits.
    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        let to = self.position.checked_add(count)?;
        (to <= self.bytes.len() * 8).then(|| self.position = to)
    }

    /// `ue(v)`, an unsigned Exp-Golomb code (ITU-T H.264, 9.1). `None` also for codes over 32 bits.
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        ((1u32 << zeros) - 1).checked_add(rest)
    }

    /// `se(v)`, a signed Exp-Golomb code (ITU-T H.264, 9.1.1).
    pub(crate) fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue()?);
        Some(if code % 2 == 1 { code / 2 + 1 } else { -(code / 2) })
    }
}

#[cfg(test)]
mod tests {
    use super::BitReader;

    #[test]
    fn exp_golomb_codes_follow_table_9_2() {
        // 1 010 011 00100 00101 and padding
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut reader = BitReader::new(&bytes);
        let codes: Vec<_> = (0..5).map(|_| reader.ue().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut reader = BitReader::new(&bytes);
        let codes: Vec<_> = (0..5).map(|_| reader.se().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!(reader.bits(9), None);
        let mut reader = BitReader::new(&[0; 8]);
        assert_eq!(reader.ue(), None, "32 zeros are no code");
        let mut reader = BitReader::new(&[0xa5]);
        assert_eq!(reader.skip(9), None);
        assert_eq!(reader.skip(8), Some(()));
        assert_eq!((reader.left(), reader.bit()), (0, None));
    }
}
