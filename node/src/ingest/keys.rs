//! Publish keys: derived from the seed, or read from a folder that a Secret is mounted at; compared in constant time.

use lectern_api::keys::{BACKUP, KEY_BYTES_MIN, publish_key, trimmed};
use lectern_media::live::standby::Role;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use subtle::{Choice, ConstantTimeEq};

/// Longest key in bytes: it has to fit a command of the RTMP session, and people paste it.
pub const KEY_BYTES_MAX: u64 = 1_024;
/// Files of a folder that are looked at; a Secret holds at most 1 MiB.
pub const KEY_FILES_MAX: usize = 1_024;

mod revoked;

pub use revoked::Revoked;

/// What is remembered of a key.
pub type KeyDigest = [u8; 32];

/// A right key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RightKey {
    /// What the encoder with this key is to the stream.
    pub role: Role,
    /// Which of the stream's keys it is.
    pub digest: KeyDigest,
}

/// The keys that are accepted. Holds digests, so that comparing takes the same time for keys of all lengths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishKeys {
    by_stream: BTreeMap<String, Vec<(Role, KeyDigest)>>,
    /// Streams with a file that is no key: one that was just being written, perhaps.
    doubtful: BTreeSet<String>,
    problems: Vec<String>,
}

impl PublishKeys {
    /// One generated key for each stream; `salt` names the generation of keys, where there is one.
    #[must_use]
    pub fn generated<'a>(seed: &[u8], salt: Option<&str>, streams: impl IntoIterator<Item = &'a str>) -> Self {
        let key = |stream: &str| vec![(Role::Main, digest(publish_key(seed, stream, salt).as_bytes()))];
        let by_stream = streams.into_iter().map(|stream| (stream.to_owned(), key(stream))).collect();
        Self { by_stream, ..Self::default() }
    }

    /// The keys of `files` (name and content): each belongs to the stream that its name is, or begins with before a
    /// dot. One of the name `STREAM.backup` or `STREAM.backup.ANYTHING` is of the backup encoder, all
    /// others are of the main one. A key is never repeated in a problem, only its file's name.
    #[must_use]
    pub fn from_files<'a>(
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
        streams: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let by_stream = streams.into_iter().map(|s| (s.to_owned(), Vec::new())).collect();
        let mut keys = Self { by_stream, ..Self::default() };
        for (name, content) in files {
            let (stream, of) = name.split_once('.').unwrap_or((name.as_str(), ""));
            let backup = of == BACKUP || of.strip_prefix(BACKUP).is_some_and(|rest| rest.starts_with('.'));
            let role = if backup { Role::Backup } else { Role::Main };
            let key = trimmed(&content);
            let wrong = match key.len() {
                0..KEY_BYTES_MIN => Some(format!("shorter than {KEY_BYTES_MIN} bytes")),
                length if length as u64 > KEY_BYTES_MAX => Some(format!("longer than {KEY_BYTES_MAX} bytes")),
                _ => None,
            };
            if let Some(wrong) = wrong {
                keys.doubtful.insert(stream.to_owned());
                keys.problems.push(format!("{name}: {wrong}"));
            } else if let Some(of_stream) = keys.by_stream.get_mut(stream) {
                of_stream.push((role, digest(key)));
            }
            // A file of a stream that is not there (yet) is no problem: Secrets are often shared by events.
        }
        let lonely = keys.by_stream.keys().filter(|stream| keys.only_backup(stream));
        let problem = |stream: &String| format!("{stream}: only a backup key, so that no main encoder can publish");
        let problems: Vec<_> = lonely.map(problem).collect();
        keys.problems.extend(problems);
        keys
    }

    /// Whether all keys of `stream` are of its backup encoder, so that no main encoder can publish it.
    #[must_use]
    pub fn only_backup(&self, stream: &str) -> bool {
        let keys = self.by_stream.get(stream).map(Vec::as_slice).unwrap_or_default();
        !keys.is_empty() && keys.iter().all(|(role, _)| *role == Role::Backup)
    }

    /// What the encoder with the key `offered` is to `stream`; `None` if it is no key of it. Takes the same time whichever
    /// key it is, and for a wrong one. A key of both encoders is that of the main one.
    #[must_use]
    pub fn right(&self, stream: &str, offered: &[u8]) -> Option<RightKey> {
        let digest = digest(offered);
        self.role_of(stream, &digest).map(|role| RightKey { role, digest })
    }

    fn role_of(&self, stream: &str, offered: &KeyDigest) -> Option<Role> {
        let keys = self.by_stream.get(stream).map(Vec::as_slice).unwrap_or_default();
        let (mut main, mut backup) = (Choice::from(0), Choice::from(0));
        for (role, key) in keys {
            let same = key.ct_eq(offered);
            match role {
                Role::Main => main |= same,
                Role::Backup => backup |= same,
            }
        }
        if main.into() { Some(Role::Main) } else { bool::from(backup).then_some(Role::Backup) }
    }

    /// Accepted keys per stream.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u32> {
        let count = |keys: &Vec<_>| u32::try_from(keys.len()).unwrap_or(u32::MAX);
        self.by_stream.iter().map(|(stream, keys)| (stream.clone(), count(keys))).collect()
    }

    /// Keys that were ignored, with the reason.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

/// What a folder held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Name and content of each file that could be read, sorted by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// The folder and every file in it could be read. Otherwise what is not in `files` may still be there.
    pub whole: bool,
}

