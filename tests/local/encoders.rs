//! Encoders of three families publish what they publish, each in its own way.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::follow::{Follower, Seen};
use e2e::frames::{pictures, transport_stream};
use e2e::media::{Clip, file};
use e2e::nodes::Fleet;
use e2e::process::{Running, output};
use e2e::publish::ffmpeg;
use e2e::reel::Reel;
use e2e::wait::wait_for;
use e2e::{follow, http};
use lectern_api::node_status::IngestStream;
use std::collections::BTreeMap;
use std::process::Command;

/// What `stream` looks like at the ingest and at an edge once it has three segments; its newest segment was read.
async fn accepted(fleet: &Fleet, stream: &str) -> IngestStream {
    fleet.wait_live(0, stream, 3).await.unwrap();
    let base = format!("http://{}/live/{stream}", fleet.edge(0).unwrap().http);
    let list = follow::read(&http::get(&format!("{base}/media.m3u8")).await.unwrap().text()).unwrap();
    let newest = http::get(&format!("{base}/{}", list.segments.last().unwrap().uri)).await.unwrap();
    assert!(transport_stream(&newest.body).unwrap() > 20, "{stream}");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-nostdin", "-i", &format!("{base}/index.m3u8"), "-t", "3"]);
    // Live sources have times that jitter: they are to be passed on, not pressed into a constant frame rate.
    command.args(["-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-"]);
    let (status, _, complaints) = output(&mut command, 30).await.unwrap();
    assert!(status.success() && complaints.is_empty(), "ffmpeg on {stream}: {status}\n{complaints}");
    fleet.ingest_status().await.unwrap().ingest.unwrap().streams[stream].clone()
}

/// Both are there, with their sizes and rates.
fn assert_picture_and_sound(status: &IngestStream, width: u32, encoder: &str) {
    assert!(status.live, "{status:?}");
    assert!(status.video_codec.as_deref().is_some_and(|c| c.starts_with("avc1.")), "{status:?}");
    assert_eq!((status.audio_codec.as_deref(), status.width), (Some("mp4a.40.2"), Some(width)), "{status:?}");
    let rate = status.frame_rate.unwrap_or_default();
    assert!((29.0..31.0).contains(&rate), "{status:?}");
    assert!(status.encoder.as_deref().unwrap_or_default().contains(encoder), "{status:?}");
}

