//! Text: what of a name that a peer chose may be shown to people, and bytes as hexadecimal digits.

/// Whether `c` may reach a terminal, a log or a status. Control characters move the cursor; format characters (Unicode
/// category Cf: bidirectional marks, zero-width and tag characters) make a text look like another.
#[must_use]
pub fn is_showable(c: char) -> bool {
    !c.is_control() && !FORMAT.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// `text` without the characters that must not be shown.
#[must_use]
pub fn showable(text: &str) -> String {
    text.chars().filter(|c| is_showable(*c)).collect()
}

/// `bytes` as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS[usize::from(value & 0xf)];
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Category Cf of Unicode 16, and the line and paragraph separators.
const FORMAT: [(char, char); 22] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{2066}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
    ('\u{2065}', '\u{2065}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_two_digits() {
        assert_eq!(hex(&[0, 9, 10, 0xff]), "00090aff");
        assert_eq!(hex(&[]), "");
    }

    #[test]
    fn a_name_cannot_turn_round_what_stands_beside_it() {
        assert_eq!(showable("OBS\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}\u{1b}[2J"), "OBSgnp.exe[2J");
        assert_eq!(showable("Hörsaal 3, 講堂, صالة 🎥"), "Hörsaal 3, 講堂, صالة 🎥");
    }
}
