//! Requests that come at the wrong moment or lack something: refused with a code and a sentence that encoders and
//! players show. A stream that was accepted before goes on.

use crate::amf0::Value;
use crate::rtmp::command;
use crate::rtmp::event::Closed;
use crate::rtmp::server::{Event, Purpose, Session};

/// Sent for `connect` without a usable application.
const NO_APPLICATION: &str = "the URL names no application: rtmp://HOST/live/STREAM";

impl Purpose {
    /// What encoders and players look for.
    fn refusal(self) -> &'static str {
        match self {
            Self::Publish => "NetStream.Publish.BadName",
            Self::Play => "NetStream.Play.Failed",
        }
    }
}

impl Session {
    /// `connect` cannot be accepted (RTMP 1.0, 7.2.1.1): `_error`, then the end.
    pub(super) fn refuse_connect(&mut self, transaction: f64) {
        let code = "NetConnection.Connect.Rejected";
        let status = command::status("error", code, NO_APPLICATION);
        self.transport.send_command(0, "_error", transaction, Value::Null, &[status]);
        self.finish(Closed::Rejected { code: code.to_owned(), description: NO_APPLICATION.to_owned() });
    }

    /// A publish or play that cannot be asked about: `onStatus`, then the end.
    pub(super) fn refuse_request(&mut self, purpose: Purpose, stream_id: u32, words: &str) {
        self.say_refused(purpose, stream_id, words);
        self.finish(Closed::Rejected { code: purpose.refusal().to_owned(), description: words.to_owned() });
    }

    /// A publish or play on a connection that has an accepted one: `onStatus`, and the accepted one goes on.
    pub(super) fn refuse_second(&mut self, purpose: Purpose, stream_id: u32, words: &str) {
        self.say_refused(purpose, stream_id, words);
        self.events.push_back(Event::SecondRefused { description: words.to_owned() });
    }

    fn say_refused(&mut self, purpose: Purpose, stream_id: u32, words: &str) {
        let status = command::status("error", purpose.refusal(), words);
        self.transport.send_command(stream_id, "onStatus", 0.0, Value::Null, &[status]);
    }
}
