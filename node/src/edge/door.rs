//! The door of an edge: whether a viewer may watch a stream here and now. HLS, HTTP-FLV and RTMP all ask here, so that
//! they cannot answer differently.

use super::counting::Protocol;
use super::stream::hub::{Hub, Stream};
use std::net::IpAddr;
use std::sync::Arc;

/// Why a viewer is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The ingest has not yet told this edge what the event is.
    NotYetWired,
    /// The event has no such stream.
    NoSuchStream,
    /// The event does not offer this protocol.
    SwitchedOff,
    /// No encoder publishes the stream.
    NotLive,
    /// The edge serves as many viewers, or as many bits per second, as it can.
    Full,
}

/// What a viewer shows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// Where it connects from.
    pub peer: IpAddr,
    /// What it calls its player: the `User-Agent` header, or `flashVer` in RTMP.
    pub agent: &'a [u8],
}

/// A viewer that was let in, and is counted as such.
#[derive(Debug)]
pub struct Admitted {
    /// The stream that it may watch.
    pub stream: Arc<Stream>,
}

/// The stream of that name.
///
/// # Errors
/// [`Refusal::NoSuchStream`], or [`Refusal::NotYetWired`] while the edge does not know which streams there are.
pub fn find(hub: &Hub, name: &str) -> Result<Arc<Stream>, Refusal> {
    hub.stream(name).ok_or_else(|| match hub.playback.load().known {
        true => Refusal::NoSuchStream,
        false => Refusal::NotYetWired,
    })
}

/// Whether the stream can be watched by this protocol at all. HLS waits for a first segment by itself, and so finds out
/// later whether a stream is live.
///
/// # Errors
/// [`Refusal::SwitchedOff`] or [`Refusal::NotLive`].
pub fn check(hub: &Hub, stream: &Stream, protocol: Protocol) -> Result<(), Refusal> {
    let playback = hub.playback.load();
    let offered = match protocol {
        Protocol::Hls => return Ok(()),
        Protocol::Flv => playback.http_flv,
        Protocol::Rtmp => playback.rtmp,
    };
    if !offered {
        Err(Refusal::SwitchedOff)
    } else if !stream.ring.is_live() {
        Err(Refusal::NotLive)
    } else {
        Ok(())
    }
}

/// Lets a new viewer in, and counts it; a refusal is not counted. For a request that another handler answers if it is
/// refused here.
///
/// # Errors
/// Those of [`check`], and [`Refusal::Full`].
pub fn try_admit(hub: &Hub, stream: &Arc<Stream>, protocol: Protocol) -> Result<Admitted, Refusal> {
    check(hub, stream, protocol)?;
    if hub.load.admit() { Ok(Admitted { stream: Arc::clone(stream) }) } else { Err(Refusal::Full) }
}

/// What [`admit`] would answer, for a request that brings no media with it: neither it nor its refusal is demand.
///
/// # Errors
/// Those of [`try_admit`].
pub fn ask(hub: &Hub, stream: &Stream, protocol: Protocol) -> Result<(), Refusal> {
    check(hub, stream, protocol)?;
    if hub.load.has_room() { Ok(()) } else { Err(Refusal::Full) }
}

/// Lets a new viewer in, or counts the refusal of a full edge as demand for another one.
///
/// # Errors
/// Those of [`try_admit`].
pub fn admit(
    hub: &Hub,
    stream: &Arc<Stream>,
    protocol: Protocol,
    credentials: Credentials<'_>,
) -> Result<Admitted, Refusal> {
    try_admit(hub, stream, protocol).inspect_err(|refusal| {
        if *refusal == Refusal::Full {
            hub.refused.record(credentials.peer, credentials.agent, hub.clock.now_ms());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::counting::Load;
    use crate::edge::stream::hub::Playback;
    use crate::net::clock::Clock;
    use lectern_media::track::TrackSet;

    const VIEWER: Credentials<'_> = Credentials { peer: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), agent: b"player" };

    fn hub(capacity: u64, playback: Playback) -> Arc<Hub> {
        let hub = Hub::new(Load::new(capacity, None, 70), Clock::start());
        hub.set_streams(["hall-a"]);
        hub.playback.store(Arc::new(playback));
        hub
    }

    fn wired() -> Playback {
        Playback { known: true, http_flv: true, rtmp: true, ..Playback::default() }
    }

    #[test]
    fn a_stream_that_is_not_known_is_refused_once_the_edge_knows_all_streams() {
        assert_eq!(find(&hub(1, Playback::default()), "hall-b").unwrap_err(), Refusal::NotYetWired);
        assert_eq!(find(&hub(1, wired()), "hall-b").unwrap_err(), Refusal::NoSuchStream);
        assert_eq!(find(&hub(1, wired()), "hall-a").unwrap().name, "hall-a");
    }

    #[test]
    fn connections_need_a_live_stream_and_a_protocol_that_is_offered() {
        let hub = hub(10, Playback { rtmp: false, ..wired() });
        let stream = find(&hub, "hall-a").unwrap();
        let all = |expected: [Result<(), Refusal>; 3]| {
            let found = [Protocol::Hls, Protocol::Flv, Protocol::Rtmp].map(|protocol| check(&hub, &stream, protocol));
            assert_eq!(found, expected);
        };
        all([Ok(()), Err(Refusal::NotLive), Err(Refusal::SwitchedOff)]);
        stream.ring.epoch(TrackSet::default(), true);
        all([Ok(()), Ok(()), Err(Refusal::SwitchedOff)]);
    }

    #[test]
    fn a_full_edge_counts_whom_it_turns_away_once_for_each_refusal() {
        let hub = hub(1, wired());
        let stream = find(&hub, "hall-a").unwrap();
        assert!(admit(&hub, &stream, Protocol::Hls, VIEWER).is_ok());
        assert_eq!(try_admit(&hub, &stream, Protocol::Hls).unwrap_err(), Refusal::Full);
        assert_eq!(hub.refused.tries(hub.clock.now_ms()), 0);
        assert_eq!(admit(&hub, &stream, Protocol::Hls, VIEWER).unwrap_err(), Refusal::Full);
        assert_eq!(hub.refused.tries(hub.clock.now_ms()), 1);
    }

    #[test]
    fn a_refusal_for_another_reason_is_no_demand_for_another_edge() {
        let hub = hub(1, wired());
        let stream = find(&hub, "hall-a").unwrap();
        assert_eq!(admit(&hub, &stream, Protocol::Rtmp, VIEWER).unwrap_err(), Refusal::NotLive);
        assert_eq!((hub.refused.tries(hub.clock.now_ms()), hub.load.admitted()), (0, 0));
    }
}
