//! What the tasks of one node report to the loop, and under which address a node is reached.

use lectern_api::node_status::NodeStatus;
use std::net::{Ipv4Addr, SocketAddr};

/// What a node's process, or the task that polls it, reports.
#[derive(Debug)]
pub(in crate::backend::local) enum News {
    /// A process ended.
    Died { name: String, life: u32, how: String },
    /// A node answered, or did not.
    Heard { name: String, life: u32, status: Option<Box<NodeStatus>> },
}

/// The address that somebody on this machine can use.
pub(in crate::backend::local) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}
