//! What any viewer has received so far, so that an answer that contradicts it is found: a segment is a name and bytes, a
//! number belongs to one name, a playlist at one position has one text, whichever edge says so.

use crate::playlist::{Listed, MediaPlaylist};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Playlist texts that are remembered at most; past that, all are read anew.
const TEXTS_MAX: usize = 4_096;

/// The record of everything that any viewer received. All viewers share one.
#[derive(Debug, Default)]
pub struct Truth {
    /// Playlists by path and hash of their text: thousands of viewers get the same few, which are read once.
    texts: HashMap<(Rc<str>, u128), Rc<MediaPlaylist>>,
    /// (edge, path, hash) of playlists that were compared.
    compared: HashSet<(Rc<str>, Rc<str>, u128)>,
    /// (edge, path) of bodies that were hashed.
    hashed: HashSet<(Rc<str>, String)>,
    /// Hash by path, and who said so first.
    bodies: HashMap<String, (u128, Rc<str>)>,
    /// By playlist path and number.
    numbers: HashMap<(Rc<str>, u64), Number>,
    /// By path and position.
    playlists: HashMap<Position, (u128, Rc<str>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Number {
    uri: String,
    dseq: u64,
    duration_ms: f64,
}

#[derive(Debug, Hash, PartialEq, Eq)]
struct Position {
    path: Rc<str>,
    first: u64,
    last: String,
    gaps: usize,
    ended: bool,
}

impl Truth {
    /// Whether the body of `path` at `edge` has not been hashed yet.
    pub fn wants(&self, edge: &Rc<str>, path: &str) -> bool {
        !self.hashed.contains(&(edge.clone(), path.to_owned()))
    }

    /// Bodies that were hashed, each (edge, path) once.
    pub fn hashed(&self) -> usize {
        self.hashed.len()
    }

    /// The body of `path` at `edge` has this hash. The problem, if another edge said otherwise.
    pub fn body(&mut self, edge: &Rc<str>, path: &str, hash: u128) -> Option<String> {
        self.hashed.insert((edge.clone(), path.to_owned()));
        let (known, by) = self.bodies.entry(path.to_owned()).or_insert_with(|| (hash, edge.clone()));
        (*known != hash).then(|| format!("{path} at {edge} differs from what {by} served"))
    }

    /// The playlist that is the text `text` with this hash.
    pub fn read(&mut self, path: &Rc<str>, text: &[u8], hash: u128) -> Result<Rc<MediaPlaylist>, String> {
        if let Some(list) = self.texts.get(&(path.clone(), hash)) {
            return Ok(list.clone());
        }
        let text = std::str::from_utf8(text).map_err(|_| "is no UTF-8".to_owned())?;
        let list = Rc::new(crate::playlist::media(text).map_err(|invalid| invalid.to_string())?);
        if self.texts.len() >= TEXTS_MAX {
            self.texts.clear();
            self.compared.clear();
        }
        self.texts.insert((path.clone(), hash), list.clone());
        Ok(list)
    }

    /// `edge` answers `path` with `list`, whose text has this hash. The problems it has with what was seen before.
    pub fn playlist(&mut self, edge: &Rc<str>, path: &Rc<str>, list: &MediaPlaylist, hash: u128) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.compared.insert((edge.clone(), path.clone(), hash)) {
            return problems;
        }
        for segment in &list.segments {
            let Listed { msn, dseq, duration_ms, uri, .. } = segment;
            let now = Number { uri: uri.clone(), dseq: *dseq, duration_ms: *duration_ms };
            let known = self.numbers.entry((path.clone(), *msn)).or_insert_with(|| now.clone());
            if *known != now {
                problems.push(format!("{path} at {edge}: segment {msn} was {known:?} and is {now:?}"));
                *known = now;
            }
        }
        let (Some(first), Some(last)) = (list.segments.first(), list.segments.last()) else { return problems };
        let position = Position {
            path: path.clone(),
            first: first.msn,
            last: last.uri.clone(),
            gaps: list.segments.iter().filter(|s| s.gap).count(),
            ended: list.ended,
        };
        let (known, by) = self.playlists.entry(position).or_insert_with(|| (hash, edge.clone()));
        if *known != hash {
            problems.push(format!("{path} at {edge} from {} to {} differs from what {by} served", first.msn, last.msn));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(first: u64, uris: &[&str]) -> MediaPlaylist {
        let listed =
            |(n, uri): (usize, &&str)| Listed { msn: first + n as u64, uri: (*uri).to_owned(), ..Listed::default() };
        MediaPlaylist { target_s: 2, ended: false, segments: uris.iter().enumerate().map(listed).collect() }
    }

    #[test]
    fn each_edge_and_path_is_hashed_once_and_compared() {
        let (mut truth, a, b): (_, Rc<str>, Rc<str>) = (Truth::default(), "a".into(), "b".into());
        assert!(truth.wants(&a, "/1.ts"));
        assert_eq!(truth.body(&a, "/1.ts", 7), None);
        assert!(!truth.wants(&a, "/1.ts") && truth.wants(&b, "/1.ts"));
        assert_eq!(truth.body(&b, "/1.ts", 8).as_deref(), Some("/1.ts at b differs from what a served"));
        assert_eq!(truth.hashed(), 2);
    }

    #[test]
    fn a_number_keeps_its_name_and_a_position_its_text() {
        let (mut truth, edge, path): (_, Rc<str>, Rc<str>) = (Truth::default(), "a".into(), "/m".into());
        assert!(truth.playlist(&edge, &path, &list(5, &["x", "y"]), 1).is_empty());
        assert!(truth.playlist(&edge, &path, &list(6, &["y", "z"]), 2).is_empty(), "it has moved on");
        assert_eq!(truth.playlist(&edge, &path, &list(6, &["y", "z"]), 3).len(), 1, "same position, other text");
        assert_eq!(truth.playlist(&edge, &path, &list(7, &["w"]), 4).len(), 1, "7 was z");
    }
}
