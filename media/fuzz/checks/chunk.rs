//! The chunk reader: any bytes in any pieces give the same messages and the same error as the whole, within the limits;
//! and what was read is written and read again as the same.

use bytes::Bytes;
use lectern_media::rtmp::Message;
use lectern_media::rtmp::chunk::{ChunkError, Limits, Reader, serialise};
use lectern_media::rtmp::limits::{AFTER_PLAY, AFTER_PUBLISH, BEFORE_ACCEPT};
use lectern_media::rtmp::message::kind;

/// The first byte chooses the limits, the second the pieces; the rest is the peer's.
pub fn any_pieces(data: &[u8]) {
    let [choice, piece, rest @ ..] = data else { return };
    let limits = [BEFORE_ACCEPT, AFTER_PUBLISH, AFTER_PLAY][usize::from(*choice) % 3];
    let whole = read(limits, rest, rest.len().max(1));
    let pieces = read(limits, rest, usize::from(*piece).max(1));
    assert_eq!(pieces, whole);
    for message in &whole.0 {
        // These would change how the rest is read.
        if !matches!(message.kind, kind::SET_CHUNK_SIZE | kind::ABORT | kind::AGGREGATE) {
            let written = serialise(4, message.kind, message.stream_id, message.timestamp, &message.body, 128);
            let again = read(AFTER_PUBLISH, &written, 1_000);
            assert_eq!(again, (vec![message.clone()], None));
        }
    }
}

fn read(limits: Limits, data: &[u8], piece: usize) -> (Vec<Message>, Option<ChunkError>) {
    let mut reader = Reader::new(limits);
    let mut messages = Vec::new();
    for piece in data.chunks(piece) {
        reader.push(Bytes::copy_from_slice(piece));
        loop {
            match reader.next_message() {
                Ok(Some(message)) => {
                    assert!(message.body.len() <= limits.message_bytes);
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
            assert!(reader.unfinished_bytes() <= limits.pending_bytes);
        }
    }
    (messages, None)
}
