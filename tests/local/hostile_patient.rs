//! Ten thousand connections at once that are well-formed and patient, while three hundred viewers watch two edges: readers of
//! HTTP/2 with a window of 0 and pings, idle kept-alive connections, held requests, readers that take a little, and silent ones
//! on the RTMP ports. No viewer notices, an encoder gets in, and edges keep a bounded number of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use e2e::crowd::Crowd;
use e2e::http;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::process::{Running, resident_kib};
use e2e::publish::ffmpeg;
use e2e::wait::{pause, wait_for};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const STREAMS: [&str; 2] = ["hall-a", "hall-b"];
/// Attackers, each with one connection, which it opens again when it was closed.
const ATTACKERS: usize = 10_000;
/// Descriptors of this process: one for each attacker, and room.
const DESCRIPTORS: u64 = 12_000;
/// How long they go on once all have come.
const ATTACK: Duration = Duration::from_secs(30);
/// Between two signs of life of an attacker.
const PACE: Duration = Duration::from_secs(2);
/// Before an attacker comes again.
const AGAIN: Duration = Duration::from_millis(500);
/// Attackers that hold a connection at the same moment, at least: some are always about to come again, and the first edge has no
/// place for all that come to it.
const AT_ONCE: i64 = 7_500;
const VIEWERS_PER_EDGE: u32 = 1_000;
/// Places of the HTTP port of an edge for so many viewers (`node/src/edge/http/state.rs`).
const PLACES: u64 = 4_000;
/// Memory that a node may take more than before: 4,000 connections of the HTTP port and 2,000 of RTMP.
const MEMORY_MORE_KIB: u64 = 256 * 1024;

/// What attackers aim at.
struct Targets {
    http: [SocketAddr; 2],
    rtmp: [SocketAddr; 3],
    /// The newest segment and one that is still to come.
    segments: Mutex<(String, String)>,
    open: AtomicI64,
}

async fn dial(n: usize, to: SocketAddr, buffer: Option<u32>) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let last = u8::try_from(n % 250 + 2).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
    socket.connect(to).await
}

/// Waits until the other side closes; says `sign` now and then, and reads up to `take` bytes each time.
async fn hold(stream: &mut TcpStream, sign: &[u8], take: usize) -> std::io::Result<()> {
    let mut sink = vec![0; take];
    loop {
        match timeout(PACE, stream.read(&mut sink)).await {
            Ok(Ok(0) | Err(_)) => return Ok(()),
            Ok(Ok(_)) => pause(PACE).await,
            Err(_) => {}
        }
        stream.write_all(sign).await?;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[length[1], length[2], length[3], kind, flags], stream.to_be_bytes().as_slice(), payload].concat()
}

