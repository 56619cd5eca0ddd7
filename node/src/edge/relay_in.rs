//! The relay port: ingests push streams here, one connection for each.

use super::driver::{Input, Reply};
use super::registry::Registry;
use super::token::{Token, query_value};
use crate::net::clock::Clock;
use crate::net::lobby::{PendingConnections, Progress, Slot};
use crate::net::log_limit::LogLimit;
use crate::net::pump::{Limits, Pump};
use crate::net::socket;
use crate::net::wire::Wire;
use anyhow::{Context, bail};
use lectern_media::live::LinkId;
use lectern_media::relay::{self, DecodeError, RELAY_APP, RelayMessage};
use lectern_media::rtmp::message::kind;
use lectern_media::rtmp::server::{Config, Event, Session};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Replies that wait for a link's socket: greeting, heartbeats, a few reports.
const REPLIES: usize = 64;
/// A warm join comes at line rate. An ingest that does not take the few answers of an edge in this time is dead.
const LIMITS: Limits = Limits { peer: "the ingest", read_bytes: 256 << 10, write_stall: Duration::from_secs(2) };

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
                    && let Some(suppressed) = ENDED.allow()
                {
                    tracing::info!(%peer, suppressed, "relay link ended: {error:#}");
                }
            });
        }
    }

    async fn link(&self, wire: Wire, peer: SocketAddr) -> anyhow::Result<()> {
        wire.set_nodelay(true).context("failed to set TCP_NODELAY")?;
        let own = wire.local_addr().context("failed to read the local address")?;
        let link = Link {
            relay: self,
            pump: Pump::new(wire, Session::new(Config::RELAY, self.clock.now_ms()), self.clock, LIMITS),
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
    pump: Pump<Session>,
    own: SocketAddr,
    id: LinkId,
    open: Option<Open>,
    slot: Option<Slot>,
}

/// The stream that a link carries, and the inbox of its task.
struct Open {
    stream: String,
    inbox: mpsc::Sender<Input>,
}

impl Link<'_> {
    async fn run(mut self) -> anyhow::Result<()> {
        let (replies, mut to_say) = mpsc::channel(REPLIES);
        let mut replies = Some(replies);
        let result = self.converse(&mut replies, &mut to_say).await;
        let Some(Open { stream, inbox }) = self.open else { return result };
        let _ = inbox.send(Input::Closed(self.id)).await;
        result.with_context(|| format!("failed to relay {stream}"))
    }

    async fn converse(
        &mut self,
        replies: &mut Option<mpsc::Sender<Reply>>,
        to_say: &mut mpsc::Receiver<Reply>,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                event = self.pump.event() => match event? {
                    Event::Closed(closed) => {
                        // A refusal is among its last words: the ingest shows it.
                        let _ = self.pump.flush().await;
                        bail!("{closed}");
                    }
                    Event::Ended => return Ok(()),
                    event => self.act(event, replies).await?,
                },
                reply = to_say.recv() => match reply {
                    Some(Reply::Message(message)) => {
                        self.pump.machine.send_message(kind::DATA, 0, &relay::encode(&message))?;
                    }
                    Some(Reply::Close(reason)) => bail!("{reason}"),
                    None => bail!("the stream's task does not wait for this link: its answers were not taken in time"),
                },
                () = evicted(self.slot.as_ref()) => {
                    bail!("closed to make room for another connection before it named a stream")
                }
            }
        }
    }

    async fn act(&mut self, event: Event, replies: &mut Option<mpsc::Sender<Reply>>) -> anyhow::Result<()> {
        match event {
            Event::Connect { app, query, .. } => {
                let given = query.as_deref().and_then(|query| query_value(query, "token")).unwrap_or_default();
                if app == RELAY_APP && self.relay.token.is(given) {
                    self.pump.machine.accept_connect()?;
                    self.slot.iter().for_each(|slot| slot.advance(Progress::Connected));
                } else {
                    self.pump.machine.reject("NetConnection.Connect.Rejected", "the relay needs the event's token")?;
                }
            }
            Event::Publish { stream, .. } => {
                let Some(inbox) = self.relay.registry.inbox(&stream) else {
                    self.pump.machine.reject("NetStream.Publish.BadName", "too many streams")?;
                    return Ok(());
                };
                let replies = replies.take().context("a second stream on one connection")?;
                self.pump.machine.accept_publish(self.relay.clock.now_ms())?;
                self.slot = None;
                tracing::debug!(stream, link = self.id.0, "relay link opened");
                inbox.send(Input::Opened { link: self.id, replies }).await.context("the stream was removed")?;
                self.open = Some(Open { stream, inbox });
            }
            Event::Play { .. } => {
                self.pump.machine.reject("NetStream.Play.Failed", "nothing is played on the relay")?
            }
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
        let open = self.open.as_ref().context("media came before the stream's name")?;
        open.inbox.send(input).await.context("the stream was removed")
    }
}

async fn evicted(slot: Option<&Slot>) {
    match slot {
        Some(slot) => slot.evicted().cancelled().await,
        None => std::future::pending().await,
    }
}
