//! What every connection of a node needs, whatever it carries: sockets, the clock, batches of writes, limits.

pub(crate) mod backoff;
pub mod clock;
pub mod lobby;
pub(crate) mod log_limit;
pub(crate) mod outbox;
pub mod places;
pub(crate) mod pump;
pub(crate) mod socket;
pub mod wire;
