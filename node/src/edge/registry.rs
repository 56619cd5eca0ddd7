//! The event as this edge knows it: its streams with their tasks, and the other edges. Links tell it.

use super::driver::{Driver, Input};
use super::siblings::Siblings;
use super::stream::hub::{Hub, Playback};
use super::stream::origins::Origins;
use super::stream::pages::Pages;
use super::stream::source::{SegmentSource, Wanted};
use bytes::Bytes;
use futures::future::BoxFuture;
use lectern_media::ledger::Hash;
use lectern_media::relay::EventInfo;
use lectern_media::rendition::SegmentKey;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

/// Streams of an event (64), and as many again that are leaving.
pub const STREAMS_MAX: usize = 128;
/// Siblings asked for one segment on demand. Mostly the first has it; what an edge knows of from one sibling only may
/// need them all.
const ASKED_MAX: usize = 8;

/// Streams and siblings of this edge, as the last message of the ingest lists them.
#[derive(Debug)]
pub struct Registry {
    hub: Arc<Hub>,
    siblings: Arc<Siblings>,
    inner: Mutex<Inner>,
    /// Fetches on demand under way: one for each segment, however many ask.
    wanted: Mutex<HashMap<(String, SegmentKey), Fetching>>,
}

/// What a fetch brings, for all who wait for it.
type Fetching = Arc<OnceCell<Option<Bytes>>>;

#[derive(Debug, Default)]
struct Inner {
    drivers: BTreeMap<String, Handle>,
    event: Option<EventInfo>,
    /// Admin addresses of this very edge, as links reach it.
    own: BTreeSet<SocketAddr>,
    others: Arc<[SocketAddr]>,
}

#[derive(Debug)]
struct Handle {
    inbox: mpsc::Sender<Input>,
    removed: CancellationToken,
}

impl Registry {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(hub: Arc<Hub>, siblings: Arc<Siblings>) -> Arc<Self> {
        Arc::new(Self { hub, siblings, inner: Mutex::default(), wanted: Mutex::default() })
    }

    /// The inbox of a stream that an ingest publishes. Links name streams before they say what the event is, so an
    /// unknown one begins here. `None` if there are too many.
    pub fn inbox(&self, name: &str) -> Option<mpsc::Sender<Input>> {
        let mut inner = self.lock();
        if inner.drivers.len() >= STREAMS_MAX && !inner.drivers.contains_key(name) {
            return None;
        }
        if !inner.drivers.contains_key(name) {
            let names: Vec<_> = inner.drivers.keys().cloned().chain([name.to_owned()]).collect();
            self.set_streams(&mut inner, &names);
        }
        inner.drivers.get(name).map(|handle| handle.inbox.clone())
    }

    /// What the event is. `own` is this edge's admin address as the teller reaches it: no sibling.
    pub fn event(&self, event: EventInfo, own: SocketAddr) {
        let mut inner = self.lock();
        let news = inner.own.insert(own) | (inner.event.as_ref() != Some(&event));
        if !news {
            return;
        }
        self.hub.playback.store(Arc::new(Playback {
            known: true,
            http_flv: event.http_flv,
            rtmp: event.rtmp,
            origins: Origins::new(&event.allowed_origins),
            pages: event.programme.clone().map(|programme| Pages::new(programme, &event.allowed_origins)),
        }));
        self.set_streams(&mut inner, &event.streams);
        let own = &inner.own;
        let others: Arc<[_]> = event.siblings.iter().filter(|address| !own.contains(address)).copied().collect();
        tracing::debug!(streams = event.streams.len(), siblings = others.len(), "the event as the ingest has it");
        for handle in inner.drivers.values() {
            tell(handle, Input::Siblings(others.clone()));
        }
        inner.others = others;
        inner.event = Some(event);
    }

    /// Streams that go end their viewers, streams that come begin empty, the others are not touched.
    fn set_streams(&self, inner: &mut Inner, names: &[String]) {
        let names = names.get(..STREAMS_MAX).unwrap_or(names);
        self.hub.set_streams(names.iter().map(String::as_str));
        inner.drivers.retain(|name, handle| {
            let stays = names.contains(name);
            if !stays {
                handle.removed.cancel();
            }
            stays
        });
        for name in names {
            let Some(stream) = self.hub.stream(name) else { continue };
            let others = inner.others.clone();
            inner.drivers.entry(name.clone()).or_insert_with(|| {
                let removed = CancellationToken::new();
                let inbox = Driver::start(&self.hub, &stream, &self.siblings, removed.clone());
                let handle = Handle { inbox, removed };
                tell(&handle, Input::Siblings(others));
                handle
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(self: Arc<Self>, segment: Wanted) -> Option<Bytes> {
        let key = (segment.stream.clone(), segment.key());
        let cell = {
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(wanted.entry(key.clone()).or_default())
        };
        let bytes = cell.get_or_init(|| self.fetch_now(&segment)).await.clone();
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.get(&key).is_some_and(|now| Arc::ptr_eq(now, &cell)) {
            wanted.remove(&key);
        }
        bytes
    }

    async fn fetch_now(&self, segment: &Wanted) -> Option<Bytes> {
        let entry = &segment.entry;
        let others = self.lock().others.clone();
        // Another first one for each segment, so that no sibling gets all the questions.
        let turn = usize::try_from(entry.msn).unwrap_or(0);
        for n in 0..others.len().min(ASKED_MAX) {
            let sibling = others[(turn + n) % others.len()];
            match self.siblings.segment(sibling, &segment.stream, segment.key()).await {
                Some(bytes) if Hash::of(&bytes) == entry.hash => {
                    self.hub.totals.sibling_fetches.fetch_add(1, Relaxed);
                    return Some(bytes);
                }
                _ => self.hub.totals.sibling_failures.fetch_add(1, Relaxed),
            };
        }
        None
    }
}

/// The siblings as a source of segments.
#[derive(Debug)]
pub struct OnDemand(pub Arc<Registry>);

impl SegmentSource for OnDemand {
    fn fetch(&self, wanted: Wanted) -> BoxFuture<'static, Option<Bytes>> {
        Box::pin(Arc::clone(&self.0).fetch(wanted))
    }
}

/// Siblings change rarely; where an inbox is full just then, a task of its own waits.
fn tell(handle: &Handle, input: Input) {
    if let Err(mpsc::error::TrySendError::Full(input)) = handle.inbox.try_send(input) {
        let inbox = handle.inbox.clone();
        tokio::spawn(async move { inbox.send(input).await });
    }
}
