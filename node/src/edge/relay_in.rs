//! The relay port: ingests push streams here, one connection for each.

use super::driver::{Input, Reply};
use super::registry::Registry;
use super::token::{Token, query_value};
use crate::net::clock::Clock;
use crate::net::lobby::{PendingConnections, Progress, Slot};
use crate::net::log_limit::LogLimit;
use crate::net::socket;
use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use lectern_media::live::LinkId;
use lectern_media::machine::Output;
use lectern_media::relay::{self, DecodeError, RELAY_APP, RelayMessage};
use lectern_media::rtmp::message::kind;
use lectern_media::rtmp::server::{Config, Event, Session};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Replies that wait for a link's socket: greeting, heartbeats, a few reports.
const REPLIES: usize = 64;
/// The ingest takes what little it is told; if not in this time, the link is dead.
const WRITE_MS_MAX: u64 = 2_000;
/// Room for one read: a warm join comes at line rate.
const READ_BYTES: usize = 256 << 10;

static LINKS: AtomicU64 = AtomicU64::new(1);

/// What links need.
#[derive(Debug)]
pub struct RelayIn {
    /// Where streams are.
    pub registry: Arc<Registry>,
    /// What ingests have to know.
    pub token: Arc<Token>,
    /// Time.
    pub clock: Clock,
    /// Port of the admin listener, for telling this edge's own address from siblings.
    pub admin_port: u16,
    /// Connections that have not named a stream yet.
    pub pending: Arc<PendingConnections>,
}

impl RelayIn {
    /// Serves until `stop`; links end then.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        while let Some((socket, peer)) = socket::accept(&listener, "relay", &stop).await {
            let (relay, stop) = (Arc::clone(&self), stop.clone());
            tokio::spawn(async move {
                let result = tokio::select! {
                    result = relay.link(socket, peer) => result,
                    () = stop.cancelled() => Ok(()),
                };
                static ENDED: LogLimit = LogLimit::new();
                if let Err(error) = result
                    && let Some(unsaid) = ENDED.allow()
                {
                    tracing::info!(%peer, unsaid, "relay link ended: {error:#}");
                }
            });
        }
    }

    async fn link(&self, socket: TcpStream, peer: SocketAddr) -> anyhow::Result<()> {
        socket.set_nodelay(true).context("failed to set TCP_NODELAY")?;
        let own = socket.local_addr().context("failed to read the local address")?;
        let link = Link {
            relay: self,
            socket,
            session: Session::new(Config::RELAY, self.clock.now_ms()),
            own: SocketAddr::new(own.ip(), self.admin_port),
            id: LinkId(LINKS.fetch_add(1, Relaxed)),
            open: None,
            slot: Some(self.pending.enter(peer.ip())),
        };
        link.run().await
    }
}

struct Link<'a> {
    relay: &'a RelayIn,
    socket: TcpStream,
    session: Session,
    own: SocketAddr,
    id: LinkId,
    open: Option<mpsc::Sender<Input>>,
    slot: Option<Slot>,
}

#[allow(clippy::large_enum_variant, reason = "there is one at a time, on a stack")]
enum Went {
    Read(usize),
    Reply(Option<Reply>),
    Time,
    Evicted,
}

