//! NAL units with a length before each, as FLV and MP4 carry them (ISO/IEC 14496-15, 5.3.4.2).

/// Coded slice of an IDR picture (ITU-T H.264, table 7-1).
pub const IDR: u8 = 5;
/// Sequence parameter set.
pub const SPS: u8 = 7;
/// Picture parameter set.
pub const PPS: u8 = 8;
/// Access unit delimiter.
pub const AUD: u8 = 9;
/// Sequence parameter set extension.
pub const SPS_EXT: u8 = 13;

/// The NAL unit type of a unit; 0 ("unspecified") of an empty one.
#[must_use]
pub fn unit_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header & 0x1f)
}

/// A length that does not fit into the access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("NAL unit at byte {at} of {bytes} is cut off")]
pub struct Cut {
    /// Where its length begins.
    pub at: usize,
    /// Size of the access unit.
    pub bytes: usize,
}

/// The NAL units of one access unit, empty ones left out. After an error it ends.
#[must_use]
pub fn units(access_unit: &[u8], length_size: u8) -> Units<'_> {
    Units { access_unit, at: 0, length_size: usize::from(length_size) }
}

/// See [`units`].
#[derive(Clone, Debug)]
pub struct Units<'a> {
    access_unit: &'a [u8],
    at: usize,
    length_size: usize,
}

impl<'a> Iterator for Units<'a> {
    type Item = Result<&'a [u8], Cut>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.access_unit.len() {
            let at = self.at;
            let rest = self.access_unit.get(at..).unwrap_or_default();
            let unit = rest.split_at_checked(self.length_size).and_then(|(length, rest)| {
                let length = length.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
                rest.get(..length)
            });
            let Some(unit) = unit else {
                self.at = self.access_unit.len();
                return Some(Err(Cut { at, bytes: self.access_unit.len() }));
            };
            self.at = at + self.length_size + unit.len();
            if !unit.is_empty() {
                return Some(Ok(unit));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, units};

    #[test]
    fn units_are_read_with_every_length_size() {
        let table: &[(u8, &[u8])] = &[
            (1, &[2, 9, 0xf0, 0, 3, 0x65, 1, 2]),
            (2, &[0, 2, 9, 0xf0, 0, 0, 0, 3, 0x65, 1, 2]),
            (4, &[0, 0, 0, 2, 9, 0xf0, 0, 0, 0, 0, 0, 0, 0, 3, 0x65, 1, 2]),
        ];
        for (length_size, bytes) in table {
            let found: Vec<_> = units(bytes, *length_size).map(Result::unwrap).collect();
            assert_eq!(found, [&[9, 0xf0][..], &[0x65, 1, 2]], "length size {length_size}");
        }
    }

    #[test]
    fn a_cut_unit_is_an_error_and_the_end() {
        for bytes in [&[0, 0, 0, 1, 9, 0, 0, 0, 3, 0x65, 1][..], &[0, 0, 0, 1, 9, 0, 0][..]] {
            let found: Vec<_> = units(bytes, 4).collect();
            assert_eq!(found, [Ok(&[9][..]), Err(Cut { at: 5, bytes: bytes.len() })]);
        }
    }
}
