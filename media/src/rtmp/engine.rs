//! `rml_rtmp`'s sessions behind the guard: they are given commands that were made anew from vetted values, one
//! unmixed message at a time, and their answers are read back into messages.
//!
//! Nothing that a peer sent reaches them as it came, and no media does (docs/adr/0005 explains what would happen).

use super::chunk::{self, Reader};
use super::event::Closed;
use super::limits::{AFTER_PUBLISH, CHUNK_SIZE_DEFAULT};
use super::message::{Message, csid, kind};
use bytes::Bytes;

pub(super) mod client;
pub(super) mod server;

/// Reads an engine's output.
#[derive(Debug)]
struct Output {
    reader: Reader,
}

impl Output {
    fn new() -> Self {
        Self { reader: Reader::new(AFTER_PUBLISH) }
    }

    fn read(&mut self, packet: Vec<u8>, messages: &mut Vec<Message>) -> Result<(), Closed> {
        self.reader.push(packet.into());
        while let Some(message) = self.reader.next_message().map_err(|error| failed(&error))? {
            messages.push(message);
        }
        Ok(())
    }
}

/// A command as an engine reads it: chunks of 128 bytes on one chunk stream.
fn command_bytes(stream_id: u32, payload: &[u8]) -> Bytes {
    chunk::serialise(csid::DATA, kind::COMMAND, stream_id, 0, payload, CHUNK_SIZE_DEFAULT)
}

fn failed(error: &dyn std::fmt::Display) -> Closed {
    Closed::Engine { reason: error.to_string() }
}
