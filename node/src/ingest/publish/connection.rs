//! One connection at the publish port, from the handshake to its end.
//!
//! Its loop is its own, not [`crate::net::pump`]'s: the socket is given to the clock ([`super::polled`]) when the encoder
//! begins to publish, and media are handed over in batches.

use super::guesses::{Answer, LATE, LateAnswer};
use super::pace::Pace;
use super::polled::{Polled, READ_BYTES, WRITE_STALL};
use super::publisher::{self, Dismissal, Newcomer};
use crate::ingest::state::Ingest;
use crate::ingest::stream::{Message, Stream};
use crate::net::lobby::{Progress, Slot};
use crate::net::log_limit::LogLimit;
use crate::net::wire::Wire;
use crate::relay::source::Source;
use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use lectern_media::machine::Output;
use lectern_media::rtmp::server::{Config, Event, Session};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The application that encoders publish to.
pub const PUBLISH_APP: &str = "live";
/// Read at once from a connection that has shown no key yet: there may be thousands.
const READ_BYTES_WAITING: usize = 4 << 10;
/// A publisher further ahead of the clock than this is read at real time.
const AHEAD_MS_MAX: u64 = 5_000;
/// One that is ahead is looked at again at least this often: it may be dismissed meanwhile.
const AHEAD_PAUSE_MS_MAX: u64 = 500;
/// The answer to a key that opens nothing.
const WRONG_KEY: &str = "the key is not one of this stream";
const BAD_NAME: &str = "NetStream.Publish.BadName";

/// How a connection stands.
enum Phase {
    /// No publish was accepted yet.
    Waiting,
    /// It publishes.
    Publishing { stream: Arc<Stream>, ticket: publisher::Ticket },
}

/// State of one connection of the publish port.
pub(super) struct Connection {
    ingest: Arc<Ingest>,
    address: SocketAddr,
    session: Session,
    phase: Phase,
    flash_ver: String,
    /// Its place among those that have not published yet; given up once it publishes.
    slot: Option<Slot>,
    /// It showed a wrong key, and its answer comes then.
    late: Option<(Instant, LateAnswer)>,
    /// Why it is to be closed without an answer.
    unanswered: Option<&'static str>,
    /// Milliseconds by which the publisher is ahead of the clock.
    ahead_ms: u64,
    /// Bytes that came since messages were last handed over.
    received: u64,
    batch: Vec<Message>,
    /// To be sent.
    out: Vec<u8>,
}

/// How a connection ended.
pub(super) struct Ended {
    /// It had been accepted as a publisher.
    pub(super) published: bool,
    /// The reason, for the log.
    pub(super) words: String,
}

/// What to do after the session was drained.
pub(super) struct Drained {
    deadline_ms: Option<u64>,
    pub(super) closed: Option<String>,
}

