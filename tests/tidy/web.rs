//! The same rules for the TypeScript of `web/`: budgets, what a file is for, and words that must not stand in it.

use super::{FILE_LINES_MAX, report, root};
use std::path::{Path, PathBuf};

/// Lines of a function, as clippy has it for Rust (`too-many-lines-threshold`).
const FUNCTION_LINES_MAX: usize = 70;
/// What a page weighs at most when it is opened for the first time, without media, in bytes of gzip: a fifth of a second
/// of a stream of 5 Mbit/s.
const PAGE_BYTES_MAX: usize = 140_000;

/// Words that must not stand in the code, each with the reason.
const FORBIDDEN: &[(&str, &str)] = &[
    ("innerHTML", "text must never become markup"),
    ("outerHTML", "text must never become markup"),
    ("insertAdjacentHTML", "text must never become markup"),
    ("document.write", "text must never become markup"),
    (": any", "unknown, and a look at it"),
    ("as any", "unknown, and a look at it"),
    ("<any>", "unknown, and a look at it"),
    ("@ts-ignore", "the compiler is right"),
    ("localStorage", "nothing is stored on the viewer's device"),
    ("document.cookie", "nothing is stored on the viewer's device"),
    ("eval(", "the content security policy forbids it"),
    ("TODO", "what is to be done stands in an issue"),
    ("FIXME", "what is to be done stands in an issue"),
];

/// The sources, by their path below `web/`.
fn sources() -> Vec<(String, String)> {
    let web = root().join("web");
    let mut found = Vec::new();
    for folder in ["page", "player", "shared", "test"] {
        collect(&web.join(folder), &mut found);
    }
    found.sort();
    assert!(found.len() > 10, "the sources of the page were not found in {}", web.display());
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&web).expect("below web/").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("source is readable"))
    };
    found.into_iter().map(read).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("folder is readable") {
        let path = entry.expect("entry is readable").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "ts") {
            found.push(path);
        }
    }
}

fn is_comment(line: &str) -> bool {
    ["//", "/*", "*"].iter().any(|mark| line.trim_start().starts_with(mark))
}

/// The blocks of a file, with their length: from a line that ends with `{` to the `}` at the same indentation. What
/// holds other functions (a class, a table) is none.
fn blocks(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let opens = |line: &str| line.ends_with('{') && line.contains('(') && !line.contains("class ");
    let long = lines.iter().enumerate().filter(|(_, line)| opens(line)).filter_map(|(at, line)| {
        let end = lines[at + 1..].iter().position(|l| indent(l) == indent(line) && l.trim_start().starts_with('}'))?;
        Some((line.trim().to_owned(), end))
    });
    long.collect()
}

#[test]
fn the_sources_of_the_page_keep_the_budgets() {
    let mut over = Vec::new();
    for (name, text) in sources() {
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !is_comment(line)).count();
        over.extend((lines > FILE_LINES_MAX).then(|| format!("web/{name}: {lines} lines of code")));
        let long = blocks(&text).into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        over.extend(long.map(|(head, lines)| format!("web/{name}: {head} has {lines} lines")));
    }
    report(&format!("files of at most {FILE_LINES_MAX} lines, functions of at most {FUNCTION_LINES_MAX}"), &over);
}

#[test]
fn every_source_of_the_page_says_what_it_is_for() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("// ")).map(|(name, _)| name).collect();
    report("a file begins with `//` and what it is for", &silent);
}

#[test]
fn words_that_endanger_viewers_stay_out_of_the_page() {
    let mut found = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !is_comment(line)) {
            let hits = FORBIDDEN.iter().filter(|(word, _)| line.contains(word));
            found.extend(hits.map(|(word, reason)| format!("web/{name}:{}: `{word}` ({reason})", number + 1)));
        }
    }
    report("words that do not belong there", &found);
}

#[test]
fn a_function_of_the_page_that_is_too_long_is_found() {
    let body = "  const x = 1;\n".repeat(FUNCTION_LINES_MAX + 1);
    let found =
        blocks(&format!("function long(a: number): void {{\n{body}}}\nclass Wide {{\n  short(): void {{\n  }}\n}}\n"));
    assert_eq!(
        found,
        [("function long(a: number): void {".to_owned(), FUNCTION_LINES_MAX + 1), ("short(): void {".to_owned(), 0)]
    );
}

/// Measured with the system's gzip, as a cache in front of edges would do it.
#[test]
fn pages_weigh_what_they_may() {
    let dist = root().join("web/dist");
    let weight = |path: &Path| {
        let packed =
            std::process::Command::new("gzip").args(["-9", "-n", "-c"]).arg(path).output().expect("gzip starts");
        assert!(packed.status.success(), "gzip {}", path.display());
        packed.stdout.len()
    };
    let html = std::fs::read_to_string(dist.join("live.html")).expect("the page is built");
    let named = html.split('"').filter_map(|text| text.strip_prefix("/-/"));
    let parts: Vec<_> = ["live.html"].into_iter().chain(named).map(|name| (name, weight(&dist.join(name)))).collect();
    let sum: usize = parts.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(parts.len(), 4, "a page is a shell, a style sheet and two scripts: {parts:?}");
    assert!(sum <= PAGE_BYTES_MAX, "{sum} bytes of gzip: {parts:?}");
}
