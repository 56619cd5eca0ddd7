//! Relay messages as AMF0 data: the string `@lectern` and one long string of JSON.

use super::{RelayMessage, bounds};
use bytes::{BufMut, Bytes, BytesMut};

/// The RTMP application that edges accept on the relay port.
pub const RELAY_APP: &str = "relay";
/// Name of the AMF0 data message.
pub const RELAY_HANDLER: &str = "@lectern";

const STRING: u8 = 0x02;
const LONG_STRING: u8 = 0x0c;

/// Why bytes are no relay message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The payload of an AMF0 data message of another name: metadata, for instance.
    #[error("not a relay message")]
    Other,
    /// It has the name, but is cut short.
    #[error("relay message of {length} bytes is cut short")]
    Short {
        /// Bytes there were.
        length: usize,
    },
    /// The JSON does not fit. A message of a kind from a newer release ends here too: the caller skips it.
    #[error("failed to read relay message: {source}")]
    Json {
        /// The error of the JSON reader.
        source: serde_json::Error,
    },
    /// A number is far from anything that an ingest or an edge could mean.
    #[error("relay message has `{field}` = {value}, which is out of bounds")]
    Excess {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

/// The payload of the AMF0 data message (RTMP type 18) that carries `message`.
#[must_use]
pub fn encode(message: &RelayMessage) -> Bytes {
    // Plain structs with string keys: serialising them cannot fail.
    let json = serde_json::to_vec(message).unwrap_or_default();
    let mut out = BytesMut::with_capacity(json.len() + RELAY_HANDLER.len() + 8);
    out.put_u8(STRING);
    out.put_u16(u16::try_from(RELAY_HANDLER.len()).unwrap_or(u16::MAX));
    out.put_slice(RELAY_HANDLER.as_bytes());
    out.put_u8(LONG_STRING);
    out.put_u32(u32::try_from(json.len()).unwrap_or(u32::MAX));
    out.put_slice(&json);
    out.freeze()
}

/// Reads the payload of an AMF0 data message.
///
/// # Errors
/// [`DecodeError::Other`] if it has another name; the other kinds if it is broken.
pub fn decode(payload: &[u8]) -> Result<RelayMessage, DecodeError> {
    let name = RELAY_HANDLER.as_bytes();
    let rest = payload
        .strip_prefix(&[STRING, 0, name.len().to_be_bytes()[7]])
        .and_then(|rest| rest.strip_prefix(name))
        .ok_or(DecodeError::Other)?;
    let short = DecodeError::Short { length: payload.len() };
    let Some((&[LONG_STRING, a, b, c, d], json)) = rest.split_first_chunk::<5>() else { return Err(short) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let json = json.get(..length).ok_or(short)?;
    let message = serde_json::from_slice(json).map_err(|source| DecodeError::Json { source })?;
    match bounds::excess(&message) {
        Some((field, value)) => Err(DecodeError::Excess { field, value }),
        None => Ok(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{Heartbeat, Mark};

    #[test]
    fn what_is_written_is_read_again() {
        for message in
            [RelayMessage::Heartbeat(Heartbeat { now_ms: 7 }), RelayMessage::Mark(Mark { msn: 3, ..Mark::default() })]
        {
            assert_eq!(decode(&encode(&message)).expect("reads"), message);
        }
    }

    #[test]
    fn numbers_that_no_ingest_gives_out_are_refused_by_name() {
        let mark = Mark { msn: u64::MAX, ..Mark::default() };
        let refused = decode(&encode(&RelayMessage::Mark(mark))).expect_err("out of bounds");
        assert_eq!(refused.to_string(), "relay message has `msn` = 18446744073709551615, which is out of bounds");
    }

    #[test]
    fn metadata_and_cut_messages_are_told_apart() {
        assert!(matches!(decode(b"\x02\x00\x0aonMetaData\x05"), Err(DecodeError::Other)));
        let whole = encode(&RelayMessage::Heartbeat(Heartbeat { now_ms: 7 }));
        assert!(matches!(decode(&whole[..whole.len() - 1]), Err(DecodeError::Short { .. })));
    }
}
