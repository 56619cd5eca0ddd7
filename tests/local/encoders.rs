//! Encoders of three families publish what they publish, each in its own way.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::frames::transport_stream;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::process::{Running, output};
use e2e::publish::ffmpeg;
use e2e::{follow, http};
use lectern_api::node_status::IngestStream;
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
