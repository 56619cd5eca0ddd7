//! The controls of a player: pause and seek. Requests that a live stream cannot fulfil are refused with a reason.

use crate::amf0::Value;
use crate::rtmp::command::{self, Command};
use crate::rtmp::server::{Event, Session, State};

impl Session {
    /// `pause` (RTMP 1.0, 7.2.2.8): media stops, or goes on. The stream does not wait meanwhile.
    pub(super) fn pause(&mut self, command: &Command) {
        let State::Playing { stream_id } = self.state else { return };
        let paused = matches!(command.arguments.first(), Some(Value::Boolean(true)));
        let (code, words) = if paused {
            ("NetStream.Pause.Notify", "paused: the stream itself goes on")
        } else {
            ("NetStream.Unpause.Notify", "playing again")
        };
        let status = command::status("status", code, words);
        self.transport.send_command(stream_id, "onStatus", 0.0, Value::Null, &[status]);
        self.events.push_back(Event::Pause { paused });
    }

    /// `seek` (RTMP 1.0, 7.2.2.7): there is only now. The stream goes on.
    pub(super) fn seek(&mut self, transaction: f64) {
        let State::Playing { stream_id } = self.state else { return };
        let status = command::status("error", "NetStream.Seek.Failed", "a live stream has nothing to seek in");
        if transaction != 0.0 {
            let answer = std::slice::from_ref(&status);
            self.transport.send_command(0, "_error", transaction, Value::Null, answer);
        }
        self.transport.send_command(stream_id, "onStatus", 0.0, Value::Null, &[status]);
    }
}
