//! An ingest in this process on real sockets of the loopback, edges that write down what they are told, and encoders.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use bytes::{Bytes, BytesMut};
use lectern_api::keys::{relay_token, stream_key};
use lectern_api::node_status::{IngestStatus, IngestStream, NodeStatus};
use lectern_media::ledger::Profile;
use lectern_media::machine::Output;
use lectern_media::relay::{Greeting, Heartbeat, RelayMessage, decode, encode};
use lectern_media::rtmp::server::{Config, Event, Session};
use lectern_media::track::Track;
use lectern_node::args::IngestOptions;
use lectern_node::config::Source;
use lectern_node::ingest::Running;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Everything is waited for at most this long: the machine may be busy with other things.
pub const DEADLINE: Duration = Duration::from_secs(40);
const SEED: &str = "0123456789abcdef0123456789abcdef";

/// Time between two looks at what can only be asked.
const LOOK: Duration = Duration::from_millis(25);

/// Looks until `condition` gives a value. `None` after [`DEADLINE`]: the caller knows what to show then.
pub async fn wait_for<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let looking = async {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Some(value) = condition().await {
                return value;
            }
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.ok()
}

/// An ingest, its files and its addresses.
pub struct Fleet {
    pub folder: tempfile::TempDir,
    pub rtmp: SocketAddr,
    pub admin: SocketAddr,
    pub shutdown: CancellationToken,
    running: Option<Running>,
}

impl Fleet {
    /// Starts an ingest with these streams and edges; `more` is laid over its configuration.
    pub async fn start(streams: &[&str], edges: &[SocketAddr], more: serde_json::Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seed"), SEED).unwrap();
        let rtmp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = CancellationToken::new();
        let mut fleet = Self {
            rtmp: rtmp.local_addr().unwrap(),
            admin: admin.local_addr().unwrap(),
            folder,
            shutdown: shutdown.clone(),
            running: None,
        };
        fleet.write_edges(edges);
        fleet.write_config(streams, more);
        let source = Source::ingest(IngestOptions { config: fleet.path("node.json"), ..IngestOptions::default() });
        let config = source.load().unwrap();
        fleet.running = Some(Running::start(source, config, shutdown, rtmp, admin).unwrap());
        fleet
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write_config(&self, streams: &[&str], more: serde_json::Value) {
        let streams: Vec<_> = streams.iter().map(|name| json!({"name": name})).collect();
        let mut config = json!({
            "event": "default/gala",
            "streams": streams,
            "seedFile": self.path("seed"),
            "discovery": {"type": "file", "path": self.path("edges.json")},
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        self.replace("node.json", &config.to_string());
    }

    pub fn write_edges(&self, edges: &[SocketAddr]) {
        let edges: Vec<_> = edges.iter().map(|relay| json!({"relay": relay, "admin": "127.0.0.1:9"})).collect();
        self.replace("edges.json", &json!(edges).to_string());
    }

    pub fn replace(&self, name: &str, content: &str) {
        std::fs::write(self.path("new"), content).unwrap();
        std::fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    /// What an encoder publishes to, with the generated key.
    pub fn url(&self, stream: &str) -> String {
        self.url_with(stream, &stream_key(SEED.as_bytes(), stream))
    }

    pub fn url_with(&self, stream: &str, key: &str) -> String {
        format!("rtmp://{}/live/{stream}?key={key}", self.rtmp)
    }

    pub async fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    pub async fn status(&self) -> IngestStatus {
        serde_json::from_str::<NodeStatus>(&self.get("/status").await).unwrap().ingest.unwrap()
    }

    /// Waits until the status fulfils `condition`.
    pub async fn until(&self, what: &str, condition: impl Fn(&IngestStatus) -> bool) -> IngestStatus {
        let found = wait_for(async || Some(self.status().await).filter(&condition)).await;
        match found {
            Some(status) => status,
            None => panic!("{what}: {:#?}", self.status().await),
        }
    }

    pub async fn until_stream(&self, name: &str, condition: impl Fn(&IngestStream) -> bool) -> IngestStream {
        let status = self.until(name, |s| s.streams.get(name).is_some_and(&condition)).await;
        status.streams[name].clone()
    }

    /// Stops as SIGTERM does; how long it took.
    pub async fn stop(mut self) -> Duration {
        let since = Instant::now();
        self.shutdown.cancel();
        self.running.take().unwrap().stop().await;
        since.elapsed()
    }
}

/// One thing an edge was told.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a test holds few of them")]
pub enum Told {
    Opened(String),
    Message(RelayMessage),
    Frame { track: Track, stamp: u32, body: Bytes },
    Closed,
}

/// An edge that only writes down.
pub struct FakeEdge {
    pub address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    grown: Arc<Notify>,
    _task: tokio::task::JoinHandle<()>,
}

impl FakeEdge {
    pub async fn start() -> Self {
        Self::with(Greeting { profiles: vec![Profile::ONE], ..Greeting::default() }).await
    }

    pub async fn with(greeting: Greeting) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, grown) = (Arc::<Mutex<Vec<Told>>>::default(), Arc::new(Notify::new()));
        let (all, notify) = (told.clone(), grown.clone());
        let task = tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { return };
                let (all, notify, greeting) = (all.clone(), notify.clone(), greeting.clone());
                tokio::spawn(async move {
                    let say = |told| {
                        all.lock().unwrap().push(told);
                        notify.notify_waiters();
                    };
                    serve_link(socket, greeting, say).await;
                    all.lock().unwrap().push(Told::Closed);
                    notify.notify_waiters();
                });
            }
        });
        Self { address, told, grown, _task: task }
    }

    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until what it was told fulfils `condition`.
    pub async fn until(&self, what: &str, condition: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        let since = Instant::now();
        loop {
            let grown = self.grown.notified();
            let told = self.told();
            if condition(&told) {
                return told;
            }
            let left = DEADLINE.saturating_sub(since.elapsed());
            let waited = tokio::time::timeout(left, grown).await;
            assert!(waited.is_ok(), "{what}: {:#?}", self.messages());
        }
    }

    pub fn messages(&self) -> Vec<RelayMessage> {
        messages(&self.told())
    }
}