impl Connection {
    pub(super) fn new(ingest: Arc<Ingest>, address: SocketAddr, slot: Slot) -> Self {
        let session = Session::new(Config::PUBLIC, ingest.clock().now_ms());
        Self {
            ingest,
            address,
            session,
            phase: Phase::Waiting,
            flash_ver: String::new(),
            slot: Some(slot),
            late: None,
            unanswered: None,
            ahead_ms: 0,
            received: 0,
            batch: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Runs to the end of the connection.
    pub(super) async fn run(mut self, socket: Wire) -> Ended {
        let result = self.pump(socket).await;
        if let Phase::Publishing { stream, ticket } = &self.phase {
            stream.unpublish(ticket.id);
        }
        let words = result.unwrap_or_else(|error| format!("{error:#}"));
        Ended { published: self.slot.is_none(), words }
    }

    async fn pump(&mut self, mut socket: Wire) -> anyhow::Result<String> {
        match self.until_it_publishes(&mut socket).await? {
            Some(reason) => {
                crate::net::socket::close(&mut socket).await;
                Ok(reason)
            }
            None => {
                let mut socket = Polled::new(socket)?;
                let reason = self.while_it_publishes(&mut socket).await?;
                socket.close().await;
                Ok(reason)
            }
        }
    }

    /// Everything before the first accepted publish; why the connection is to be closed, if it is.
    async fn until_it_publishes(&mut self, socket: &mut Wire) -> anyhow::Result<Option<String>> {
        let evicted = self.slot.as_ref().map_or_else(CancellationToken::new, Slot::evicted);
        let clock = self.ingest.clock();
        let mut buffer = BytesMut::new();
        loop {
            let Drained { deadline_ms, closed } = self.drain();
            if !self.out.is_empty() {
                tokio::time::timeout(WRITE_STALL, socket.write_all(&self.out))
                    .await
                    .context("the publisher takes no answer")?
                    .context("failed to write to the publisher")?;
                self.out.clear();
            }
            if closed.is_some() || self.slot.is_none() {
                return Ok(closed);
            }
            if let Some(reason) = self.unanswered {
                bail!(reason);
            }
            buffer.reserve(READ_BYTES_WAITING);
            tokio::select! {
                read = socket.read_buf(&mut buffer), if self.late.is_none() => {
                    read.context("failed to read from the publisher")?;
                    self.take(buffer.split().freeze());
                }
                () = clock.until(deadline_ms) => self.session.handle_timeout(clock.now_ms()),
                () = due(self.late.as_ref()) => self.answer_late(),
                () = evicted.cancelled() => {
                    self.ingest.count_refused("TooManyConnections");
                    bail!("closed to make room for another connection before it published");
                }
            }
        }
    }

    /// Everything after it; why the connection is to be closed.
    async fn while_it_publishes(&mut self, socket: &mut Polled) -> anyhow::Result<String> {
        let clock = self.ingest.clock();
        let (mut pace, mut taken) = (Pace::default(), 0);
        let mut read_at = Instant::now();
        loop {
            let Drained { deadline_ms, closed } = self.drain();
            socket.write_all(&self.out).await?;
            self.out.clear();
            if let Some(reason) = closed {
                return Ok(reason);
            }
            let pause = Duration::from_millis(self.ahead_ms.saturating_sub(AHEAD_MS_MAX).min(AHEAD_PAUSE_MS_MAX));
            let wake_at = if pause.is_zero() { read_at } else { Instant::now() + pause };
            tokio::select! {
                () = tokio::time::sleep_until(wake_at) => {
                    if !pause.is_zero() {
                        continue;
                    }
                    let read = socket.read()?;
                    let count = read.as_ref().map_or(0, Bytes::len);
                    taken += count;
                    // What fills the buffer may not be all there is.
                    if count < READ_BYTES {
                        pace.took(std::mem::take(&mut taken));
                        read_at = clock.next_tick(pace.step());
                    }
                    if let Some(bytes) = read {
                        self.take(bytes);
                    }
                }
                () = clock.until(deadline_ms) => self.session.handle_timeout(clock.now_ms()),
                dismissal = dismissed(&mut self.phase) => self.dismiss(&dismissal),
            }
        }
    }

    /// Bytes of the peer; none at its end.
    pub(super) fn take(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            self.session.handle_end();
        } else {
            self.received += bytes.len() as u64;
            // After its end the session ignores what still comes.
            let _ = self.session.handle_bytes(self.ingest.clock().now_ms(), bytes);
        }
    }

    /// Returns once a late answer is due, having given it; at once where none is.
    #[cfg(test)]
    pub(super) async fn late_answer(&mut self) -> bool {
        let late = self.late.is_some();
        if late {
            due(self.late.as_ref()).await;
            self.answer_late();
        }
        late
    }

    /// Why it is to be closed without an answer.
    #[cfg(test)]
    pub(super) fn unanswered(&self) -> Option<&'static str> {
        self.unanswered
    }

    /// What [`Connection::drain`] gathered.
    #[cfg(test)]
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Acts on a dismissal as its loop does. Returns whether there was one.
    #[cfg(test)]
    pub(super) fn dismissed_now(&mut self) -> bool {
        let Phase::Publishing { ticket, .. } = &mut self.phase else { return false };
        ticket.dismissed.try_recv().is_ok_and(|dismissal| {
            self.dismiss(&dismissal);
            true
        })
    }

    /// Drains the session: gathers what it wants sent, acts on its events.
    pub(super) fn drain(&mut self) -> Drained {
        let mut closed = None;
        loop {
            match self.session.poll() {
                Output::Send(bytes) => self.out.extend_from_slice(&bytes),
                Output::Event(Event::Closed(reason)) => closed = Some(reason.to_string()),
                Output::Event(event) => self.act(event),
                Output::Wait(deadline_ms) => {
                    self.flush();
                    return Drained { deadline_ms, closed };
                }
            }
        }
    }

    fn act(&mut self, event: Event) {
        match event {
            Event::Connect { flash_ver, .. } => {
                self.flash_ver = flash_ver;
                self.slot.iter().for_each(|slot| slot.advance(Progress::Connected));
            }
            Event::Publish { app, stream, query } => self.publish(&app, &stream, query.as_deref()),
            Event::Play { .. } => {
                self.refuse("NetStream.Play.Failed", "PlayAtIngest", "this is an ingest: play from an edge");
            }
            Event::Media { track, timestamp, body } => {
                self.batch.push(Message::Media { track, stamp: timestamp, body });
            }
            Event::Metadata(payload) => self.batch.push(Message::Metadata(payload)),
            Event::SecondRefused { description } => self.note_refused("SecondPublish", &description),
            // Pauses are of viewers.
            Event::Data(_) | Event::Pause { .. } | Event::Closed(_) => {}
            Event::Ended => {
                self.flush();
                if let Phase::Publishing { stream, ticket } = std::mem::replace(&mut self.phase, Phase::Waiting) {
                    tracing::info!(stream = stream.name(), peer = %self.address, "the publisher ended its stream");
                    stream.unpublish(ticket.id);
                }
            }
        }
    }

