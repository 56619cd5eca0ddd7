//! Players that were not written for Lectern play what edges serve.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::browser::Browser;
use e2e::crowd::Crowd;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::process::{Running, output};
use e2e::publish::ffmpeg;
use std::process::Command;

const STREAM: &str = "hall-a";
/// What each player plays, in seconds.
const PLAY_S: u64 = 6;
/// Pictures in that time, less what a player may need to begin.
const PICTURES: usize = 150;

struct Stage {
    fleet: Fleet,
    _running: [Running; 3],
}

impl Stage {
    async fn set(clip: Clip) -> Self {
        let fleet = Fleet::new(&[STREAM], 1).unwrap();
        let ingest = fleet.start_ingest().await.unwrap();
        let edge = fleet.start_edge(0).await.unwrap();
        let publisher = ffmpeg("publisher", fleet.folder.path(), clip, &fleet.publish_url(STREAM)).unwrap();
        fleet.wait_live(0, STREAM, 4).await.unwrap();
        Self { fleet, _running: [ingest, edge, publisher] }
    }

    fn hls(&self) -> String {
        format!("http://{}/live/{STREAM}/index.m3u8", self.fleet.edge(0).unwrap().http)
    }

    fn flv(&self) -> String {
        format!("http://{}/live/{STREAM}.flv", self.fleet.edge(0).unwrap().http)
    }

    fn rtmp(&self) -> String {
        format!("rtmp://{}/live/{STREAM}", self.fleet.edge(0).unwrap().rtmp)
    }
}

/// ffmpeg decodes `PLAY_S` of `url` and complains about nothing.
async fn ffmpeg_plays(url: &str) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-nostdin", "-i", url, "-t", &PLAY_S.to_string(), "-map", "0:v", "-map", "0:a"]);
    command.args(["-f", "framehash", "-hash", "crc32", "-"]);
    let (status, frames, complaints) = output(&mut command, PLAY_S + 20).await.unwrap();
    let pictures = frames.lines().filter(|l| l.starts_with("0,")).count();
    assert!(status.success() && complaints.is_empty(), "ffmpeg on {url}: {status}\n{complaints}");
    assert!(pictures >= PICTURES, "{url}: {pictures} pictures");
}

/// mpv plays `PLAY_S` of `url` into nothing and says how far it came.
async fn mpv_plays(url: &str) {
    let mut command = Command::new("mpv");
    command.args([
        "--no-config",
        "--vo=null",
        "--ao=null",
        "--no-ytdl",
        "--term-status-msg=${time-pos/full} ${drop-frame-count}",
    ]);
    command.arg(format!("--length={PLAY_S}")).arg(url);
    let (status, said, complaints) = output(&mut command, PLAY_S + 20).await.unwrap();
    let all = format!("{said}{complaints}");
    assert!(status.success() && all.contains("h264") && all.contains("aac"), "mpv on {url}: {status}\n{all}");
    assert!(all.contains("End of file") && !all.to_lowercase().contains("error"), "mpv on {url}:\n{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_plays_in_ffmpeg_mpv_and_hls_js() {
    let stage = Stage::set(Clip::BFrames).await;
    let url = stage.hls();
    let browser = Browser::open("browser", stage.fleet.folder.path(), &url, 60).unwrap();
    tokio::join!(ffmpeg_plays(&url), mpv_plays(&url));
    browser.wait_playing(20).await.unwrap();
    let page = browser.close().await.unwrap();
    assert!(page.fatal.is_empty() && page.errors.is_empty() && page.width == 640, "{page:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_flv_plays_in_ffmpeg_gstreamer_and_mpv() {
    let stage = Stage::set(Clip::BFrames).await;
    let url = stage.flv();
    let gstreamer = async {
        let mut command = Command::new("gst-launch-1.0");
        let source = ["souphttpsrc", &format!("location={url}"), "is-live=true", "num-buffers=90"];
        command.arg("-v").args(source).args(["!", "flvdemux", "name=d", "d.video", "!", "queue", "!", "h264parse"]);
        command.args(["!", "identity", "name=picture", "silent=false", "!", "fakesink", "sync=false"]);
        command.args(["d.audio", "!", "queue", "!", "aacparse", "!", "fakesink", "sync=false"]);
        let (status, said, complaints) = output(&mut command, PLAY_S + 20).await.unwrap();
        let pictures = said.matches("picture: last-message = chain").count();
        assert!(status.success() && !complaints.contains("ERROR"), "gst-launch on {url}: {status}\n{said}{complaints}");
        assert!(pictures >= PICTURES, "GStreamer on {url}: {pictures} pictures");
    };
    tokio::join!(ffmpeg_plays(&url), mpv_plays(&url), gstreamer);
}

#[tokio::test(flavor = "multi_thread")]
async fn rtmp_plays_in_ffmpeg_and_rtmpdump() {
    let stage = Stage::set(Clip::BFrames).await;
    let url = stage.rtmp();
    let saved = stage.fleet.folder.path().join("saved.flv");
    let rtmpdump = async {
        // It has no option to stop a live stream after a time: an interrupt ends it, as a person would.
        let mut command = Command::new("timeout");
        command.args(["--signal=INT", &format!("{PLAY_S}s"), "rtmpdump", "--live", "-r", &url, "-o"]).arg(&saved);
        let (_, said, complaints) = output(&mut command, PLAY_S + 20).await.unwrap();
        assert!(saved.exists(), "rtmpdump:\n{said}{complaints}");
    };
    tokio::join!(ffmpeg_plays(&url), rtmpdump);
    let pictures = e2e::frames::pictures(&saved).await.unwrap();
    assert!(pictures.len() >= PICTURES, "rtmpdump saved {} pictures", pictures.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_all_three_protocols_sees_no_fault() {
    let stage = Stage::set(Clip::Plain).await;
    let (hls, flv, rtmp) = (stage.hls(), stage.flv(), stage.rtmp());
    let mut arguments = vec![hls.as_str(), &flv, &rtmp, "--hls", "60", "--flv", "60", "--rtmp", "60"];
    arguments.extend(["--ramp", "5s", "--duration", "25s", "--hash", "always"]);
    arguments
        .extend(["--expect", "no-errors,no-retries,no-stalls,no-gaps,no-back,no-mismatches,no-refusals,all-joined"]);
    let report = Crowd::start("crowd", stage.fleet.folder.path(), &arguments).unwrap().wait(25).await.unwrap();
    assert!(report.holds(), "{}", report.text());
    for protocol in ["hls", "flv", "rtmp"] {
        assert!(report.percentile(protocol, "firstPictureMs", "p99") < 3_000, "{}", report.text());
    }
}
