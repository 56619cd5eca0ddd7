//! One forward of one stream: connect while the stream is live, push from a key frame, again and again.
//!
//! Its loop is its own, not [`crate::net::pump`]'s: what it writes comes from a ring, at the pace of the other server.

use super::policy::Policy;
use super::url::Url;
use crate::ingest::keys;
use crate::ingest::state::Ingest;
use crate::net::backoff::Backoff;
use crate::net::outbox::Outbox;
use crate::net::socket;
use crate::net::wire::Wire;
use crate::relay::source::{Source, Start};
use anyhow::{Context, bail};
use bytes::BytesMut;
use lectern_api::keys::trimmed;
use lectern_api::node_status::ForwardStatus;
use lectern_media::live::ring::{Content, Item, Seq};
use lectern_media::machine::Output;
use lectern_media::relay::RelayMessage;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session, set_data_frame};
use lectern_media::rtmp::limits::PLAY_CHUNK_SIZE;
use lectern_media::rtmp::message::{kind, kind_of};
use lectern_media::time::wrap_ms;
use lectern_media::track::{Track, TrackSet};
use lectern_process::random;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A stream that is not live, or a URL that is not there, is looked for again after this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The publisher may be away for this long before the forward ends the stream at the other server.
const AWAY_MS_MAX: u64 = 10_000;
/// From the connection to the accepted publish.
const READY_MS: u64 = 10_000;
/// What is gathered for the socket at most.
const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Items copied out of the ring under one lock.
const ITEMS_MAX: usize = 256;
/// Servers say little to publishers.
const READ_BYTES: usize = 4 << 10;

/// The task that pushes one stream to one external server.
pub(super) struct Target {
    ingest: Arc<Ingest>,
    stream: Arc<dyn Source>,
    state: Arc<Mutex<ForwardStatus>>,
}

/// One connection.
struct Connection<'a> {
    target: &'a Target,
    socket: Wire,
    session: Session,
    outbox: Outbox,
    pushing: Option<Pushing>,
    since_ms: u64,
    closed: Option<String>,
    items: Vec<Arc<Item>>,
}

/// What was pushed so far.
struct Pushing {
    position: Seq,
    /// The epoch whose time is zero on this connection.
    zero_ms: u64,
    epoch: u64,
    has_video: bool,
    /// A key frame has been sent since the last configuration.
    started: bool,
    /// Since when no epoch is open.
    away_since_ms: Option<u64>,
}

impl Target {
    pub(super) fn new(ingest: Arc<Ingest>, stream: Arc<dyn Source>, state: Arc<Mutex<ForwardStatus>>) -> Self {
        Self { ingest, stream, state }
    }

