//! The RTMP port of an edge: a session until it plays, then a viewer of a shard, which keeps the session.

use super::shard::{NewViewer, Shards};
use super::viewer::tune;
use crate::edge::counting::Protocol;
use crate::edge::door::{self, Admitted, Credentials, Refusal};
use crate::edge::stream::hub::{Hub, Stream};
use crate::edge::stream::wire::Form;
use crate::net::lobby::{PendingConnections, Progress, Slot};
use crate::net::socket;
use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use lectern_media::machine::Output;
use lectern_media::rtmp::server::{Config, Event, Session};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// The application that is played.
const APP: &str = "live";
/// A handshake has 1,537 bytes and another 1,536; commands are short.
const READ_BYTES: usize = 4 << 10;
/// A newcomer that does not take the answers to its own commands in this time is gone.
const WRITE_MS_MAX: u64 = 5_000;

/// What newcomers need.
#[derive(Debug)]
pub struct Play {
    /// Streams and counters.
    pub hub: Arc<Hub>,
    /// Where viewers go.
    pub shards: Arc<Shards>,
    /// Connections that do not play yet.
    pub pending: Arc<PendingConnections>,
}

impl Play {
    /// Serves until `stop`. Who plays then goes on.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        while let Some((socket, peer)) = socket::accept(&listener, "RTMP", &stop).await {
            let play = Arc::clone(&self);
            tokio::spawn(async move {
                if let Err(error) = play.newcomer(socket, peer).await {
                    play.hub.totals.misbehaved.fetch_add(1, Relaxed);
                    tracing::debug!(%peer, "RTMP viewer did not come to play: {error:#}");
                }
            });
        }
    }

    async fn newcomer(&self, socket: TcpStream, peer: SocketAddr) -> anyhow::Result<()> {
        let slot = self.pending.enter(peer.ip());
        tune(&socket).context("failed to set up the socket")?;
        let session = Session::new(Config::PUBLIC, self.hub.clock.now_ms());
        let mut newcomer =
            Newcomer { play: self, socket, session, slot, peer, agent: String::new(), unsent: BytesMut::new() };
        if let Some(stream) = newcomer.converse().await? {
            let Newcomer { socket, unsent, session, .. } = newcomer;
            let (opening, session) = (unsent.freeze(), Some(Box::new(session)));
            self.shards.join(NewViewer { socket, stream, form: Form::Rtmp, opening, session }).await;
        }
        Ok(())
    }
}

struct Newcomer<'a> {
    play: &'a Play,
    socket: TcpStream,
    session: Session,
    slot: Slot,
    peer: SocketAddr,
    agent: String,
    unsent: BytesMut,
}

enum Drained {
    Waits(Option<u64>),
    Plays(Arc<Stream>),
    Over,
}

impl Newcomer<'_> {
    async fn converse(&mut self) -> anyhow::Result<Option<Arc<Stream>>> {
        let evicted = self.slot.evicted();
        let mut buffer = BytesMut::new();
        loop {
            let deadline = match self.drain()? {
                Drained::Waits(deadline) => deadline,
                Drained::Plays(stream) => return Ok(Some(stream)),
                Drained::Over => {
                    self.write().await?;
                    return Ok(None);
                }
            };
            self.write().await?;
            buffer.reserve(READ_BYTES);
            let clock = &self.play.hub.clock;
            let deadline = async {
                match deadline {
                    Some(at_ms) => sleep_until(clock.instant(at_ms)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                read = self.socket.read_buf(&mut buffer) => {
                    if read.context("failed to read")? == 0 {
                        self.session.handle_end();
                    } else {
                        self.session.handle_bytes(clock.now_ms(), buffer.split().freeze())?;
                    }
                }
                () = deadline => self.session.handle_timeout(clock.now_ms()),
                () = evicted.cancelled() => bail!("closed to make room for another connection before it asked for a stream"),
            }
        }
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        let bytes: Bytes = self.unsent.split().freeze();
        timeout(Duration::from_millis(WRITE_MS_MAX), self.socket.write_all(&bytes))
            .await
            .with_context(|| format!("it took nothing for {WRITE_MS_MAX} ms"))?
            .context("failed to write")
    }

    fn drain(&mut self) -> anyhow::Result<Drained> {
        let now_ms = self.play.hub.clock.now_ms();
        let mut plays = None;
        loop {
            match self.session.poll() {
                Output::Send(bytes) => self.unsent.extend_from_slice(&bytes),
                Output::Wait(deadline) => return Ok(plays.map_or(Drained::Waits(deadline), Drained::Plays)),
                Output::Event(Event::Connect { flash_ver, .. }) => {
                    self.agent = flash_ver;
                    self.slot.advance(Progress::Connected);
                }
                Output::Event(Event::Play { app, stream, .. }) => match self.admit(&app, &stream) {
                    Ok(Admitted { stream }) => {
                        self.session.accept_play(now_ms)?;
                        plays = Some(stream);
                    }
                    Err((code, why)) => self.session.reject(code, why)?,
                },
                Output::Event(Event::Publish { .. }) => {
                    self.session.reject("NetStream.Publish.BadName", "this is an edge: publish at the ingest")?;
                }
                Output::Event(Event::Closed(closed)) => {
                    tracing::debug!(peer = %self.peer, "RTMP session closed: {closed}");
                    return Ok(Drained::Over);
                }
                Output::Event(Event::Ended) => return Ok(Drained::Over),
                Output::Event(
                    Event::Metadata(_)
                    | Event::Data(_)
                    | Event::Media { .. }
                    | Event::Pause { .. }
                    | Event::SecondRefused { .. },
                ) => {}
            }
        }
    }

    fn admit(&self, app: &str, name: &str) -> Result<Admitted, (&'static str, &'static str)> {
        if app != APP {
            return Err(refusal(Refusal::NoSuchStream));
        }
        let hub = &self.play.hub;
        let credentials = Credentials { peer: self.peer.ip(), agent: self.agent.as_bytes() };
        door::find(hub, name).and_then(|stream| door::admit(hub, &stream, Protocol::Rtmp, credentials)).map_err(refusal)
    }
}

/// A refusal as players of RTMP read it: a code, and a text for people.
fn refusal(refusal: Refusal) -> (&'static str, &'static str) {
    const NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
    const FAILED: &str = "NetStream.Play.Failed";
    match refusal {
        Refusal::NotYetWired => (FAILED, "this edge has not heard from the ingest yet"),
        Refusal::NoSuchStream => (NOT_FOUND, "this event has no such stream"),
        Refusal::SwitchedOff => (FAILED, "RTMP is switched off for this event"),
        Refusal::NotLive => (NOT_FOUND, "the stream is not live"),
        Refusal::Full => (FAILED, "this edge is full; others may have room"),
    }
}
