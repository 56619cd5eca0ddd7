//! Ten thousand connections that mean no good while two hundred viewers watch: no viewer notices, and memory is bounded.
//! The attackers come from many loopback addresses, as they would from many networks.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use bytes::Bytes;
use e2e::crowd::Crowd;
use e2e::media::Clip;
use e2e::nodes::Fleet;
use e2e::process::{Running, descriptors, resident_kib};
use e2e::publish::ffmpeg;
use e2e::wait::{unix_ms, until, wait_for};
use lectern_media::machine::Output;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

const STREAM: &str = "hall-a";
/// Connections in all.
const ATTACKS: usize = 10_000;
/// Of these at the same time.
const AT_ONCE: usize = 600;
/// How long an attacker who waits goes on waiting.
const PATIENCE: Duration = Duration::from_secs(3);
/// Memory that a node may take more than before. The limits of nodes allow 2,000 connections without a
/// key of 128 KiB each; the measured figure is far lower.
const MEMORY_MORE_KIB: u64 = 128 * 1024;

/// The addresses under attack.
#[derive(Clone, Copy)]
struct Targets {
    publish: SocketAddr,
    play: SocketAddr,
    relay: SocketAddr,
    http: SocketAddr,
}

/// Connects from one of 250 addresses.
async fn dial(n: usize, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let last = u8::try_from(n % 250 + 2).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
    socket.connect(to).await
}

/// Sends `bytes` and waits, as long as patience lasts, for the other side to close.
async fn send_and_wait(mut stream: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    let mut sink = [0; 4_096];
    let closed = async { while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {} };
    let _ = timeout(PATIENCE, closed).await;
    Ok(())
}

/// A finished handshake, by the book, and then `bytes`.
async fn after_handshake(mut stream: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let hello = [[3].as_slice(), &[0; 1_536]].concat();
    stream.write_all(&hello).await?;
    let mut answer = vec![0; 1 + 1_536 + 1_536];
    stream.read_exact(&mut answer).await?;
    let echo: Vec<u8> = answer.into_iter().skip(1).take(1_536).collect();
    stream.write_all(&echo).await?;
    send_and_wait(stream, bytes).await
}

/// One byte of a request head at a time.
async fn slow_loris(mut stream: TcpStream) -> std::io::Result<()> {
    for byte in b"GET /live/hall-a/media.m3u8 HTTP/1.1\r\nHost: x\r\nX: ".iter().cycle().take(12) {
        stream.write_all(&[*byte]).await?;
        let _ = timeout(Duration::from_millis(250), stream.readable()).await;
    }
    Ok(())
}

/// A chunk of `kind` on chunk stream 3 that promises `length` bytes and brings `body`.
fn message(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
    let length = length.to_be_bytes();
    let head = [3, 0, 0, 0, length[1], length[2], length[3], kind, 0, 0, 0, 0];
    [head.as_slice(), body].concat()
}

/// Objects in objects, deeper than any stack.
fn amf_bomb() -> Vec<u8> {
    let mut bomb = message(2, 4, &0x7fff_ffff_u32.to_be_bytes()).to_vec();
    if let Some(kind) = bomb.get_mut(7) {
        *kind = 1;
    }
    let body = [0x0a, 0, 0, 0, 1].repeat(10_000);
    bomb.extend(message(18, 50_000, &body));
    bomb
}

/// The greatest chunk there can be, half of it sent.
fn huge_chunk() -> Vec<u8> {
    let mut bytes = message(1, 4, &0x7fff_ffff_u32.to_be_bytes());
    bytes.extend(message(9, 0x00ff_ffff, &vec![7; 300_000]));
    bytes
}

