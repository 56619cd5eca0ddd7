//! What only the replica that leads has: the Lease, and the root of all generated keys.

pub mod lease;
pub mod root;
