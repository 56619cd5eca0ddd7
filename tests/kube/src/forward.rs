//! A port of this machine's loopback that leads into a cluster's network.
//!
//! A socket belongs to the network namespace in which it was made, whatever its process joins later. So one thread
//! listens on a socket made outside and makes its connections inside.

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a connection inside may take to stand: the way is a bridge on the same machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Opens a port on 127.0.0.1 (`port`, or any with 0) that leads to `target` in the network `namespace`, for as long as
/// this process lives. The connection is closed when `target` has no listener.
///
/// # Errors
/// When the port is taken or the namespace cannot be joined.
pub fn open(namespace: &Path, port: u16, target: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("failed to listen on port {port} of this machine"))?;
    let address = listener.local_addr().context("failed to ask for the address of a socket")?;
    let namespace = File::open(namespace).with_context(|| format!("failed to open {}", namespace.display()))?;
    let (joined, outcome) = mpsc::channel();
    thread::spawn(move || {
        let done = setns(namespace, CloneFlags::CLONE_NEWNET);
        let serve = done.is_ok();
        let _ = joined.send(done);
        if serve {
            // Threads inherit the namespace of the thread that starts them.
            listener.incoming().flatten().for_each(|outside| drop(thread::spawn(move || carry(outside, target))));
        }
    });
    outcome.recv().context("the forwarding thread ended")?.context("failed to join the cluster's network")?;
    Ok(address)
}

/// Carries bytes both ways until both sides have ended.
fn carry(outside: TcpStream, target: SocketAddr) {
    let Ok(inside) = TcpStream::connect_timeout(&target, CONNECT_LIMIT) else { return };
    let _ = (outside.set_nodelay(true), inside.set_nodelay(true));
    let (Ok(from), Ok(to)) = (outside.try_clone(), inside.try_clone()) else { return };
    let back = thread::spawn(move || copy(&inside, &outside));
    copy(&from, &to);
    let _ = back.join();
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    if io::copy(&mut from, &mut to).is_err() {
        let _ = from.shutdown(Shutdown::Both);
    }
    let _ = to.shutdown(Shutdown::Write);
}
