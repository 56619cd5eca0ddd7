//! The content hash by which nodes agree on the bytes of a segment.

use serde::{Deserialize, Serialize};

/// A 128-bit content hash (XXH3) of a segment's bytes, as 32 hexadecimal digits on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hash(pub u128);

impl Hash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(bytes))
    }
}

/// Length and hash of bytes that come in pieces and are not kept.
#[derive(Clone, Default)]
pub struct Digest {
    length: u64,
    state: xxhash_rust::xxh3::Xxh3,
}

impl Digest {
    /// The next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.state.update(bytes);
    }

    /// Bytes so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The hash of all pieces: the same as [`Hash::of`] the whole.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(self.state.digest128())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Digest").field("length", &self.length).finish_non_exhaustive()
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(d)?;
        u128::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("not a hash of 32 hexadecimal digits: {text:?}")))
    }
}