/// A whole, well-behaved RTMP client without a right to anything. True if it was let in all the same.
async fn without_right(mut stream: TcpStream, app: &str, name: &str) -> std::io::Result<bool> {
    let mut session = Session::new(ClientConfig::new(Mode::Publish, &format!("rtmp://x/{app}"), app, name), unix_ms());
    let mut buffer = vec![0; 8_192];
    loop {
        loop {
            match session.poll() {
                Output::Send(bytes) => stream.write_all(&bytes).await?,
                Output::Event(Event::Ready) => return Ok(true),
                Output::Event(Event::Rejected { .. } | Event::Closed(_)) => return Ok(false),
                Output::Event(_) => {}
                Output::Wait(_) => break,
            }
        }
        match timeout(PATIENCE, stream.read(&mut buffer)).await {
            Ok(Ok(read)) if read > 0 => {
                let came = Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
                if session.handle_bytes(unix_ms(), came).is_err() {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
    }
}

/// One attack of the kind that `n` stands for. True if it was let in.
async fn attack(n: usize, to: Targets) -> std::io::Result<bool> {
    let segment = format!("GET /live/{STREAM}/1-1-{n}.ts HTTP/1.1\r\nHost: x\r\n\r\n");
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(40_000));
    match n % 12 {
        0 => send_and_wait(dial(n, to.publish).await?, &[3; 700]).await?,
        1 => send_and_wait(dial(n, to.play).await?, &[3; 700]).await?,
        2 => slow_loris(dial(n, to.http).await?).await?,
        3 => after_handshake(dial(n, to.publish).await?, &amf_bomb()).await?,
        4 => after_handshake(dial(n, to.play).await?, &amf_bomb()).await?,
        5 => after_handshake(dial(n, to.publish).await?, &huge_chunk()).await?,
        6 => after_handshake(dial(n, to.relay).await?, &huge_chunk()).await?,
        7 => return without_right(dial(n, to.publish).await?, "live", &format!("{STREAM}?key=guess-{n}")).await,
        8 => return without_right(dial(n, to.relay).await?, &format!("relay?token=guess-{n}"), STREAM).await,
        9 => send_and_wait(dial(n, to.http).await?, segment.as_bytes()).await?,
        10 => send_and_wait(dial(n, to.http).await?, long.as_bytes()).await?,
        _ => drop(dial(n, to.relay).await?),
    }
    Ok(false)
}

/// All attacks; how many were let in.
async fn storm(to: Targets) -> usize {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = tokio::task::JoinSet::new();
    for n in 0..ATTACKS {
        let place = places.clone().acquire_owned().await.unwrap();
        running.spawn(async move {
            let _place = place;
            // A connection that is refused or reset is an answer too.
            attack(n, to).await.unwrap_or(false)
        });
    }
    running.join_all().await.into_iter().filter(|let_in| *let_in).count()
}

/// The most memory a process had while `done` was not complete.
async fn watch_memory(running: &Running, done: &tokio::sync::watch::Receiver<bool>) -> u64 {
    let mut most = 0;
    while !*done.borrow() {
        most = most.max(resident_kib(running.pid()).unwrap());
        until(Instant::now(), Duration::from_millis(100)).await;
    }
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hostile_connections_disturb_nobody() {
    let descriptors_wanted = 4_096;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, descriptors_wanted, descriptors_wanted)
        .unwrap();
    let fleet = Fleet::new(&[STREAM], 1).unwrap();
    let (ingest, edge) = (fleet.start_ingest().await.unwrap(), fleet.start_edge(0).await.unwrap());
    let _publisher = ffmpeg("publisher", fleet.folder.path(), Clip::Plain, &fleet.publish_url(STREAM)).unwrap();
    fleet.wait_live(0, STREAM, 4).await.unwrap();
    let listen = fleet.edge(0).unwrap();
    let to = Targets { publish: fleet.ingest().rtmp, play: listen.rtmp, relay: listen.relay, http: listen.http };

    let urls = fleet.viewer_urls(STREAM);
    let mut arguments: Vec<&str> = urls.iter().map(String::as_str).collect();
    arguments.extend(["--hls", "140", "--flv", "30", "--rtmp", "30", "--ramp", "3s", "--duration", "300s"]);
    arguments
        .extend(["--expect", "no-errors,no-retries,no-stalls,no-gaps,no-back,no-mismatches,no-refusals,all-joined"]);
    let crowd = Crowd::start("crowd", fleet.folder.path(), &arguments).unwrap();
    wait_for("all watch", 20, || async { crowd.progress().contains("Hls 140 watching").then_some(()) }).await.unwrap();

    let epoch = fleet.ingest_status().await.unwrap().ingest.unwrap().streams[STREAM].epoch;
    let before =
        (resident_kib(ingest.pid()).unwrap(), resident_kib(edge.pid()).unwrap(), descriptors(edge.pid()).unwrap());
    let (over, done) = tokio::sync::watch::channel(false);
    let attack = async {
        let let_in = storm(to).await;
        over.send_replace(true);
        let_in
    };
    let (let_in, ingest_most, edge_most) =
        tokio::join!(attack, watch_memory(&ingest, &done), watch_memory(&edge, &done));
    assert_eq!(let_in, 0, "no connection without a key or token gets in");
    assert!(ingest_most < before.0 + MEMORY_MORE_KIB, "the ingest went from {} to {ingest_most} KiB", before.0);
    assert!(edge_most < before.1 + MEMORY_MORE_KIB, "the edge went from {} to {edge_most} KiB", before.1);
    wait_for("the edge has let go of them", 30, || async {
        (descriptors(edge.pid()).ok()? < before.2 + 20).then_some(())
    })
    .await
    .unwrap();

    let report = crowd.finish().await.unwrap();
    assert!(report.holds(), "{}", report.text());
    let now = fleet.ingest_status().await.unwrap().ingest.unwrap();
    assert_eq!(now.streams[STREAM].epoch, epoch, "the publisher was not disturbed");
    assert!(now.refused.values().sum::<u64>() > 500, "wrong keys are counted: {:?}", now.refused);
}
