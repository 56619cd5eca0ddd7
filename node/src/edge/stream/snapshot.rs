//! What HTTP answers from: one immutable snapshot of a stream, with everything that can be made ready before a request
//! comes. A request loads it, and takes no lock.

use super::stored::Stored;
use crate::edge::counting::Fetches;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::HeaderValue;
use lectern_media::ledger::{Entry, Hash};
use lectern_media::live::{Verdict, View};
use lectern_media::rendition::{Rendition, SegmentKey};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Target durations that a request is held.
pub const HOLD_TARGETS: u64 = 3;
/// Longest hold: shorter than the time-outs of load balancers and players.
pub const HOLD_MS_MAX: u64 = 8_000;

/// A playlist with its validators, and its compressed form once a client asked for that.
#[derive(Debug)]
pub struct Playlist {
    /// As it is sent.
    pub plain: Encoded,
    gzip: OnceLock<Encoded>,
}

/// Bytes with the headers that depend on them.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The body.
    pub bytes: Bytes,
    /// Strong validator: the hash of the plain bytes, with a suffix for another coding of them (RFC 9110, 8.8.3.3).
    pub etag: HeaderValue,
    /// Its length.
    pub length: HeaderValue,
}

impl Encoded {
    fn new(bytes: Bytes, etag: &str) -> Self {
        let length = HeaderValue::from(bytes.len());
        // Hexadecimal digits in quotes are a valid header value.
        let etag = HeaderValue::from_str(etag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { bytes, etag, length }
    }
}

impl Playlist {
    /// A text to be sent.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        let etag = format!("\"{}\"", Hash::of(&bytes));
        Self { plain: Encoded::new(bytes, &etag), gzip: OnceLock::new() }
    }

    fn next(previous: Option<&Arc<Self>>, bytes: Option<&Bytes>) -> Option<Arc<Self>> {
        let bytes = bytes?;
        match previous {
            Some(same) if same.plain.bytes == bytes => Some(Arc::clone(same)),
            _ => Some(Arc::new(Self::new(bytes.clone()))),
        }
    }

    /// The gzip form: made at the first request for it, once for this playlist.
    pub fn gzip(&self) -> &Encoded {
        self.gzip.get_or_init(|| {
            let etag = self.plain.etag.to_str().unwrap_or_default().trim_end_matches('"').to_owned() + "-gz\"";
            let mut encoder = GzEncoder::new(Vec::with_capacity(self.plain.bytes.len() / 2), Compression::default());
            // A Vec takes every byte.
            let written = encoder.write_all(&self.plain.bytes).and_then(|()| encoder.finish());
            written.map_or_else(|_| self.plain.clone(), |bytes| Encoded::new(bytes.into(), &etag))
        })
    }
}

/// A segment that can be sent, with the count of who fetched it. It lives on from snapshot to snapshot.
#[derive(Debug)]
pub struct Segment {
    /// What the ledger says of it.
    pub entry: Entry,
    /// Its bytes and validators.
    pub data: Encoded,
    /// The same bytes as a file that can be sent; `None` where the system has no such files.
    pub stored: Option<Arc<Stored>>,
    /// Who fetched it.
    pub fetches: Fetches,
}

impl Segment {
    /// A segment that this edge came to hold `now_ms` (milliseconds of the node's own clock).
    #[must_use]
    pub fn new(entry: Entry, bytes: Bytes, now_ms: u64) -> Self {
        let etag = format!("\"{}\"", entry.hash);
        let stored =
            Stored::new(&bytes).inspect_err(|error| tracing::debug!(%error, "a segment stays on the heap")).ok();
        let bytes = stored.as_ref().map_or(bytes, |stored| stored.bytes());
        Self { entry, data: Encoded::new(bytes, &etag), stored, fetches: Fetches::new(now_ms) }
    }
}

/// What a stream answers at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// What it was made from.
    pub view: Arc<View>,
    /// `index.m3u8`.
    pub index: Option<Arc<Playlist>>,
    /// `media.m3u8` of each rendition that lists something. The list of the source comes from the view's.
    pub media: BTreeMap<Rendition, Arc<Playlist>>,
    /// Everything that can be sent; unlisted but retained segments too.
    pub segments: HashMap<SegmentKey, Arc<Segment>>,
}

/// What a name means to a stream at one moment.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// Here it is.
    Held(&'a Arc<Segment>),
    /// It exists, and this edge has no bytes of it: a sibling may.
    Elsewhere(&'a Entry),
    /// It comes next, or next but one.
    Ahead,
    /// It cannot be told yet: ask the stream's task, and look at the snapshots that follow.
    Unsure,
    /// It does not exist, as far as the ingest and the siblings know.
    Nowhere,
}

impl Snapshot {
    /// The snapshot after `previous`: segments and unchanged playlists are taken over from it, counts and all.
    #[must_use]
    pub fn next(previous: &Self, view: Arc<View>, now_ms: u64) -> Self {
        let segments = view.segments.iter().map(|(name, held)| {
            let key = SegmentKey::source(*name);
            let segment = match previous.segments.get(&key) {
                Some(known) if known.entry.hash == held.entry.hash => Arc::clone(known),
                _ => Arc::new(Segment::new(held.entry.clone(), held.bytes.clone(), now_ms)),
            };
            (key, segment)
        });
        Self {
            index: Playlist::next(previous.index.as_ref(), view.multivariant.as_ref()),
            media: Playlist::next(previous.media.get(&Rendition::Source), view.media.as_ref())
                .map(|list| (Rendition::Source, list))
                .into_iter()
                .collect(),
            segments: segments.collect(),
            view,
        }
    }

    /// Whether URLs of this rendition mean something: the source's always do, those of others once they are listed.
    #[must_use]
    pub fn offers(&self, rendition: Rendition) -> bool {
        rendition == Rendition::Source || self.media.contains_key(&rendition)
    }

    /// The renditions that this stream has, the source first.
    pub fn renditions(&self) -> impl Iterator<Item = Rendition> {
        let named = self.media.keys().copied().filter(|rendition| *rendition != Rendition::Source);
        std::iter::once(Rendition::Source).chain(named)
    }

    /// Looks a segment up for a request that came at `asked_ms` (see [`View::verdict`]).
    #[must_use]
    pub fn lookup(&self, key: &SegmentKey, asked_ms: u64) -> Lookup<'_> {
        if let Some(segment) = self.segments.get(key) {
            return Lookup::Held(segment);
        }
        // What a stream does not offer is no matter of waiting.
        if !self.offers(key.rendition) {
            return Lookup::Nowhere;
        }
        match self.view.verdict(key.name, asked_ms) {
            Verdict::Elsewhere(entry) => Lookup::Elsewhere(entry),
            Verdict::Ahead => Lookup::Ahead,
            // What the view holds was looked up above.
            Verdict::Unsure | Verdict::Held(_) => Lookup::Unsure,
            Verdict::Nowhere => Lookup::Nowhere,
        }
    }

    /// Whether an encoder publishes: requests may wait for a first segment.
    #[must_use]
    pub fn expects_media(&self) -> bool {
        self.view.open.is_some()
    }

    /// How long a request a little ahead is held.
    #[must_use]
    pub fn hold(&self) -> Duration {
        Duration::from_millis((HOLD_TARGETS * self.view.target_ms()).min(HOLD_MS_MAX))
    }
}