pub fn messages(told: &[Told]) -> Vec<RelayMessage> {
    told.iter().filter_map(|t| if let Told::Message(m) = t { Some(m.clone()) } else { None }).collect()
}

async fn serve_link(mut socket: TcpStream, greeting: Greeting, say: impl Fn(Told)) {
    let since = Instant::now();
    let now = || u64::try_from(since.elapsed().as_millis()).unwrap();
    let mut session = Session::new(Config::RELAY, 0);
    let mut buffer = BytesMut::new();
    let mut accepted = false;
    let mut beat = tokio::time::interval(Duration::from_millis(500));
    let token = format!("token={}", relay_token(SEED.as_bytes()));
    loop {
        loop {
            match session.poll() {
                Output::Send(bytes) => {
                    if socket.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Output::Event(Event::Connect { query, .. }) => {
                    assert_eq!(query.as_deref(), Some(token.as_str()));
                    session.accept_connect().unwrap();
                }
                Output::Event(Event::Publish { stream, .. }) => {
                    session.accept_publish(now()).unwrap();
                    accepted = true;
                    say(Told::Opened(stream));
                    let greeting = encode(&RelayMessage::Greeting(greeting.clone()));
                    session.send_message(18, 0, &greeting).unwrap();
                }
                Output::Event(Event::Data(payload)) => match decode(&payload).unwrap() {
                    RelayMessage::Heartbeat(_) => {}
                    message => say(Told::Message(message)),
                },
                Output::Event(Event::Media { track, timestamp, body }) => {
                    say(Told::Frame { track, stamp: timestamp, body });
                }
                Output::Event(Event::Closed(_)) => return,
                Output::Event(_) => {}
                Output::Wait(_) => break,
            }
        }
        tokio::select! {
            read = socket.read_buf(&mut buffer) => match read {
                Ok(0) | Err(_) => session.handle_end(),
                Ok(_) => { let _ = session.handle_bytes(now(), buffer.split().freeze()); }
            },
            _ = beat.tick() => {
                session.handle_timeout(now());
                if accepted {
                    let beat = encode(&RelayMessage::Heartbeat(Heartbeat { now_ms: now() }));
                    let _ = session.send_message(18, 0, &beat);
                }
            }
        }
    }
}

/// A real encoder; killed when dropped.
pub struct Encoder(tokio::process::Child);

impl Encoder {
    /// Publishes a test picture and a tone in real time.
    pub fn publish(url: &str) -> Self {
        Self::with(url, &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac"])
    }

    pub fn with(url: &str, codecs: &[&str]) -> Self {
        Self::spawn(url, &["-re"], codecs)
    }

    /// Publishes as fast as it can.
    pub fn hurried(url: &str) -> Self {
        Self::spawn(url, &[], &["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac"])
    }

    fn spawn(url: &str, pace: &[&str], codecs: &[&str]) -> Self {
        let child = tokio::process::Command::new("ffmpeg")
            .args(["-v", "error"])
            .args(pace)
            .args(["-f", "lavfi", "-i", "testsrc=size=320x180:rate=25"])
            .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-shortest"])
            .args(codecs)
            .args(["-f", "flv", url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("ffmpeg is installed (scripts/setup)");
        Self(child)
    }

    /// Ends as a person ends it: the stream is unpublished.
    pub async fn finish(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id().unwrap()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        self.0.wait().await.unwrap();
    }

    /// Waits for it to end by itself; what it complained of.
    pub async fn complaint(self) -> String {
        let output = tokio::time::timeout(DEADLINE, self.0.wait_with_output()).await.expect("it ends").unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub fn id(&self) -> u32 {
        self.0.id().unwrap()
    }
}
