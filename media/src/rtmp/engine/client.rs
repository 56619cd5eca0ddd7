//! The client's engine: `connect`, `createStream`, then `publish` or `play`.

use super::{Output, command_bytes, failed};
use crate::amf0::Value;
use crate::rtmp::command;
use crate::rtmp::config::{ClientConfig, Mode};
use crate::rtmp::event::Closed;
use crate::rtmp::limits::{CHUNK_SIZE_MAX, CHUNK_SIZE_MIN};
use crate::rtmp::message::Message;
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionError, ClientSessionResult, PublishRequestType,
};

pub(in crate::rtmp) struct Engine {
    session: Box<ClientSession>,
    output: Output,
}

/// What this end calls itself: servers that look at it look for FMLE.
const FLASH_VERSION: &str = "FMLE/3.0 (compatible; Lectern)";

impl Engine {
    pub(in crate::rtmp) fn new(config: &ClientConfig) -> Result<Self, Closed> {
        let mut settings = ClientSessionConfig::new();
        settings.flash_version = FLASH_VERSION.to_owned();
        settings.chunk_size = config.chunk_size.clamp(CHUNK_SIZE_MIN, CHUNK_SIZE_MAX);
        settings.window_ack_size = config.window_bytes;
        settings.tc_url = Some(config.tc_url.clone());
        let (session, _) = ClientSession::new(settings).map_err(|error| failed(&error))?;
        Ok(Self { session: Box::new(session), output: Output::new() })
    }

    /// `connect`.
    pub(in crate::rtmp) fn connect(&mut self, app: &str) -> Result<Vec<Message>, Closed> {
        let result = self.session.request_connection(app.to_owned()).map(|result| vec![result]);
        self.collect(result)
    }

    /// `createStream` on the way to publish or play.
    pub(in crate::rtmp) fn request(&mut self, mode: Mode, stream: &str) -> Result<Vec<Message>, Closed> {
        let result = match mode {
            Mode::Publish => self.session.request_publishing(stream.to_owned(), PublishRequestType::Live),
            Mode::Play => self.session.request_playback(stream.to_owned()),
        };
        self.collect(result.map(|result| vec![result]))
    }

    /// The server's `_result`, with the stream it made if it made one.
    pub(in crate::rtmp) fn result(&mut self, transaction: f64, stream_id: Option<u32>) -> Result<Vec<Message>, Closed> {
        let argument = stream_id.map_or(Value::Null, |id| Value::from(f64::from(id)));
        self.command("_result", transaction, &[argument])
    }

    /// `onStatus` with a code that starts what was asked for.
    pub(in crate::rtmp) fn status(&mut self, code: &str) -> Result<Vec<Message>, Closed> {
        self.command("onStatus", 0.0, &[Value::Object(vec![("code".to_owned(), Value::from(code))])])
    }

    fn command(&mut self, name: &str, transaction: f64, arguments: &[Value]) -> Result<Vec<Message>, Closed> {
        let bytes = command_bytes(0, &command::payload(name, transaction, Value::Null, arguments));
        let results = self.session.handle_input(&bytes);
        self.collect(results)
    }

    fn collect(
        &mut self,
        results: Result<Vec<ClientSessionResult>, ClientSessionError>,
    ) -> Result<Vec<Message>, Closed> {
        let mut messages = Vec::new();
        for result in results.map_err(|error| failed(&error))? {
            if let ClientSessionResult::OutboundResponse(packet) = result {
                self.output.read(packet.bytes, &mut messages)?;
            }
        }
        Ok(messages)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine").finish_non_exhaustive()
    }
}
