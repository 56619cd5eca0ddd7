//! The loop around a machine of a connection ([`lectern_media::machine`]): writes what it wants sent, feeds it what comes
//! and what time it is, and hands its events out one by one.
//!
//! Its users are connections that talk to and fro: viewers before they play, the relay's receiving end, the publisher of
//! `calibrate`. Three kinds have loops of their own: those that mostly send what a ring holds (the relay's sending end,
//! forwards, viewers of shards) write from another place; publishers take one session from a socket that wakes them to one
//! that is read by the clock, and hand over in batches; the viewers of `calibrate` are thousands that wait without a buffer.

use super::clock::Clock;
use super::wire::Wire;
use anyhow::Context as _;
use bytes::{Buf as _, Bytes, BytesMut};
use lectern_media::machine::Output;
use lectern_media::rtmp::{client, server};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

/// A machine that turns bytes of a connection into events and back.
pub trait Machine {
    /// What it reports.
    type Event;

    /// Bytes of the peer.
    ///
    /// # Errors
    /// What is wrong with them. The machine has ended then, and reports why by an event, too.
    fn handle_bytes(&mut self, now_ms: u64, bytes: Bytes) -> anyhow::Result<()>;

    /// The peer sends nothing more.
    fn handle_end(&mut self);

    /// The time that [`Output::Wait`] asked for has come.
    fn handle_timeout(&mut self, now_ms: u64);

    /// What is to be done next.
    fn poll(&mut self) -> Output<Self::Event>;
}

/// A connection with its machine.
#[derive(Debug)]
pub struct Pump<M> {
    /// The machine: answers are given by calling it between two events.
    pub machine: M,
    wire: Wire,
    peer: Peer,
    clock: Clock,
    limits: Limits,
    input: BytesMut,
    unsent: BytesMut,
    /// When the peer last took something, or there was nothing to give.
    moved: Instant,
}

/// A connection that is handed on.
#[derive(Debug)]
pub struct Parts<M: Machine> {
    /// The connection.
    pub wire: Wire,
    /// Its machine, which waits for input.
    pub machine: M,
    /// Bytes that the next owner writes before all others.
    pub unsent: Bytes,
    /// Events that the next owner handles first: one read may have brought several.
    pub events: Vec<M::Event>,
}

/// Limits of a kind of connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The peer's name in errors, such as "the RTMP viewer".
    pub peer: &'static str,
    /// Room for one read.
    pub read_bytes: usize,
    /// A peer that takes no byte of its answers for this long is gone.
    pub write_stall: Duration,
}

/// The other end of a connection, as errors name it.
#[derive(Clone, Copy, Debug)]
struct Peer {
    name: &'static str,
    /// None if the peer was gone before anything was read.
    address: Option<SocketAddr>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{} {address}", self.name),
            None => f.write_str(self.name),
        }
    }
}

impl<M: Machine> Pump<M> {
    /// A connection whose machine has neither sent nor received anything.
    #[must_use]
    pub fn new(wire: Wire, machine: M, clock: Clock, limits: Limits) -> Self {
        let (input, unsent) = (BytesMut::new(), BytesMut::new());
        let peer = Peer { name: limits.peer, address: wire.peer_addr().ok() };
        Self { machine, wire, peer, clock, limits, input, unsent, moved: Instant::now() }
    }

    /// The next event. Everything that the machine wants sent before it waits is written first. May be dropped and called
    /// again: nothing is lost or written twice.
    ///
    /// # Errors
    /// When the connection breaks, the peer takes nothing for too long, or it sends what cannot be read. All name the peer.
    pub async fn event(&mut self) -> anyhow::Result<M::Event> {
        loop {
            let deadline_ms = match self.machine.poll() {
                Output::Event(event) => return Ok(event),
                Output::Send(bytes) => {
                    self.put(&bytes);
                    continue;
                }
                Output::Wait(deadline_ms) => deadline_ms,
            };
            self.write().await?;
            self.input.reserve(self.limits.read_bytes);
            tokio::select! {
                read = self.wire.read_buf(&mut self.input) => {
                    let peer = self.peer;
                    if read.with_context(|| format!("failed to read from {peer}"))? == 0 {
                        self.machine.handle_end();
                    } else {
                        self.machine
                            .handle_bytes(self.clock.now_ms(), self.input.split().freeze())
                            .with_context(|| format!("failed to understand {peer}"))?;
                    }
                }
                () = self.clock.until(deadline_ms) => self.machine.handle_timeout(self.clock.now_ms()),
            }
        }
    }

