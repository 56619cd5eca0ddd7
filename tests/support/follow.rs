//! Followers of a stream at one address each: they keep every playlist and every segment that was listed, so that
//! addresses can be compared afterwards.

use crate::http;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Time between two loads of a playlist: short against a segment, so that no position is missed.
const LOAD_EVERY: Duration = Duration::from_millis(150);

/// What one follower saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Playlist texts by position: first number, last name, whether it has ended, number of gaps.
    pub playlists: BTreeMap<(u64, String, bool, usize), String>,
    /// All playlist texts in the order in which they came, each once in a row.
    pub history: Vec<String>,
    /// Bodies of segments by name.
    pub segments: BTreeMap<String, Bytes>,
    /// Contradictions within this one address.
    pub problems: Vec<String>,
    /// Times the address did not answer.
    pub silent: u32,
}

/// A task that follows a stream at an address.
#[derive(Debug)]
pub struct Follower {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Follows `http://ADDRESS/live/STREAM`; begins as soon as it answers.
    #[must_use]
    pub fn start(base: &str, stream: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (base, mine) = (format!("{base}/live/{stream}"), seen.clone());
        let task = tokio::spawn(async move {
            let mut due = tokio::time::interval(LOAD_EVERY);
            loop {
                due.tick().await;
                if look(&base, &mine).await.is_err() {
                    lock(&mine).silent += 1;
                }
            }
        });
        Self { seen, task }
    }

    /// What it has seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look(base: &str, seen: &Mutex<Seen>) -> Result<()> {
    let answer = http::get(&format!("{base}/media.m3u8")).await?;
    if answer.status == 404 {
        return Ok(());
    }
    if answer.status != 200 {
        bail!("playlist: {}", answer.status);
    }
    let text = answer.text();
    let list = read(&text).with_context(|| format!("an independent parser refuses:\n{text}"));
    let list = match list {
        Ok(list) => list,
        Err(error) => {
            lock(seen).problems.push(format!("{error:#}"));
            return Ok(());
        }
    };
    lock(seen).note_playlist(&text, &list);
    for segment in list.segments.iter().filter(|s| !is_gap(s)) {
        if lock(seen).segments.contains_key(&segment.uri) {
            continue;
        }
        let answer = http::get(&format!("{base}/{}", segment.uri)).await?;
        if answer.status != 200 {
            lock(seen).problems.push(format!("{} is listed and {}", segment.uri, answer.status));
            continue;
        }
        lock(seen).segments.insert(segment.uri.clone(), answer.body);
    }
    Ok(())
}

/// Reads a playlist by the independent parser.
///
/// # Errors
/// When it refuses it, or it is no media playlist.
pub fn read(text: &str) -> Result<m3u8_rs::MediaPlaylist> {
    match m3u8_rs::parse_playlist_res(text.as_bytes()) {
        Ok(m3u8_rs::Playlist::MediaPlaylist(list)) => Ok(list),
        Ok(m3u8_rs::Playlist::MasterPlaylist(_)) => bail!("a multivariant playlist where a media playlist belongs"),
        Err(error) => bail!("{error}"),
    }
}

fn is_gap(segment: &m3u8_rs::MediaSegment) -> bool {
    segment.unknown_tags.iter().any(|t| t.tag == "X-GAP")
}

impl Seen {
    fn note_playlist(&mut self, text: &str, list: &m3u8_rs::MediaPlaylist) {
        if self.history.last().is_some_and(|last| last == text) {
            return;
        }
        if let Some(before) = self.history.last().and_then(|t| read(t).ok()) {
            let (old, new) = (last_number(&before), last_number(list));
            if list.media_sequence < before.media_sequence || new < old {
                self.problems.push(format!("numbers went back from {old} to {new}:\n{text}"));
            }
            if list.target_duration != before.target_duration && list.media_sequence <= old {
                self.problems.push(format!("the target duration changed:\n{text}"));
            }
        }
        let gaps = list.segments.iter().filter(|s| is_gap(s)).count();
        let last = list.segments.last().map(|s| s.uri.clone()).unwrap_or_default();
        let position = (list.media_sequence, last, list.end_list, gaps);
        let known = self.playlists.entry(position).or_insert_with(|| text.to_owned());
        if known != text {
            self.problems.push(format!("one position, two texts:\n{known}\n{text}"));
        }
        self.history.push(text.to_owned());
    }
}

fn last_number(list: &m3u8_rs::MediaPlaylist) -> u64 {
    list.media_sequence + list.segments.len() as u64
}

/// Compares what was seen at several addresses: the number of segments and playlists that at least two of them had.
///
/// # Errors
/// With every contradiction.
pub fn agree(all: &[Seen]) -> Result<(usize, usize)> {
    let mut problems: Vec<String> = all.iter().flat_map(|s| s.problems.clone()).collect();
    let mut segments: BTreeMap<&str, ([u8; 32], usize)> = BTreeMap::new();
    let mut playlists = BTreeMap::new();
    let mut discontinuities = BTreeMap::new();
    for (address, seen) in all.iter().enumerate() {
        for (name, body) in &seen.segments {
            let hash: [u8; 32] = Sha256::digest(body).into();
            let known = segments.entry(name).or_insert((hash, 0));
            known.1 += 1;
            if known.0 != hash {
                problems.push(format!("{name} at address {address} has other bytes"));
            }
        }
        for (position, text) in &seen.playlists {
            let known = playlists.entry(position).or_insert((text, 0));
            known.1 += 1;
            if known.0 != text {
                problems.push(format!("{position:?} at address {address}:\n{text}\nand elsewhere:\n{}", known.0));
            }
        }
        for text in seen.playlists.values() {
            note_discontinuities(text, &mut discontinuities, &mut problems)?;
        }
    }
    if !problems.is_empty() {
        problems.truncate(5);
        bail!("contradictions, the first of them:\n{}", problems.join("\n----\n"));
    }
    Ok((segments.values().filter(|s| s.1 > 1).count(), playlists.values().filter(|p| p.1 > 1).count()))
}

/// The discontinuity number of a segment is the same in every playlist that lists it (RFC 8216, 4.3.3.3).
fn note_discontinuities(text: &str, known: &mut BTreeMap<String, u64>, problems: &mut Vec<String>) -> Result<()> {
    let list = read(text)?;
    let mut number = list.discontinuity_sequence;
    for segment in &list.segments {
        number += u64::from(segment.discontinuity);
        let first = *known.entry(segment.uri.clone()).or_insert(number);
        if first != number {
            problems.push(format!("{} has discontinuity number {first} and {number}:\n{text}", segment.uri));
        }
    }
    Ok(())
}
