//! The ring of a stream: what was last said, in the order in which it was said. One writer, many readers.
//!
//! Readers do not read it frame by frame: each keeps a [`RingCopy`] of the ring's references and brings it up to date in
//! one short lock per merge window.

use super::wire::Form;
use bytes::Bytes;
use lectern_media::track::{Frame, Track, TrackSet};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;

/// Media bytes that a ring keeps at most: ten seconds between key frames at the highest accepted bit rate
/// (30 Mbit/s), and a quarter on top. Beyond it the oldest frames go, and who needed them skips.
pub const RING_BYTES_MAX: usize = 48 << 20;
/// More media than this behind the newest frame is lagging.
pub const LAG_MS_MAX: u64 = 3_000;

/// The configurations in force, with the numbers that tell them apart.
#[derive(Debug)]
pub struct Headers {
    /// Grows with every epoch: who has seen another number needs the sequence headers.
    pub epoch: u64,
    /// Grows with every change of metadata within an epoch.
    pub metadata: u64,
    /// Grows when the track set changes: a player that began with another one cannot go on.
    pub generation: u64,
    /// The configurations.
    pub tracks: TrackSet,
}

/// One frame with its wire forms, each made when a viewer first needs it.
#[derive(Debug)]
pub struct Item {
    /// Position in the ring, without holes.
    pub seq: u64,
    /// On the viewers' timeline.
    pub t_ms: u64,
    /// Playing can start here: a key frame, or anything where there is no video.
    pub start: bool,
    /// What was in force.
    pub headers: Arc<Headers>,
    track: Track,
    body: Bytes,
    flv: OnceLock<Bytes>,
    rtmp: OnceLock<Bytes>,
    flv_headers: OnceLock<Bytes>,
    rtmp_headers: OnceLock<Bytes>,
}

impl Item {
    /// The frame as it is sent.
    pub fn wire(&self, form: Form) -> &Bytes {
        let cell = match form {
            Form::Flv => &self.flv,
            Form::Rtmp => &self.rtmp,
        };
        cell.get_or_init(|| form.media(self.track, self.t_ms, &self.body))
    }

    /// The headers as they are sent before this frame, to those who have not seen its epoch.
    pub fn wire_headers(&self, form: Form) -> &Bytes {
        let cell = match form {
            Form::Flv => &self.flv_headers,
            Form::Rtmp => &self.rtmp_headers,
        };
        cell.get_or_init(|| form.headers(&self.headers.tracks, self.t_ms))
    }
}

/// The latest messages of one stream, for viewers of RTMP and HTTP-FLV.
#[derive(Debug, Default)]
pub struct Ring {
    inner: Mutex<Inner>,
    live: AtomicBool,
    appended: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Arc<Item>>,
    next_seq: u64,
    bytes: usize,
    newest_start: Option<u64>,
    headers: Option<Arc<Headers>>,
    epochs: u64,
    generation: u64,
}

impl Ring {
    /// A new epoch: frames after this need its configurations. `changed_tracks` ends what viewers have seen so far.
    pub fn epoch(&self, tracks: TrackSet, changed_tracks: bool) {
        let mut inner = self.lock();
        inner.epochs += 1;
        if changed_tracks {
            inner.restart();
        }
        let (epoch, generation) = (inner.epochs, inner.generation);
        inner.headers = Some(Arc::new(Headers { epoch, metadata: 0, generation, tracks }));
        self.live.store(true, Relaxed);
    }

    /// Other metadata within the epoch: frames after this have them before them.
    pub fn metadata(&self, payload: Bytes) {
        let mut inner = self.lock();
        let Some(before) = inner.headers.clone().filter(|h| h.tracks.metadata.as_ref() != Some(&payload)) else {
            return;
        };
        let Headers { epoch, metadata, generation, ref tracks } = *before;
        let tracks = TrackSet { metadata: Some(payload), ..tracks.clone() };
        inner.headers = Some(Arc::new(Headers { epoch, metadata: metadata + 1, generation, tracks }));
    }

