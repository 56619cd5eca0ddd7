//! The work folder of a cluster, and how a later start removes it.
//!
//! Everything a cluster writes lies in it. Each process of the cluster holds a shared lock on its file `lock`; so a
//! folder whose lock can be taken exclusively has no process left, and the next start sweeps it up with its cgroups.

use crate::cgroup;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What the names of work folders begin with; the rest is the cluster's id.
const PREFIX: &str = "lectern-cluster-";

/// A work folder, and the lock that keeps it.
#[derive(Debug)]
pub struct WorkFolder {
    path: PathBuf,
    _lock: File,
}

impl WorkFolder {
    /// Makes a new one in `LECTERN_CLUSTER_DIR`, else in the folder for temporary files. It must be on a file system
    /// that overlayfs can write to (not itself an overlay), and its path short: sockets lie in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create() -> Result<Self> {
        let base = base();
        std::fs::create_dir_all(&base).with_context(|| format!("failed to make {}", base.display()))?;
        let path = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&base)
            .with_context(|| format!("failed to make a work folder in {}", base.display()))?
            .keep();
        File::create_new(path.join("lock")).context("failed to make the lock of the work folder")?;
        Self::join(&path)
    }

    /// Takes part in holding one that is there.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn join(path: &Path) -> Result<Self> {
        let lock = path.join("lock");
        let file = File::open(&lock).with_context(|| format!("failed to open {}", lock.display()))?;
        file.lock_shared().with_context(|| format!("failed to lock {}", lock.display()))?;
        Ok(Self { path: path.to_owned(), _lock: file })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it up; the last process to do so removes it.
    ///
    /// # Errors
    /// When the last one cannot remove it.
    pub fn leave(self) -> Result<()> {
        let path = self.path;
        drop(self._lock);
        remove_if_unused(&path)
    }
}

/// The name of the cgroup of a cluster's node.
#[must_use]
pub fn cgroup_name(work: &Path, node: &str) -> String {
    format!("{}{}-{node}", cgroup::PREFIX, id(work))
}

/// Removes what killed clusters left: work folders without a lock, and cgroups without a work folder.
///
/// # Errors
/// When a folder or a cgroup without a process cannot be removed.
pub fn sweep() -> Result<()> {
    let base = base();
    let Ok(entries) = std::fs::read_dir(&base) else { return Ok(()) };
    let is_ours = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PREFIX));
    for path in entries.filter_map(|e| Some(e.ok()?.path())).filter(is_ours) {
        remove_if_unused(&path)?;
    }
    Ok(())
}

fn base() -> PathBuf {
    std::env::var_os("LECTERN_CLUSTER_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn id(work: &Path) -> String {
    let name = work.file_name().unwrap_or_default().to_string_lossy();
    name.strip_prefix(PREFIX).unwrap_or(&name).to_owned()
}

fn remove_if_unused(path: &Path) -> Result<()> {
    // Another process may be removing it at this moment: what is gone is as wanted.
    let Ok(lock) = File::open(path.join("lock")) else { return Ok(()) };
    if lock.try_lock().is_err() {
        return Ok(());
    }
    let cgroups = format!("{}{}-", cgroup::PREFIX, id(path));
    for name in cgroup::ours()?.iter().filter(|n| n.starts_with(&cgroups)) {
        cgroup::remove(name)?;
    }
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_to_leave_removes_the_folder() {
        let first = WorkFolder::create().expect("temporary files can be made");
        let path = first.path().to_owned();
        let second = WorkFolder::join(&path).expect("it is there");
        first.leave().expect("leaves");
        assert!(path.exists(), "another process still needs it");
        second.leave().expect("leaves");
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_nobody_holds_is_swept_up_and_one_that_is_held_is_not() {
        let held = WorkFolder::create().expect("temporary files can be made");
        let left = WorkFolder::create().expect("temporary files can be made");
        let abandoned = left.path().to_owned();
        drop(left);
        sweep().expect("sweeps");
        assert!(held.path().exists());
        assert!(!abandoned.exists());
        held.leave().expect("leaves");
    }

    #[test]
    fn the_cgroup_of_a_node_carries_the_id_of_its_cluster() {
        assert_eq!(cgroup_name(Path::new("/tmp/lectern-cluster-AbC"), "node-2"), "lectern-AbC-node-2");
    }
}
