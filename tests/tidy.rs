//! The house rules as a test: budgets, the allowed arrows between crates, and that `media` is pure.
//!
//! What the compiler and clippy can check is theirs (`[workspace.lints]`, clippy.toml); here is the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read the tree must fail")]

#[path = "tidy/imports.rs"]
mod imports;

use imports::Imports;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/web.rs"]
mod web;

/// Lines of code a file may have: comments, blank lines and test modules are not counted.
const FILE_LINES_MAX: usize = 400;

/// The crates of the workspace and the workspace crates that each may name in its manifest.
const ARROWS: &[(&str, &[&str])] = &[
    ("api", &["lectern-golden"]),
    ("media", &["lectern-golden"]),
    ("process", &[]),
    ("web", &[]),
    ("node", &["lectern-api", "lectern-media", "lectern-golden", "lectern-process", "lectern-web"]),
    ("operator", &["lectern-api", "lectern-golden", "lectern-process"]),
    ("tests", &["lectern-api", "lectern-media", "lectern-testcluster"]),
    ("tests/crowd", &["lectern-media"]),
    ("tests/golden", &[]),
    ("tests/kube", &["e2e", "lectern-api", "lectern-golden"]),
];

/// The parts of a node, each with what it may name besides itself. The longest name that fits a file is its part; what a
/// part may name includes all below that. The root only wires, and is free.
const NODE_ARROWS: &[(&str, &[&str])] = &[
    ("net", &[]),
    ("args", &[]),
    ("config", &["args", "ingest::forward::policy"]),
    ("admin", &["net"]),
    ("relay", &["net"]),
    ("ingest", &["admin", "config", "net", "relay"]),
    ("edge::counting", &["net"]),
    ("edge::stream", &["edge::counting", "net"]),
    ("edge::door", &["edge::counting", "edge::stream", "net"]),
    ("edge::viewers", &["edge::counting", "edge::door", "edge::stream", "net"]),
    ("edge::http", &["edge::counting", "edge::door", "edge::stream", "edge::viewers", "net"]),
    ("edge", &["admin", "config", "net"]),
    ("calibrate", &["args", "config", "net"]),
];

/// Files whose code may wait for a time: the one place where tests look again, and a load generator that behaves like a
/// player.
const MAY_SLEEP: &[&str] = &["tests/support/wait.rs", "tests/crowd/src/", "tests/tidy.rs"];

/// Crates from outside that a pure crate may use at all.
const PURE_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("api", &["serde", "serde_json", "thiserror", "jiff", "hmac", "sha2", "kube", "k8s-openapi", "schemars"]),
    ("web", &[]),
    ("media", &["bytes", "mpeg2ts", "rml_rtmp", "serde", "serde_json", "thiserror", "xxhash-rust"]),
];

/// Words that must not stand in the code of a folder or file (tests and comments are not read), each with the reason.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "media/src",
        &["tokio", "async fn", "SystemTime::now", "Instant::now", "std::fs", "std::net::Tcp", "std::thread"],
        "media is sans-IO: bytes and time are arguments",
    ),
    (
        "api/src",
        &["tokio", "async fn", "SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "std::fs"],
        "api is plain data",
    ),
    (
        "web/src",
        &["tokio", "async fn", "SystemTime::now", "Instant::now", "std::fs", "std::net", "std::env"],
        "web is a table of files",
    ),
    (
        "operator/src/validate",
        &["tokio", "async fn", "kube::Client", "::now()", "std::fs", "backend"],
        "validate is pure",
    ),
    ("operator/src/plan", &["tokio", "async fn", "kube::Client", "::now()", "std::fs", "backend"], "plan is pure"),
    ("operator/src/render", &["tokio", "async fn", "kube::Client", "::now()", "std::fs", "backend"], "render is pure"),
    ("operator/src/scaling", &["tokio", "async fn", "kube::", "::now()", "std::fs", "backend"], "scaling is pure"),
    ("operator/src/repair", &["tokio", "async fn", "kube::", "::now()", "std::fs", "backend"], "repair is pure"),
    ("node/src/calibrate/estimate", &["tokio", "async fn", "Instant::now", "std::fs"], "estimate is pure"),
    ("node/src/calibrate/plan", &["tokio", "async fn", "Instant::now", "std::fs"], "plan is pure"),
    ("node/src/calibrate/report", &["tokio", "async fn", "Instant::now", "std::fs"], "report is pure"),
    ("node/src/calibrate/source", &["tokio", "async fn", "Instant::now", "std::fs"], "source is pure"),
    ("tests", &["lectern_node::", "lectern_operator::", "lectern::"], "tests start binaries by path"),
];

