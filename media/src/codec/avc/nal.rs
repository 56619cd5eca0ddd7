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

/// An access unit with start codes before its NAL units (ITU-T H.264, annex B) as one with lengths. `None` if it begins with
/// no start code, if it can be read with lengths as it is, or if a unit is too long for its length.
///
/// A start code is also a length: only what makes no sense with lengths is taken for one. Zeros at the end of a unit belong to
/// the start code after it.
#[must_use]
pub fn with_lengths(access_unit: &[u8], length_size: u8) -> Option<Vec<u8>> {
    if !begins_with_start_code(access_unit) || units(access_unit, length_size).all(|unit| unit.is_ok()) {
        return None;
    }
    let mut out = Vec::with_capacity(access_unit.len() + access_unit.len() / 8);
    let mut rest = access_unit;
    while let Some(at) = start_code(rest) {
        rest = rest.get(at + 3..).unwrap_or_default();
        let unit = rest.get(..start_code(rest).unwrap_or(rest.len())).unwrap_or_default();
        let unit = unit.get(..unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)).unwrap_or_default();
        let length = u32::try_from(unit.len()).ok()?.to_be_bytes();
        let (beyond, length) = length.split_at_checked(length.len().checked_sub(usize::from(length_size))?)?;
        if beyond.iter().any(|byte| *byte != 0) {
            return None;
        }
        if !unit.is_empty() {
            out.extend_from_slice(length);
            out.extend_from_slice(unit);
        }
    }
    Some(out)
}

/// Whether a start code of three or four bytes stands first.
#[must_use]
pub fn begins_with_start_code(access_unit: &[u8]) -> bool {
    access_unit.starts_with(&[0, 0, 1]) || access_unit.starts_with(&[0, 0, 0, 1])
}

/// Where the next start code of three bytes begins.
fn start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| window == [0, 0, 1])
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
    use super::{Cut, units, with_lengths};

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
    fn start_codes_become_lengths_and_lengths_stay() {
        const LONG: &[u8] = &{
            let mut unit = [7; 300];
            (unit[0], unit[1], unit[2]) = (0, 0, 1);
            unit
        };
        type Row = (&'static str, u8, &'static [u8], Option<&'static [u8]>);
        let table: &[Row] = &[
            (
                "two units",
                4,
                &[0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 7],
                Some(&[0, 0, 0, 2, 9, 0xf0, 0, 0, 0, 2, 0x65, 7]),
            ),
            ("lengths of two bytes", 2, &[0, 0, 1, 0x65, 7], Some(&[0, 2, 0x65, 7])),
            (
                "zeros between and behind",
                4,
                &[0, 0, 1, 0x65, 7, 0, 0, 0, 0, 1, 0x41, 8, 0],
                Some(&[0, 0, 0, 2, 0x65, 7, 0, 0, 0, 2, 0x41, 8]),
            ),
            ("units without bytes", 4, &[0, 0, 1, 0, 0, 1, 0x65, 7], Some(&[0, 0, 0, 2, 0x65, 7])),
            ("too long for its length", 1, LONG, None),
            ("a start code inside a unit with a length", 4, &[0, 0, 0, 8, 6, 5, 0, 0, 1, 0x65, 7, 7], None),
            ("a length that begins like a start code", 2, &[0, 0, 0, 1, 9], None),
            ("lengths that lie", 4, &[0, 0, 2, 0, 0x65, 7], None),
            ("nothing", 4, &[], None),
        ];
        for (case, length_size, access_unit, wanted) in table {
            assert_eq!(with_lengths(access_unit, *length_size).as_deref(), *wanted, "{case}");
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