    /// Writes the machine's last words, after the event of its end.
    ///
    /// # Errors
    /// When the connection breaks or the peer takes nothing for too long.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        while let Output::Send(bytes) = self.machine.poll() {
            self.put(&bytes);
        }
        self.write().await
    }

    /// Takes the connection apart.
    #[must_use]
    pub fn into_parts(mut self) -> Parts<M> {
        let mut events = Vec::new();
        loop {
            match self.machine.poll() {
                Output::Send(bytes) => self.put(&bytes),
                Output::Event(event) => events.push(event),
                Output::Wait(_) => break,
            }
        }
        Parts { wire: self.wire, machine: self.machine, unsent: self.unsent.freeze(), events }
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.unsent.is_empty() {
            self.moved = Instant::now();
        }
        self.unsent.extend_from_slice(bytes);
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        while self.unsent.has_remaining() {
            let (Limits { write_stall, .. }, peer) = (self.limits, self.peer);
            let written = timeout_at(self.moved + write_stall, self.wire.write_buf(&mut self.unsent))
                .await
                .with_context(|| format!("{peer} took no answer for {} ms", write_stall.as_millis()))?
                .with_context(|| format!("failed to write to {peer}"))?;
            anyhow::ensure!(written > 0, "failed to write to {peer}: the connection takes no more");
            self.moved = Instant::now();
        }
        Ok(())
    }
}

/// Both sessions are machines by the same methods.
macro_rules! machine {
    ($side:ident) => {
        impl Machine for $side::Session {
            type Event = $side::Event;

            fn handle_bytes(&mut self, now_ms: u64, bytes: Bytes) -> anyhow::Result<()> {
                Ok(Self::handle_bytes(self, now_ms, bytes)?)
            }

            fn handle_end(&mut self) {
                Self::handle_end(self);
            }

            fn handle_timeout(&mut self, now_ms: u64) {
                Self::handle_timeout(self, now_ms);
            }

            fn poll(&mut self) -> Output<Self::Event> {
                Self::poll(self)
            }
        }
    };
}

