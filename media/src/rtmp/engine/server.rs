//! The server's engine: answers `connect`, `createStream`, `publish` and `play`.

use super::{Output, command_bytes, failed};
use crate::amf0::Value;
use crate::rtmp::command;
use crate::rtmp::event::Closed;
use crate::rtmp::limits::PLAY_CHUNK_SIZE;
use crate::rtmp::message::Message;
use rml_rtmp::sessions::{ServerSession, ServerSessionConfig, ServerSessionEvent, ServerSessionResult};

/// A request that awaits an answer.
pub(in crate::rtmp) type RequestId = u32;

pub(in crate::rtmp) struct Engine {
    session: Box<ServerSession>,
    output: Output,
}

/// What a command led to.
#[derive(Debug, Default)]
pub(in crate::rtmp) struct Outcome {
    /// To be sent.
    pub(in crate::rtmp) messages: Vec<Message>,
    /// To be accepted.
    pub(in crate::rtmp) request: Option<RequestId>,
}

impl Engine {
    /// With what it sends first: chunk size, window, bandwidth.
    pub(in crate::rtmp) fn new(window_bytes: u32) -> Result<(Self, Outcome), Closed> {
        let mut config = ServerSessionConfig::new();
        config.chunk_size = PLAY_CHUNK_SIZE;
        config.window_ack_size = window_bytes;
        config.peer_bandwidth = window_bytes;
        config.send_on_bw_done_message_on_start = false;
        let (session, results) = ServerSession::new(config).map_err(|error| failed(&error))?;
        let mut engine = Self { session: Box::new(session), output: Output::new() };
        let outcome = engine.collect(results)?;
        Ok((engine, outcome))
    }

    pub(in crate::rtmp) fn connect(&mut self, transaction: f64, app: &str) -> Result<Outcome, Closed> {
        let object = Value::Object(vec![
            ("app".to_owned(), Value::from(app)),
            // AMF0, even if the peer knows AMF3.
            ("objectEncoding".to_owned(), Value::Number(0.0)),
        ]);
        self.command(0, "connect", transaction, object, &[])
    }

    pub(in crate::rtmp) fn create_stream(&mut self, transaction: f64) -> Result<Outcome, Closed> {
        self.command(0, "createStream", transaction, Value::Null, &[])
    }

    pub(in crate::rtmp) fn publish(&mut self, stream_id: u32, name: &str) -> Result<Outcome, Closed> {
        self.command(stream_id, "publish", 0.0, Value::Null, &[Value::from(name), Value::from("live")])
    }

    pub(in crate::rtmp) fn play(&mut self, stream_id: u32, name: &str) -> Result<Outcome, Closed> {
        self.command(stream_id, "play", 0.0, Value::Null, &[Value::from(name)])
    }

    /// The stream can be published on again.
    pub(in crate::rtmp) fn close_stream(&mut self, stream_id: u32) -> Result<Outcome, Closed> {
        self.command(0, "closeStream", 0.0, Value::Null, &[Value::from(f64::from(stream_id))])
    }

    /// The stream is no more.
    pub(in crate::rtmp) fn delete_stream(&mut self, stream_id: u32) -> Result<Outcome, Closed> {
        self.command(0, "deleteStream", 0.0, Value::Null, &[Value::from(f64::from(stream_id))])
    }

    pub(in crate::rtmp) fn accept(&mut self, request: RequestId) -> Result<Outcome, Closed> {
        let results = self.session.accept_request(request).map_err(|error| failed(&error))?;
        self.collect(results)
    }

    fn command(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        object: Value,
        arguments: &[Value],
    ) -> Result<Outcome, Closed> {
        let bytes = command_bytes(stream_id, &command::payload(name, transaction, object, arguments));
        let results = self.session.handle_input(&bytes).map_err(|error| failed(&error))?;
        self.collect(results)
    }

    fn collect(&mut self, results: Vec<ServerSessionResult>) -> Result<Outcome, Closed> {
        let mut outcome = Outcome::default();
        for result in results {
            match result {
                ServerSessionResult::OutboundResponse(packet) => {
                    self.output.read(packet.bytes, &mut outcome.messages)?;
                }
                ServerSessionResult::RaisedEvent(
                    ServerSessionEvent::ConnectionRequested { request_id, .. }
                    | ServerSessionEvent::PublishStreamRequested { request_id, .. }
                    | ServerSessionEvent::PlayStreamRequested { request_id, .. },
                ) => outcome.request = Some(request_id),
                ServerSessionResult::RaisedEvent(_) | ServerSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
        Ok(outcome)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine").finish_non_exhaustive()
    }
}