async fn fleet(streams: &[&str]) -> (Fleet, [Running; 2]) {
    let fleet = Fleet::new(streams, 1).unwrap();
    let running = [fleet.start_ingest().await.unwrap(), fleet.start_edge(0).await.unwrap()];
    (fleet, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_publishes_with_and_without_b_frames_and_single_tracks() {
    let clips =
        [("plain", Clip::Plain), ("b-frames", Clip::BFrames), ("audio", Clip::AudioOnly), ("video", Clip::VideoOnly)];
    let (fleet, _running) = fleet(&clips.map(|(name, _)| name)).await;
    let publishers =
        clips.map(|(name, clip)| ffmpeg(name, fleet.folder.path(), clip, &fleet.publish_url(name)).unwrap());
    for name in ["plain", "b-frames"] {
        let status = accepted(&fleet, name).await;
        assert_picture_and_sound(&status, 640, "Lavf");
        assert_eq!(status.warnings, Vec::<String>::new());
        assert!(status.gop_ms.is_some_and(|gop| (1_900..2_100).contains(&gop)), "{status:?}");
    }
    let audio = accepted(&fleet, "audio").await;
    assert_eq!((audio.video_codec, audio.audio_codec.as_deref()), (None, Some("mp4a.40.2")));
    let video = accepted(&fleet, "video").await;
    assert!(video.video_codec.is_some() && video.audio_codec.is_none());
    drop(publishers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_gop_is_served_and_reported() {
    let (fleet, _running) = fleet(&["long"]).await;
    let _publisher = ffmpeg("long", fleet.folder.path(), Clip::DefaultGop, &fleet.publish_url("long")).unwrap();
    let status = accepted(&fleet, "long").await;
    assert!(status.warnings.iter().any(|w| w.starts_with("GopTooLong (8.3s")), "{status:?}");
}

/// A GStreamer pipeline that encodes 320x180 and a tone, ending in `sink`.
fn gstreamer(name: &str, fleet: &Fleet, sink: &[&str]) -> Running {
    let pipeline = "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=30/1 ! \
        x264enc tune=zerolatency speed-preset=ultrafast key-int-max=60 bitrate=400 ! h264parse ! queue ! m. \
        audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 ! voaacenc bitrate=96000 ! aacparse ! queue ! m. \
        flvmux name=m streamable=true !";
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(pipeline.split_whitespace()).args(sink);
    Running::start(name, fleet.folder.path(), &mut command).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_publishes_by_rtmp2sink_and_by_librtmp() {
    let (fleet, _running) = fleet(&["rtmp2", "librtmp"]).await;
    let rtmp2 = gstreamer("rtmp2", &fleet, &["rtmp2sink", &format!("location={}", fleet.publish_url("rtmp2"))]);
    let librtmp =
        gstreamer("librtmp", &fleet, &["rtmpsink", &format!("location={} live=1", fleet.publish_url("librtmp"))]);
    for name in ["rtmp2", "librtmp"] {
        assert_picture_and_sound(&accepted(&fleet, name).await, 320, "");
    }
    drop((rtmp2, librtmp));
}

/// How long the first picture size is published, and the second.
const FIRST_S: u32 = 12;
const SECOND_S: u32 = 24;
/// Pictures that each player takes in: from near the beginning to well behind the change, at 30 a second.
const WATCHED: usize = 500;
/// A tail shorter than 300 ms is dropped at the end of an epoch, in pictures at 30 a second.
const TAIL_PICTURES: usize = 9;

/// The widths of `WATCHED` pictures as ffprobe decodes them, each with how many there were in a row. It complains of
/// nothing.
async fn widths(url: String) -> Vec<(u32, usize)> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=width", "-of", "csv=p=0"]);
    // HLS from the first listed segment on, so that the change is still to come.
    let from_the_first: &[&str] = if url.ends_with(".m3u8") { &["-live_start_index", "0"] } else { &[] };
    command.args(from_the_first).args(["-read_intervals", &format!("%+#{WATCHED}"), &url]);
    let (status, said, complaints) = output(&mut command, 60).await.unwrap();
    assert!(status.success() && complaints.is_empty(), "ffprobe on {url}: {status}\n{complaints}");
    let mut runs: Vec<(u32, usize)> = Vec::new();
    for width in said.lines().filter_map(|line| line.split(',').next()?.parse().ok()) {
        match runs.last_mut() {
            Some((last, count)) if *last == width => *count += 1,
            _ => runs.push((width, 1)),
        }
    }
    runs
}

/// The segments of each epoch joined, in the order of their numbers, which have no hole.
fn epochs(seen: &Seen) -> Vec<Vec<u8>> {
    let parts = |name: &str| -> (u64, u64) {
        let numbers: Vec<u64> = name.trim_end_matches(".ts").split('-').map(|n| n.parse().unwrap()).collect();
        (numbers[2], numbers[1])
    };
    let ordered: BTreeMap<(u64, u64), &[u8]> =
        seen.segments.iter().map(|(name, body)| (parts(name), &body[..])).collect();
    let numbers: Vec<u64> = ordered.keys().map(|(number, _)| *number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    let mut by_epoch: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for ((_, epoch), body) in ordered {
        by_epoch.entry(epoch).or_default().extend_from_slice(body);
    }
    by_epoch.into_values().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_changes_its_picture_size_goes_on() {
    let mut fleet = Fleet::new(&["hall-a"], 2).unwrap();
    // Everything that is published stays listed until it was looked at.
    (fleet.hls.window, fleet.hls.end_after_ms) = (40, 3_000);
    let _ingest = fleet.start_ingest().await.unwrap();
    let _edges = [fleet.start_edge(0).await.unwrap(), fleet.start_edge(1).await.unwrap()];
    let followers = [0, 1].map(|n| Follower::start(&format!("http://{}", fleet.edge(n).unwrap().http), "hall-a"));
    let reel = Reel::default().then(Clip::Plain, FIRST_S).unwrap().then(Clip::Small, SECOND_S).unwrap();
    let publisher = reel.publish(&fleet.publish_url("hall-a"));
    fleet.wait_live(0, "hall-a", 1).await.unwrap();
    fleet.wait_live(1, "hall-a", 1).await.unwrap();
    let before = fleet.ingest_status().await.unwrap().ingest.unwrap().streams["hall-a"].clone();
    assert_eq!(before.width, Some(640));

    // Players of all protocols, at both edges, decode across the change.
    let players =
        fleet.viewer_urls("hall-a").into_iter().map(|url| tokio::spawn(async { (widths(url.clone()).await, url) }));
    for player in players.collect::<Vec<_>>() {
        let (widths, url) = player.await.unwrap();
        let sizes: Vec<u32> = widths.iter().map(|(width, _)| *width).collect();
        assert_eq!(sizes, [640, 320], "{url}: {widths:?}");
    }
    let after = fleet.ingest_status().await.unwrap().ingest.unwrap().streams["hall-a"].clone();
    assert_eq!((after.width, after.publisher), (Some(320), before.publisher), "the same connection");
    assert!(after.epoch > before.epoch, "{:?} after {:?}", after.epoch, before.epoch);
    publisher.await.unwrap().unwrap();

    wait_for("the end is listed by both", 30, || async {
        followers.iter().all(|f| f.seen().history.last().is_some_and(|t| t.contains("#EXT-X-ENDLIST"))).then_some(())
    })
    .await
    .unwrap();
    let seen = followers.each_ref().map(Follower::seen);
    let (segments, _) = follow::agree(&seen).unwrap();
    assert!(segments >= 16, "{segments} segments could be compared");
    for (n, seen) in seen.iter().enumerate() {
        let tags = seen.history.iter().map(|text| text.matches("#EXT-X-DISCONTINUITY\n").count()).max();
        assert_eq!(tags, Some(1), "edge {n}: {:#?}", seen.history.last());
    }
    // Nothing of either size is lost, but the tail of each.
    let served = epochs(&seen[0]);
    assert_eq!(served.len(), 2);
    for ((bytes, clip), seconds) in served.iter().zip([Clip::Plain, Clip::Small]).zip([FIRST_S, SECOND_S]) {
        assert!(transport_stream(bytes).unwrap() > 100);
        let path = fleet.folder.path().join("epoch.ts");
        std::fs::write(&path, bytes).unwrap();
        let served = pictures(&path).await.unwrap();
        let mut published = pictures(&file(clip).unwrap()).await.unwrap();
        published.truncate(seconds as usize * 30);
        assert!(published.starts_with(&served), "{clip:?}: other pictures than were published");
        assert!(served.len() + TAIL_PICTURES >= published.len(), "{clip:?}: {} of {}", served.len(), published.len());
    }
}
