//! The ingest: publishers in, relays and forwards out.
//!
//! [`run`] wires the parts. They meet in [`Ingest`]: streams by name, keys, what edges are told of the event.

use crate::admin;
use crate::config::Source;
use crate::net::clock::Clock;
use crate::relay::discovery;
use crate::relay::links::{self as relays, Relays};
use anyhow::Context;
use arc_swap::ArcSwap;
use lectern_api::keys::{fingerprint, relay_token, trimmed};
use lectern_api::node_config::{IngestConfig, ProgrammeConfig, SessionConfig, TitledStream};
use lectern_media::programme::{Look, Programme, Session, Titled};
use lectern_media::relay::{EventInfo, IngestId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub mod forward;
pub mod keys;
mod publish;
mod reload;
mod status;
pub(crate) mod stream;

use forward::Forwards;
use keys::PublishKeys;
use publish::listener;
pub use status::METRICS;
use stream::Stream;

/// Told to end, links and publishers get this long to take the last words: with the rest of the end, under 5 s.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Streams by name.
pub type Streams = BTreeMap<String, Arc<Stream>>;

/// What all parts of an ingest share.
pub struct Ingest {
    clock: Clock,
    id: IngestId,
    config: ArcSwap<IngestConfig>,
    streams: ArcSwap<Streams>,
    stream_changes: watch::Sender<()>,
    keys: ArcSwap<PublishKeys>,
    seed: Vec<u8>,
    event_info: watch::Sender<Arc<EventInfo>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    lobby: Arc<listener::Lobby>,
    relays: Relays,
    forwards: Forwards,
    stop: CancellationToken,
    /// Ends what runs until the very end: drivers of streams.
    end: CancellationToken,
    tasks: TaskTracker,
}

impl Ingest {
    fn new(config: IngestConfig, seed: Vec<u8>, stop: CancellationToken) -> Arc<Self> {
        let clock = Clock::start();
        let (event_info, _) = watch::channel(Arc::default());
        let (stream_changes, _) = watch::channel(());
        let ingest = Arc::new(Self {
            clock,
            id: crate::random(),
            config: ArcSwap::from_pointee(config),
            streams: ArcSwap::default(),
            stream_changes,
            keys: ArcSwap::default(),
            seed,
            event_info,
            refused: Mutex::default(),
            lobby: Arc::default(),
            relays: Relays::default(),
            forwards: Forwards::default(),
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

    /// What edges demand.
    pub fn token(&self) -> String {
        relay_token(&self.seed)
    }

    /// What edges are told of the event.
    pub fn event_info(&self) -> watch::Receiver<Arc<EventInfo>> {
        self.event_info.subscribe()
    }

    /// All links.
    pub fn relays(&self) -> &Relays {
        &self.relays
    }

    /// All forwards.
    pub fn forwards(&self) -> &Forwards {
        &self.forwards
    }

    /// It was told to end.
    pub fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Counts a refused publisher.
    pub fn count_refused(&self, reason: &'static str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }

    /// Admin addresses of all edges.
    pub fn set_siblings(&self, siblings: Vec<SocketAddr>) {
        self.tell_event(|info| info.siblings = siblings);
    }

    fn lobby(&self) -> &Arc<listener::Lobby> {
        &self.lobby
    }

    /// Puts a configuration in force: streams that are in both stay as they are.
    fn apply(&self, config: &Arc<IngestConfig>) {
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

    /// Reads the keys again.
    fn load_keys(&self) {
        let config = self.config.load();
        let names = config.streams.iter().map(|s| s.name.as_str());
        let keys = match &config.publish_keys_dir {
            Some(folder) => PublishKeys::from_files(keys::read_folder(Path::new(folder)), names),
            None => PublishKeys::generated(&self.seed, config.key_salt.as_deref(), names),
        };
        if **self.keys.load() != keys {
            tracing::info!(streams = keys.counts().len(), problems = ?keys.problems(), "publish keys loaded");
            self.keys.store(Arc::new(keys));
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

    fn seed_fingerprint(&self) -> String {
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

/// Runs an ingest until `shutdown`, then closes epochs and publishers, lets links take the rest, and ends.
///
/// # Errors
/// If it cannot listen, or cannot read its seed.
pub async fn run(source: Source, config: IngestConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let rtmp = admin::bind(config.listen.rtmp, "publishers").await?;
    let admin_port = admin::bind(config.listen.admin, "status and metrics").await?;
    let running = Running::start(source, config, shutdown.clone(), rtmp, admin_port)?;
    shutdown.cancelled().await;
    running.stop().await;
    Ok(())
}

/// An ingest that runs on listeners of the caller's.
pub struct Running {
    ingest: Arc<Ingest>,
    flush: CancellationToken,
    links: TaskTracker,
}

impl Running {
    /// Starts everything.
    ///
    /// # Errors
    /// If the seed cannot be read, or this build cannot look for edges where the configuration says.
    pub fn start(
        source: Source,
        config: IngestConfig,
        shutdown: CancellationToken,
        rtmp: tokio::net::TcpListener,
        admin_port: tokio::net::TcpListener,
    ) -> anyhow::Result<Self> {
        let seed = keys::read_secret(Path::new(&config.seed_file))
            .with_context(|| format!("failed to read the seed {}", config.seed_file))?;
        let seed = trimmed(&seed).to_vec();
        anyhow::ensure!(seed.len() >= lectern_api::keys::KEY_BYTES_MIN, "the seed {} is too short", config.seed_file);
        let peers = discovery::start(&config.discovery, shutdown.clone())?;
        tracing::info!(
            event = config.event,
            rtmp = %rtmp.local_addr().context("failed to read the address of the publish port")?,
            admin = %admin_port.local_addr().context("failed to read the address of the admin port")?,
            streams = config.streams.len(),
            software = env!("CARGO_PKG_VERSION"),
            "ingest starts"
        );
        let ingest = Ingest::new(config, seed, shutdown.clone());
        let (flush, links) = (CancellationToken::new(), TaskTracker::new());
        let tasks = &ingest.tasks;
        tasks.spawn(listener::run(ingest.clone(), rtmp, tasks.clone(), shutdown.clone()));
        tasks.spawn(reload::run(ingest.clone(), source, shutdown));
        tasks.spawn(relays::run(ingest.clone(), peers, links.clone(), flush.clone()));
        tasks.spawn(forward::run(ingest.clone(), links.clone(), flush.clone()));
        let status = Arc::new(status::Status::new(ingest.clone()));
        let router = admin::router(status, ingest.end.clone());
        let end = ingest.end.clone();
        tasks.spawn(async move {
            if let Err(error) = admin::serve(admin_port, router, end).await {
                tracing::error!("{error:#}");
            }
        });
        Ok(Self { ingest, flush, links })
    }

    /// Ends in order, within [`FLUSH_TIMEOUT`] and a little.
    pub async fn stop(self) {
        for stream in self.ingest.streams().values() {
            stream.dismiss("this ingest is stopping, connect again");
        }
        self.flush.cancel();
        self.links.close();
        if tokio::time::timeout(FLUSH_TIMEOUT, self.links.wait()).await.is_err() {
            tracing::warn!("some edges did not take the rest in time");
        }
        self.ingest.end.cancel();
        self.ingest.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.ingest.tasks.wait()).await;
    }
}
