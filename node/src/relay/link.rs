//! One link: dial an edge, hear its greeting, send what it lacks and everything that follows, again and again.
//!
//! Its loop is its own, not [`crate::net::pump`]'s: what it writes comes from a ring and not from the machine, and the lane
//! of the stream writes to the same socket.

use super::lanes::{Lane, Waiting};
use super::source::{Opened, Origin, Source};
use crate::net::backoff::Backoff;
use crate::net::socket;
use crate::net::wire::Wire;
use anyhow::{Context, bail};
use bytes::BytesMut;
use lectern_media::live::LinkId;
use lectern_media::live::ring::{Content, Item, Seq};
use lectern_media::machine::Output;
use lectern_media::relay::{HEARTBEAT_MS, Heartbeat, LINK_DEAD_MS, Probe, RELAY_APP, RelayMessage, decode};
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session};
use lectern_media::rtmp::limits::CHUNK_SIZE_MAX;
use lectern_process::random;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// From the connection to the edge's greeting.
const GREETING_MS: u64 = 5_000;
/// The address of a pod is known about a second before its process listens: an edge that was never reached is dialled
/// often in its first seconds, so that it is wired as soon as it can be.
const NEWCOMER: Duration = Duration::from_secs(10);
const NEWCOMER_PAUSE: Duration = Duration::from_millis(250);
/// What is gathered for the socket at most before it has taken some: enough to keep it busy.
const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Items copied out of the ring under one lock.
const ITEMS_MAX: usize = 256;
/// Edges say little: greetings of some 10 KB, heartbeats.
const READ_BYTES: usize = 16 << 10;

/// How a link stands, for the status.
#[derive(Clone, Debug, Default)]
pub struct LinkState {
    /// Greeted and sending.
    pub open: bool,
    /// Where in the ring it stands.
    pub position: Option<Arc<AtomicU64>>,
    /// Why it last failed.
    pub error: Option<String>,
}

/// The sending end of the relay: one stream to one edge.
pub(super) struct Link {
    origin: Arc<dyn Origin>,
    stream: Arc<dyn Source>,
    peer: SocketAddr,
    state: Arc<Mutex<LinkState>>,
}

/// How far a connection has come.
enum Phase {
    /// RTMP connect and publish are under way.
    Connecting,
    /// The edge's greeting is awaited.
    Greeting,
    /// The stream decides where this link starts.
    Opening(oneshot::Receiver<Opened>),
    /// Items of the ring are sent.
    Running,
}

/// One connection of the link.
struct Connection<'a> {
    link: &'a Link,
    id: LinkId,
    socket: Arc<Wire>,
    session: Session,
    phase: Phase,
    lane: Arc<Lane>,
    heard_ms: u64,
    /// Where in the ring the link stood at the last heartbeat.
    beaten: Option<Seq>,
    since_ms: u64,
    closed: Option<String>,
    items: Vec<Arc<Item>>,
    /// To be sent back once the ring is sent up to its end.
    probe: Option<Probe>,
}

impl Link {
    pub(super) fn new(
        origin: Arc<dyn Origin>,
        stream: Arc<dyn Source>,
        peer: SocketAddr,
        state: Arc<Mutex<LinkState>>,
    ) -> Self {
        Self { origin, stream, peer, state }
    }

    /// Runs while the link is wanted; ends early with `flush`, everything written, or with the stream.
    pub(super) async fn run(self, mut wanted: watch::Receiver<bool>, flush: CancellationToken) {
        let mut backoff = Backoff::default();
        let (began, mut met) = (Instant::now(), false);
        loop {
            let removed = self.stream.removed();
            let result = tokio::select! {
                result = self.connection(&flush) => result,
                () = removed.cancelled() => return,
            };
            let opened = self.set(|state| {
                state.position = None;
                std::mem::take(&mut state.open)
            });
            if opened {
                met = true;
                backoff.reset();
            }
            match result {
                Ok(()) => {}
                Err(error) => self.report(format!("{error:#}")),
            }
            let mut pause = Duration::from_millis(backoff.next_ms(random::number()));
            if !met && began.elapsed() < NEWCOMER {
                pause = pause.min(NEWCOMER_PAUSE);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = flush.cancelled() => return,
                () = removed.cancelled() => return,
            }
            if !*wanted.borrow_and_update() {
                return;
            }
        }
    }

    fn report(&self, error: String) {
        let other = self.set(|state| {
            let other = state.error.as_ref() != Some(&error);
            state.error = Some(error.clone());
            other
        });
        // An edge that is away is dialled every two seconds: said once.
        if other {
            tracing::warn!(stream = self.stream.name(), edge = %self.peer, "relay link ended: {error}");
        }
    }

