//! What the parts of an ingest share: streams by name, keys, what edges are told of the event.

use super::keys::{self, PublishKeys, Revoked};
use super::publish::guesses::Guesses;
use super::publish::publisher::Dismissal;
use super::stream::Stream;
use crate::net::clock::Clock;
use crate::net::lobby::{Limits, PendingConnections};
use crate::relay::source::{Origin, Source};
use arc_swap::ArcSwap;
use lectern_api::keys::{fingerprint, relay_token};
use lectern_api::node_config::{IngestConfig, ProgrammeConfig, SessionConfig, TitledStream};
use lectern_media::programme::{Look, Programme, Session, Titled};
use lectern_media::relay::{EventInfo, IngestId};
use lectern_process::random;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Streams by name.
pub type Streams = BTreeMap<String, Arc<Stream>>;

/// What all parts of an ingest share.
pub struct Ingest {
    clock: Clock,
    /// Its name towards edges: another one after every start.
    pub(super) id: IngestId,
    config: ArcSwap<IngestConfig>,
    streams: ArcSwap<Streams>,
    stream_changes: watch::Sender<()>,
    keys: ArcSwap<PublishKeys>,
    revoked: Mutex<Revoked>,
    seed: Vec<u8>,
    event_info: watch::Sender<Arc<EventInfo>>,
    /// Publishers that were turned away, by reason.
    pub(super) refused: Mutex<BTreeMap<&'static str, u64>>,
    pending: Arc<PendingConnections>,
    guesses: Arc<Mutex<Guesses>>,
    stop: CancellationToken,
    /// Ends what runs until the very end: drivers of streams.
    pub(super) end: CancellationToken,
    /// Everything that runs until the end.
    pub(super) tasks: TaskTracker,
}

impl Ingest {
    pub(super) fn new(config: IngestConfig, seed: Vec<u8>, stop: CancellationToken) -> Arc<Self> {
        let clock = Clock::start();
        let (event_info, _) = watch::channel(Arc::default());
        let (stream_changes, _) = watch::channel(());
        let ingest = Arc::new(Self {
            clock,
            id: random::number(),
            config: ArcSwap::from_pointee(config),
            streams: ArcSwap::default(),
            stream_changes,
            keys: ArcSwap::default(),
            revoked: Mutex::default(),
            seed,
            event_info,
            refused: Mutex::default(),
            pending: PendingConnections::new(Limits::PUBLIC),
            guesses: Arc::default(),
            stop,
            end: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        ingest.apply(&ingest.config.load_full());
        ingest
    }

    /// The clock of this process.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<IngestConfig> {
        self.config.load_full()
    }

    /// The streams of the event.
    pub fn streams(&self) -> Arc<Streams> {
        self.streams.load_full()
    }

    /// A stream by name.
    pub fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.streams.load().get(name).cloned()
    }

    /// Tells of streams that came and went.
    pub fn stream_changes(&self) -> watch::Receiver<()> {
        self.stream_changes.subscribe()
    }

    /// The accepted keys.
    pub fn keys(&self) -> Arc<PublishKeys> {
        self.keys.load_full()
    }