    /// A frame on the viewers' timeline. Without an epoch before it no viewer could play it.
    pub fn frame(&self, frame: Frame) {
        let mut inner = self.lock();
        let Some(headers) = inner.headers.clone() else { return };
        inner.append(headers, frame);
        drop(inner);
        self.appended.send_replace(());
    }

    /// The presentation is over: viewers are let go.
    pub fn end(&self) {
        let mut inner = self.lock();
        inner.restart();
        inner.headers = None;
        self.live.store(false, Relaxed);
        drop(inner);
        self.appended.send_replace(());
    }

    /// There is something to play, or will be in a moment.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live.load(Relaxed)
    }

    /// Told after every frame, for readers without a merge window.
    #[must_use]
    pub fn appended(&self) -> watch::Receiver<()> {
        self.appended.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn restart(&mut self) {
        self.generation += 1;
        self.items.clear();
        self.bytes = 0;
        self.newest_start = None;
    }

    fn append(&mut self, headers: Arc<Headers>, frame: Frame) {
        let start = frame.key() || headers.tracks.video.is_none();
        let Frame { track, t_ms, class: _, body } = frame;
        if start {
            self.newest_start = Some(self.next_seq);
        }
        self.bytes += body.len();
        let (flv, rtmp, flv_headers, rtmp_headers) = Default::default();
        let seq = self.next_seq;
        self.items.push_back(Arc::new(Item {
            seq,
            t_ms,
            start,
            headers,
            track,
            body,
            flv,
            rtmp,
            flv_headers,
            rtmp_headers,
        }));
        self.next_seq += 1;
        self.forget(t_ms);
    }

    /// Drops what no viewer may need: older than a laggard may be, and than where a newcomer starts.
    fn forget(&mut self, newest_t_ms: u64) {
        while let Some(oldest) = self.items.front() {
            let needed = newest_t_ms.saturating_sub(oldest.t_ms) <= LAG_MS_MAX
                || self.newest_start.is_none_or(|start| oldest.seq >= start);
            if needed && self.bytes <= RING_BYTES_MAX {
                return;
            }
            self.bytes -= oldest.body.len();
            self.items.pop_front();
        }
    }
}

/// A reader's copy of the references in a ring.
#[derive(Debug)]
pub struct RingCopy {
    ring: Arc<Ring>,
    /// Without holes in `seq`.
    pub items: VecDeque<Arc<Item>>,
    /// The newest item that playing can start at, if it is still there.
    pub newest_start: Option<u64>,
    /// Viewers of an older generation are let go.
    pub generation: u64,
}

impl RingCopy {
    /// Empty until it is brought up to date.
    #[must_use]
    pub fn new(ring: Arc<Ring>) -> Self {
        Self { ring, items: VecDeque::new(), newest_start: None, generation: 0 }
    }

    /// See [`Ring::is_live`].
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.ring.is_live()
    }

    /// Brings it up to date.
    pub fn refresh(&mut self) {
        let inner = self.ring.lock();
        if inner.generation != self.generation {
            self.items.clear();
        }
        let oldest = inner.items.front().map_or(inner.next_seq, |item| item.seq);
        while self.items.front().is_some_and(|item| item.seq < oldest) {
            self.items.pop_front();
        }
        let have = self.items.back().map_or(oldest, |item| item.seq + 1);
        // Positions in the ring are seq - oldest: it has no holes.
        let from = usize::try_from(have - oldest).unwrap_or(usize::MAX).min(inner.items.len());
        self.items.extend(inner.items.range(from..).cloned());
        self.newest_start = inner.newest_start.filter(|start| *start >= oldest);
        self.generation = inner.generation;
    }

    /// The item at `seq`, if it is there.
    #[must_use]
    pub fn get(&self, seq: u64) -> Option<&Arc<Item>> {
        let oldest = self.items.front()?.seq;
        self.items.get(usize::try_from(seq.checked_sub(oldest)?).ok()?)
    }
}
