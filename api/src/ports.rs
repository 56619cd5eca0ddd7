//! The port numbers that scripts, Services and people rely on.

use std::net::{Ipv4Addr, SocketAddr};

/// RTMP: publish at the ingest, play at an edge.
pub const RTMP: u16 = 1935;
/// RTMP relay from ingest to edge; never exposed outside the cluster.
pub const RELAY: u16 = 1936;
/// HLS and HTTP-FLV.
pub const HTTP: u16 = 8080;
/// `/healthz`, `/readyz`, `/status`, `/metrics`.
pub const ADMIN: u16 = 9090;

/// `port` on all addresses.
#[must_use]
pub fn any(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}
