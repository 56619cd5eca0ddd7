//! What all parts of an edge share: the streams by name, what each answers at the moment, and the counters.
//!
//! One task per stream writes; all others read snapshots.

use super::origins::Origins;
use super::pages::Pages;
use super::ring::Ring;
use super::snapshot::Snapshot;
use crate::edge::counting::{Load, Refused, Reloads, Totals};
use crate::net::clock::Clock;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use tokio::sync::{Notify, watch};

/// One stream of the event.
#[derive(Debug)]
pub struct Stream {
    /// Its name, the path segment of every URL.
    pub name: String,
    /// What HTTP answers from.
    pub snapshot: ArcSwap<Snapshot>,
    /// Told after every change of `snapshot`.
    pub changed: watch::Sender<()>,
    /// Tells the stream's task that a request waits for a segment that is not known here.
    pub inquiry: Notify,
    /// What RTMP and HTTP-FLV viewers read.
    pub ring: Arc<Ring>,
    /// Open RTMP play connections.
    pub rtmp_viewers: AtomicU64,
    /// Open HTTP-FLV connections.
    pub flv_viewers: AtomicU64,
    /// When it was last asked for over HTTP.
    pub asked_ms: AtomicU64,
    /// Who asks for the media playlist.
    pub reloads: Reloads,
}

impl Stream {
    /// A stream of which nothing is known yet.
    #[must_use]
    pub fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            snapshot: ArcSwap::default(),
            changed: watch::Sender::new(()),
            inquiry: Notify::new(),
            ring: Arc::default(),
            rtmp_viewers: AtomicU64::new(0),
            flv_viewers: AtomicU64::new(0),
            asked_ms: AtomicU64::new(0),
            reloads: Reloads::default(),
        })
    }

    /// Makes `snapshot` what is answered from now on.
    pub fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.changed.send_replace(());
    }
}

/// What viewers may do besides HLS, and from which pages.
#[derive(Debug, Default)]
pub struct Playback {
    /// The ingest has told what the event is.
    pub known: bool,
    /// HTTP-FLV is served.
    pub http_flv: bool,
    /// RTMP play is served.
    pub rtmp: bool,
    /// Pages that may play.
    pub origins: Origins,
    /// Pages, if the event has any.
    pub pages: Option<Pages>,
}

/// State that the tasks of one edge share.
#[derive(Debug)]
pub struct Hub {
    /// The streams of the event.
    pub streams: ArcSwap<HashMap<String, Arc<Stream>>>,
    /// What is served.
    pub playback: ArcSwap<Playback>,
    /// How full this edge is.
    pub load: Load,
    /// Whom it sent away.
    pub refused: Refused,
    /// What it did since the start.
    pub totals: Totals,
    /// Time.
    pub clock: Clock,
    /// Connections of the HTTP port.
    pub http_connections: AtomicI64,
    /// Answers that are being written at the moment.
    pub answering: AtomicI64,
    /// The end is near: every answer closes its connection.
    pub closing: AtomicBool,
}

impl Hub {
    /// A hub without streams.
    #[must_use]
    pub fn new(load: Load, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            streams: ArcSwap::default(),
            playback: ArcSwap::default(),
            load,
            refused: Refused::default(),
            totals: Totals::default(),
            clock,
            http_connections: AtomicI64::new(0),
            answering: AtomicI64::new(0),
            closing: AtomicBool::new(false),
        })
    }

    /// The stream of that name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.streams.load().get(name).cloned()
    }

    /// Sets which streams there are; those that stay are not touched.
    pub fn set_streams<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let now = self.streams.load();
        let next = names.into_iter().map(|name| {
            let stream = now.get(name).cloned().unwrap_or_else(|| Stream::new(name));
            (name.to_owned(), stream)
        });
        self.streams.store(Arc::new(next.collect()));
    }
}
