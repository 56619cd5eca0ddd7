//! Which picture of a stream is meant: the source, as the encoder sent it, or one that is made of it for weaker networks.
//!
//! A stream has one ledger. What is listed, and when, holds for all its renditions alike; so a rendition is a part of the
//! key of a playlist and of a segment, and never of an epoch or of a media sequence number.

use crate::ledger::SegmentName;
use std::fmt;

/// Longest name in bytes: it is a path segment that people read, such as `720p` or `audio`.
pub const NAME_BYTES_MAX: usize = 20;

/// Names that mean something else in the place of a rendition, or would be read for a playlist.
const RESERVED: [&str; 2] = ["index", "media"];

/// A picture of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rendition {
    /// What the encoder sent. It has no name in a URL.
    #[default]
    Source,
    /// One that is made of the source.
    Named(Name),
}

/// The name of a rendition: a DNS label of at most [`NAME_BYTES_MAX`] bytes. Small enough to be copied with every key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Zero behind `length`.
    bytes: [u8; NAME_BYTES_MAX],
    length: u8,
}

impl Name {
    /// Reads a name. `None` for what is no DNS label, too long, or reserved.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let label = !text.is_empty() && text.as_bytes().iter().all(inner);
        if !label || text.starts_with('-') || text.ends_with('-') || RESERVED.contains(&text) {
            return None;
        }
        let mut bytes = [0; NAME_BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        // Only ASCII gets in.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What identifies the bytes of a segment within a stream. Written as a path below the stream: `NAME` of the source,
/// `RENDITION/NAME` of every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentKey {
    /// Of which picture.
    pub rendition: Rendition,
    /// Which segment.
    pub name: SegmentName,
}

impl SegmentKey {
    /// The source's segment.
    #[must_use]
    pub const fn source(name: SegmentName) -> Self {
        Self { rendition: Rendition::Source, name }
    }

    /// Reads a path. `None` for anything that [`SegmentKey::to_string`] would not have written.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (rendition, file) = split(path)?;
        Some(Self { rendition, name: SegmentName::parse(file)? })
    }
}

/// Takes the rendition off a path below a stream: `RENDITION/FILE`, or `FILE` of the source. `None` where what stands
/// before the slash is no name.
#[must_use]
pub fn split(path: &str) -> Option<(Rendition, &str)> {
    match path.split_once('/') {
        None => Some((Rendition::Source, path)),
        Some((name, file)) => Some((Rendition::Named(Name::parse(name)?), file)),
    }
}

impl fmt::Display for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rendition {
            Rendition::Source => write!(f, "{}", self.name),
            Rendition::Named(name) => write!(f, "{}/{}", name.as_str(), self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Profile;

    #[test]
    fn names_are_short_dns_labels_that_no_playlist_is_called_by() {
        let longest = "a".repeat(NAME_BYTES_MAX);
        for good in ["720p", "audio", "a", "x-1", &longest] {
            assert_eq!(Name::parse(good).as_ref().map(Name::as_str), Some(good));
        }
        let longer = "a".repeat(NAME_BYTES_MAX + 1);
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ü", "index", "media", &longer] {
            assert_eq!(Name::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_read_only_as_it_is_written() {
        let name = SegmentName::media(Profile::ONE, 1_790_000_000_000, 42);
        let small = Rendition::Named(Name::parse("720p").unwrap());
        for key in [SegmentKey::source(name), SegmentKey { rendition: small, name }] {
            assert_eq!(SegmentKey::parse(&key.to_string()), Some(key));
        }
        for path in ["/1-1790000000000-42.ts", "720p//1-1-1.ts", "720p/480p/1-1-1.ts", "720P/1-1-1.ts", "720p/", "720p"]
        {
            assert_eq!(SegmentKey::parse(path), None, "{path}");
        }
    }
}
