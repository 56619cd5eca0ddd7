//! The relay token, which the event's ingest and its edges have, and no other process.

use anyhow::{Context, bail};
use http::HeaderValue;
use lectern_api::keys::{KEY_BYTES_MIN, fingerprint, trimmed};
use std::path::Path;
use subtle::ConstantTimeEq;

/// The relay token and its header. `Debug` hides the value.
pub struct Token {
    value: String,
    bearer: HeaderValue,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.fingerprint())
    }
}

impl Token {
    /// Reads it from a file.
    ///
    /// # Errors
    /// If there is no such file, or no usable token in it.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("failed to read the relay token from {}", path.display()))?;
        Self::new(trimmed(&bytes)).with_context(|| format!("failed to use the relay token in {}", path.display()))
    }

    /// Takes it as it is.
    ///
    /// # Errors
    /// If it is too short, or cannot be sent in a header.
    pub fn new(value: &[u8]) -> anyhow::Result<Self> {
        if value.len() < KEY_BYTES_MIN {
            bail!("it has {} bytes, at least {KEY_BYTES_MIN} are needed", value.len());
        }
        let value = String::from_utf8(value.to_vec()).context("it is no text")?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {value}")).context("it has control characters")?;
        bearer.set_sensitive(true);
        Ok(Self { value, bearer })
    }

    /// Whether `given` is the token; takes the same time for every wrong one of the same length.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        self.value.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// The same for the value of an `Authorization` header.
    #[must_use]
    pub fn is_bearer(&self, given: &HeaderValue) -> bool {
        self.bearer.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// The value of an `Authorization` header.
    #[must_use]
    pub fn bearer(&self) -> HeaderValue {
        self.bearer.clone()
    }

    /// What may be told of it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.value.as_bytes())
    }
}

/// The value of `name` in a query.
#[must_use]
pub fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::{Token, query_value};
    use http::HeaderValue;

    #[test]
    fn only_the_token_is_the_token() {
        let token = Token::new(b"0123456789").unwrap();
        assert!(token.is("0123456789"));
        for wrong in ["", "012345678", "0123456788", "01234567890"] {
            assert!(!token.is(wrong), "{wrong}");
        }
        assert!(token.is_bearer(&HeaderValue::from_static("Bearer 0123456789")));
        assert!(!token.is_bearer(&HeaderValue::from_static("0123456789")));
        assert!(!format!("{token:?}").contains("0123456789"));
    }

    #[test]
    fn a_token_that_cannot_be_one_is_refused() {
        for bad in [&b"short"[..], b"with\nnewline", b"\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(Token::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_is_found_in_a_query() {
        assert_eq!(query_value("a=1&token=x&b=2", "token"), Some("x"));
        assert_eq!(query_value("mytoken=x", "token"), None);
        assert_eq!(query_value("", "token"), None);
    }
}
