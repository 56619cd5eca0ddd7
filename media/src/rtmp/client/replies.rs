//! What a server's messages do.

use super::{
    Event, Mode, Session, State, TRANSACTION_CONNECT, TRANSACTION_CREATE_STREAM, TRANSACTION_FC_PUBLISH,
    TRANSACTION_RELEASE,
};
use crate::amf0::Value;
use crate::rtmp::command::Command;
use crate::rtmp::event::Closed;
use crate::rtmp::message::{Message, kind};
use crate::rtmp::payload::{self, Payload};

impl Session {
    pub(super) fn handle_message(&mut self, message: Message) -> Result<Option<Event>, Closed> {
        let Some(transport) = &mut self.transport else { return Ok(None) };
        if message.kind == kind::COMMAND {
            transport.count_control()?;
            let command = Command::parse(&message.body)
                .map_err(|source| Closed::Command { received: transport.received(), source })?;
            return self.handle_command(&command).map(|()| None);
        }
        // Some servers send media before they report that play has started.
        if !matches!(self.state, State::Requested { .. } | State::Ready { .. }) {
            return Ok(None);
        }
        Ok(payload::read(message).and_then(|payload| match payload {
            Payload::Media { track, timestamp, body } => {
                (self.config.mode == Mode::Play).then_some(Event::Media { track, timestamp, body })
            }
            Payload::Metadata(data) => Some(Event::Metadata(data)),
            Payload::Data(data) => Some(Event::Data(data)),
        }))
    }

    fn handle_command(&mut self, command: &Command) -> Result<(), Closed> {
        match command.name.as_str() {
            "_result" => self.result(command),
            "_error" => {
                let awaited = match self.state {
                    State::Connecting(_) => TRANSACTION_CONNECT,
                    State::Creating(_) => TRANSACTION_CREATE_STREAM,
                    // Servers that do not know releaseStream and FCPublish answer with an error, which does not matter.
                    _ => return Ok(()),
                };
                if command.transaction == awaited {
                    self.rejected(status_of(command));
                }
                Ok(())
            }
            "onStatus" => self.status(command),
            // onBWDone, onFCPublish, _checkbw and other commands that ask for nothing.
            _ => Ok(()),
        }
    }

    fn result(&mut self, command: &Command) -> Result<(), Closed> {
        let Some(transport) = &mut self.transport else { return Ok(()) };
        match &mut self.state {
            State::Connecting(engine) if command.transaction == TRANSACTION_CONNECT => {
                transport.send_all(&engine.result(TRANSACTION_CONNECT, None)?);
                let name = Value::from(self.config.stream.as_str());
                if self.config.mode == Mode::Publish {
                    for (command, transaction) in
                        [("releaseStream", TRANSACTION_RELEASE), ("FCPublish", TRANSACTION_FC_PUBLISH)]
                    {
                        transport.send_command(0, command, transaction, Value::Null, std::slice::from_ref(&name));
                    }
                }
                transport.send_all(&engine.request(self.config.mode, &self.config.stream)?);
                if let State::Connecting(engine) = std::mem::replace(&mut self.state, State::Closed) {
                    self.state = State::Creating(engine);
                }
            }
            State::Creating(engine) if command.transaction == TRANSACTION_CREATE_STREAM => {
                let stream_id = command
                    .stream_id()
                    .ok_or_else(|| Closed::Unexpected { what: "answer to createStream without a stream".to_owned() })?;
                transport.send_all(&engine.result(TRANSACTION_CREATE_STREAM, Some(stream_id))?);
                if let State::Creating(engine) = std::mem::replace(&mut self.state, State::Closed) {
                    self.state = State::Requested { engine, stream_id };
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn status(&mut self, command: &Command) -> Result<(), Closed> {
        let status = status_of(command);
        if status.level == "error" {
            self.rejected(status);
            return Ok(());
        }
        let started = match self.config.mode {
            Mode::Publish => "NetStream.Publish.Start",
            Mode::Play => "NetStream.Play.Start",
        };
        match (&mut self.state, status.code) {
            (State::Requested { engine, stream_id }, code) if code == started => {
                // It answers nothing; it gets the message so that its state is the same as without the guard.
                engine.status(code)?;
                let stream_id = *stream_id;
                self.state = State::Ready { stream_id };
                self.events.push_back(Event::Ready);
            }
            (
                State::Ready { .. },
                "NetStream.Play.UnpublishNotify"
                | "NetStream.Play.Complete"
                | "NetStream.Play.Stop"
                | "NetStream.Unpublish.Success",
            ) => self.events.push_back(Event::Ended),
            _ => {}
        }
        Ok(())
    }

    fn rejected(&mut self, status: Status<'_>) {
        let (code, description) = (status.code.to_owned(), status.description.to_owned());
        self.events.push_back(Event::Rejected { code: code.clone(), description: description.clone() });
        self.end(Closed::Rejected { code, description });
    }
}

/// The status object of a command (7.2.2), empty where it lacks something.
struct Status<'a> {
    level: &'a str,
    code: &'a str,
    description: &'a str,
}

fn status_of(command: &Command) -> Status<'_> {
    let object = command.arguments.first();
    let text = |name: &str| object.and_then(|object| object.get(name)).and_then(Value::as_str).unwrap_or_default();
    Status { level: text("level"), code: text("code"), description: text("description") }
}
