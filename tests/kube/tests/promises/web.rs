//! Asking HTTP servers inside the cluster's network.

use lectern_testcluster::Cluster;
use serde_json::Value;
use std::process::Stdio;

/// What a server answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// 0 without an answer.
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub fn is_ok(&self) -> bool {
        self.status == 200
    }
}

/// Asks once, on a connection of its own, for at most five seconds.
pub fn get(cluster: &Cluster, url: &str) -> Answer {
    get_with(cluster, url, &[])
}

/// [`get`] with more arguments for curl.
pub fn get_with(cluster: &Cluster, url: &str, more: &[&str]) -> Answer {
    let mut curl = cluster.exec_in_netns("curl");
    // Headers and body in one stream: head, empty line, body.
    curl.args(["--silent", "--include", "--max-time", "5"]).args(more).arg(url);
    let Ok(said) = curl.stdin(Stdio::null()).output() else { return Answer::default() };
    parse(&said.stdout).filter(|_| said.status.success()).unwrap_or_default()
}

fn parse(said: &[u8]) -> Option<Answer> {
    let end = said.windows(4).position(|four| four == b"\r\n\r\n")?;
    let headers = String::from_utf8_lossy(&said[..end]).to_lowercase();
    let status = headers.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, headers, body: said[end + 4..].to_vec() })
}

/// The lines of a playlist that are URIs.
pub fn uris(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}
