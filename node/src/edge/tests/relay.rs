//! What the relay port answers to an ingest that may not push.

use super::*;
use crate::net::clock::Clock;
use crate::net::pump::{Limits, Pump};
use crate::net::socket;
use lectern_media::relay::RELAY_APP;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session};

#[tokio::test]
async fn an_ingest_reads_why_its_link_was_refused() {
    let edge = Running::start().await;
    for (mode, token, words) in [
        (Mode::Publish, "wrong", "the relay needs the event's token"),
        (Mode::Play, TOKEN, "nothing is played on the relay"),
    ] {
        let clock = Clock::start();
        let url = format!("rtmp://{}/{RELAY_APP}?token={token}", edge.relay);
        let session = Session::new(ClientConfig::new(mode, &url, RELAY_APP, "hall-a"), clock.now_ms());
        let limits = Limits { peer: "the edge", read_bytes: 4 << 10, write_stall: PATIENCE };
        let mut pump = Pump::new(socket::dial(edge.relay).await.unwrap(), session, clock, limits);
        let refused = loop {
            let event = tokio::time::timeout(PATIENCE, pump.event()).await.expect("an answer").unwrap();
            if let Event::Rejected { description, .. } = event {
                break description;
            }
            assert!(!matches!(event, Event::Closed(_) | Event::Ended), "closed without a word: {event:?}");
        };
        assert!(refused.contains(words), "{refused}");
    }
    edge.stop.cancel();
}
