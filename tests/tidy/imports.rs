//! Which file of a crate names which: `use` declarations and paths that begin with `crate`, `super`, or a module of the
//! file's own, followed through re-exports to the file that has the item.

use std::collections::{BTreeMap, BTreeSet};

/// A crate as a graph of its files. Files go by their module path, `edge::http::find`; the root is the empty path.
pub struct Imports {
    modules: BTreeSet<String>,
    arrows: BTreeMap<String, BTreeSet<String>>,
}

impl Imports {
    /// Reads a crate from its files: path below `src/`, and code without comments and tests.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files: BTreeMap<String, &str> =
            files.into_iter().filter(|(path, _)| !is_test(path)).map(|(path, code)| (module_of(path), code)).collect();
        let modules: BTreeSet<_> = files.keys().cloned().collect();
        let reexports: BTreeMap<_, _> =
            files.iter().map(|(module, code)| (module.clone(), reexports(module, code))).collect();
        let arrows = files.iter().map(|(module, code)| {
            let named = paths(code).into_iter().filter_map(|path| absolute(module, &path, &modules));
            let named = named.map(|path| home(&path, &modules, &reexports, 0));
            (module.clone(), named.filter(|other| other != module && !other.is_empty()).collect())
        });
        Self { arrows: arrows.collect(), modules }
    }

    /// Every arrow from one file to another.
    pub fn arrows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.arrows.iter().flat_map(|(from, to)| to.iter().map(move |to| (from.as_str(), to.as_str())))
    }

    /// The folder that a file belongs to: `foo.rs` beside `foo/` belongs to the latter.
    pub fn folder<'a>(&self, module: &'a str) -> &'a str {
        let inside = format!("{module}::");
        let has_folder = self.modules.range(inside.clone()..).next().is_some_and(|next| next.starts_with(&inside));
        if has_folder { module } else { module.rsplit_once("::").map_or("", |(folder, _)| folder) }
    }

    /// Circles of imports between files of different folders, each as a way from a file back to itself.
    pub fn circles(&self) -> Vec<String> {
        let mut found = BTreeMap::new();
        for (from, to) in self.arrows().filter(|(from, to)| self.folder(from) != self.folder(to)) {
            if let Some(way) = self.way(to, from) {
                let mut members = way.clone();
                members.sort_unstable();
                found.entry(members).or_insert_with(|| format!("{from} → {}", way.join(" → ")));
            }
        }
        found.into_values().collect()
    }

    /// The shortest way along arrows.
    fn way<'a>(&'a self, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
        let mut came_from = BTreeMap::from([(from, "")]);
        let mut next = std::collections::VecDeque::from([from]);
        while let Some(at) = next.pop_front() {
            if at == to {
                let mut way = vec![at];
                while let Some(before) = way.last().and_then(|last| came_from.get(last)).filter(|b| !b.is_empty()) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            for other in self.arrows.get(at).into_iter().flatten() {
                if !came_from.contains_key(other.as_str()) {
                    came_from.insert(other, at);
                    next.push_back(other);
                }
            }
        }
        None
    }
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("tests/") || path == "main.rs"
}

/// `edge/http/find.rs` is the module `edge::http::find`.
fn module_of(path: &str) -> String {
    let path = path.trim_end_matches(".rs");
    if path == "lib" { String::new() } else { path.replace('/', "::") }
}

/// All paths in code: of `use` declarations, with their braces resolved, and within expressions. What a file only passes on
/// (`pub use`) is left out: nothing in the file depends on it.
fn paths(code: &str) -> Vec<String> {
    let (declarations, rest) = declarations(code);
    let mut found = Vec::new();
    for tree in declarations.iter().filter_map(|line| line.strip_prefix("use ")) {
        expand("", tree, &mut found);
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    found.extend(rest.split(|c| !is_word(c)).filter(|word| word.contains("::")).map(str::to_owned));
    found
}

/// The `use` declarations of a file, visibility and all, each on one line and without its semicolon; and the rest.
fn declarations(code: &str) -> (Vec<String>, String) {
    let starts = |line: &str| {
        let line = line.trim_start();
        line.starts_with("use ") || (line.starts_with("pub") && line.contains(" use ") && !line.contains('='))
    };
    // Visibility is no dependency.
    let code = code.replace("(in crate::", "(");
    let (mut found, mut rest) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if starts(line) {
            let mut whole = line.trim().to_owned();
            while !whole.contains(';') {
                let Some(more) = lines.next() else { break };
                whole += more.trim();
            }
            found.push(whole.trim_end_matches(';').to_owned());
        } else {
            rest += line;
            rest.push('\n');
        }
    }
    (found, rest)
}

/// `a::{b, c::{self, D}}` is `a::b`, `a::c` and `a::c::D`.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        None => {
            let name = tree.split(" as ").next().unwrap_or(tree).trim();
            let path = format!("{prefix}{name}");
            found.push(path.trim_end_matches("::self").to_owned());
        }
        Some((before, inside)) => {
            let inside = inside.strip_suffix('}').unwrap_or(inside);
            let (mut depth, mut start) = (0, 0);
            for (at, c) in inside.char_indices().chain([(inside.len(), ',')]) {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        if !inside[start..at].trim().is_empty() {
                            expand(&format!("{prefix}{before}"), &inside[start..at], found);
                        }
                        start = at + 1;
                    }
                    _ => {}
                }
            }
        }
    }
}

/// A path from the root of the crate; `None` for one that leads out of it.
fn absolute(module: &str, path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut base: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut parts = path.split("::").peekable();
    match *parts.peek()? {
        "crate" => {
            parts.next();
            base.clear();
        }
        "self" => _ = parts.next(),
        "super" => {
            while parts.next_if_eq(&"super").is_some() {
                base.pop();
            }
        }
        child => {
            let child = if module.is_empty() { child.to_owned() } else { format!("{module}::{child}") };
            modules.contains(&child).then_some(())?;
        }
    }
    base.extend(parts);
    Some(base.join("::"))
}

/// What a file passes on: the name under which it does, and the whole path of the item.
fn reexports(module: &str, code: &str) -> BTreeMap<String, String> {
    let mut found = Vec::new();
    for declaration in declarations(code).0.iter().filter(|line| line.starts_with("pub")) {
        expand("", declaration.rsplit_once("use ").map_or("", |(_, tree)| tree), &mut found);
    }
    let named = |path: String| {
        let name = path.rsplit("::").next().unwrap_or_default().to_owned();
        let first = path.split("::").next().unwrap_or_default();
        let whole = match first {
            "crate" | "self" | "super" => absolute(module, &path, &BTreeSet::new())?,
            _ if module.is_empty() => path,
            _ => format!("{module}::{path}"),
        };
        Some((name, whole))
    };
    found.into_iter().filter_map(named).collect()
}

/// The file that has an item.
fn home(
    path: &str,
    modules: &BTreeSet<String>,
    reexports: &BTreeMap<String, BTreeMap<String, String>>,
    hops: usize,
) -> String {
    let mut module = path;
    while !modules.contains(module) {
        module = module.rsplit_once("::").map_or("", |(parent, _)| parent);
        if module.is_empty() {
            break;
        }
    }
    let rest = path[module.len()..].trim_start_matches("::");
    let item = rest.split("::").next().unwrap_or_default();
    match reexports.get(module).and_then(|passed| passed.get(item)) {
        // More hops than any crate has would be a re-export of itself.
        Some(other) if hops < 8 && other != path => home(other, modules, reexports, hops + 1),
        _ => module.to_owned(),
    }
}
