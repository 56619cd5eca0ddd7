//! What documents and comments refer to is there: links, paths, and no document that only its authors have.

use super::{report, root};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Words that lean on a document outside of the repository. A reader cannot open it: cite an ADR, a section of a public
/// specification, or give the reason.
const GHOSTS: &[&str] = &["design section", "the design", "first designed", "design note"];

/// Files that people read, by their extension; files without one are scripts.
const READ: &[&str] =
    &["rs", "md", "toml", "yaml", "yml", "tpl", "txt", "py", "mjs", "js", "ts", "html", "css", "sh", ""];

/// Folders that hold no text of ours.
const NOT_OURS: &[&str] = &["target", "node_modules", "corpus", "testdata", "dist"];

fn texts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("folder is readable") {
        let path = entry.expect("entry is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || path.is_symlink() {
            continue;
        } else if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                texts(&path, found);
            }
        } else if READ.contains(&extension.as_str()) {
            found.push(path);
        }
    }
}

fn documents() -> Vec<(String, String)> {
    let root = root();
    let mut paths = Vec::new();
    texts(&root, &mut paths);
    paths.sort();
    let name = |path: &Path| path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
    // What is no text (a binary without extension) has nothing to read.
    paths.iter().filter_map(|path| Some((name(path), std::fs::read_to_string(path).ok()?))).collect()
}

/// Lower-case words with single spaces; comment signs at the beginning of lines are left out, so that a phrase is found
/// where a comment wraps.
fn running_text(text: &str) -> String {
    let bare = |line: &str| line.trim_start().trim_start_matches(['/', '!', '#', '*', '>', '-']).to_lowercase();
    text.lines().map(bare).collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn nothing_cites_a_document_that_is_not_here() {
    let mut found = Vec::new();
    for (name, text) in documents().iter().filter(|(name, _)| name != "tests/tidy/documents.rs") {
        let text = running_text(text);
        found.extend(GHOSTS.iter().filter(|ghost| text.contains(**ghost)).map(|ghost| format!("{name}: {ghost}")));
    }
    report("cite an ADR or a public specification, or give the reason", &found);
}

#[test]
fn a_phrase_is_found_where_a_comment_wraps() {
    assert_eq!(running_text("    /// As the Design\n    /// section 4 has it.\n"), "as the design section 4 has it.");
}

/// The anchors of a Markdown file: its headings in lower case, without punctuation, with hyphens for spaces.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if !fenced && heading.len() < line.len() && heading.starts_with(' ') {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let slug: String = heading.trim().to_lowercase().chars().filter(kept).collect();
            found.insert(slug.replace(' ', "-"));
        }
    }
    found
}

/// What `[…](TARGET)` links to.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

#[test]
fn links_of_documents_lead_to_files_and_headings_that_exist() {
    let mut broken = Vec::new();
    for (name, text) in documents().iter().filter(|(name, _)| name.ends_with(".md")) {
        let folder = root().join(name).parent().expect("a file is in a folder").to_path_buf();
        for target in targets(text).filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
            let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let path = if file.is_empty() { root().join(name) } else { folder.join(file) };
            let there = match anchor {
                None => path.exists(),
                Some(anchor) => std::fs::read_to_string(&path).is_ok_and(|text| anchors(&text).contains(anchor)),
            };
            broken.extend((!there).then(|| format!("{name}: {target}")));
        }
    }
    report("links that lead nowhere", &broken);
}

#[test]
fn paths_in_documents_exist() {
    let top: BTreeSet<String> = std::fs::read_dir(root())
        .expect("the root is readable")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let mut gone = Vec::new();
    for name in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", "docs/threat-model.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap_or_default();
        let quoted = text.split('`').skip(1).step_by(2);
        let paths = quoted.filter(|word| !word.contains(char::is_whitespace)).filter(|word| {
            let first = word.split_once("/").map(|(first, _)| first);
            first.is_some_and(|first| top.contains(first) && first != "target") && !word.contains("*")
        });
        gone.extend(paths.filter(|path| !root().join(path).exists()).map(|path| format!("{name}: {path}")));
    }
    report("paths that are not there", &gone);
}
