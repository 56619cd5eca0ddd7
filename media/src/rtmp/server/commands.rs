//! What a peer's messages do: the commands of encoders and players, and the odd ones, answered as they expect it.

use super::{Event, Link, Purpose, Session, State};
use crate::amf0::Value;
use crate::rtmp::command::{self, Command, split_query};
use crate::rtmp::engine::server::Engine;
use crate::rtmp::event::Closed;
use crate::rtmp::limits::{NAME_BYTES_MAX, STREAMS_MAX};
use crate::rtmp::message::{Message, kind};
use crate::rtmp::payload::{self, Payload};

mod player;
mod refusal;

impl Session {
    pub(super) fn handle_message(&mut self, message: Message) -> Result<Option<Event>, Closed> {
        if message.kind == kind::COMMAND {
            self.transport.count_control()?;
            let command = Command::parse(&message.body)
                .map_err(|source| Closed::Command { received: self.transport.received(), source })?;
            return self.handle_command(message.stream_id, &command).map(|()| None);
        }
        let State::Publishing { link, stream_id, .. } = &self.state else {
            // Media in front of an accepted publish costs its sender more than us; data is counted.
            if message.kind == kind::DATA {
                self.transport.count_control()?;
            }
            return Ok(None);
        };
        // An encoder whose second publish was refused may send all the same. A stream that was never made is the
        // accepted one: some encoders send on stream 0.
        if message.stream_id != *stream_id && (1..=link.streams).contains(&message.stream_id) {
            return Ok(None);
        }
        Ok(payload::read(message).map(|payload| match payload {
            Payload::Media { track, timestamp, body } => Event::Media { track, timestamp, body },
            Payload::Metadata(data) => Event::Metadata(data),
            Payload::Data(data) => Event::Data(data),
        }))
    }

    fn handle_command(&mut self, stream_id: u32, command: &Command) -> Result<(), Closed> {
        let transaction = command.transaction;
        match command.name.as_str() {
            "connect" => self.connect(command),
            _ if matches!(self.state, State::Opening) => {
                self.call_failed(transaction, "connect first");
                Err(unexpected(&command.name, "before connect"))
            }
            "createStream" => self.create_stream(transaction),
            "publish" => self.request(Purpose::Publish, stream_id, command),
            "play" => self.request(Purpose::Play, stream_id, command),
            "deleteStream" => self.end_stream(command.stream_id(), EndedBy::Delete),
            "closeStream" => self.end_stream(command.stream_id().or(Some(stream_id)), EndedBy::Close),
            "FCUnpublish" => {
                self.result(transaction, Value::Undefined);
                self.notify("onFCUnpublish", "NetStream.Unpublish.Success", command);
                if self.publishes(command) {
                    return self.end_stream(None, EndedBy::Close);
                }
                Ok(())
            }
            "pause" | "pauseRaw" => {
                self.pause(command);
                Ok(())
            }
            "seek" => {
                self.seek(transaction);
                Ok(())
            }
            "FCPublish" => {
                self.result(transaction, Value::Undefined);
                self.notify("onFCPublish", "NetStream.Publish.Start", command);
                Ok(())
            }
            "FCSubscribe" => {
                self.notify("onFCSubscribe", "NetStream.Play.Start", command);
                Ok(())
            }
            "releaseStream" | "_checkbw" | "FCUnsubscribe" => {
                self.result(transaction, Value::Undefined);
                Ok(())
            }
            // Live: it has no length.
            "getStreamLength" => {
                self.result(transaction, Value::Number(0.0));
                Ok(())
            }
            name => {
                self.decline(name, transaction);
                Ok(())
            }
        }
    }

    fn connect(&mut self, command: &Command) -> Result<(), Closed> {
        if !matches!(self.state, State::Opening) {
            self.call_failed(command.transaction, "this connection is connected already");
            return Ok(());
        }
        let text = |name: &str| command.object.get(name).and_then(Value::as_str).unwrap_or_default();
        let Some((app, app_query)) = split_query(text("app")).filter(|(app, _)| !app.is_empty()) else {
            self.refuse_connect(command.transaction);
            return Ok(());
        };
        let tc_url = text("tcUrl");
        let url_query = tc_url.split_once('?').map(|(_, query)| query);
        let query = app_query.or(url_query).map(str::to_owned);
        let (mut engine, greeting) = Engine::new(self.config.window_bytes)?;
        self.transport.send_all(&greeting.messages);
        let outcome = engine.connect(command.transaction, app)?;
        self.transport.send_all(&outcome.messages);
        let request = outcome.request.ok_or_else(|| unexpected("connect", "that the engine did not see"))?;
        self.events.push_back(Event::Connect {
            app: app.to_owned(),
            tc_url: tc_url.to_owned(),
            flash_ver: text("flashVer").to_owned(),
            query: query.clone(),
        });
        let link = Link { engine, app: app.to_owned(), query, streams: 0 };
        self.state = State::ConnectAsked { link, request, transaction: command.transaction };
        if !self.config.ask_connect {
            // It was set just above, so it can be accepted.
            let _ = self.accept_connect();
        }
        Ok(())
    }

    fn create_stream(&mut self, transaction: f64) -> Result<(), Closed> {
        let (State::Connected(link) | State::Publishing { link, .. }) = &mut self.state else {
            self.call_failed(transaction, "this connection plays already: connect again to play another stream");
            return Ok(());
        };
        if link.streams >= STREAMS_MAX {
            let words = format!("a connection may make {STREAMS_MAX} streams: connect again for another");
            self.call_failed(transaction, &words);
            return Ok(());
        }
        link.streams += 1;
        let outcome = link.engine.create_stream(transaction)?;
        self.transport.send_all(&outcome.messages);
        Ok(())
    }

