//! The made-up stream, published to the ingest in real time as an encoder does it.

use super::source::Source;
use crate::net::clock::Clock;
use crate::net::pump::{Limits, Pump};
use crate::net::socket;
use anyhow::{Context, bail};
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session, set_data_frame};
use std::net::SocketAddr;
use std::time::Duration;

/// An ingest says little to a publisher; one that takes nothing for this long is no measure of an edge.
const LIMITS: Limits = Limits { peer: "the ingest", read_bytes: 4 << 10, write_stall: Duration::from_secs(10) };

/// Publishes `source` as `stream` (with its key) until it is dropped.
///
/// # Errors
/// When the ingest does not take it, or not any more.
pub async fn publish(ingest: SocketAddr, stream: &str, source: Source) -> anyhow::Result<()> {
    let wire = socket::dial(ingest).await.context("failed to reach the ingest")?;
    let config = ClientConfig::new(Mode::Publish, &format!("rtmp://{ingest}/live"), "live", stream);
    let clock = Clock::start();
    let pump = Pump::new(wire, Session::new(config, clock.now_ms()), clock, LIMITS);
    let mut publisher = Publisher { pump, source, clock, started_ms: None };
    loop {
        publisher.send_due()?;
        let due_ms = publisher.started_ms.map(|started_ms| started_ms + publisher.source.due_ms());
        tokio::select! {
            event = publisher.pump.event() => match event.context("failed to publish to the ingest")? {
                Event::Ready => publisher.start()?,
                Event::Rejected { code, description } => {
                    bail!("the ingest refused the made-up stream: {code} {description}");
                }
                Event::Closed(reason) => bail!("the ingest ended the made-up stream: {reason}"),
                Event::Media { .. } | Event::Metadata(_) | Event::Data(_) | Event::Ended => {}
            },
            () = clock.until(due_ms) => {}
        }
    }
}

struct Publisher {
    pump: Pump<Session>,
    source: Source,
    clock: Clock,
    /// The zero of the stream's time, once the ingest takes it.
    started_ms: Option<u64>,
}

impl Publisher {
    fn start(&mut self) -> anyhow::Result<()> {
        let failed = "failed to send the stream's headers";
        self.pump.machine.send_data(0, &set_data_frame(&Source::metadata())).context(failed)?;
        for (track, body) in Source::configurations() {
            self.pump.machine.send_media(track, 0, &body).context(failed)?;
        }
        self.started_ms = Some(self.clock.now_ms());
        Ok(())
    }

    fn send_due(&mut self) -> anyhow::Result<()> {
        let Some(started_ms) = self.started_ms else { return Ok(()) };
        while started_ms + self.source.due_ms() <= self.clock.now_ms() {
            let piece = self.source.advance();
            let stamp = lectern_media::time::wrap_ms(piece.t_ms);
            self.pump.machine.send_media(piece.track, stamp, &piece.body).context("failed to send a frame")?;
        }
        Ok(())
    }
}