    /// Hands over what has gathered.
    fn flush(&mut self) {
        if let Phase::Publishing { stream, ticket } = &self.phase {
            let received = std::mem::take(&mut self.received);
            self.ahead_ms = stream.messages(ticket.id, received, self.batch.drain(..));
        } else {
            (self.ahead_ms, self.received) = (0, 0);
            self.batch.clear();
        }
    }

    fn publish(&mut self, app: &str, name: &str, query: Option<&str>) {
        if self.ingest.stopping() {
            return self.refuse(BAD_NAME, "Stopping", "this ingest is stopping, connect again");
        }
        if app != PUBLISH_APP {
            let text = format!("publish to the application {PUBLISH_APP}: rtmp://HOST/{PUBLISH_APP}/STREAM?key=KEY");
            return self.refuse(BAD_NAME, "UnknownApplication", &text);
        }
        let Some(stream) = self.ingest.stream(name) else {
            return self.refuse(BAD_NAME, "UnknownStream", "this event has no stream of that name");
        };
        let Some(key) = query.and_then(key_of) else {
            return self.refuse(BAD_NAME, "MissingKey", "no key: publish to STREAM?key=KEY");
        };
        let Some(key) = self.ingest.keys().right(name, key.as_bytes()) else {
            return self.wrong_key();
        };
        let Ok(ticket) = stream.publish(Newcomer { key, address: self.address, flash_ver: &self.flash_ver }) else {
            return self.refuse(BAD_NAME, "PublisherConflict", "another encoder publishes this stream");
        };
        let accepted = self.session.accept_publish(self.ingest.clock().now_ms());
        self.slot = None;
        tracing::info!(stream = name, peer = %self.address, encoder = self.flash_ver, role = ?key.role, "publishing");
        self.phase = Phase::Publishing { stream, ticket };
        if accepted.is_err() {
            self.session.handle_end();
        }
    }

    fn wrong_key(&mut self) {
        self.note_refused("WrongKey", WRONG_KEY);
        let (now_ms, address) = (self.ingest.clock().now_ms(), self.address.ip());
        let guesses = self.ingest.guesses();
        let answer = guesses.lock().unwrap_or_else(PoisonError::into_inner).wrong(now_ms, address);
        match answer {
            Answer::Now => self.reject(BAD_NAME, WRONG_KEY),
            Answer::Late => self.late = Some((Instant::now() + LATE, LateAnswer::new(guesses, address))),
            Answer::Never => self.unanswered = Some("closed without an answer: its address shows many wrong keys"),
        }
    }

    /// The answer to a wrong key, in its time.
    pub(super) fn answer_late(&mut self) {
        self.late = None;
        self.reject(BAD_NAME, WRONG_KEY);
    }

    fn refuse(&mut self, code: &str, reason: &'static str, words: &str) {
        self.note_refused(reason, words);
        self.reject(code, words);
    }

    fn reject(&mut self, code: &str, words: &str) {
        // It fails only if the session is over already.
        let _ = self.session.reject(code, words);
    }

    fn note_refused(&self, reason: &'static str, words: &str) {
        self.ingest.count_refused(reason);
        static REFUSED: LogLimit = LogLimit::new();
        if let Some(suppressed) = REFUSED.allow() {
            tracing::warn!(peer = %self.address, reason, suppressed, "publisher refused: {words}");
        }
    }

    /// The stream no longer wants this publisher.
    fn dismiss(&mut self, dismissal: &Dismissal) {
        let (name, words) = match dismissal {
            Dismissal::Replaced(words) => ("Replaced", words),
            Dismissal::Refused(name, words) => (*name, words),
        };
        if let Phase::Publishing { stream, .. } = std::mem::replace(&mut self.phase, Phase::Waiting) {
            tracing::warn!(stream = stream.name(), peer = %self.address, reason = name, "publisher closed: {words}");
            if let Dismissal::Refused(..) = dismissal {
                self.ingest.count_refused(name);
            }
        }
        let _ = self.session.close(BAD_NAME, words);
    }
}

/// The key of a query such as `key=KEY&more=x`, with percent signs resolved.
fn key_of(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("key="))?;
    percent_decode_str(value).decode_utf8().ok().map(Cow::into_owned)
}

/// When a late answer is to be given; never without one.
async fn due(late: Option<&(Instant, LateAnswer)>) {
    match late {
        Some((at, _)) => tokio::time::sleep_until(*at).await,
        None => std::future::pending().await,
    }
}

async fn dismissed(phase: &mut Phase) -> Dismissal {
    match phase {
        Phase::Waiting => std::future::pending().await,
        Phase::Publishing { ticket, .. } => {
            // The sender goes without a word only when the stream was removed from the event.
            (&mut ticket.dismissed).await.unwrap_or_else(|_| Dismissal::Replaced("the stream was removed".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_a_query() {
        for (query, key) in [
            ("key=abc", Some("abc")),
            ("user=x&key=a%2Fb%zz%", Some("a/b%zz%")),
            ("key=", Some("")),
            ("monkey=abc", None),
            ("key=%ff", None),
            ("key=a+b%+c", Some("a+b%+c")),
        ] {
            assert_eq!(key_of(query).as_deref(), key, "{query}");
        }
    }
}