    fn set<R>(&self, change: impl FnOnce(&mut LinkState) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn connection(&self, flush: &CancellationToken) -> anyhow::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let socket = Arc::new(socket::dial(self.peer).await?);
        let lane = Lane::new(socket.clone());
        let now_ms = self.origin.clock().now_ms();
        let tc_url = format!("rtmp://{}/{RELAY_APP}?token={}", self.peer, self.origin.token());
        let mut config = ClientConfig::new(Mode::Publish, &tc_url, RELAY_APP, self.stream.name());
        config.chunk_size = CHUNK_SIZE_MAX;
        let mut connection = Connection {
            link: self,
            id: LinkId(NEXT.fetch_add(1, Ordering::Relaxed)),
            socket,
            session: Session::new(config, now_ms),
            phase: Phase::Connecting,
            lane,
            heard_ms: now_ms,
            beaten: None,
            since_ms: now_ms,
            closed: None,
            items: Vec::new(),
            probe: None,
        };
        let result = connection.run(flush).await;
        self.stream.followers().leave(&connection.lane);
        self.stream.link_closed(connection.id);
        let Connection { socket, lane, .. } = connection;
        drop(lane);
        if let (Ok(()), Some(mut socket)) = (&result, Arc::into_inner(socket)) {
            socket::close(&mut socket).await;
        }
        result
    }
}