machine!(server);
machine!(client);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use tokio::net::{TcpListener, TcpStream};

    const LIMITS: Limits = Limits { peer: "the player", read_bytes: 64, write_stall: Duration::from_secs(10) };

    /// Says everything back, and reports it; a deadline is reported as `None`.
    #[derive(Default)]
    struct Echo {
        outputs: VecDeque<Output<Option<Bytes>>>,
        deadline_ms: Option<u64>,
    }

    impl Machine for Echo {
        type Event = Option<Bytes>;

        fn handle_bytes(&mut self, _now_ms: u64, bytes: Bytes) -> anyhow::Result<()> {
            self.outputs.push_back(Output::Send(bytes.clone()));
            self.outputs.push_back(Output::Event(Some(bytes)));
            Ok(())
        }

        fn handle_end(&mut self) {
            self.outputs.push_back(Output::Event(Some(Bytes::new())));
        }

        fn handle_timeout(&mut self, _now_ms: u64) {
            self.deadline_ms = None;
            self.outputs.push_back(Output::Event(None));
        }

        fn poll(&mut self) -> Output<Self::Event> {
            self.outputs.pop_front().unwrap_or(Output::Wait(self.deadline_ms))
        }
    }

    async fn pair<M: Machine>(machine: M, clock: Clock) -> (Pump<M>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let wire = Wire::plain(listener.accept().await.unwrap().0);
        (Pump::new(wire, machine, clock, LIMITS), peer)
    }

    #[tokio::test]
    async fn what_the_peer_sends_is_reported_and_answered_and_so_is_its_end() {
        let (mut pump, mut peer) = pair(Echo::default(), Clock::start()).await;
        peer.write_all(b"hello").await.unwrap();
        assert_eq!(pump.event().await.unwrap().unwrap(), "hello");
        pump.flush().await.unwrap();
        let mut answer = [0; 5];
        peer.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
        drop(peer);
        assert_eq!(pump.event().await.unwrap().unwrap(), "");
    }

    #[tokio::test]
    async fn last_words_reach_the_peer_after_the_end_was_reported() {
        let mut machine = Echo::default();
        machine.outputs.push_back(Output::Send(Bytes::from_static(b"no")));
        machine.outputs.push_back(Output::Event(None));
        let (mut pump, mut peer) = pair(machine, Clock::start()).await;
        assert_eq!(pump.event().await.unwrap(), None);
        pump.flush().await.unwrap();
        drop(pump);
        let mut words = Vec::new();
        peer.read_to_end(&mut words).await.unwrap();
        assert_eq!(words, b"no");
    }

    #[tokio::test]
    async fn what_was_said_while_a_connection_is_handed_on_is_handed_on() {
        let mut machine = Echo::default();
        machine.outputs.push_back(Output::Event(None));
        machine.outputs.push_back(Output::Send(Bytes::from_static(b"more")));
        let (pump, _peer) = pair(machine, Clock::start()).await;
        let Parts { unsent, events, .. } = pump.into_parts();
        assert_eq!((unsent.as_ref(), events), (&b"more"[..], vec![None]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_wakes_the_machine() {
        let clock = Clock::start();
        let machine = Echo { deadline_ms: Some(clock.now_ms() + 5_000), ..Echo::default() };
        let (mut pump, _peer) = pair(machine, clock).await;
        assert_eq!(pump.event().await.unwrap(), None);
        assert_eq!(clock.now_ms() - clock.start_unix_ms(), 5_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_no_answer_is_given_up() {
        let mut machine = Echo::default();
        machine.outputs.push_back(Output::Send(vec![0; 64 << 20].into()));
        let (mut pump, peer) = pair(machine, Clock::start()).await;
        let error = pump.event().await.unwrap_err().to_string();
        assert_eq!(error, format!("the player {} took no answer for 10000 ms", peer.local_addr().unwrap()));
    }

    #[tokio::test]
    async fn an_error_names_the_peer_whose_bytes_cannot_be_read() {
        struct Strict;
        impl Machine for Strict {
            type Event = ();
            fn handle_bytes(&mut self, _now_ms: u64, bytes: Bytes) -> anyhow::Result<()> {
                anyhow::bail!("no command begins with {:#04x}", bytes[0])
            }
            fn handle_end(&mut self) {}
            fn handle_timeout(&mut self, _now_ms: u64) {}
            fn poll(&mut self) -> Output<()> {
                Output::Wait(None)
            }
        }
        let (mut pump, mut peer) = pair(Strict, Clock::start()).await;
        peer.write_all(b"GET").await.unwrap();
        let error = format!("{:#}", pump.event().await.unwrap_err());
        let address = peer.local_addr().unwrap();
        assert_eq!(error, format!("failed to understand the player {address}: no command begins with 0x47"));
    }

    #[tokio::test]
    async fn an_event_that_is_given_up_half_way_loses_nothing_and_repeats_nothing() {
        let wanted: Vec<u8> = (0..8_u32 << 20).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut machine = Echo::default();
        machine.outputs.push_back(Output::Send(wanted.clone().into()));
        let (mut pump, mut peer) = pair(machine, Clock::start()).await;
        let reading = tokio::spawn(async move {
            let mut got = vec![0; 8 << 20];
            peer.read_exact(&mut got).await.unwrap();
            (got, peer)
        });
        while pump.unsent.has_remaining() || matches!(pump.machine.outputs.front(), Some(Output::Send(_))) {
            tokio::select! {
                biased;
                _ = pump.event() => {}
                () = tokio::task::yield_now() => {}
            }
        }
        let (got, _peer) = reading.await.unwrap();
        assert!(got == wanted);
    }
}
