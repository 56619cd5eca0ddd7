//! An RTMP viewer: the shell around [`Session`] as a player.

use crate::crowd::{Shared, Viewer};
use crate::live::{self, Left};
use crate::policy::{FAILED_MS, REQUEST_MS};
use crate::scratch;
use crate::target::{Host, Kind};
use crate::timeline::{Sight, Timeline};
use bytes::Bytes;
use lectern_media::machine::Output;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session};
use lectern_media::track::Track;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Watches until the run is over.
pub async fn watch(viewer: Viewer) {
    live::watch(&viewer, Kind::Rtmp, async |host, _, timeline| {
        play(host, &viewer.stream.path, &viewer.shared, timeline).await
    })
    .await;
}

/// The code of a rejection that means "not live"; every other one is a refusal.
const NOT_LIVE: &str = "NetStream.Play.StreamNotFound";

/// One connection, to its end.
async fn play(host: &Host, path: &str, shared: &Shared, timeline: &mut Timeline) -> Left {
    let slow = Duration::from_millis(REQUEST_MS);
    let mut stream = match timeout(slow, TcpStream::connect(host.address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Left::Failed(format!("failed to connect: {error}")),
        Err(_) => return Left::Failed(format!("no connection in {REQUEST_MS} ms")),
    };
    let (app, name) = split(path);
    let config = ClientConfig::new(Mode::Play, &format!("rtmp://{}/{app}", host.authority), app, name);
    let mut session = Session::new(config, shared.now_ms() as u64);
    timeline.connected();
    loop {
        let deadline = match drain(&mut session, &mut stream, timeline).await {
            Ok(deadline) => deadline,
            Err(left) => return left,
        };
        let mut came = Bytes::new();
        let wait =
            deadline.map_or(slow, |at| Duration::from_millis(at.saturating_sub(shared.now_ms() as u64))).min(slow);
        match timeout(wait, scratch::read(&stream, |piece| came = Bytes::copy_from_slice(piece))).await {
            Ok(Ok(0)) => return Left::Failed("closed by the server".into()),
            Ok(Ok(_)) => {
                timeline.bytes(came.len());
                if session.handle_bytes(shared.now_ms() as u64, came).is_err() {
                    return Left::Failed("the session is over".into());
                }
            }
            Ok(Err(error)) => return Left::Failed(format!("failed to read: {error}")),
            Err(_) if deadline.is_some() => session.handle_timeout(shared.now_ms() as u64),
            Err(_) => return Left::Failed(format!("nothing came for {REQUEST_MS} ms")),
        }
    }
}

/// Does what the session wants until it waits, and says until when.
async fn drain(session: &mut Session, stream: &mut TcpStream, timeline: &mut Timeline) -> Result<Option<u64>, Left> {
    let failed = |what: String| Err(Left::Failed(what));
    loop {
        match session.poll() {
            Output::Wait(deadline) => return Ok(deadline),
            Output::Send(bytes) => {
                if let Err(error) = stream.write_all(&bytes).await {
                    return failed(format!("failed to send: {error}"));
                }
            }
            Output::Event(Event::Media { track, timestamp, body }) => {
                timeline.sight(Sight::of(track == Track::Video, timestamp, &body));
            }
            Output::Event(Event::Rejected { code, .. }) => {
                return Err(Left::Asked { full: code != NOT_LIVE, pause: Duration::from_millis(FAILED_MS) });
            }
            Output::Event(Event::Ended) => return failed("the stream is over".into()),
            Output::Event(Event::Closed(why)) => return failed(why.to_string()),
            Output::Event(Event::Ready | Event::Metadata(_) | Event::Data(_)) => {}
        }
    }
}

/// `/live/hall-a?x=y` as application and stream.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    path.split_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_application_and_stream() {
        assert_eq!(split("/live/hall-a?x=y"), ("live", "hall-a?x=y"));
        assert_eq!(split("/alone"), ("", "alone"));
    }
}