/// The files of a folder that a Secret is mounted at; its dot files are the kubelet's own. A folder that is not there has
/// no files: the Secret is mounted as optional.
#[must_use]
pub fn read_folder(folder: &Path) -> Folder {
    let Ok(entries) = std::fs::read_dir(folder) else { return Folder::default() };
    let mut read = Folder { files: Vec::new(), whole: true };
    for (n, entry) in entries.enumerate() {
        let name = entry.as_ref().ok().and_then(|entry| entry.file_name().into_string().ok());
        let (Ok(entry), Some(name), true) = (entry, name, n < KEY_FILES_MAX) else {
            read.whole = false;
            continue;
        };
        match read_secret(&entry.path()) {
            _ if name.starts_with('.') => {}
            Ok(content) => read.files.push((name, content)),
            Err(_) => read.whole = false,
        }
    }
    read.files.sort();
    read
}

/// A secret file, whole; longer ones are cut one byte after the limit, which makes them too long for every use.
///
/// # Errors
/// What the system says.
pub fn read_secret(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(KEY_BYTES_MAX + 3).read_to_end(&mut content)?;
    Ok(content)
}

fn digest(key: &[u8]) -> KeyDigest {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(keys: &PublishKeys, stream: &str, key: &[u8]) -> Option<Role> {
        keys.right(stream, key).map(|right| right.role)
    }

    fn file(name: &str, content: &str) -> (String, Vec<u8>) {
        (name.into(), content.into())
    }

    #[test]
    fn a_stream_has_the_keys_of_its_files_and_no_others() {
        let files = [
            file("hall-a", "first-key\n"),
            file("hall-a.backup", "second-key\r\n"),
            file("hall-b", "short"),
            file("hall-a.guest", "third-key"),
            file("hall-c", "key-of-no-stream"),
        ];
        let keys = PublishKeys::from_files(files, ["hall-a", "hall-b"]);
        assert_eq!(role(&keys, "hall-a", b"first-key"), Some(Role::Main));
        assert_eq!(role(&keys, "hall-a", b"second-key"), Some(Role::Backup));
        assert_eq!(role(&keys, "hall-a", b"third-key"), Some(Role::Main), "only the name backup has a meaning");
        let wrong =
            [("hall-a", "first-key\n"), ("hall-b", "first-key"), ("hall-b", "short"), ("hall-c", "key-of-no-stream")];
        assert!(wrong.iter().all(|(stream, key)| role(&keys, stream, key.as_bytes()).is_none()));
        assert_eq!(keys.counts(), [("hall-a".to_owned(), 3), ("hall-b".to_owned(), 0)].into());
        assert_eq!(keys.problems(), ["hall-b: shorter than 8 bytes"]);
    }

    #[test]
    fn a_stream_with_only_a_backup_key_is_a_problem_and_a_key_of_both_encoders_is_the_main_ones() {
        let backup_only = PublishKeys::from_files([file("hall-a.backup", "second-key")], ["hall-a"]);
        assert_eq!(role(&backup_only, "hall-a", b"second-key"), Some(Role::Backup));
        assert!(backup_only.only_backup("hall-a") && !backup_only.only_backup("hall-b"));
        assert_eq!(backup_only.problems(), ["hall-a: only a backup key, so that no main encoder can publish"]);
        let names = ["hall-a.backup.2", "hall-a.backups", "hall-a.backup-2", "hall-a.2.backup"];
        let roles = names
            .map(|name| role(&PublishKeys::from_files([file(name, "some-key")], ["hall-a"]), "hall-a", b"some-key"));
        assert_eq!(roles, [Some(Role::Backup), Some(Role::Main), Some(Role::Main), Some(Role::Main)]);
        let same = [file("hall-a.backup", "the-same-key"), file("hall-a.x", "the-same-key")];
        let same = PublishKeys::from_files(same, ["hall-a"]);
        assert_eq!((role(&same, "hall-a", b"the-same-key"), same.problems().len()), (Some(Role::Main), 0));
    }

    #[test]
    fn a_generated_key_is_what_the_operator_shows() {
        for salt in [None, Some("uid/1"), Some("uid/2")] {
            let keys = PublishKeys::generated(b"seed", salt, ["hall-a"]);
            let key = |stream: &str, salt: Option<&str>| publish_key(b"seed", stream, salt);
            assert_eq!(role(&keys, "hall-a", key("hall-a", salt).as_bytes()), Some(Role::Main));
            assert!(
                role(&keys, "hall-a", b"").is_none() && role(&keys, "hall-b", key("hall-b", salt).as_bytes()).is_none()
            );
            assert!(role(&keys, "hall-a", key("hall-a", Some("uid/3")).as_bytes()).is_none(), "of another generation");
        }
    }

    #[test]
    fn a_swapped_data_link_of_the_kubelet_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, key) in [("..1", "key-before"), ("..2", "key-after-")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("hall-a"), key).unwrap();
        }
        std::os::unix::fs::symlink("..1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/hall-a", at("hall-a")).unwrap();
        let whole = |content| Folder { files: vec![file("hall-a", content)], whole: true };
        assert_eq!(read_folder(folder.path()), whole("key-before"));
        std::os::unix::fs::symlink("..2", at("..tmp")).unwrap();
        std::fs::rename(at("..tmp"), at("..data")).unwrap();
        assert_eq!(read_folder(folder.path()), whole("key-after-"));
        assert_eq!(read_folder(Path::new("/nowhere")), Folder::default());
        std::fs::remove_dir_all(at("..2")).unwrap();
        assert_eq!(read_folder(folder.path()), Folder::default(), "a link that leads nowhere for a moment");
    }
}
