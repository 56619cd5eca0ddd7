//! Kubernetes quantities (`4G`, `500m`, `1Gi`): kept as written, read into whole numbers where Lectern itself needs one.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest accepted text in bytes: no quantity needs more, and CEL needs a bound.
pub const QUANTITY_BYTES_MAX: usize = 24;

/// What a quantity looks like. Numbers without quotes are not matched against it, which is right.
pub const QUANTITY_PATTERN: &str = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$";

/// A quantity as it was written; a bare number is kept as its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Quantity(pub String);

/// A text that is no quantity, or none that Lectern can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no whole quantity: write for example 800M, 4G or 2500000000")]
pub struct QuantityError {
    /// What was written.
    pub text: String,
}

/// Both forms that YAML has for it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl From<Written> for Quantity {
    fn from(written: Written) -> Self {
        match written {
            Written::Number(number) => Self(number.to_string()),
            Written::Text(text) => Self(text),
        }
    }
}

impl Quantity {
    /// The whole number it stands for.
    ///
    /// # Errors
    /// When it is no number with one of the suffixes k, M, G, T, P, Ki, Mi, Gi, Ti, Pi; when it is no whole number;
    /// when it does not fit into 64 bits.
    pub fn whole(&self) -> Result<u64, QuantityError> {
        read(&self.0).ok_or_else(|| QuantityError { text: self.0.clone() })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn read(text: &str) -> Option<u64> {
    if text.len() > QUANTITY_BYTES_MAX {
        return None;
    }
    let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let factor: u128 = match text.get(end..)? {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "P" => 1_000_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        _ => return None,
    };
    let (whole, part) = text.get(..end)?.split_once('.').unwrap_or((text.get(..end)?, ""));
    let scale = 10_u128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    let scaled = digits.checked_mul(factor)?;
    if scaled % scale != 0 {
        return None;
    }
    u64::try_from(scaled / scale).ok()
}

#[cfg(feature = "crd")]
impl schemars::JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": QUANTITY_PATTERN,
            "maxLength": QUANTITY_BYTES_MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_whole_numbers() {
        let table = [("4G", 4_000_000_000), ("1.5G", 1_500_000_000), ("800M", 800_000_000), ("1Ki", 1024), ("7", 7)];
        for (text, number) in table {
            assert_eq!(Quantity(text.into()).whole(), Ok(number), "{text}");
        }
        for text in ["", "4g", "-1", "0.5", "G", "1.2.3", "99999999999P", "1000000000000000000000000000"] {
            assert!(Quantity(text.into()).whole().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_number_and_a_text_are_the_same() {
        let number: Quantity = serde_yaml::from_str("4000000000").unwrap();
        let text: Quantity = serde_yaml::from_str("'4000000000'").unwrap();
        assert_eq!(number, text);
    }
}
