//! What the commands that run on do when they are told to end while the API server does not answer.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Whatever is waited for comes within this time, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A command with an API server that takes connections and never says a word.
struct Run {
    child: Child,
    log: mpsc::Receiver<String>,
    _api: TcpListener,
    _folder: tempfile::TempDir,
}

impl Run {
    fn start(args: &[&str]) -> Self {
        let api = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "silent",
            "clusters": [{"name": "silent", "cluster": {"server": format!("http://{}", api.local_addr().unwrap())}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "silent", "context": {"cluster": "silent", "user": "nobody"}}],
        });
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lectern"));
        command.env_clear().env("KUBECONFIG", path).args(args).args(["--listen-admin", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        Self { child, log, _api: api, _folder: folder }
    }

    fn says(&self, words: &str) {
        while !self.log.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("it never says {words:?}")).contains(words) {}
    }

    fn kill(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    }

    fn code(&mut self) -> Option<i32> {
        // Its log ends when it does.
        while self.log.recv_timeout(DEADLINE).is_ok() {}
        self.child.wait().unwrap().code()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const OPERATOR: (&[&str], &str) = (&["operator", "--node-image", "node:1"], "waiting to lead");
const METRICS_API: (&[&str], &str) = (&["metrics-api", "--listen-https", "127.0.0.1:0"], "started");

#[test]
fn one_signal_ends_a_command_well() {
    for (args, begun) in [OPERATOR, METRICS_API] {
        let mut run = Run::start(args);
        run.says(begun);
        run.kill("INT");
        run.says("SIGINT: stopping");
        assert_eq!(run.code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_second_signal_ends_a_command_at_once() {
    for ((args, begun), signal, code) in [(OPERATOR, "INT", 130), (METRICS_API, "TERM", 143)] {
        let mut run = Run::start(args);
        run.says(begun);
        run.kill("TERM");
        run.says("SIGTERM: stopping");
        run.kill(signal);
        assert_eq!(run.code(), Some(code), "{args:?}");
    }
}
