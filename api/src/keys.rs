//! Key material: every generated value is derived, so restarts, races and deleted Secrets lead back to the same one.
//!
//! `root` is one Secret of the installation; `seed = HMAC(root, namespace/name)` belongs to an event; relay token,
//! stream keys and fingerprints are HMACs of the seed. HMAC-SHA256, written as lower-case hexadecimal text.

use crate::text::hex;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Shortest accepted key in bytes, after the final newline is cut off. Shorter ones are ignored and reported.
pub const KEY_BYTES_MIN: usize = 8;

/// A key of the name `STREAM.backup` is of the stream's backup encoder.
pub const BACKUP: &str = "backup";

/// The seed of the event `namespace/name`.
#[must_use]
pub fn seed(root: &[u8], event: &str) -> String {
    derive(root, &format!("seed/{event}"))
}

/// The token that edges demand on the relay.
#[must_use]
pub fn relay_token(seed: &[u8]) -> String {
    derive(seed, "relay")
}

/// The generated publish key of `stream`; 32 hexadecimal digits, short enough to type.
#[must_use]
pub fn stream_key(seed: &[u8], stream: &str) -> String {
    let mut key = derive(seed, &format!("key/{stream}"));
    key.truncate(32);
    key
}

/// The generated publish key of `stream` in one generation of the event's keys: `salt` names the event's uid and the
/// generation ([`salt`]). Another generation, or another event of the same name, has other keys.
#[must_use]
pub fn salted_stream_key(seed: &[u8], stream: &str, salt: &str) -> String {
    let mut key = derive(seed, &format!("key/{stream}/{salt}"));
    key.truncate(32);
    key
}

/// The publish key of `stream`: of a generation where there is a `salt`, else the one that goes by the event's name alone.
#[must_use]
pub fn publish_key(seed: &[u8], stream: &str, salt: Option<&str>) -> String {
    salt.map_or_else(|| stream_key(seed, stream), |salt| salted_stream_key(seed, stream, salt))
}

/// What the keys of `generation` are derived with, for the event with this uid.
#[must_use]
pub fn salt(uid: &str, generation: u32) -> String {
    format!("{uid}/{generation}")
}

/// What a node may tell of a secret it has loaded: enough to see that it is another one, nothing about its content.
#[must_use]
pub fn fingerprint(secret: &[u8]) -> String {
    let mut print = derive(secret, "lectern-fingerprint");
    print.truncate(16);
    print
}

/// The token by which the operator asks `metrics-api`: derived from the private key of the serving certificate, which
/// both may read, and good for nothing else.
#[must_use]
pub fn audience_token(tls_key_pem: &[u8]) -> String {
    derive(tls_key_pem, "lectern audience v1")
}

/// A secret as read from a file: without its final newline.
#[must_use]
pub fn trimmed(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

fn derive(key: &[u8], message: &str) -> String {
    // HMAC takes a key of any length, so this constructor has no failing case.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(message.as_bytes());
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_derived_and_differ_by_purpose() {
        let seed = seed(b"root", "default/gala");
        assert_eq!(seed, super::seed(b"root", "default/gala"));
        assert_ne!(seed, super::seed(b"root", "default/galb"));
        assert_ne!(relay_token(seed.as_bytes()), stream_key(seed.as_bytes(), "hall-a"));
        assert_eq!(stream_key(seed.as_bytes(), "hall-a").len(), 32);
    }

    #[test]
    fn a_generation_has_keys_of_its_own_and_no_generation_keeps_the_old_ones() {
        let key = |salt: Option<&str>| publish_key(b"seed", "hall-a", salt);
        assert_eq!(key(None), stream_key(b"seed", "hall-a"), "an event without a generation keeps its keys");
        let (first, second, other) = (salt("uid-1", 1), salt("uid-1", 2), salt("uid-2", 1));
        let keys = [key(None), key(Some(&first)), key(Some(&second)), key(Some(&other))];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), 4, "{keys:?}");
        assert!(keys.iter().all(|key| key.len() == 32));
    }

    #[test]
    fn a_final_newline_is_no_part_of_a_secret() {
        assert_eq!(trimmed(b"secret\r\n"), b"secret");
        assert_eq!(trimmed(b"secret"), b"secret");
    }
}
