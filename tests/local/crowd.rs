//! The viewer generator notices what it is there to notice: each test lets a made-up edge misbehave in one way.
//! Without these a green `--expect` would mean nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::crowd::{Crowd, Report};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Numbers before the fake session began.
const FIRST: u64 = 1_000;
/// Segments listed by a fake edge; each lasts a second.
const LISTED: u64 = 5;

/// An answer: status, header fields, body.
type Answer = (u16, &'static str, String);
/// What an edge says about a path, `seconds` after the start.
type Script = Arc<dyn Fn(&str, f64) -> Answer + Send + Sync>;

fn playlist(last: u64) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{}\n", last + 1 - LISTED);
    for msn in last + 1 - LISTED..=last {
        text += &format!("#EXTINF:1.0,\n{msn}.ts\n");
    }
    text
}

/// The newest segment at a time.
fn newest(seconds: f64) -> u64 {
    FIRST + LISTED + seconds as u64
}

/// A faithful edge: what all others differ from in one way.
fn faithful(path: &str, seconds: f64) -> Answer {
    let last = newest(seconds);
    match path {
        "/live/a/index.m3u8" => (200, "", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmedia.m3u8\n".into()),
        "/live/a/media.m3u8" => (200, "", playlist(last)),
        segment => (200, "", format!("bytes of {segment}").repeat(1_000)),
    }
}

async fn edge(script: impl Fn(&str, f64) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/live/a/index.m3u8", listener.local_addr().unwrap());
    let (script, began): (Script, _) = (Arc::new(script), Instant::now());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, script.clone(), began));
        }
    });
    url
}

async fn serve(mut stream: TcpStream, script: Script, began: Instant) {
    let mut request = Vec::new();
    while stream.read_buf(&mut request).await.is_ok_and(|n| n > 0) {
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8(std::mem::take(&mut request)).unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let (status, fields, body) = script(path, began.elapsed().as_secs_f64());
        // Status 0 stands for a connection that breaks in the middle of the body.
        let (code, sent) = if status == 0 { (200, body.len() / 2) } else { (status, body.len()) };
        let head = format!("HTTP/1.1 {code} X\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
        let answer = [head.as_bytes(), &body.as_bytes()[..sent]].concat();
        if stream.write_all(&answer).await.is_err() || status == 0 {
            return;
        }
    }
}

async fn watched(urls: &[String], more: &[&str]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments: Vec<&str> = urls.iter().map(String::as_str).collect();
    arguments.extend(["--hls", "6", "--duration", "6s", "--quiet", "--spread", "request"]);
    arguments.extend(["--expect", "no-errors,no-stalls,no-gaps,no-back,no-mismatches,no-refusals,all-joined"]);
    arguments.extend(more);
    Crowd::start("crowd", folder.path(), &arguments).unwrap().wait(6).await.unwrap()
}

/// Everything that can be wrong, as counted.
fn faults(report: &Report) -> [(&'static str, u64); 7] {
    ["errors", "stalls", "gaps", "skipped", "back", "mismatches", "refusals"]
        .map(|name| (name, report.number("hls", name)))
}

/// Only `name` was counted, and the exit status says so.
fn assert_only(report: &Report, name: &str) {
    for (fault, count) in faults(report) {
        assert_eq!(count > 0, fault == name, "{fault} is {count}: {}", report.text());
    }
    assert!(!report.holds(), "{}", report.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_that_agree_leave_nothing_to_complain_about() {
    let report = watched(&[edge(faithful).await, edge(faithful).await], &[]).await;
    assert!(report.holds(), "{}", report.text());
    assert_eq!(report.number("hls", "pictures"), 6);
    // Each viewer starts three segments before the end and gets one a second.
    assert!((6 * 6..=6 * 10).contains(&report.number("hls", "media")), "{}", report.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_at_one_edge_are_a_mismatch() {
    let other = edge(|path, s| match faithful(path, s) {
        (200, fields, body) if path.ends_with("8.ts") => (200, fields, body.replace("bytes", "BYTES")),
        same => same,
    });
    assert_only(&watched(&[edge(faithful).await, other.await], &["--hash", "always"]).await, "mismatches");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_for_a_number_is_a_mismatch() {
    let other = edge(|path, s| match faithful(path, s) {
        (200, fields, body) if path.ends_with("media.m3u8") => (200, fields, body.replace("1008.ts", "1008-x.ts")),
        same => same,
    });
    assert_only(&watched(&[edge(faithful).await, other.await], &[]).await, "mismatches");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_go_back_are_noticed() {
    let back = edge(|path, s| faithful(path, if s > 3.0 { s - 2.5 } else { s }));
    let report = watched(&[back.await], &[]).await;
    assert!(report.number("hls", "back") > 0 && !report.holds(), "{}", report.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_stands_still_is_a_stall() {
    let still = edge(|path, s| faithful(path, s.min(1.0)));
    assert_only(&watched(&[still.await], &[]).await, "stalls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_fails_twice_is_an_error_and_once_is_a_retry() {
    let broken = |path: &str, s: f64| match faithful(path, s) {
        (_, fields, body) if path.ends_with(".ts") => (0, fields, body),
        same => same,
    };
    let once = watched(&[edge(faithful).await, edge(broken).await], &["--spread", "connection"]).await;
    assert!(once.holds() && once.number("hls", "retried") > 0, "{}", once.text());
    let twice = watched(&[edge(broken).await, edge(broken).await], &[]).await;
    assert!(twice.number("hls", "errors") > 0 && !twice.holds(), "{}", twice.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_and_segments_lost_from_the_list_are_counted() {
    let gap = edge(|path, s| match faithful(path, s) {
        (200, fields, body) if path.ends_with("media.m3u8") => {
            (200, fields, body.replace("#EXTINF:1.0,\n1009.ts", "#EXT-X-GAP\n#EXTINF:1.0,\n1009.ts"))
        }
        same => same,
    });
    let report = watched(&[gap.await], &[]).await;
    assert!(report.number("hls", "gaps") == 6 && !report.holds(), "{}", report.text());
    let leap = edge(|path, s| faithful(path, if s > 3.0 { s + 20.0 } else { s }));
    let report = watched(&[leap.await], &[]).await;
    assert!(report.number("hls", "skipped") > 0 && !report.holds(), "{}", report.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_edge_is_a_refusal_and_no_failed_read() {
    let full = edge(|path, s| match faithful(path, s) {
        _ if path.ends_with("index.m3u8") && s < 1.5 => (503, "Retry-After: 1\r\nConnection: close\r\n", "full".into()),
        same => same,
    });
    let report = watched(&[full.await], &[]).await;
    assert_only(&report, "refusals");
    assert_eq!(report.number("hls", "pictures"), 6, "they come in later");
}
