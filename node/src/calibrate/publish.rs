//! The made-up stream, published to the ingest in real time as an encoder does it.

use super::source::Source;
use anyhow::{Context, bail};
use bytes::BytesMut;
use lectern_media::machine::Output;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session, set_data_frame};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// An ingest says little to a publisher.
const READ_BYTES: usize = 4 << 10;

/// Publishes `source` as `stream` (with its key) until it is dropped.
///
/// # Errors
/// When the ingest does not take it, or not any more.
pub async fn publish(ingest: SocketAddr, stream: &str, source: Source) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(ingest).await.context("failed to connect to the ingest")?;
    socket.set_nodelay(true).context("failed to set TCP_NODELAY")?;
    let config = ClientConfig::new(Mode::Publish, &format!("rtmp://{ingest}/live"), "live", stream);
    let since = Instant::now();
    let mut publisher = Publisher { session: Session::new(config, 0), source, since, started: None };
    let mut input = BytesMut::with_capacity(READ_BYTES);
    loop {
        publisher.drain(&mut socket).await?;
        let now = Instant::now();
        publisher.send_due(now)?;
        let wake = publisher.drain(&mut socket).await?;
        tokio::select! {
            read = socket.read_buf(&mut input) => match read.context("failed to read from the ingest")? {
                0 => publisher.session.handle_end(),
                _ => {
                    // After its end the session says why by an event.
                    let _ = publisher.session.handle_bytes(publisher.now_ms(), input.split().freeze());
                }
            },
            () = tokio::time::sleep_until(wake) => publisher.session.handle_timeout(publisher.now_ms()),
        }
    }
}

struct Publisher {
    session: Session,
    source: Source,
    since: Instant,
    /// The zero of the stream's time, once the ingest takes it.
    started: Option<Instant>,
}

impl Publisher {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Does what the session wants; until when it then waits.
    async fn drain(&mut self, socket: &mut TcpStream) -> anyhow::Result<Instant> {
        loop {
            match self.session.poll() {
                Output::Send(bytes) => socket.write_all(&bytes).await.context("failed to write to the ingest")?,
                Output::Wait(deadline_ms) => {
                    let due = self.started.map(|started| started + Duration::from_millis(self.source.due_ms()));
                    let deadline = deadline_ms.map(|at_ms| self.since + Duration::from_millis(at_ms));
                    return Ok(due.or(deadline).unwrap_or_else(|| Instant::now() + Duration::from_secs(1)));
                }
                Output::Event(Event::Ready) => self.start()?,
                Output::Event(Event::Rejected { code, description }) => {
                    bail!("the ingest refused the made-up stream: {code} {description}");
                }
                Output::Event(Event::Closed(reason)) => bail!("the ingest ended the made-up stream: {reason}"),
                Output::Event(Event::Media { .. } | Event::Metadata(_) | Event::Data(_) | Event::Ended) => {}
            }
        }
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let failed = "failed to send the stream's headers";
        self.session.send_data(0, &set_data_frame(&Source::metadata())).context(failed)?;
        for (track, body) in Source::configurations() {
            self.session.send_media(track, 0, &body).context(failed)?;
        }
        self.started = Some(Instant::now());
        Ok(())
    }

    fn send_due(&mut self, now: Instant) -> anyhow::Result<()> {
        let Some(started) = self.started else { return Ok(()) };
        while started + Duration::from_millis(self.source.due_ms()) <= now {
            let piece = self.source.advance();
            let stamp = lectern_media::time::wrap_ms(piece.t_ms);
            self.session.send_media(piece.track, stamp, &piece.body).context("failed to send a frame")?;
        }
        Ok(())
    }
}