impl Link<'_> {
    async fn run(mut self) -> anyhow::Result<()> {
        let (replies, mut to_say) = mpsc::channel(REPLIES);
        let mut replies = Some(replies);
        let result = self.converse(&mut replies, &mut to_say).await;
        if let Some(inbox) = self.open {
            let _ = inbox.send(Input::Closed(self.id)).await;
        }
        result
    }

    async fn converse(
        &mut self,
        replies: &mut Option<mpsc::Sender<Reply>>,
        to_say: &mut mpsc::Receiver<Reply>,
    ) -> anyhow::Result<()> {
        let mut buffer = BytesMut::new();
        loop {
            let Some(deadline) = self.drain(replies).await? else { return Ok(()) };
            buffer.reserve(READ_BYTES);
            let went = tokio::select! {
                read = self.socket.read_buf(&mut buffer) => Went::Read(read.context("failed to read")?),
                reply = to_say.recv() => Went::Reply(reply),
                () = at(&self.relay.clock, deadline) => Went::Time,
                () = evicted(self.slot.as_ref()) => Went::Evicted,
            };
            let now_ms = self.relay.clock.now_ms();
            match went {
                Went::Read(0) => self.session.handle_end(),
                Went::Read(_) => self.session.handle_bytes(now_ms, buffer.split().freeze())?,
                Went::Reply(Some(Reply::Message(message))) => {
                    self.session.send_message(kind::DATA, 0, &relay::encode(&message))?;
                }
                Went::Reply(Some(Reply::Close(reason))) => bail!("{reason}"),
                Went::Reply(None) => bail!("it did not take what it was told"),
                Went::Time => self.session.handle_timeout(now_ms),
                Went::Evicted => bail!("closed to make room for another connection before it named a stream"),
            }
        }
    }

    /// Does what the session says. `None` at its end, otherwise when it wants to be called again.
    #[allow(clippy::option_option, reason = "the end, and a deadline that may be absent, are different things")]
    async fn drain(&mut self, replies: &mut Option<mpsc::Sender<Reply>>) -> anyhow::Result<Option<Option<u64>>> {
        loop {
            match self.session.poll() {
                Output::Send(bytes) => self.write(&bytes).await?,
                Output::Wait(deadline) => return Ok(Some(deadline)),
                Output::Event(Event::Closed(closed)) => bail!("{closed}"),
                Output::Event(Event::Ended) => return Ok(None),
                Output::Event(event) => self.act(event, replies).await?,
            }
        }
    }

    async fn write(&mut self, bytes: &Bytes) -> anyhow::Result<()> {
        timeout(Duration::from_millis(WRITE_MS_MAX), self.socket.write_all(bytes))
            .await
            .with_context(|| format!("it took nothing for {WRITE_MS_MAX} ms"))?
            .context("failed to write")
    }

    async fn act(&mut self, event: Event, replies: &mut Option<mpsc::Sender<Reply>>) -> anyhow::Result<()> {
        match event {
            Event::Connect { app, query, .. } => {
                let given = query.as_deref().and_then(|query| query_value(query, "token")).unwrap_or_default();
                if app == RELAY_APP && self.relay.token.is(given) {
                    self.session.accept_connect()?;
                    self.slot.iter().for_each(|slot| slot.advance(Progress::Connected));
                } else {
                    self.session.reject("NetConnection.Connect.Rejected", "the relay needs the event's token")?;
                }
            }
            Event::Publish { stream, .. } => {
                let Some((inbox, replies)) = self.relay.registry.inbox(&stream).zip(replies.take()) else {
                    self.session.reject("NetStream.Publish.BadName", "too many streams")?;
                    return Ok(());
                };
                self.session.accept_publish(self.relay.clock.now_ms())?;
                self.slot = None;
                tracing::debug!(stream, link = self.id.0, "relay link opened");
                inbox.send(Input::Opened { link: self.id, replies }).await.context("the stream was removed")?;
                self.open = Some(inbox);
            }
            Event::Play { .. } => self.session.reject("NetStream.Play.Failed", "nothing is played on the relay")?,
            Event::Data(payload) => self.data(&payload).await?,
            Event::Media { track, timestamp, body } => {
                self.pass_on(Input::Frame { link: self.id, track, stamp: timestamp, body }).await?;
            }
            // Epochs carry the metadata in force.
            Event::Metadata(_)
            | Event::Pause { .. }
            | Event::SecondRefused { .. }
            | Event::Ended
            | Event::Closed(_) => {}
        }
        Ok(())
    }

    async fn data(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        match relay::decode(payload) {
            Ok(RelayMessage::Event(event)) => self.relay.registry.event(event, self.own),
            Ok(message) => self.pass_on(Input::Message(self.id, message)).await?,
            Err(DecodeError::Other) => {}
            // A kind of a newer release: skipped, as the contract says.
            Err(error @ DecodeError::Json { .. }) => tracing::debug!("skipped: {error}"),
            Err(error @ (DecodeError::Short { .. } | DecodeError::Excess { .. })) => bail!("{error}"),
        }
        Ok(())
    }

    async fn pass_on(&mut self, input: Input) -> anyhow::Result<()> {
        let inbox = self.open.as_ref().context("media came before the stream's name")?;
        inbox.send(input).await.context("the stream was removed")
    }
}

async fn at(clock: &Clock, deadline_ms: Option<u64>) {
    match deadline_ms {
        Some(at_ms) => sleep_until(clock.instant(at_ms)).await,
        None => std::future::pending().await,
    }
}

async fn evicted(slot: Option<&Slot>) {
    match slot {
        Some(slot) => slot.evicted().cancelled().await,
        None => std::future::pending().await,
    }
}
