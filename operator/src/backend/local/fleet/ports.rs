//! Free ports for nodes.

use anyhow::{Result, bail};
use lectern_api::node_config::EdgeListen;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Ports of nodes come from here: below the range that Linux gives to outgoing connections (from 32,768 on), so that a
/// port that was free stays free until the node has it.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Two runs on one machine begin their search in different places.
const PORT_STRIDE: u32 = 97;

/// Free ports of this machine.
pub(super) struct Ports {
    at: u16,
    taken: BTreeSet<u16>,
}

impl Ports {
    pub(super) fn new(taken: [u16; 2]) -> Self {
        let spread = std::process::id().wrapping_mul(PORT_STRIDE) % u32::from(PORTS.end - PORTS.start);
        Self { at: PORTS.start + u16::try_from(spread).unwrap_or(0), taken: taken.into() }
    }

    pub(super) fn edge(&mut self) -> Result<EdgeListen> {
        Ok(EdgeListen { http: self.next()?, rtmp: self.next()?, relay: self.next()?, admin: self.next()? })
    }

    /// The next one that no process listens on and that was not given out before.
    pub(super) fn next(&mut self) -> Result<SocketAddr> {
        for _ in PORTS {
            self.at = if self.at + 1 < PORTS.end { self.at + 1 } else { PORTS.start };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.at));
            if !self.taken.contains(&self.at) && TcpListener::bind(address).is_ok() {
                self.taken.insert(self.at);
                return Ok(address);
            }
        }
        bail!("failed to find a port for a node: {} to {} are all in use", PORTS.start, PORTS.end - 1)
    }
}