/// What the object code of `media` must not call. Everything that reads a clock, a file, a socket or the environment,
/// or starts a thread, is a function of std under one of these paths.
const IMPURE_SYMBOLS: &[&str] = &[
    "std::time::",
    "std::fs::",
    "std::net::",
    "std::thread::",
    "std::env::",
    "std::process::",
    "std::io::stdio::",
    "std::os::",
    "std::sys::",
    "libc::",
    "tokio::",
    "mio::",
];

/// Impure-looking symbols that are none: panics and allocation, which every Rust program may do.
const HARMLESS_SYMBOLS: &[&str] = &["std::process::abort", "std::thread::panicking", "std::sys::backtrace"];

struct Source {
    path: PathBuf,
    name: String,
    code: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_path_buf()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("folder is readable") {
        let path = entry.expect("entry is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str()) {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    rust_files(&root, &mut paths);
    paths.sort();
    assert!(paths.len() > 10, "the tree was not found at {}", root.display());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("source is readable");
        let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        Source { code: code_of(&text), name, path }
    };
    paths.into_iter().map(read).collect()
}

/// The code of a file: no comments, no blank lines, no `#[cfg(test)]` items. Strings are kept, which is good enough.
fn code_of(text: &str) -> String {
    let mut code = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let bare = line.trim();
        if bare == "#[cfg(test)]" {
            skip_item(&mut lines);
        } else if !bare.is_empty() && !bare.starts_with("//") {
            code.push(line.split(" // ").next().unwrap_or(line));
        }
    }
    code.join("\n")
}

/// Skips one item: up to its `;`, or to the `}` at the indentation of its first line (rustfmt puts it there).
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>) {
    let mut indent = None;
    for line in lines {
        let depth = line.len() - line.trim_start().len();
        let indent = *indent.get_or_insert(depth);
        if depth == indent && (line.ends_with(';') || line.trim_start().starts_with('}') || line.ends_with("{}")) {
            return;
        }
    }
}

fn report(rule: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{rule}:\n  {}\n", problems.join("\n  "));
}

#[test]
fn no_file_is_longer_than_its_budget() {
    let long: Vec<_> = sources()
        .iter()
        .map(|s| (s.code.lines().count(), &s.name))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .map(|(lines, name)| format!("{name}: {lines} lines of code"))
        .collect();
    report(&format!("files have at most {FILE_LINES_MAX} lines of code"), &long);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|s| !std::fs::read_to_string(&s.path).expect("readable").lines().take(3).any(|l| l.starts_with("//!")))
        .map(|s| s.name)
        .collect();
    report("a file begins with `//!` and what it is for", &silent);
}

#[test]
fn modules_are_files_named_after_themselves() {
    let named: Vec<_> =
        sources().into_iter().filter(|s| s.path.file_name().is_some_and(|n| n == "mod.rs")).map(|s| s.name).collect();
    report("foo.rs and foo/, never foo/mod.rs", &named);
}

#[test]
fn no_file_is_dead() {
    let sources = sources();
    let by_name: BTreeMap<&str, &Source> = sources.iter().map(|s| (s.name.as_str(), s)).collect();
    let manifest = |(folder, _): &(&str, _)| std::fs::read_to_string(root().join(folder).join("Cargo.toml"));
    let manifests: Vec<String> = ARROWS.iter().map(|c| manifest(c).expect("manifest is readable")).collect();
    let by_path: BTreeSet<String> = sources.iter().flat_map(named_by_path).collect();
    let is_used = |s: &Source| {
        let path = Path::new(&s.name);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.parent().unwrap_or(Path::new(""));
        let is_root = ["lib", "main", "build"].contains(&stem.as_ref())
            || ["tests", "benches", "examples", "fuzz_targets", "bin"]
                .iter()
                .any(|f| folder.file_name().is_some_and(|n| n == *f))
            || manifests.iter().any(|m| m.contains(&format!("{stem}.rs\"")));
        let parents = [folder.with_extension("rs"), folder.join("lib.rs"), folder.join("main.rs")];
        let declared = format!("mod {stem};");
        is_root
            || by_path.contains(&s.name)
            || parents.iter().any(|p| {
                by_name
                    .get(p.to_string_lossy().as_ref())
                    .is_some_and(|parent| std::fs::read_to_string(&parent.path).expect("readable").contains(&declared))
            })
    };
    let dead: Vec<_> = sources.iter().filter(|s| !is_used(s)).map(|s| s.name.clone()).collect();
    report("every file belongs to a crate (no `mod` names these)", &dead);
}

