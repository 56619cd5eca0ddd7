//! Names: newtypes that cannot hold a bad value, and what the children of an event are called.

use crate::limits::{NAME_BYTES_MAX, OBJECT_NAME_BYTES_MAX};
use serde::Serialize;
use std::fmt;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a DNS label.
    #[error("{name:?} must be lower-case letters, digits and '-', and begin and end with a letter or digit")]
    NotALabel {
        /// What was written.
        name: String,
    },
    /// Begins with something else than a letter.
    #[error("{name:?} must begin with a letter, because Services are named after it")]
    NoLetterFirst {
        /// What was written.
        name: String,
    },
    /// Too long, or empty.
    #[error("{name:?} has {bytes} characters; it must have 1 to {max}")]
    Length {
        /// What was written.
        name: String,
        /// Its length in bytes.
        bytes: usize,
        /// The longest that is accepted.
        max: usize,
    },
    /// Not the name of a Kubernetes object.
    #[error("{name:?} is no name of a Kubernetes object: lower-case letters, digits, '-' and '.'")]
    NotAnObject {
        /// What was written.
        name: String,
    },
}

/// The name of an event: a DNS label that begins with a letter, at most [`NAME_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EventName(String);

/// The name of a stream: a DNS label of at most [`NAME_BYTES_MAX`] bytes, and the path segment of every URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct StreamName(String);

/// The name of a Secret in the event's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SecretName(String);

impl EventName {
    /// `name`, checked.
    ///
    /// # Errors
    /// When it is no DNS label, too long, or begins with a digit.
    pub fn new(name: &str) -> Result<Self, NameError> {
        label(name)?;
        if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(NameError::NoLetterFirst { name: name.into() });
        }
        Ok(Self(name.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ingest: Deployment, Service, ServiceAccount, PodDisruptionBudget, NetworkPolicy, Role.
    #[must_use]
    pub fn ingest(&self) -> String {
        format!("{self}-ingest")
    }

    /// The edges: Deployment, HTTP Service, ServiceAccount, PodDisruptionBudget, NetworkPolicy, autoscaler.
    #[must_use]
    pub fn edge(&self) -> String {
        format!("{self}-edge")
    }

    /// The Service through which RTMP is played.
    #[must_use]
    pub fn edge_rtmp(&self) -> String {
        format!("{self}-edge-rtmp")
    }

    /// The headless Service that the ingest finds its edges by, and the Secret with the relay token.
    #[must_use]
    pub fn relay(&self) -> String {
        format!("{self}-relay")
    }

    /// The ConfigMap with the ingest's configuration.
    #[must_use]
    pub fn node(&self) -> String {
        format!("{self}-node")
    }

    /// The Secret with the event's seed.
    #[must_use]
    pub fn seed(&self) -> String {
        format!("{self}-seed")
    }

    /// The Secret that tells people the publish key of `stream`.
    #[must_use]
    pub fn stream_key(&self, stream: &StreamName) -> String {
        format!("{self}-{stream}-key")
    }

    /// The same Secret of one generation of keys. Each generation has one of its own, since the operator creates Secrets
    /// and never changes one.
    #[must_use]
    pub fn publish_key(&self, stream: &StreamName, generation: Option<u32>) -> String {
        let name = self.stream_key(stream);
        generation.map_or_else(|| name.clone(), |generation| format!("{name}-{generation}"))
    }
}

impl StreamName {
    /// `name`, checked.
    ///
    /// # Errors
    /// When it is no DNS label or too long.
    pub fn new(name: &str) -> Result<Self, NameError> {
        label(name)?;
        Ok(Self(name.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SecretName {
    /// `name`, checked.
    ///
    /// # Errors
    /// When Kubernetes would not take it as the name of an object.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let part = |part: &str| is_label(part, OBJECT_NAME_BYTES_MAX);
        if name.len() > OBJECT_NAME_BYTES_MAX || !name.split('.').all(part) {
            return Err(NameError::NotAnObject { name: name.into() });
        }
        Ok(Self(name.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn label(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(NameError::Length { name: name.into(), bytes: name.len(), max: NAME_BYTES_MAX });
    }
    if is_label(name, NAME_BYTES_MAX) { Ok(()) } else { Err(NameError::NotALabel { name: name.into() }) }
}

/// Whether `text` is a DNS label (RFC 1123, 2.1) of at most `bytes_max` bytes: lower-case letters, digits and hyphens, and
/// no hyphen at either end.
#[must_use]
pub fn is_label(text: &str, bytes_max: usize) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_only_what_kubernetes_takes() {
        for good in ["a", "hall-a", "x1", &"a".repeat(40)] {
            assert!(EventName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", "1a", &"a".repeat(41)] {
            assert!(EventName::new(bad).is_err(), "{bad}");
        }
        assert!(StreamName::new("2nd-floor").is_ok());
        assert!(SecretName::new("my.keys").is_ok());
        assert!(SecretName::new("my..keys").is_err());
    }

    #[test]
    fn children_of_two_events_can_share_a_name() {
        // Why the operator refuses the younger of two such events (NameTaken).
        let key =
            |event: &str, stream: &str| EventName::new(event).unwrap().stream_key(&StreamName::new(stream).unwrap());
        assert_eq!(key("a", "b-c"), key("a-b", "c"));
    }
}