    fn request(&mut self, purpose: Purpose, stream_id: u32, command: &Command) -> Result<(), Closed> {
        let link = match &mut self.state {
            State::Connected(link) => link,
            State::Publishing { .. } => {
                self.refuse_second(purpose, stream_id, "this connection publishes already: connect again");
                return Ok(());
            }
            State::Playing { .. } => {
                self.refuse_second(purpose, stream_id, "this connection plays already: connect again");
                return Ok(());
            }
            // No command is read in these.
            State::Opening | State::ConnectAsked { .. } | State::Asked { .. } | State::Closed => return Ok(()),
        };
        if link.streams == 0 {
            self.refuse_request(purpose, stream_id, "createStream comes first");
            return Ok(());
        }
        // Some name no stream or a wrong one: they mean what was made last.
        let stream_id = if (1..=link.streams).contains(&stream_id) { stream_id } else { link.streams };
        let Some((stream, query)) = command.text(0).and_then(split_query) else {
            let words = format!("a stream name is a string of at most {NAME_BYTES_MAX} bytes");
            self.refuse_request(purpose, stream_id, &words);
            return Ok(());
        };
        let query = query.map(str::to_owned).or_else(|| link.query.clone());
        // The engine repeats the name in its answers, so it gets the name without the key.
        let outcome = match purpose {
            Purpose::Publish => link.engine.publish(stream_id, stream)?,
            Purpose::Play => link.engine.play(stream_id, stream)?,
        };
        let request = outcome.request.ok_or_else(|| unexpected(&command.name, "that the engine did not see"))?;
        let (app, stream) = (link.app.clone(), stream.to_owned());
        self.transport.send_all(&outcome.messages);
        if let State::Connected(link) = std::mem::replace(&mut self.state, State::Closed) {
            self.state = State::Asked { link, request, purpose, stream_id, name: stream.clone() };
        }
        match purpose {
            Purpose::Publish => self.events.push_back(Event::Publish { app, stream, query }),
            // Media for viewers is serialised once, for message stream 1, and every viewer gets the same bytes.
            Purpose::Play if stream_id != 1 => {
                let _ = self.reject("NetStream.Play.Failed", "one stream a connection: connect again to play another");
            }
            Purpose::Play => self.events.push_back(Event::Play { app, stream, query }),
        }
        Ok(())
    }

    /// Whether the accepted publish is of the name in `command`, or the command names none.
    fn publishes(&self, command: &Command) -> bool {
        let State::Publishing { name: accepted, .. } = &self.state else { return false };
        command.text(0).and_then(split_query).is_none_or(|(name, _)| name.is_empty() || name == accepted)
    }

    /// The peer is done with `stream_id`, or with every stream of its connection if it names none.
    fn end_stream(&mut self, stream_id: Option<u32>, by: EndedBy) -> Result<(), Closed> {
        let current = self.stream_id();
        if current == 0 || stream_id.is_some_and(|id| id != current) {
            return Ok(());
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Publishing { mut link, stream_id, .. } => {
                let outcome = match by {
                    EndedBy::Delete => link.engine.delete_stream(stream_id),
                    EndedBy::Close => link.engine.close_stream(stream_id),
                };
                self.state = State::Connected(link);
                self.since_ms = self.transport.now_ms();
                self.events.push_back(Event::Ended);
                self.answer(outcome);
            }
            State::Playing { .. } => {
                self.events.push_back(Event::Ended);
                self.finish(Closed::ByPeer);
            }
            other => self.state = other,
        }
        Ok(())
    }

    /// `_result`, where the sender waits for one.
    fn result(&mut self, transaction: f64, value: Value) {
        if transaction != 0.0 {
            self.transport.send_command(0, "_result", transaction, Value::Null, &[value]);
        }
    }

    /// The answer that Flash Media Server sends in addition to `_result`: some encoders wait for it.
    fn notify(&mut self, name: &str, code: &str, command: &Command) {
        let stream = command.text(0).and_then(split_query).map_or("", |(stream, _)| stream);
        let status = command::status("status", code, stream);
        self.transport.send_command(0, name, 0.0, Value::Null, &[status]);
    }

    /// A command without meaning here. Answers and the controls of players need no answer, calls do.
    fn decline(&mut self, name: &str, transaction: f64) {
        let silent = ["", "_result", "_error", "onStatus", "receiveAudio", "receiveVideo"];
        if !silent.contains(&name) {
            self.call_failed(transaction, "no such method");
        }
    }

    /// `_error`, where the sender waits for an answer.
    fn call_failed(&mut self, transaction: f64, words: &str) {
        if transaction != 0.0 {
            let status = command::status("error", "NetConnection.Call.Failed", words);
            self.transport.send_command(0, "_error", transaction, Value::Null, &[status]);
        }
    }
}

/// Whether the stream can be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndedBy {
    Delete,
    Close,
}

fn unexpected(name: &str, what: &str) -> Closed {
    const SHOWN_CHARACTERS: usize = 40;
    let name: String = name.chars().take(SHOWN_CHARACTERS).collect();
    Closed::Unexpected { what: format!("{name:?} {what}") }
}
