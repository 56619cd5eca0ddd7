//! Single byte ranges (RFC 9110, section 14).

/// What a `Range` header asks of a representation of known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranged {
    /// No range, one that is not understood, or several: the whole representation is a correct answer to all of them.
    Whole,
    /// Bytes from `start` up to and not including `end`.
    Part {
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
    },
    /// Nothing of it exists: 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a representation of `length` bytes.
#[must_use]
pub fn parse(header: &str, length: u64) -> Ranged {
    let Some(spec) = header.strip_prefix("bytes=") else { return Ranged::Whole };
    let Some((first, last)) = spec.split_once('-') else { return Ranged::Whole };
    match (number(first), number(last)) {
        (Number::None, Number::Some(0)) => Ranged::Unsatisfiable,
        (Number::None, Number::Some(suffix)) => part(length.saturating_sub(suffix), length, length),
        (Number::Some(start), Number::None) => part(start, length, length),
        (Number::Some(start), Number::Some(last)) if start <= last => part(start, last.saturating_add(1), length),
        _ => Ranged::Whole,
    }
}

enum Number {
    None,
    Some(u64),
    Bad,
}

fn number(text: &str) -> Number {
    let text = text.trim();
    if text.is_empty() {
        return Number::None;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Number::Bad;
    }
    // More digits than u64 holds is a position beyond every end.
    Number::Some(text.parse().unwrap_or(u64::MAX))
}

fn part(start: u64, end: u64, length: u64) -> Ranged {
    if start >= length {
        return Ranged::Unsatisfiable;
    }
    Ranged::Part { start, end: end.min(length) }
}

#[cfg(test)]
mod tests {
    use super::{Ranged, parse};

    #[test]
    fn a_range_is_answered_as_the_rfc_says() {
        let part = |start, end| Ranged::Part { start, end };
        let cases = [
            ("bytes=0-499", part(0, 500)),
            ("bytes=500-999", part(500, 1000)),
            ("bytes=500-", part(500, 1000)),
            ("bytes=-1", part(999, 1000)),
            ("bytes=-5000", part(0, 1000)),
            ("bytes=900-99999999999999999999", part(900, 1000)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=1000-", Ranged::Unsatisfiable),
            ("bytes=99999999999999999999-", Ranged::Unsatisfiable),
            ("bytes=-0", Ranged::Unsatisfiable),
            ("bytes=5-4", Ranged::Whole),
            ("bytes=-", Ranged::Whole),
            ("bytes=a-b", Ranged::Whole),
            ("bytes=0-1,5-6", Ranged::Whole),
            ("bytes=+1-2", Ranged::Whole),
            ("items=0-1", Ranged::Whole),
            ("", Ranged::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(parse(header, 1000), expected, "{header:?}");
        }
    }

    #[test]
    fn nothing_of_an_empty_representation_exists() {
        assert_eq!(parse("bytes=0-", 0), Ranged::Unsatisfiable);
        assert_eq!(parse("bytes=-5", 0), Ranged::Unsatisfiable);
    }
}
