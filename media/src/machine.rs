//! The shape of the protocol machines, which turn bytes of a connection into events and back: mutate once, then drain
//! until the machine waits.
//!
//! The machines of a live stream ([`crate::live`]) have the other shape of this crate: they take decided messages, not
//! bytes, so their `poll` gives outputs until there are none, and the time of the next wake-up is asked for apart.
//!
//! ```text
//! loop {
//!     machine.handle_bytes(now, bytes)   or   machine.handle_timeout(now)   or   a call such as accept_publish()
//!     loop { match machine.poll() { Send(b) => write(b), Event(e) => act on e, Wait(deadline) => break } }
//! }
//! ```
//!
//! A machine does nothing between calls; whatever it wants from the world comes out of `poll`.

use bytes::Bytes;

/// What the shell around a machine must do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<E> {
    /// Write these bytes to the peer, in the order in which they come out.
    Send(Bytes),
    /// Something happened.
    Event(E),
    /// Nothing to do until more bytes come or, if it is given, this time (in the clock of the `now` arguments,
    /// milliseconds) is reached: then call `handle_timeout`.
    Wait(Option<u64>),
}