/// A connection of HTTP/2 (RFC 9113) with a window of 0 that asks for `path` ten times.
fn unread(path: &str) -> Vec<u8> {
    let text = |head: u8, text: &str| [&[head, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let block = [vec![0x82, 0x86], text(0x04, path), text(0x01, "edge")].concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    bytes.extend((0..10).flat_map(|n| frame(1, 5, n * 2 + 1, &block)));
    bytes
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: edge\r\n\r\n").into_bytes()
}

async fn attack(n: usize, to: &Targets) -> std::io::Result<()> {
    let (newest, coming) = to.segments.lock().unwrap().clone();
    // Two thirds to the first edge, which is more than it has places.
    let http = to.http[usize::from((n / 8).is_multiple_of(3))];
    match n % 8 {
        0 | 1 => {
            let mut stream = dial(n, http, None).await?;
            stream.write_all(&unread(&newest)).await?;
            hold(&mut stream, &frame(6, 0, 0, b"patience"), 4_096).await
        }
        2 | 3 => {
            let mut stream = dial(n, http, None).await?;
            stream.write_all(&request("/live/hall-a/media.m3u8")).await?;
            hold(&mut stream, b"", 4_096).await
        }
        4 => {
            let mut stream = dial(n, http, None).await?;
            stream.write_all(&request(&coming)).await?;
            hold(&mut stream, b"", 1).await
        }
        5 => {
            let mut stream = dial(n, http, Some(4 << 10)).await?;
            stream.write_all(&request(&newest)).await?;
            hold(&mut stream, b"", 512).await
        }
        _ => hold(&mut dial(n, to.rtmp[n % 3], None).await?, b"", 64).await,
    }
}

/// Attacks for ever.
async fn go_on(n: usize, to: Arc<Targets>) {
    loop {
        to.open.fetch_add(1, Relaxed);
        // A connection that is refused or reset is an answer too.
        let _ = attack(n, &to).await;
        to.open.fetch_sub(1, Relaxed);
        pause(AGAIN).await;
    }
}

/// The newest segment of a playlist of `hall-a`, and the one after the next.
fn segments(playlist: &str) -> Option<(String, String)> {
    let newest = playlist.lines().rfind(|line| !line.starts_with('#'))?;
    let (epoch, msn) = newest.strip_suffix(".ts")?.rsplit_once('-')?;
    let coming: u64 = msn.parse::<u64>().ok()? + 2;
    Some((format!("/live/hall-a/{newest}"), format!("/live/hall-a/{epoch}-{coming}.ts")))
}

/// A metric of an edge: the sum of all lines whose name begins so.
async fn metric(edge: SocketAddr, name: &str) -> u64 {
    let text = http::get(&format!("http://{edge}/metrics")).await.unwrap().text();
    text.lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// What the nodes were seen to hold at most.
#[derive(Debug, Default)]
struct Most {
    attackers: i64,
    connections: u64,
    memory_kib: u64,
}

/// Attacks for [`ATTACK`], and says what it came to. Health is asked for all the while.
async fn storm(fleet: &Fleet, to: &Arc<Targets>, nodes: &[&Running]) -> Most {
    let mut attackers = tokio::task::JoinSet::new();
    for n in 0..ATTACKERS {
        attackers.spawn(go_on(n, Arc::clone(to)));
        if n % 100 == 0 {
            pause(Duration::from_millis(50)).await;
        }
    }
    let (mut most, began) = (Most::default(), Instant::now());
    while began.elapsed() < ATTACK {
        for n in 0..2 {
            let edge = fleet.edge(n).unwrap();
            let playlist =
                http::get(&format!("http://{}/live/hall-a/media.m3u8", edge.http)).await.expect("a newcomer");
            assert_eq!(playlist.status, 200, "a newcomer is served");
            *to.segments.lock().unwrap() = segments(&playlist.text()).unwrap();
            let health = http::get(&format!("http://{}/readyz", edge.admin)).await.expect("health");
            assert_eq!(health.status, 200);
            most.connections = most.connections.max(metric(edge.admin, "lectern_edge_http_connections").await);
        }
        most.attackers = most.attackers.max(to.open.load(Relaxed));
        let memory = nodes.iter().map(|node| resident_kib(node.pid()).unwrap()).max().unwrap();
        most.memory_kib = most.memory_kib.max(memory);
        pause(Duration::from_millis(500)).await;
    }
    attackers.shutdown().await;
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_patient_connections_at_once_disturb_no_viewer_and_no_encoder() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard >= DESCRIPTORS, "the limit of open files is {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, hard).unwrap();
    let mut fleet = Fleet::new(&STREAMS, 2).unwrap();
    fleet.viewers_per_edge = VIEWERS_PER_EDGE;
    let ingest = fleet.start_ingest().await.unwrap();
    let edges = [fleet.start_edge(0).await.unwrap(), fleet.start_edge(1).await.unwrap()];
    let _publisher = ffmpeg("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url("hall-a")).unwrap();
    for n in 0..2 {
        fleet.wait_live(n, "hall-a", 4).await.unwrap();
    }
    let urls = fleet.viewer_urls("hall-a");
    let mut arguments: Vec<&str> = urls.iter().map(String::as_str).collect();
    arguments.extend(["--hls", "240", "--flv", "30", "--rtmp", "30", "--ramp", "3s", "--duration", "600s"]);
    arguments.extend(["--expect", "no-errors,no-stalls,no-gaps,no-back,no-mismatches,no-refusals,all-joined"]);
    let crowd = Crowd::start("crowd", fleet.folder.path(), &arguments).unwrap();
    wait_for("all watch", 30, || async { crowd.progress().contains("Hls 240 watching").then_some(()) }).await.unwrap();

    let listen = [fleet.edge(0).unwrap(), fleet.edge(1).unwrap()];
    let playlist = http::get(&format!("http://{}/live/hall-a/media.m3u8", listen[0].http)).await.unwrap().text();
    let to = Arc::new(Targets {
        http: listen.map(|edge| edge.http),
        rtmp: [fleet.ingest().rtmp, listen[0].rtmp, listen[1].rtmp],
        segments: Mutex::new(segments(&playlist).unwrap()),
        open: AtomicI64::new(0),
    });
    let nodes = [&ingest, &edges[0], &edges[1]];
    let before = nodes.iter().map(|node| resident_kib(node.pid()).unwrap()).max().unwrap();
    let late_encoder = async {
        wait_for("the attack is on", 60, || async { (to.open.load(Relaxed) > AT_ONCE).then_some(()) }).await.unwrap();
        let encoder = ffmpeg("late", fleet.folder.path(), Clip::Plain, &fleet.publish_url("hall-b")).unwrap();
        fleet.wait_live(0, "hall-b", 1).await.unwrap();
        encoder
    };
    let (most, _encoder) = tokio::join!(storm(&fleet, &to, &nodes), late_encoder);

    let mut closed = [0; 2];
    for (closed, edge) in closed.iter_mut().zip(listen) {
        *closed = metric(edge.admin, "lectern_edge_http_closed_connections_total").await;
    }
    eprintln!("at most: {most:?}, {before} KiB before; closed by the edges: {closed:?}");
    assert!(most.connections <= PLACES, "{most:?}");
    assert!(most.memory_kib < before + MEMORY_MORE_KIB, "{most:?}, {before} KiB before");
    assert!(closed.iter().all(|closed| *closed > 0), "{closed:?}");
    let report = crowd.finish().await.unwrap();
    assert!(report.holds(), "{}", report.text());
}
