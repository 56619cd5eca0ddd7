//! The RTMP port of an edge: a session until it plays, then a viewer of a shard, which keeps the session.

use super::shard::{NewViewer, Shards};
use super::viewer::tune;
use crate::edge::counting::Protocol;
use crate::edge::door::{self, Admitted, Credentials, Refusal};
use crate::edge::stream::hub::{Hub, Stream};
use crate::edge::stream::wire::Form;
use crate::net::lobby::{PendingConnections, Progress, Slot};
use crate::net::pump::{Limits, Parts, Pump};
use crate::net::socket;
use crate::net::wire::Wire;
use anyhow::{Context, bail};
use lectern_media::rtmp::server::{Config, Event, Session};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The application that is played.
const APP: &str = "live";
/// A handshake has 1,537 bytes and another 1,536; commands are short. A newcomer that does not take the answers to its own
/// commands in this time is gone.
const LIMITS: Limits = Limits { peer: "the RTMP viewer", read_bytes: 4 << 10, write_stall: Duration::from_secs(5) };

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
                    tracing::debug!(%peer, "RTMP viewer ended before it played: {error:#}");
                }
            });
        }
    }

    async fn newcomer(&self, wire: Wire, peer: SocketAddr) -> anyhow::Result<()> {
        let slot = self.pending.enter(peer.ip());
        tune(&wire).context("failed to set up the socket")?;
        let session = Session::new(Config::PUBLIC, self.hub.clock.now_ms());
        let pump = Pump::new(wire, session, self.hub.clock, LIMITS);
        let mut newcomer = Newcomer { play: self, pump, slot, peer, agent: String::new() };
        match newcomer.converse().await? {
            Some(stream) => {
                let Parts { wire, machine, unsent: opening, events } = newcomer.pump.into_parts();
                // One that asked and left in one breath is no viewer.
                if events.iter().any(|event| matches!(event, Event::Ended | Event::Closed(_))) {
                    return Ok(());
                }
                let session = Some(Box::new(machine));
                self.shards.join(NewViewer { wire, stream, form: Form::Rtmp, opening, session }).await;
                Ok(())
            }
            None => newcomer.pump.flush().await,
        }
    }
}

struct Newcomer<'a> {
    play: &'a Play,
    pump: Pump<Session>,
    slot: Slot,
    peer: SocketAddr,
    agent: String,
}

impl Newcomer<'_> {
    /// Talks until the viewer plays a stream, or until its connection is over.
    async fn converse(&mut self) -> anyhow::Result<Option<Arc<Stream>>> {
        let evicted = self.slot.evicted();
        loop {
            let event = tokio::select! {
                event = self.pump.event() => event?,
                () = evicted.cancelled() => {
                    bail!("closed to make room for another connection before it asked for a stream")
                }
            };
            match event {
                Event::Connect { flash_ver, .. } => {
                    self.agent = flash_ver;
                    self.slot.advance(Progress::Connected);
                }
                Event::Play { app, stream, .. } => match self.admit(&app, &stream) {
                    Ok(Admitted { stream }) => {
                        self.pump.machine.accept_play(self.play.hub.clock.now_ms())?;
                        return Ok(Some(stream));
                    }
                    Err((code, why)) => self.pump.machine.reject(code, why)?,
                },
                Event::Publish { .. } => {
                    let why = "this is an edge: publish at the ingest";
                    self.pump.machine.reject("NetStream.Publish.BadName", why)?;
                }
                Event::Closed(closed) => {
                    tracing::debug!(peer = %self.peer, "RTMP session closed: {closed}");
                    return Ok(None);
                }
                Event::Ended => return Ok(None),
                Event::Metadata(_)
                | Event::Data(_)
                | Event::Media { .. }
                | Event::Pause { .. }
                | Event::SecondRefused { .. } => {}
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
