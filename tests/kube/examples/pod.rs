//! The one program of the test cluster's two small images. Called `pause` it holds a pod's namespaces and does nothing;
//! called otherwise it answers every HTTP request on port 8080 with the name of its pod.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

/// What it does when nothing asks it: sleep for ever.
fn main() -> std::io::Result<()> {
    let name = std::env::args().next().unwrap_or_default();
    while name.ends_with("pause") {
        std::thread::park();
    }
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let length = host.len();
    for connection in TcpListener::bind(("0.0.0.0", 8080))?.incoming().flatten() {
        // The head must be read before the connection is closed: else the answer may be lost to a reset.
        let mut head = BufReader::new(&connection).lines().map_while(Result::ok);
        if head.any(|line| line.is_empty()) {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{host}");
            let _ = (&connection).write_all(answer.as_bytes());
        }
    }
    Ok(())
}