impl Connection<'_> {
    async fn run(&mut self, flush: &CancellationToken) -> anyhow::Result<()> {
        let clock = self.link.origin.clock();
        let mut events = self.link.origin.info();
        // All links beat together: woken once for all of them.
        let beat = Duration::from_millis(HEARTBEAT_MS);
        let mut heartbeats = tokio::time::interval_at(clock.next_tick(beat), beat);
        heartbeats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut input = BytesMut::new();
        loop {
            let deadline_ms = self.drain();
            let blocked = !self.write()?;
            if let Some(reason) = self.closed.take() {
                bail!("{reason}");
            }
            if flush.is_cancelled() && self.has_sent_all() {
                return Ok(());
            }
            let running = matches!(self.phase, Phase::Running);
            tokio::select! {
                ready = self.socket.readable() => {
                    ready.context("failed to read from the edge")?;
                    self.read(&mut input, clock.now_ms())?;
                }
                ready = self.socket.writable(), if blocked => ready.context("failed to write to the edge")?,
                () = self.lane.woken() => {}
                opened = opened(&mut self.phase) => {
                    events.mark_changed();
                    self.open(opened.context("the stream is gone")?);
                }
                _ = events.changed(), if running => {
                    let info = events.borrow_and_update().as_ref().clone();
                    self.lane.lock().outbox.put_relay(self.session.stream_id(), &RelayMessage::Event(info));
                }
                _ = heartbeats.tick() => self.heartbeat(clock.now_ms())?,
                () = clock.until(deadline_ms) => self.session.handle_timeout(clock.now_ms()),
                () = flush.cancelled(), if !flush.is_cancelled() => {}
            }
        }
    }

    /// Drains the session; the time at which it wants to be asked again.
    fn drain(&mut self) -> Option<u64> {
        loop {
            match self.session.poll() {
                Output::Send(bytes) => self.lane.lock().outbox.put(bytes),
                Output::Wait(deadline_ms) => return deadline_ms,
                Output::Event(event) => self.act(event),
            }
        }
    }

    fn act(&mut self, event: Event) {
        match event {
            Event::Ready => self.phase = Phase::Greeting,
            Event::Rejected { code, description } => {
                self.closed = Some(format!("the edge refused the link: {code} {description}"));
            }
            Event::Data(payload) => match decode(&payload) {
                Ok(RelayMessage::Probe(probe)) => self.probe = Some(probe),
                Ok(message) => {
                    if let Some(opened) = self.link.stream.edge_message(self.id, message) {
                        self.phase = Phase::Opening(opened);
                    }
                }
                // A kind of a newer release, or metadata: neither is for us.
                Err(error) => tracing::debug!(edge = %self.link.peer, %error, "skipped what an edge said"),
            },
            Event::Media { .. } | Event::Metadata(_) => {}
            Event::Ended => self.closed = Some("the edge closed the stream".to_owned()),
            Event::Closed(reason) => {
                self.closed.get_or_insert_with(|| reason.to_string());
            }
        }
    }

    fn open(&mut self, opened: Opened) {
        let stream_id = self.session.stream_id();
        let info = self.link.origin.info().borrow().as_ref().clone();
        let mut waiting = self.lane.lock();
        waiting.outbox.put_relay(stream_id, &RelayMessage::Event(info));
        for message in &opened.preamble {
            waiting.outbox.put_relay(stream_id, message);
        }
        drop(waiting);
        self.lane.start(opened.from, stream_id);
        self.link.stream.followers().join(self.lane.clone());
        self.phase = Phase::Running;
        self.link.set(|state| {
            state.open = true;
            state.position = Some(self.lane.shown_position());
            state.error = None;
        });
        tracing::info!(stream = self.link.stream.name(), edge = %self.link.peer, from = opened.from, "relay link is open");
    }

    /// Writes what waits, and what the ring has beyond it, until the socket is full or nothing is left: `false` if it is
    /// full. A task that appends meanwhile waits for the lane, so that nothing is missed and nothing is sent twice.
    fn write(&mut self) -> anyhow::Result<bool> {
        let lane = self.lane.clone();
        let mut waiting = lane.lock();
        loop {
            self.fill(&mut waiting)?;
            if waiting.outbox.is_empty() {
                return Ok(true);
            }
            waiting.outbox.try_flush(&self.socket).context("failed to write to the edge")?;
            if !waiting.outbox.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Moves items from the ring to the outbox while that has room.
    fn fill(&mut self, waiting: &mut Waiting) -> anyhow::Result<()> {
        let Some(mut position) = waiting.position else { return Ok(()) };
        let stream_id = self.session.stream_id();
        while waiting.outbox.bytes() < OUTBOX_BYTES_MAX {
            self.link
                .stream
                .read(position, ITEMS_MAX, &mut self.items)
                .context("the edge is too slow: it fell behind the ring and has to greet again")?;
            if self.items.is_empty() {
                if let Some(probe) = self.probe.take() {
                    waiting.outbox.put_relay(stream_id, &RelayMessage::Probe(probe));
                }
                break;
            }
            for item in self.items.drain(..) {
                position = item.seq + 1;
                match &item.content {
                    Content::Message(message) => waiting.outbox.put_relay(stream_id, message),
                    Content::Frame(frame) => {
                        waiting.outbox.put_media(stream_id, frame.track, frame.t_ms, frame.body.clone());
                    }
                }
            }
        }
        waiting.position = Some(position);
        self.lane.advanced(position);
        Ok(())
    }

    fn read(&mut self, input: &mut BytesMut, now_ms: u64) -> anyhow::Result<()> {
        input.reserve(READ_BYTES);
        match self.socket.try_read_buf(input) {
            Ok(0) => self.session.handle_end(),
            Ok(_) => {
                self.heard_ms = now_ms;
                // After its end the session ignores what still comes.
                let _ = self.session.handle_bytes(now_ms, input.split().freeze());
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("failed to read from the edge"),
        }
        Ok(())
    }

    fn heartbeat(&mut self, now_ms: u64) -> anyhow::Result<()> {
        match self.phase {
            Phase::Connecting | Phase::Greeting if now_ms.saturating_sub(self.since_ms) > GREETING_MS => {
                bail!("the edge did not greet within {} s", GREETING_MS / 1_000);
            }
            Phase::Connecting => return Ok(()),
            Phase::Greeting | Phase::Opening(_) | Phase::Running => {}
        }
        let silent_ms = now_ms.saturating_sub(self.heard_ms);
        if silent_ms > LINK_DEAD_MS && matches!(self.phase, Phase::Running) {
            bail!("the edge was silent for {silent_ms} ms");
        }
        // Media that was written since the last time says the same, and so does what waits for a full socket.
        let mut waiting = self.lane.lock();
        let goes_on = waiting.position != std::mem::replace(&mut self.beaten, waiting.position);
        if !goes_on && waiting.outbox.is_empty() {
            waiting.outbox.put_relay(self.session.stream_id(), &RelayMessage::Heartbeat(Heartbeat { now_ms }));
        }
        Ok(())
    }

    fn has_sent_all(&self) -> bool {
        let waiting = self.lane.lock();
        let behind = waiting.position.is_some_and(|position| position < self.link.stream.end());
        waiting.outbox.is_empty() && !behind
    }
}

async fn opened(phase: &mut Phase) -> Result<Opened, oneshot::error::RecvError> {
    match phase {
        Phase::Opening(opened) => opened.await,
        Phase::Connecting | Phase::Greeting | Phase::Running => std::future::pending().await,
    }
}
