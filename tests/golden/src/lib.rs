//! Golden files: text that the code writes, kept in the tree so that a review sees every change of it.
//!
//! A test compares; `UPDATE=1 cargo test` rewrites. The difference is what a review looks at. A file is compared byte
//! by byte, line endings included.
#![allow(clippy::panic, reason = "a golden file that differs fails the test")]

use similar::TextDiff;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Lines of context around a difference in a failed test's output.
const CONTEXT_LINES: usize = 3;

/// Compares `text` with the golden file at `path`, or rewrites the file if `UPDATE` is set.
///
/// # Panics
/// When they differ, with the difference; when the file cannot be written.
#[track_caller]
pub fn check(path: impl AsRef<Path>, text: &str) {
    if let Err(problem) = compare(path.as_ref(), text, is_update()) {
        panic!("{problem}");
    }
}

/// Compares `line` with the only line of the file at `path` that begins with `start`, or rewrites that line if `UPDATE`
/// is set: for figures inside a document that people write.
///
/// # Panics
/// When they differ; when not exactly one line begins so; when the file cannot be read or written.
#[track_caller]
pub fn check_line(path: impl AsRef<Path>, start: &str, line: &str) {
    if let Err(problem) = compare_line(path.as_ref(), start, line, is_update()) {
        panic!("{problem}");
    }
}

fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn compare(path: &Path, text: &str, update: bool) -> Result<(), String> {
    let known = std::fs::read_to_string(path).unwrap_or_default();
    if known == text {
        return Ok(());
    }
    if update {
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text));
        return write().map_err(|error| format!("cannot write {}: {error}", path.display()));
    }
    let diff = TextDiff::from_lines(known.as_str(), text);
    let diff = diff.unified_diff().context_radius(CONTEXT_LINES).header("golden file", "written now").to_string();
    Err(format!("{} differs from what the code writes; UPDATE=1 rewrites it\n{diff}", path.display()))
}

fn compare_line(path: &Path, start: &str, line: &str, update: bool) -> Result<(), String> {
    // Tests of one process run side by side, and several rewrite lines of one file.
    static FILE: Mutex<()> = Mutex::new(());
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let known: Vec<&str> = text.lines().filter(|known| known.starts_with(start)).collect();
    let [known] = known[..] else {
        return Err(format!("{} has {} lines that begin with `{start}`, not one", path.display(), known.len()));
    };
    let with_line: Vec<&str> = text.split('\n').map(|other| if other == known { line } else { other }).collect();
    compare(path, &with_line.join("\n"), update)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot use its folder must fail")]

    use super::*;

    #[test]
    fn a_file_that_differs_fails_with_the_difference_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        std::fs::write(&file, "one\ntwo\n").unwrap();
        assert_eq!(compare(&file, "one\ntwo\n", false), Ok(()));
        let problem = compare(&file, "one\r\ntwo\n", false).unwrap_err();
        assert!(problem.contains("UPDATE=1") && problem.contains("+one\r\n"), "{problem}");
        let problem = compare(&file, "one\nthree\n", false).unwrap_err();
        assert!(problem.contains("-two\n+three\n"), "{problem}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_missing_file_fails_and_is_written_only_by_an_update() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deeper/a.txt");
        assert!(compare(&file, "one\n", false).is_err());
        assert!(!file.exists());
        compare(&file, "one\n", true).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\n");
    }

    #[test]
    fn one_line_of_a_document_is_compared_and_rewritten_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.md");
        std::fs::write(&file, "text\n| a | 1 |\n| b | 1 |\n").unwrap();
        compare_line(&file, "| a |", "| a | 1 |", false).unwrap();
        assert!(compare_line(&file, "| a |", "| a | 2 |", false).is_err());
        assert!(compare_line(&file, "| c |", "| c | 2 |", true).unwrap_err().contains("0 lines"));
        assert!(compare_line(&file, "| ", "| c | 2 |", true).unwrap_err().contains("2 lines"));
        compare_line(&file, "| a |", "| a | 2 |", true).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text\n| a | 2 |\n| b | 1 |\n");
    }
}