/// The files that `#[path = "…"]` in a file names, from the root of the tree.
fn named_by_path(source: &Source) -> Vec<String> {
    let text = std::fs::read_to_string(&source.path).expect("readable");
    let named = text.lines().filter_map(|line| line.trim().strip_prefix("#[path = \"")?.strip_suffix("\"]"));
    let resolve = |relative: &str| {
        let mut path = Path::new(&source.name).parent().unwrap_or(Path::new("")).to_path_buf();
        for part in relative.split('/') {
            match part {
                ".." => _ = path.pop(),
                part => path.push(part),
            }
        }
        path.to_string_lossy().into_owned()
    };
    named.map(resolve).collect()
}

#[test]
fn nothing_is_left_to_do_in_the_code() {
    let words = ["TODO", "FIXME", "XXX", "HACK", "todo!(", "unimplemented!(", "dbg!("];
    let mut left = Vec::new();
    for source in sources().iter().filter(|s| !s.name.starts_with("tests/tidy")) {
        let text = std::fs::read_to_string(&source.path).expect("readable");
        for (number, line) in text.lines().enumerate() {
            left.extend(
                words.iter().filter(|w| line.contains(**w)).map(|w| format!("{}:{}: {w}", source.name, number + 1)),
            );
        }
    }
    report("what is to be done stands in an issue, not in the code", &left);
}

#[test]
fn tests_do_not_sleep() {
    let is_test = |name: &str| name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("/tests.rs");
    let may = |name: &str| MAY_SLEEP.iter().any(|allowed| name.starts_with(allowed));
    let sleeps = |code: &str| ["sleep(", "sleep_until("].iter().any(|call| code.contains(call));
    let asleep: Vec<_> = sources()
        .into_iter()
        .filter(|s| is_test(&s.name) && !may(&s.name) && sleeps(&s.code))
        .map(|s| s.name)
        .collect();
    report("a test waits for a condition with a deadline", &asleep);
}

#[test]
fn forbidden_words_stay_out() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| s.name != "tests/tidy.rs") {
        for (place, words, reason) in FORBIDDEN {
            let inside = source.name.starts_with(&format!("{place}/")) || source.name == format!("{place}.rs");
            let hits = words.iter().filter(|w| inside && source.code.contains(**w));
            found.extend(hits.map(|w| format!("{}: `{w}` ({reason})", source.name)));
        }
    }
    report("words that do not belong there", &found);
}

/// The dependency names of a manifest, dev-dependencies included: `tests/` has none, and the pure crates' own are
/// checked separately.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let body = manifest.split(&format!("\n[{section}]\n")).nth(1).unwrap_or_default();
    body.lines()
        .take_while(|l| !l.starts_with('['))
        .filter_map(|l| l.split(['.', ' ', '=']).next().filter(|n| !n.is_empty() && !n.starts_with('#')))
        .map(str::to_owned)
        .collect()
}

#[test]
fn crates_use_one_another_only_along_the_arrows() {
    let mut wrong = Vec::new();
    for (folder, allowed) in ARROWS {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("manifest is readable");
        let mut all = dependencies(&manifest, "dependencies");
        assert!(
            !all.is_empty() || *folder == "web",
            "no dependencies found in {folder}/Cargo.toml: has its form changed?"
        );
        all.extend(dependencies(&manifest, "dev-dependencies"));
        let ours = all.iter().filter(|d| *d == "lectern" || d.starts_with("lectern-") || *d == "e2e");
        wrong.extend(ours.filter(|d| !allowed.contains(&d.as_str())).map(|d| format!("{folder} → {d}")));
    }
    report("imports against the arrows of ARCHITECTURE.md", &wrong);
}

/// The files of a crate and what they name of each other.
fn imports(sources: &[Source], folder: &str) -> Imports {
    let below = format!("{folder}/src/");
    let files = sources.iter().filter_map(|s| Some((s.name.strip_prefix(&below)?, s.code.as_str())));
    let imports = Imports::read(files);
    assert!(imports.arrows().count() > 20, "{folder}: hardly any imports were found; has their form changed?");
    imports
}

