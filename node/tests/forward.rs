//! Forwarding to a real nginx-rtmp, with a real encoder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use std::path::Path;
use std::process::Stdio;

#[path = "support/fleet.rs"]
mod fleet;

use fleet::{Encoder, Fleet, wait_for};

/// An nginx-rtmp that records what is pushed to it; killed when dropped.
struct Nginx {
    folder: tempfile::TempDir,
    port: u16,
    process: tokio::process::Child,
}

impl Nginx {
    async fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        std::fs::create_dir(folder.path().join("recorded")).unwrap();
        // Workers run as whoever runs the test, so that they may write into its folder.
        let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n{user} daemon off; master_process off;\n\
             pid {at}/pid; error_log {at}/error.log info;\nevents {{ worker_connections 64; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; wait_key on; record all; \
             record_path {at}/recorded; record_unique on; }} }} }}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let process = tokio::process::Command::new("/usr/sbin/nginx")
            .args(["-c", &format!("{at}/nginx.conf"), "-e", &format!("{at}/error.log"), "-p", &at.to_string()])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx with its RTMP module is installed (scripts/setup)");
        let nginx = Self { folder, port, process };
        let listens = wait_for(async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        assert!(listens.is_some(), "nginx does not listen:\n{}", nginx.log());
        nginx
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }

    /// Sizes of the recordings, which are named after the stream.
    fn recordings(&self) -> Vec<(String, std::path::PathBuf, u64)> {
        let entries = std::fs::read_dir(self.folder.path().join("recorded")).unwrap().flatten();
        let mut all: Vec<_> = entries
            .map(|e| (e.file_name().into_string().unwrap(), e.path(), e.metadata().map_or(0, |m| m.len())))
            .collect();
        all.sort();
        all
    }

    async fn until_recorded(&self, name: &str, count: usize, bytes: u64) -> std::path::PathBuf {
        let recorded = wait_for(async || {
            let (_, path, size) =
                self.recordings().into_iter().filter(|(n, _, _)| n.starts_with(name)).nth(count - 1)?;
            (size >= bytes).then_some(path)
        });
        match recorded.await {
            Some(path) => path,
            None => panic!("{name} is not recorded: {:?}\n{}", self.recordings(), self.log()),
        }
    }

    /// Ends in order: the workers too.
    async fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id().unwrap()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.process.wait().await.unwrap();
    }
}

/// What ffprobe finds in a file: codec names, and the flags of the first video packet.
async fn probe(path: &Path) -> String {
    let output = tokio::process::Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name:format_tags=encoder:packet=stream_index,flags"])
        .args(["-select_streams", "v", "-read_intervals", "%+#1", "-of", "compact"])
        .arg(path)
        .output()
        .await
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_forwarded_to_nginx_rtmp_and_again_after_it_restarted() {
    let port = free_port();
    let nginx = Nginx::start(port).await;
    let secrets = tempfile::tempdir().unwrap();
    let more = json!({
        "forwardDir": secrets.path(),
        "forward": [{"name": "cdn", "streams": ["hall-a"]}],
        "hls": {"segmentMs": 1000},
    });
    let fleet = Fleet::start(&["hall-a", "hall-b"], &[], more).await;
    let encoder = Encoder::publish(&fleet.url("hall-a"));
    fleet.until_stream("hall-a", |s| s.epoch.is_some()).await;
    let status = fleet.until("one forward", |s| s.forwards.len() == 1).await;
    assert!(!status.forwards[0].loaded, "the URL is not there yet");

    // The Secret comes while the stream is live: pushing begins in the middle of it.
    std::fs::write(secrets.path().join("cdn"), format!("rtmp://127.0.0.1:{port}/live/copy-with-key\n")).unwrap();
    fleet.until("connected", |s| s.forwards[0].connected).await;
    let recorded = nginx.until_recorded("copy-with-key", 1, 100_000).await;
    let found = probe(&recorded).await;
    assert!(found.contains("codec_name=h264"), "{found}");
    assert!(found.contains("flags=K"), "begins with a key frame: {found}");

    // The other server goes and comes back.
    nginx.stop().await;
    let status = fleet.until("noticed", |s| !s.forwards[0].connected && s.forwards[0].error.is_some()).await;
    assert!(!format!("{:?}", status.forwards).contains("copy-with-key"), "the URL is a secret");
    let nginx = Nginx::start(port).await;
    fleet.until("connected again", |s| s.forwards[0].connected).await;
    nginx.until_recorded("copy-with-key", 1, 20_000).await;

    // The encoder comes back with a new epoch within ten seconds: the push goes on.
    encoder.finish().await;
    let _encoder = Encoder::publish(&fleet.url("hall-a"));
    fleet.until_stream("hall-a", |s| s.epoch.is_some()).await;
    let (_, _, size) = nginx.recordings().remove(0);
    nginx.until_recorded("copy-with-key", 1, size + 50_000).await;
    assert_eq!(nginx.recordings().len(), 1, "one publish for the other server");
    assert_eq!(nginx.port, port);
    nginx.stop().await;
    fleet.stop().await;
}
