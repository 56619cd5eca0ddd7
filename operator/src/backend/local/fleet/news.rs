//! What the tasks of one node report to the loop.

use lectern_api::node_status::NodeStatus;

/// What a node's process, or the task that polls it, reports.
#[derive(Debug)]
pub(in crate::backend::local) enum News {
    /// A process ended.
    Died { name: String, life: u32, how: String },
    /// A node answered, or did not.
    Heard { name: String, life: u32, status: Option<Box<NodeStatus>> },
}
