//! Viewers of HTTP-FLV and RTMP: connections that take what comes.

use super::http::Line;
use super::{PATIENCE, Tally, Target};
use anyhow::{Context, bail, ensure};
use bytes::BytesMut;
use lectern_media::machine::Output;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session};
use std::io::ErrorKind;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Read at once in bytes: one merge window of a fast stream.
const READ_BYTES: usize = 64 << 10;

/// Watches until something fails.
pub(super) async fn watch_flv(target: &Target, tally: &Tally) -> anyhow::Result<()> {
    let path = format!("/live/{}.flv", target.stream);
    let mut line = Line::open(target.http).await?;
    let head = line.begin(&path, tally).await?;
    ensure!(head.status == 200, "GET {path}: status {}", head.status);
    line.drop_body(&head, tally).await
}

/// Watches until something fails. Messages are read, so that the edge gets the acknowledgements that players send.
pub(super) async fn watch_rtmp(target: &Target, tally: &Tally) -> anyhow::Result<()> {
    let connected = timeout(PATIENCE, TcpStream::connect(target.rtmp)).await.context("no connection in time")?;
    let mut socket = connected.context("failed to connect to the edge")?;
    socket.set_nodelay(true).context("failed to set TCP_NODELAY")?;
    let since = Instant::now();
    let now_ms = || u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    let url = format!("rtmp://{}/live", target.rtmp);
    let mut session = Session::new(ClientConfig::new(Mode::Play, &url, "live", target.stream), 0);
    loop {
        drain(&mut session, &mut socket).await?;
        let ready = timeout(PATIENCE, socket.readable()).await.context("nothing came in time")?;
        ready.context("failed to read")?;
        // Only now: thousands wait without a buffer.
        let mut input = BytesMut::with_capacity(READ_BYTES);
        match socket.try_read_buf(&mut input) {
            Ok(0) => session.handle_end(),
            Ok(read) => {
                tally.received(read);
                // After its end the session says why by an event.
                let _ = session.handle_bytes(now_ms(), input.freeze());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("failed to read"),
        }
    }
}

async fn drain(session: &mut Session, socket: &mut TcpStream) -> anyhow::Result<()> {
    loop {
        match session.poll() {
            Output::Send(bytes) => socket.write_all(&bytes).await.context("failed to write")?,
            Output::Event(Event::Rejected { code, .. }) => bail!("the edge refused: {code}"),
            Output::Event(Event::Closed(reason)) => bail!("the connection ended: {reason}"),
            Output::Event(Event::Ended) => bail!("the stream ended"),
            Output::Event(Event::Ready | Event::Media { .. } | Event::Metadata(_) | Event::Data(_)) => {}
            // Patience is shorter than any deadline of a session.
            Output::Wait(_) => return Ok(()),
        }
    }
}
