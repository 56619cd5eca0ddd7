//! The cgroups of a node: made before its kubelet starts, removed after its last process ended.
//!
//! A kubelet keeps its pods below `cgroupRoot`; with a root of its own each, two kubelets of one machine do not clean
//! up after one another, and nothing but empty directories is ever left. Version 1 (a directory in each hierarchy) and
//! version 2 (one) are handled alike.

use crate::wait;
use anyhow::{Context as _, Result};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the names of our cgroups begin with.
pub const PREFIX: &str = "lectern-";

/// How long the kernel may take to let go of the last process of a cgroup.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);

/// Files of a version 1 cpuset that a new cgroup does not inherit but must have before it can hold a process.
const CPUSET_FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Makes the cgroup `name` in every hierarchy.
///
/// # Errors
/// When there is no cgroup hierarchy, or a directory or file of it cannot be written.
pub fn create(name: &str) -> Result<()> {
    let hierarchies = hierarchies()?;
    anyhow::ensure!(!hierarchies.is_empty(), "no cgroup hierarchy is mounted");
    for hierarchy in hierarchies {
        let folder = hierarchy.join(name);
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("failed to make cgroup {}", folder.display()));
            }
            _ => {}
        }
        for file in CPUSET_FILES.iter().filter(|f| hierarchy.join(f).exists() && !is_version_2(&hierarchy)) {
            copy_value(&hierarchy.join(file), &folder.join(file))?;
        }
        if is_version_2(&hierarchy) && hierarchy.join("cgroup.subtree_control").exists() {
            delegate(&hierarchy)?;
            delegate(&folder)?;
        }
    }
    Ok(())
}

/// Removes the cgroup `name`, and what is below it, from every hierarchy. Waits for the kernel to let go of it.
///
/// # Errors
/// When something still lives in it after [`RELEASE_LIMIT`].
pub fn remove(name: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let folder = hierarchy.join(name);
        let what = format!("cgroup {} to be let go of", folder.display());
        wait::until(&what, RELEASE_LIMIT, || remove_tree(&folder).map(Some))?;
    }
    Ok(())
}

/// The names of all cgroups of ours, of whatever cluster.
///
/// # Errors
/// When the hierarchies cannot be read.
pub fn ours() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for hierarchy in hierarchies()? {
        let entries =
            std::fs::read_dir(&hierarchy).with_context(|| format!("failed to list {}", hierarchy.display()))?;
        names.extend(entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).filter(|n| n.starts_with(PREFIX)));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Where hierarchies are mounted, each once.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").context("failed to read /proc/self/mounts")?;
    Ok(hierarchies_in(&mounts))
}

fn hierarchies_in(mounts: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (place, kind) = (fields.next()?, fields.next()?);
            ["cgroup", "cgroup2"].contains(&kind).then(|| PathBuf::from(place))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn is_version_2(hierarchy: &Path) -> bool {
    hierarchy.join("cgroup.controllers").exists()
}

fn copy_value(from: &Path, to: &Path) -> Result<()> {
    let value = std::fs::read_to_string(from).with_context(|| format!("failed to read {}", from.display()))?;
    std::fs::write(to, value.trim()).with_context(|| format!("failed to write {}", to.display()))
}

/// Lets the children of `folder` have every controller that it has itself. In a hybrid setup it has none.
fn delegate(folder: &Path) -> Result<()> {
    let controllers = folder.join("cgroup.controllers");
    let controllers =
        std::fs::read_to_string(&controllers).with_context(|| format!("failed to read {}", controllers.display()))?;
    let wanted: Vec<_> = controllers.split_whitespace().map(|c| format!("+{c}")).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let control = folder.join("cgroup.subtree_control");
    std::fs::write(&control, wanted.join(" ")).with_context(|| format!("failed to write {}", control.display()))
}

fn remove_tree(folder: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("failed to list {}", folder.display()))?,
    };
    for entry in entries {
        let path = entry.with_context(|| format!("failed to list {}", folder.display()))?.path();
        if path.is_dir() {
            remove_tree(&path)?;
        }
    }
    std::fs::remove_dir(folder).with_context(|| format!("failed to remove cgroup {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found_once() {
        let mounts = "proc /proc proc rw 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
            cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n";
        let places = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"].map(PathBuf::from);
        assert_eq!(hierarchies_in(mounts), places);
    }
}