#[test]
fn the_parts_of_a_node_name_only_what_is_below_them() {
    let inside = |module: &str, part: &str| module == part || module.starts_with(&format!("{part}::"));
    let imports = imports(&sources(), "node");
    let mut wrong = Vec::new();
    for (from, to) in imports.arrows().filter(|(from, _)| !from.is_empty()) {
        let part = NODE_ARROWS.iter().filter(|(part, _)| inside(from, part)).max_by_key(|(part, _)| part.len());
        let Some((part, allowed)) = part else {
            wrong.push(format!("{from} belongs to no part in NODE_ARROWS"));
            continue;
        };
        if !inside(to, part) && !allowed.iter().any(|other| inside(to, other)) {
            wrong.push(format!("{from} → {to}: {part} may name only {allowed:?}"));
        }
    }
    report("arrows inside node", &wrong);
}

#[test]
fn imports_of_different_folders_run_in_no_circle() {
    let sources = sources();
    let circles = ["node", "operator", "media"].map(|folder| imports(&sources, folder).circles());
    report("files of different folders that import each other", &circles.concat());
}

#[test]
fn every_crate_of_the_workspace_has_its_arrows_and_reaches_the_build_of_the_image() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).expect("file is readable");
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find_map(|l| l.strip_prefix("members = [")?.strip_suffix(']')).expect("members");
    let members: BTreeSet<_> = members.split(", ").map(|name| name.trim_matches('"')).collect();
    let in_table: BTreeSet<_> = ARROWS.iter().map(|(folder, _)| *folder).collect();
    assert_eq!(members, in_table, "the workspace and the table of arrows");
    let sent = read(".dockerignore");
    let kept_back: Vec<_> = members
        .iter()
        .filter_map(|name| name.split('/').next())
        .filter(|folder| !sent.lines().any(|l| l.strip_prefix('!') == Some(folder)))
        .map(str::to_owned)
        .collect();
    report(".dockerignore lets every crate through (`!FOLDER`)", &kept_back);
}

#[test]
fn pure_crates_depend_on_nothing_that_does_io() {
    let mut wrong = Vec::new();
    for (folder, allowed) in PURE_DEPENDENCIES {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("manifest is readable");
        let found = dependencies(&manifest, "dependencies");
        wrong.extend(found.iter().filter(|d| !allowed.contains(&d.as_str())).map(|d| format!("{folder} → {d}")));
    }
    report("a pure crate takes only what is listed here", &wrong);

    for package in ["lectern-media", "lectern-api"] {
        let tree = cargo(&["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--offline"]);
        assert!(tree.starts_with(package), "`cargo tree` said something else: {tree}");
        let names: Vec<_> = tree.lines().filter_map(|l| l.split(' ').next()).collect();
        for forbidden in ["tokio", "mio", "socket2", "async-std", "hyper", "kube-client"] {
            assert!(!names.contains(&forbidden), "{package} depends on {forbidden}");
        }
    }
}

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let done = Command::new(cargo).args(args).current_dir(root()).output().expect("cargo starts");
    assert!(done.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("cargo writes UTF-8")
}

/// The proof that cannot be argued with: the linker's view. What `media` calls outside itself are the undefined
/// symbols of its object files; if no function of std that touches the outside is among them, no line of it does.
#[test]
fn the_object_code_of_media_calls_no_clock_socket_file_or_thread() {
    let library = media_library();
    let listed = Command::new("nm")
        .args(["--demangle", "--undefined-only", "--no-sort"])
        .arg(&library)
        .output()
        .expect("nm starts (package binutils)");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let symbols: Vec<_> = listed.lines().filter_map(|l| l.trim().strip_prefix("U ")).collect();
    assert!(
        symbols.iter().any(|s| s.contains("core::panicking")),
        "{} does not look like object code",
        library.display()
    );
    let impure: Vec<_> = symbols
        .iter()
        .filter(|s| IMPURE_SYMBOLS.iter().any(|i| s.contains(i)) && !HARMLESS_SYMBOLS.iter().any(|h| s.contains(h)))
        .map(|s| (*s).to_owned())
        .collect();
    report("media calls", &impure);
}

/// The newest `liblectern_media-*.rlib` beside this test's own executable.
fn media_library() -> PathBuf {
    let deps = std::env::current_exe().expect("a test knows its own path");
    let deps = deps.parent().expect("an executable lies in a folder");
    std::fs::read_dir(deps)
        .expect("the folder is readable")
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "rlib"))
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("liblectern_media-")))
        .max_by_key(|p| p.metadata().and_then(|m| m.modified()).ok())
        .expect("media is built: it is a dependency of this crate")
}
