//! Which publishers have to go because their key is no longer one of their stream. Pure.
//!
//! Keys are files that other programs write, and the ingest may look while they do. A key is gone for certain when the
//! whole folder was read and the stream has other keys; a stream without any, or with a file that is no key, may be half
//! written, so that is believed when it is still so a while later.

use super::{KeyDigest, PublishKeys};
use std::collections::BTreeMap;

/// A key that is missing for an uncertain reason is gone once it was missing at two looks, and for this long. A writer
/// that empties a file and fills it needs milliseconds.
pub const GONE_MS: u64 = 2_000;

/// A key that a publisher showed, with its stream.
pub type Shown = (String, KeyDigest);

/// Keys of publishers that were not found, and since when.
#[derive(Debug, Default)]
pub struct Revoked {
    missing_ms: BTreeMap<Shown, u64>,
}

impl Revoked {
    /// Those of `shown` that are gone from `keys`, which were read at `now_ms`. `whole`: everything could be read.
    pub fn look(&mut self, now_ms: u64, keys: &PublishKeys, whole: bool, shown: Vec<Shown>) -> Vec<Shown> {
        if !whole {
            self.missing_ms.clear();
            return Vec::new();
        }
        let missing: Vec<_> = shown.into_iter().filter(|(stream, key)| keys.role_of(stream, key).is_none()).collect();
        self.missing_ms = missing
            .iter()
            .map(|shown| (shown.clone(), self.missing_ms.get(shown).copied().unwrap_or(now_ms)))
            .collect();
        let gone = |shown: &Shown| {
            let since_ms = self.missing_ms.get(shown).copied().unwrap_or(now_ms);
            keys.certain(&shown.0) || now_ms.saturating_sub(since_ms) >= GONE_MS
        };
        missing.into_iter().filter(gone).collect()
    }
}

impl PublishKeys {
    /// Whether what is not among the keys of `stream` is surely none of it.
    fn certain(&self, stream: &str) -> bool {
        self.by_stream.get(stream).is_some_and(|keys| !keys.is_empty()) && !self.doubtful.contains(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "the-old-key";
    const NEW: &str = "the-new-key";

    fn keys(files: &[(&str, &str)]) -> PublishKeys {
        let files = files.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec()));
        PublishKeys::from_files(files, ["hall-a", "hall-b"])
    }

    fn shown() -> Vec<Shown> {
        vec![("hall-a".to_owned(), super::super::digest(OLD.as_bytes()))]
    }

    #[test]
    fn a_key_that_another_one_stands_for_is_gone_at_once() {
        let mut revoked = Revoked::default();
        let mut look = |files: &[(&str, &str)]| revoked.look(0, &keys(files), true, shown());
        assert_eq!(look(&[("hall-a", OLD)]), []);
        assert_eq!(look(&[("hall-a", NEW), ("hall-a.old", OLD)]), [], "both are valid while the first is replaced");
        assert_eq!(look(&[("hall-a", NEW)]), shown());
        assert_eq!(look(&[("hall-a", NEW), ("hall-b", OLD)]), shown(), "a key of another stream");
    }

    #[test]
    fn a_folder_that_is_empty_or_half_written_for_a_moment_closes_no_publisher() {
        let doubtful: [&[(&str, &str)]; 4] =
            [&[], &[("hall-b", NEW)], &[("hall-a", "")], &[("hall-a", "the-o"), ("hall-a.backup", NEW)]];
        for files in doubtful {
            let mut revoked = Revoked::default();
            let mut look = |now_ms, files| revoked.look(now_ms, &keys(files), true, shown());
            assert_eq!(look(0, files), [], "{files:?}");
            assert_eq!(look(1_000, &[("hall-a", OLD)]), [], "it was a moment");
            assert_eq!(look(2_000, files), [], "{files:?}");
            assert_eq!(look(3_999, files), [], "{files:?}");
            assert_eq!(look(4_000, files), shown(), "{files:?} two seconds later");
        }
    }

    #[test]
    fn what_could_not_be_read_says_nothing() {
        let mut revoked = Revoked::default();
        for now_ms in (0..60_000).step_by(1_000) {
            assert_eq!(revoked.look(now_ms, &keys(&[]), false, shown()), []);
        }
        assert_eq!(revoked.look(60_000, &keys(&[]), true, shown()), []);
        assert_eq!(revoked.look(61_000, &keys(&[]), false, shown()), []);
        assert_eq!(revoked.look(62_000, &keys(&[]), true, shown()), [], "it begins anew");
        assert_eq!(revoked.look(64_000, &keys(&[]), true, shown()), shown());
    }
}
