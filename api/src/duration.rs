//! Durations as people write them in an event: `2s`, `10m`, `1h30m`, `500ms`. Text in, milliseconds out.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest accepted text in bytes. Together with the pattern it bounds what CEL has to reckon with: without a bound
/// the cost budget of the API server refuses the whole resource definition.
pub const DURATION_BYTES_MAX: usize = 20;

/// What a duration looks like; the resource definition carries the same pattern.
pub const DURATION_PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// A duration as it was written. [`Duration::millis`] reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub String);

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration: write for example 2s, 10m, 1h30m or 500ms")]
pub struct DurationError {
    /// What was written.
    pub text: String,
}

impl Duration {
    /// The duration of `text`, unread.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Its length in milliseconds.
    ///
    /// # Errors
    /// When the text does not follow [`DURATION_PATTERN`] or is longer than [`DURATION_BYTES_MAX`].
    pub fn millis(&self) -> Result<u64, DurationError> {
        read(&self.0).ok_or_else(|| DurationError { text: self.0.clone() })
    }

    /// The shortest text for `ms` that reads back as `ms`.
    #[must_use]
    pub fn of_millis(ms: u64) -> Self {
        let parts = [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        let mut rest = ms;
        let mut text = String::new();
        for (unit, name) in parts {
            if rest >= unit {
                text.push_str(&format!("{}{name}", rest / unit));
                rest %= unit;
            }
        }
        Self(if text.is_empty() { "0s".into() } else { text })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `1h30m` → 5,400,000. At most four parts of at most five digits each, so nothing overflows.
fn read(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > DURATION_BYTES_MAX {
        return None;
    }
    let (mut rest, mut total, mut parts) = (text, 0, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = rest.get(digits..)?.bytes().take_while(u8::is_ascii_lowercase).count();
        let factor = match rest.get(digits..digits + unit)? {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        parts += 1;
        if digits == 0 || digits > 5 || parts > 4 {
            return None;
        }
        total += rest.get(..digits)?.parse::<u64>().ok()? * factor;
        rest = rest.get(digits + unit..)?;
    }
    Some(total)
}

#[cfg(feature = "crd")]
impl schemars::JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": DURATION_PATTERN,
            "maxLength": DURATION_BYTES_MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        let table = [("2s", 2_000), ("10m", 600_000), ("1h30m", 5_400_000), ("500ms", 500), ("1m500ms", 60_500)];
        for (text, ms) in table {
            assert_eq!(Duration::new(text).millis(), Ok(ms), "{text}");
            assert_eq!(Duration::of_millis(ms), Duration::new(text));
        }
        assert_eq!(Duration::of_millis(0).millis(), Ok(0));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in
            ["", "5", "s", "5x", "1.5s", "-1s", "123456s", "1h1h1h1h1h", "1 s", "１s", "99999h99999h99999h99999ms"]
        {
            let error = Duration::new(text).millis().unwrap_err();
            assert!(error.to_string().contains("1h30m"), "{text}");
        }
    }
}
