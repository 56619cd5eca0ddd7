//! Players that were not written for Lectern play what edges serve.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::browser::Browser;
use e2e::crowd::Crowd;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::process::{Running, output};
use e2e::publish::ffmpeg;
use e2e::wait::wait_for;
use std::path::Path;
use std::process::Command;

const STREAM: &str = "hall-a";
/// What each player plays, in seconds.
const PLAY_S: u64 = 6;
/// Pictures in that time, less what a player may need to begin.
const PICTURES: usize = 150;

/// From the end of a publisher to the end of the session: longer than rtmpdump waits for a byte, 30 s.
const END_AFTER_MS: u64 = 35_000;
/// The same, and room.
const END_S: u64 = 75;

struct Stage {
    fleet: Fleet,
    running: [Running; 3],
}

impl Stage {
    async fn set(clip: Clip) -> Self {
        Self::of(Fleet::new(&[STREAM], 1).unwrap(), clip).await
    }

    async fn of(fleet: Fleet, clip: Clip) -> Self {
        let ingest = fleet.start_ingest().await.unwrap();
        let edge = fleet.start_edge(0).await.unwrap();
        let publisher = ffmpeg("publisher", fleet.folder.path(), clip, &fleet.publish_url(STREAM)).unwrap();
        fleet.wait_live(0, STREAM, 4).await.unwrap();
        Self { fleet, running: [ingest, edge, publisher] }
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

/// What a player in Chromium that is not hls.js made of `url` (tests/browser/others.mjs).
async fn chromium_plays(how: &str, url: &str) -> serde_json::Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/others.mjs");
    let (status, said, complaints) = output(Command::new("node").arg(script).arg(how).arg(url), 90).await.unwrap();
    assert!(status.success(), "{how} on {url}: {said}{complaints}");
    let seen: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(seen["error"].is_null(), "{how} on {url}: {seen}");
    assert!(seen["time"].as_f64() >= Some(4.0) && seen["frames"].as_u64() >= Some(50), "{how} on {url}: {seen}");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_fetched_the_playlist_can_play_it_natively() {
    let stage = Stage::set(Clip::Plain).await;
    chromium_plays("native", &stage.hls()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mpegts_js_finds_one_picture_and_one_sound_in_http_flv() {
    let stage = Stage::set(Clip::Plain).await;
    let seen = chromium_plays("mpegts", &stage.flv()).await;
    assert_eq!(seen["info"], serde_json::json!({"video": true, "audio": true}), "{seen}");
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

/// ffprobe finds these streams in `url`, by their kinds.
async fn kinds(url: &str) -> String {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "warning", "-show_entries", "stream=codec_type", "-of", "csv=p=0", url]);
    let (status, kinds, complaints) = output(&mut command, PLAY_S + 20).await.unwrap();
    assert!(status.success() && complaints.is_empty(), "ffprobe on {url}: {status}\n{complaints}");
    let mut kinds: Vec<_> = kinds.lines().collect();
    kinds.sort_unstable();
    kinds.join(" ")
}

/// ffmpeg copies all that it finds in `url` into a file of MP4, which has no place for a track of text.
async fn ffmpeg_saves(url: &str, file: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i", url, "-t", &PLAY_S.to_string(), "-map", "0", "-c", "copy"]);
    let (status, _, complaints) = output(command.arg(file), PLAY_S + 20).await.unwrap();
    assert!(status.success() && complaints.is_empty(), "ffmpeg on {url}: {status}\n{complaints}");
    let pictures = e2e::frames::pictures(file).await.unwrap().len();
    assert!(pictures >= PICTURES, "{url}: {pictures} pictures saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_flv_and_rtmp_have_one_picture_one_sound_and_nothing_else() {
    let stage = Stage::set(Clip::BFrames).await;
    let (flv, rtmp) = (stage.flv(), stage.rtmp());
    let file = |name: &str| stage.fleet.folder.path().join(name);
    let (flv_file, rtmp_file) = (file("flv.mp4"), file("rtmp.mp4"));
    let (of_flv, of_rtmp, (), ()) =
        tokio::join!(kinds(&flv), kinds(&rtmp), ffmpeg_saves(&flv, &flv_file), ffmpeg_saves(&rtmp, &rtmp_file));
    assert_eq!((of_flv.as_str(), of_rtmp.as_str()), ("audio video", "audio video"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rtmpdump_is_told_that_a_session_is_over() {
    let mut fleet = Fleet::new(&[STREAM], 1).unwrap();
    fleet.hls.end_after_ms = END_AFTER_MS;
    let stage = Stage::of(fleet, Clip::Plain).await;
    let saved = stage.fleet.folder.path().join("saved.flv");
    let url = stage.rtmp();
    let mut command = Command::new("rtmpdump");
    command.args(["--live", "-r", &url, "-o"]).arg(&saved);
    let watching = tokio::spawn(async move { output(&mut command, END_S).await });
    wait_for("it watches", 10, || async { saved.metadata().ok().filter(|file| file.len() > 100_000) }).await.unwrap();
    let [_ingest, _edge, publisher] = stage.running;
    drop(publisher);
    let (status, said, complaints) = watching.await.unwrap().unwrap();
    assert!(status.success(), "rtmpdump: {status}\n{said}{complaints}");
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