    /// Runs until the forward or its stream is removed, or everything is flushed.
    pub(super) async fn run(self, stop: CancellationToken, flush: CancellationToken) {
        let mut backoff = Backoff::default();
        let removed = self.stream.removed();
        loop {
            let mut pause = LOOK_EVERY;
            if let Some(url) = self.load().await
                && self.stream.start().is_some()
            {
                let result = tokio::select! {
                    result = self.push(&url, &flush) => result,
                    () = stop.cancelled() => return,
                    () = removed.cancelled() => return,
                };
                if self.set(|state| std::mem::take(&mut state.connected)) {
                    backoff.reset();
                }
                if let Err(error) = result {
                    self.report(format!("{error:#}"));
                    pause = Duration::from_millis(backoff.next_ms(random::number()));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
                () = removed.cancelled() => return,
                () = flush.cancelled() => return,
            }
        }
    }

    /// The URL, read anew.
    async fn load(&self) -> Option<Url> {
        let folder = self.ingest.config().forward_dir.clone()?;
        let path = Path::new(&folder).join(self.set(|state| state.name.clone()));
        let content = tokio::task::spawn_blocking(move || keys::read_secret(&path)).await.ok()?.ok();
        let url = content.map(|content| match std::str::from_utf8(trimmed(&content)) {
            Ok(text) => Url::parse(text.trim()).map_err(|error| error.to_string()),
            Err(_) => Err("the URL is no text".to_owned()),
        });
        self.set(|state| state.loaded = matches!(url, Some(Ok(_))));
        match url? {
            Ok(url) => Some(url),
            Err(error) => {
                self.report(error);
                None
            }
        }
    }

    fn report(&self, error: String) {
        let (other, name) = self.set(|state| {
            let other = state.error.as_ref() != Some(&error);
            state.error = Some(error.clone());
            (other, state.name.clone())
        });
        if other {
            tracing::warn!(stream = self.stream.name(), forward = name, "forward ended: {error}");
        }
    }

    fn set<R>(&self, change: impl FnOnce(&mut ForwardStatus) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn push(&self, url: &Url, flush: &CancellationToken) -> anyhow::Result<()> {
        let socket = self.dial(url).await?;
        let now_ms = self.ingest.clock().now_ms();
        let config = ClientConfig::new(Mode::Publish, &url.tc_url, &url.app, &url.stream);
        let mut connection = Connection {
            target: self,
            socket,
            session: Session::new(config, now_ms),
            outbox: Outbox::default(),
            pushing: None,
            since_ms: now_ms,
            closed: None,
            items: Vec::new(),
        };
        connection.run(flush).await
    }

    /// Resolves and dials, each address in turn. The name is asked anew each time: servers move.
    async fn dial(&self, url: &Url) -> anyhow::Result<Wire> {
        let policy = self.ingest.config().forward_policy.as_ref().map(Policy::new).transpose();
        let policy = policy.map_err(anyhow::Error::msg)?;
        let allowed =
            |address: &SocketAddr| policy.as_ref().is_none_or(|policy| policy.allows(&url.host, address.ip()));
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((url.host.as_str(), url.port))
            .await
            .context("failed to resolve the host of the URL")?
            .filter(allowed)
            .collect();
        let mut last = anyhow::anyhow!(
            "the host of the URL has no address that this installation allows to push to (policy.forwardHosts)"
        );
        for address in addresses {
            match socket::dial(address).await {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Connection<'_> {
    async fn run(&mut self, flush: &CancellationToken) -> anyhow::Result<()> {
        let clock = self.target.ingest.clock();
        let mut position = self.target.stream.followers().position();
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut input = BytesMut::new();
        loop {
            let deadline_ms = self.drain()?;
            self.fill(clock.now_ms())?;
            self.outbox.try_flush(&self.socket).context("failed to write")?;
            if let Some(reason) = self.closed.take() {
                bail!("{reason}");
            }
            let sent_all = self.outbox.is_empty();
            if sent_all && (flush.is_cancelled() || self.is_over(clock.now_ms())) {
                return self.say_goodbye().await;
            }
            tokio::select! {
                ready = self.socket.readable() => {
                    ready.context("failed to read")?;
                    self.read(&mut input, clock.now_ms())?;
                }
                ready = self.socket.writable(), if !sent_all => ready.context("failed to write")?,
                _ = position.changed(), if sent_all && self.pushing.is_some() => {}
                _ = look.tick() => {
                    let waited_ms = clock.now_ms().saturating_sub(self.since_ms);
                    if self.pushing.is_none() && waited_ms > READY_MS {
                        bail!("the server did not accept the publish within {} s", READY_MS / 1_000);
                    }
                }
                () = clock.until(deadline_ms) => self.session.handle_timeout(clock.now_ms()),
                () = flush.cancelled(), if !flush.is_cancelled() => {}
            }
        }
    }

    fn drain(&mut self) -> anyhow::Result<Option<u64>> {
        loop {
            match self.session.poll() {
                Output::Send(bytes) => self.outbox.put(bytes),
                Output::Wait(deadline_ms) => return Ok(deadline_ms),
                Output::Event(Event::Ready) => self.start()?,
                Output::Event(Event::Rejected { code, .. }) => {
                    // The description may repeat the stream name, which is the key.
                    self.closed = Some(format!("the server refused the publish: {code}"));
                }
                Output::Event(Event::Ended) => self.closed = Some("the server ended the stream".to_owned()),
                Output::Event(Event::Closed(reason)) => {
                    self.closed.get_or_insert_with(|| match reason {
                        lectern_media::rtmp::Closed::Rejected { code, .. } => format!("the server refused: {code}"),
                        reason => reason.to_string(),
                    });
                }
                Output::Event(Event::Media { .. } | Event::Metadata(_) | Event::Data(_)) => {}
            }
        }
    }

    /// The server takes the stream: configurations first, then from the next key frame.
    fn start(&mut self) -> anyhow::Result<()> {
        let Start { position, epoch, tracks } = self.target.stream.start().context("the stream is no longer live")?;
        let has_video = tracks.video.is_some();
        self.pushing =
            Some(Pushing { position, zero_ms: epoch, epoch, has_video, started: false, away_since_ms: None });
        self.put_configurations(&tracks, 0);
        let name = self.target.set(|state| {
            state.connected = true;
            state.error = None;
            state.name.clone()
        });
        tracing::info!(stream = self.target.stream.name(), forward = name, "forwarding");
        Ok(())
    }

    fn put_configurations(&mut self, tracks: &TrackSet, timestamp: u32) {
        let id = self.session.stream_id();
        if let Some(metadata) = &tracks.metadata {
            self.outbox.put_chunked(kind::DATA, id, timestamp, &set_data_frame(metadata), PLAY_CHUNK_SIZE);
        }
        for (track, config) in [(Track::Video, &tracks.video), (Track::Audio, &tracks.audio)] {
            if let Some(config) = config {
                self.outbox.put_chunked(kind_of(track), id, timestamp, config, PLAY_CHUNK_SIZE);
            }
        }
    }

    fn fill(&mut self, now_ms: u64) -> anyhow::Result<()> {
        while self.outbox.bytes() < OUTBOX_BYTES_MAX {
            let Some(pushing) = &self.pushing else { return Ok(()) };
            let stream = &self.target.stream;
            stream
                .read(pushing.position, ITEMS_MAX, &mut self.items)
                .context("the server is too slow: it fell behind the ring")?;
            if self.items.is_empty() {
                return Ok(());
            }
            for item in std::mem::take(&mut self.items) {
                self.put(&item, now_ms);
            }
        }
        Ok(())
    }

    fn put(&mut self, item: &Item, now_ms: u64) {
        let id = self.session.stream_id();
        let Some(pushing) = &mut self.pushing else { return };
        pushing.position = item.seq + 1;
        match &item.content {
            Content::Frame(frame) => {
                pushing.started |= frame.key() || !pushing.has_video;
                if pushing.started {
                    let timestamp = wrap_ms(pushing.epoch.saturating_sub(pushing.zero_ms) + frame.t_ms);
                    self.outbox.put_chunked(kind_of(frame.track), id, timestamp, &frame.body, PLAY_CHUNK_SIZE);
                }
            }
            Content::Message(RelayMessage::Epoch(epoch)) => {
                pushing.epoch = epoch.epoch;
                pushing.away_since_ms = None;
                pushing.started = false;
                let tracks = epoch.tracks().unwrap_or_default();
                pushing.has_video = tracks.video.is_some();
                let timestamp = wrap_ms(pushing.epoch.saturating_sub(pushing.zero_ms));
                self.put_configurations(&tracks, timestamp);
            }
            Content::Message(RelayMessage::End(_)) => pushing.away_since_ms = Some(now_ms),
            Content::Message(_) => {}
        }
    }

    fn read(&mut self, input: &mut BytesMut, now_ms: u64) -> anyhow::Result<()> {
        input.reserve(READ_BYTES);
        match self.socket.try_read_buf(input) {
            Ok(0) => self.session.handle_end(),
            Ok(_) => {
                // After its end the session ignores what still comes.
                let _ = self.session.handle_bytes(now_ms, input.split().freeze());
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("failed to read"),
        }
        Ok(())
    }

    fn is_over(&self, now_ms: u64) -> bool {
        let away_since = self.pushing.as_ref().and_then(|p| p.away_since_ms);
        away_since.is_some_and(|since| now_ms.saturating_sub(since) > AWAY_MS_MAX)
    }

    /// Unpublishes in order, so that the other server ends the stream at once.
    async fn say_goodbye(&mut self) -> anyhow::Result<()> {
        self.session.close();
        while let Output::Send(bytes) = self.session.poll() {
            self.outbox.put(bytes);
        }
        self.outbox.try_flush(&self.socket).context("failed to write")?;
        socket::close(&mut self.socket).await;
        Ok(())
    }
}
