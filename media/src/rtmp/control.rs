//! Protocol and user control messages (RTMP 1.0, 5.4 and 7.1.7), and how many of them a peer may send.

use super::limits::CONTROL_MESSAGES_PER_S_MAX;

/// User control events (7.1.7) that have an answer or that we send.
pub(super) mod user {
    pub(crate) const STREAM_EOF: u16 = 1;
    pub(crate) const PING_REQUEST: u16 = 6;
    pub(crate) const PING_RESPONSE: u16 = 7;
}

/// A user control message: event type and data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UserControl {
    pub(super) event: u16,
    pub(super) value: u32,
}

impl UserControl {
    /// `None` if it is too short to have a value: none of those matters.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let &[high, low, a, b, c, d] = body.first_chunk::<6>()?;
        Some(Self { event: u16::from_be_bytes([high, low]), value: u32::from_be_bytes([a, b, c, d]) })
    }

    pub(super) fn to_bytes(self) -> [u8; 6] {
        let [high, low] = self.event.to_be_bytes();
        let [a, b, c, d] = self.value.to_be_bytes();
        [high, low, a, b, c, d]
    }
}

/// A big-endian number, the body of the protocol control messages.
pub(super) fn number(body: &[u8]) -> Option<u32> {
    body.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Counts control messages by the second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    second_began_ms: u64,
    count: u32,
}

impl Rate {
    /// One more. False: too many.
    pub(super) fn admit(&mut self, now_ms: u64) -> bool {
        if now_ms.saturating_sub(self.second_began_ms) >= 1_000 {
            *self = Self { second_began_ms: now_ms, count: 0 };
        }
        self.count += 1;
        self.count <= CONTROL_MESSAGES_PER_S_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_control_messages_a_second_are_admitted() {
        let mut rate = Rate::default();
        assert!((0..64).all(|_| rate.admit(5_000)));
        assert!(!rate.admit(5_999));
        assert!((0..64).all(|_| rate.admit(6_000)), "a new second");
        assert!(!rate.admit(6_000));
    }
}
