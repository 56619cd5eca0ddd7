//! The handshake (RTMP 1.0, 5.2), simple and with digests, by `rml_rtmp`, which is given the bytes of the handshake and
//! not one more: what follows stays in its own buffer, uncopied.

use super::event::Closed;
use bytes::Bytes;
use rml_rtmp::handshake::{Handshake as Engine, HandshakeProcessResult, PeerType};

/// C0 and C1 and C2, or S0 and S1 and S2.
const PEER_BYTES: usize = 1 + 1536 + 1536;

/// A handshake under way.
pub(super) struct Handshake {
    engine: Box<Engine>,
    /// Bytes of the peer's part that have not come.
    missing: usize,
}

/// What some bytes did to a handshake.
pub(super) struct Step {
    /// To be sent.
    pub(super) response: Bytes,
    /// It is over; the rest of the input is chunks.
    pub(super) done: bool,
}

impl Handshake {
    /// Waits for C0.
    pub(super) fn server() -> Self {
        Self { engine: Box::new(Engine::new(PeerType::Server)), missing: PEER_BYTES }
    }

    /// Begins with C0 and C1, to be sent.
    pub(super) fn client() -> Result<(Self, Bytes), Closed> {
        let mut engine = Box::new(Engine::new(PeerType::Client));
        let first = engine.generate_outbound_p0_and_p1().map_err(failed)?;
        Ok((Self { engine, missing: PEER_BYTES }, first.into()))
    }

    /// Takes what belongs to the handshake from the front of `input`.
    pub(super) fn advance(&mut self, input: &mut Bytes) -> Result<Step, Closed> {
        let ours = input.split_to(self.missing.min(input.len()));
        self.missing -= ours.len();
        match self.engine.process_bytes(&ours).map_err(failed)? {
            HandshakeProcessResult::InProgress { response_bytes } => {
                Ok(Step { response: response_bytes.into(), done: false })
            }
            HandshakeProcessResult::Completed { response_bytes, remaining_bytes: _ } => {
                Ok(Step { response: response_bytes.into(), done: true })
            }
        }
    }
}

// The engine holds 3 KiB of random bytes, which would only fill the log.
impl std::fmt::Debug for Handshake {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Handshake").field("missing", &self.missing).finish_non_exhaustive()
    }
}

fn failed(error: rml_rtmp::handshake::HandshakeError) -> Closed {
    Closed::Handshake { reason: error.to_string() }
}
