//! The ingest with real encoders, on real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use lectern_media::relay::RelayMessage;
use serde_json::json;
use std::time::Duration;

#[path = "support/fleet.rs"]
mod fleet;

use fleet::{Encoder, FakeEdge, Fleet, Told, messages};

fn closed_segments(told: &[Told]) -> Vec<u64> {
    let closed = |m| if let RelayMessage::Mark(mark) = m { mark.closed.map(|c| c.entry.msn) } else { None };
    messages(told).into_iter().filter_map(closed).collect()
}

fn frames(told: &[Told]) -> usize {
    told.iter().filter(|t| matches!(t, Told::Frame { .. })).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_encoder_reaches_every_edge_and_the_end_is_marked() {
    let (one, two) = (FakeEdge::start().await, FakeEdge::start().await);
    let fleet = Fleet::start(&["hall-a"], &[one.address, two.address], json!({"hls": {"segmentMs": 1000}})).await;
    let encoder = Encoder::publish(&fleet.url("hall-a"));
    for edge in [&one, &two] {
        let told = edge.until("two segments", |told| closed_segments(told).len() >= 2).await;
        let messages = messages(&told);
        let RelayMessage::Event(info) = &messages[0] else { panic!("{messages:?}") };
        assert_eq!(info.streams, ["hall-a"]);
        assert!(matches!(messages[1], RelayMessage::Announcement(_)), "{messages:?}");
        let first = messages.iter().position(|m| matches!(m, RelayMessage::Epoch(_))).unwrap();
        let RelayMessage::Mark(mark) = &messages[first + 1] else { panic!("{messages:?}") };
        assert!(mark.closed.is_none());
        let msns = closed_segments(&told);
        assert!(msns.windows(2).all(|pair| pair[1] == pair[0] + 1), "{msns:?}");
    }
    let stream = fleet.until_stream("hall-a", |s| s.frame_rate.is_some() && s.gop_ms.is_some()).await;
    assert_eq!((stream.width, stream.height), (Some(320), Some(180)));
    assert!(stream.video_codec.as_ref().unwrap().starts_with("avc1."), "{stream:?}");
    assert_eq!(stream.audio_codec.as_deref(), Some("mp4a.40.2"));
    assert!(stream.encoder.as_ref().unwrap().starts_with("Lavf"), "{stream:?}");
    assert_eq!(stream.gop_ms, Some(1_000));
    let status = fleet.until("links", |s| s.relays.len() == 2 && s.relays.iter().all(|r| r.streams["hall-a"])).await;
    assert_eq!(status.keys["hall-a"], 1);
    let metrics = fleet.get("/metrics").await;
    assert!(metrics.contains("lectern_ingest_stream_live{stream=\"hall-a\"} 1\n"), "{metrics}");
    assert!(!metrics.contains("lectern_ingest_stream_received_bytes_total{stream=\"hall-a\"} 0\n"), "{metrics}");

    encoder.finish().await;
    fleet.until_stream("hall-a", |s| !s.live && s.idle_since_ms.is_some()).await;
    for edge in [&one, &two] {
        edge.until("end", |told| matches!(messages(told).last(), Some(RelayMessage::End(_)))).await;
    }
    assert!(fleet.stop().await < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_closes_the_epoch_and_every_edge_hears_it() {
    let edge = FakeEdge::start().await;
    let fleet = Fleet::start(&["hall-a"], &[edge.address], json!({})).await;
    let encoder = Encoder::publish(&fleet.url("hall-a"));
    edge.until("media", |told| frames(told) > 50).await;
    let took = fleet.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let told = edge.until("closed", |told| matches!(told.last(), Some(Told::Closed))).await;
    assert!(matches!(messages(&told).last(), Some(RelayMessage::End(_))));
    assert_ne!(encoder.complaint().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_comes_late_gets_the_list_again_from_its_first_mark() {
    let early = FakeEdge::start().await;
    let fleet = Fleet::start(&["hall-a"], &[early.address], json!({"hls": {"segmentMs": 1000}})).await;
    let _encoder = Encoder::publish(&fleet.url("hall-a"));
    let told = early.until("three segments", |told| closed_segments(told).len() >= 3).await;
    let late = FakeEdge::start().await;
    fleet.write_edges(&[early.address, late.address]);
    let replayed = late.until("the same segments", |late| closed_segments(late).len() >= 3).await;
    assert_eq!(closed_segments(&replayed)[..3], closed_segments(&told)[..3]);
    // Byte for byte: what the late one was sent is the beginning of what the early one was.
    let media = |told: &[Told]| -> Vec<_> {
        let body = |t: &Told| if let Told::Frame { stamp, body, .. } = t { Some((*stamp, body.clone())) } else { None };
        told.iter().filter_map(body).take(60).collect()
    };
    assert_eq!(media(&replayed), media(&told));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_right_key_is_refused_counted_and_tried_by_name() {
    let fleet = Fleet::start(&["hall-a"], &[], json!({})).await;
    for url in [
        fleet.url_with("hall-a", "wrong-key-of-somebody"),
        fleet.url_with("hall-z", "wrong-key-of-somebody"),
        format!("rtmp://{}/live/hall-a", fleet.rtmp),
        fleet.url("hall-a").replace("/live/", "/other/"),
    ] {
        assert_ne!(Encoder::publish(&url).complaint().await, "");
    }
    let status = fleet.status().await;
    for reason in ["WrongKey", "UnknownStream", "MissingKey", "UnknownApplication"] {
        assert!(status.refused.get(reason).is_some_and(|n| *n >= 1), "{reason}: {:?}", status.refused);
    }
    assert!(!status.streams["hall-a"].live);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_codec_is_refused_with_its_name() {
    let fleet = Fleet::start(&["hall-a"], &[], json!({})).await;
    let encoder = Encoder::with(&fleet.url("hall-a"), &["-c:v", "flv1", "-c:a", "libmp3lame"]);
    let stream = fleet.until_stream("hall-a", |s| !s.warnings.is_empty()).await;
    let warning = &stream.warnings[0];
    assert!(warning.starts_with("UnsupportedCodec (") && !stream.live, "{warning}");
    assert!(warning.contains("Sorenson H.263") || warning.contains("MP3"), "{warning}");
    assert_ne!(encoder.complaint().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_encoder_takes_over_and_a_fight_ends() {
    let fleet = Fleet::start(&["hall-a"], &[], json!({})).await;
    let url = fleet.url("hall-a");
    let mut incumbent = Encoder::publish(&url);
    let mut publisher = fleet.until_stream("hall-a", |s| s.bit_rate.is_some()).await.publisher;
    for _ in 0..3 {
        let next = Encoder::publish(&url);
        let other = fleet.until_stream("hall-a", |s| s.live && s.publisher != publisher).await;
        publisher = other.publisher;
        assert_ne!(std::mem::replace(&mut incumbent, next).complaint().await, "");
        fleet.until_stream("hall-a", |s| s.bit_rate.is_some()).await;
    }
    let fourth = Encoder::publish(&url);
    let stream = fleet.until_stream("hall-a", |s| !s.warnings.is_empty()).await;
    assert!(stream.warnings.iter().any(|w| w.starts_with("PublisherConflict")), "{:?}", stream.warnings);
    assert_eq!(stream.publisher, publisher);
    assert_ne!(fourth.complaint().await, "");
    drop(incumbent);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_keys_change_at_run_time_without_touching_what_is_live() {
    let edge = FakeEdge::start().await;
    let fleet = Fleet::start(&["hall-a"], &[edge.address], json!({})).await;
    let _encoder = Encoder::publish(&fleet.url("hall-a"));
    let before = fleet.until_stream("hall-a", |s| s.epoch.is_some()).await;

    let keys = fleet.path("keys");
    fleet.write_config(
        &["hall-a", "hall-b"],
        json!({"version": "2", "publishKeysDir": keys, "playback": {"rtmp": false}}),
    );
    fleet.until("second stream", |s| s.config_version == "2" && s.keys.get("hall-b") == Some(&0)).await;
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(keys.join("hall-b"), "key-of-hall-b\n").unwrap();
    fleet.until("its key", |s| s.keys["hall-b"] == 1).await;
    let _second = Encoder::publish(&fleet.url_with("hall-b", "key-of-hall-b"));
    fleet.until_stream("hall-b", |s| s.epoch.is_some()).await;
    edge.until("a link for the second stream", |told| {
        told.iter().any(|t| matches!(t, Told::Opened(stream) if stream == "hall-b"))
    })
    .await;
    edge.until("the event as it is now", |told| {
        let now = |m: &RelayMessage| matches!(m, RelayMessage::Event(e) if e.streams.len() == 2 && !e.rtmp);
        messages(told).iter().filter(|m| now(m)).count() >= 2
    })
    .await;
    let after = fleet.status().await.streams["hall-a"].clone();
    assert_eq!((after.epoch, after.publisher), (before.epoch, before.publisher));

    fleet.write_config(&["hall-a"], json!({"version": "3"}));
    let status = fleet.until("one stream", |s| s.streams.len() == 1).await;
    assert_eq!(status.streams["hall-a"].epoch, before.epoch);
    edge.until("the link of the removed stream is closed", |told| told.iter().any(|t| matches!(t, Told::Closed))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_does_not_read_delays_nobody() {
    let good = FakeEdge::start().await;
    // It accepts and never reads a byte: the kernel takes what fits its buffers.
    let stuck = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fleet = Fleet::start(&["hall-a"], &[good.address, stuck.local_addr().unwrap()], json!({})).await;
    let _encoder = Encoder::publish(&fleet.url("hall-a"));
    good.until("media", |told| frames(told) > 200).await;
    let status = fleet.status().await;
    let other = status.relays.iter().find(|r| r.peer != good.address.to_string()).unwrap();
    assert!(!other.streams["hall-a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_runs_ahead_is_read_at_real_time() {
    let edge = FakeEdge::start().await;
    let fleet = Fleet::start(&["hall-a"], &[edge.address], json!({})).await;
    let since = std::time::Instant::now();
    let newest = |told: &[Told]| {
        told.iter()
            .filter_map(|t| if let Told::Frame { stamp, .. } = t { Some(*stamp) } else { None })
            .max()
            .unwrap_or(0)
    };
    let encoder = Encoder::hurried(&fleet.url("hall-a"));
    // It could send minutes in this time.
    edge.until("more than five seconds, and what one read holds", |told| newest(told) > 12_000).await;
    let elapsed_ms = u32::try_from(since.elapsed().as_millis()).unwrap();
    assert!(elapsed_ms > 1_000, "the first twelve seconds of media took {elapsed_ms} ms");
    // One read of the socket may hold a second or two of a small picture.
    let ahead_ms = newest(&edge.told()).saturating_sub(elapsed_ms);
    assert!(ahead_ms < 9_000, "{ahead_ms} ms ahead after {elapsed_ms} ms");
    drop(encoder);
}