    /// It was told to end.
    pub fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Counts a refused publisher.
    pub fn count_refused(&self, reason: &'static str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }

    /// How many publishers were refused for `reason`.
    #[cfg(test)]
    pub(super) fn refused_for(&self, reason: &'static str) -> u64 {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).get(reason).copied().unwrap_or(0)
    }

    /// Connections that have not published yet.
    pub(super) fn pending(&self) -> &Arc<PendingConnections> {
        &self.pending
    }

    /// Who showed wrong keys.
    pub(super) fn guesses(&self) -> &Arc<Mutex<Guesses>> {
        &self.guesses
    }

    /// Puts a configuration in force: streams that are in both stay as they are.
    pub(super) fn apply(&self, config: &Arc<IngestConfig>) {
        let before = self.streams();
        let mut streams = Streams::new();
        for wanted in &config.streams {
            let stream = before.get(&wanted.name).cloned().unwrap_or_else(|| {
                let stream = Stream::new(&wanted.name, self.id, config, self.clock);
                self.tasks.spawn(stream.clone().drive(self.end.clone()));
                stream
            });
            stream.configure(config);
            streams.insert(wanted.name.clone(), stream);
        }
        let removed: Vec<_> = before.iter().filter(|(name, _)| !streams.contains_key(*name)).collect();
        for (_, stream) in removed {
            stream.remove();
        }
        let names = streams.keys().cloned().collect();
        self.streams.store(Arc::new(streams));
        self.config.store(config.clone());
        self.load_keys();
        self.tell_event(|info| {
            info.streams = names;
            info.http_flv = config.playback.http_flv;
            info.rtmp = config.playback.rtmp;
            info.allowed_origins.clone_from(&config.playback.allowed_origins);
            info.programme = config.programme.as_ref().map(programme);
        });
        self.stream_changes.send_replace(());
    }

    /// Reads the keys again. Publishers whose key is gone are closed.
    pub(super) fn load_keys(&self) {
        let config = self.config.load();
        let names = config.streams.iter().map(|s| s.name.as_str());
        let (keys, whole) = match &config.publish_keys_dir {
            Some(folder) => {
                let folder = keys::read_folder(Path::new(folder));
                (PublishKeys::from_files(folder.files, names), folder.whole)
            }
            None => (PublishKeys::generated(&self.seed, config.key_salt.as_deref(), names), true),
        };
        if **self.keys.load() != keys {
            tracing::info!(streams = keys.counts().len(), problems = ?keys.problems(), "publish keys loaded");
            self.keys.store(Arc::new(keys));
        }
        self.close_revoked(whole);
    }

    /// Closes the publishers whose key is none of their stream any more.
    fn close_revoked(&self, whole: bool) {
        let (streams, keys) = (self.streams(), self.keys());
        let shown = |(name, stream): (&String, &Arc<Stream>)| {
            stream.keys_shown().into_iter().map(|key| (name.clone(), key)).collect::<Vec<_>>()
        };
        let shown = streams.iter().flat_map(shown).collect();
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, key) in revoked.look(self.clock.now_ms(), &keys, whole, shown) {
            let words = "the key it showed is not one of this stream any more".to_owned();
            if let Some(stream) = streams.get(&name) {
                stream.close_key(&key, &Dismissal::Refused("KeyRevoked", words));
            }
        }
    }

    fn tell_event(&self, change: impl FnOnce(&mut EventInfo)) {
        self.event_info.send_if_modified(|info| {
            let mut next = info.as_ref().clone();
            change(&mut next);
            let other = **info != next;
            *info = Arc::new(next);
            other
        });
    }

    pub(super) fn seed_fingerprint(&self) -> String {
        fingerprint(&self.seed)
    }
}

/// What pages show, as the relay carries it.
fn programme(config: &ProgrammeConfig) -> Programme {
    let titled = |stream: &TitledStream| Titled { name: stream.name.clone(), title: stream.title.clone() };
    let session = |session: &SessionConfig| Session {
        title: session.title.clone(),
        start: session.start.clone(),
        end: session.end.clone(),
        streams: session.streams.clone(),
    };
    Programme {
        title: config.title.clone(),
        streams: config.streams.iter().map(titled).collect(),
        sessions: config.sessions.iter().map(session).collect(),
        look: Look { logo: config.logo.clone(), accent_color: config.accent_color.clone() },
    }
}

impl Origin for Ingest {
    fn clock(&self) -> Clock {
        self.clock
    }

    fn token(&self) -> String {
        relay_token(&self.seed)
    }

    fn info(&self) -> watch::Receiver<Arc<EventInfo>> {
        self.event_info.subscribe()
    }

    fn sources(&self) -> BTreeMap<String, Arc<dyn Source>> {
        self.streams.load().iter().map(|(name, stream)| (name.clone(), Arc::clone(stream) as Arc<dyn Source>)).collect()
    }

    fn source_changes(&self) -> watch::Receiver<()> {
        self.stream_changes()
    }

    fn set_siblings(&self, siblings: Vec<SocketAddr>) {
        self.tell_event(|info| info.siblings = siblings);
    }
}
