//! An encoder by hand in front of a server session.

#![allow(dead_code, reason = "every test file uses a part of it")]

use super::pair::drain;
use bytes::Bytes;
use lectern_media::amf0::{self, Limits, Value};
use lectern_media::rtmp::chunk::{self, Reader};
use lectern_media::rtmp::message::{Message, csid, kind};
use lectern_media::rtmp::{Closed, limits, server};
use lectern_media::track::Track;

/// Bytes of a whole handshake of one side.
pub const HANDSHAKE_BYTES: usize = 1 + 2 * 1536;

/// The event of a media message.
pub fn media(track: Track, timestamp: u32, body: &[u8]) -> server::Event {
    server::Event::Media { track, timestamp, body: Bytes::copy_from_slice(body) }
}

/// An encoder by hand: it says what the test wants, whether or not it makes sense.
pub struct Encoder {
    pub server: server::Session,
    pub events: Vec<server::Event>,
    reader: Reader,
    pub now_ms: u64,
}

impl Encoder {
    /// After a simple handshake.
    pub fn new() -> Self {
        let mut encoder = Self {
            server: server::Session::new(server::Config::PUBLIC, 0),
            events: Vec::new(),
            reader: Reader::new(limits::AFTER_PUBLISH),
            now_ms: 0,
        };
        let mut hello = vec![0; HANDSHAKE_BYTES];
        hello[0] = 3;
        let sent = encoder.raw(&hello);
        assert_eq!(sent.len(), HANDSHAKE_BYTES);
        encoder
    }

    /// After `connect`, accepted.
    pub fn connected() -> Self {
        let mut encoder = Self::new();
        let object = Value::Object(vec![
            ("app".to_owned(), Value::from("live/")),
            ("flashVer".to_owned(), Value::from("FMLE/3.0 (compatible; FMSc/1.0)")),
            ("tcUrl".to_owned(), Value::from("rtmp://127.0.0.1:1935/live")),
        ]);
        let answers = encoder.command(0, &[Value::from("connect"), Value::from(1.0), object]);
        assert!(names(&answers).contains(&"_result".to_owned()), "{answers:?}");
        encoder
    }

    /// After `createStream` and `publish`, not accepted yet.
    pub fn asking() -> Self {
        let mut encoder = Self::connected();
        encoder.call("createStream", 4.0, &[]);
        encoder.call_on(1, "publish", 5.0, &[Value::from("hall-a?key=secret"), Value::from("live")]);
        encoder
    }

    /// After an accepted `publish`, its events taken.
    pub fn publishing() -> Self {
        let mut encoder = Self::asking();
        encoder.server.accept_publish(encoder.now_ms).expect("was asked");
        let sent = encoder.drain();
        encoder.read(sent);
        encoder.events.clear();
        encoder
    }

    /// Bytes as they are: what the server sends.
    pub fn raw(&mut self, bytes: &[u8]) -> Vec<u8> {
        let _ = self.server.handle_bytes(self.now_ms, Bytes::copy_from_slice(bytes));
        self.drain()
    }

    /// What the server sends, the events aside.
    pub fn drain(&mut self) -> Vec<u8> {
        drain(|| self.server.poll(), &mut self.events)
    }

    /// The messages in what the server sent.
    pub fn read(&mut self, sent: Vec<u8>) -> Vec<Message> {
        self.reader.push(sent.into());
        std::iter::from_fn(|| self.reader.next_message().expect("the server writes chunks")).collect()
    }

    /// A message: the messages in answer.
    pub fn message(&mut self, kind: u8, stream_id: u32, timestamp: u32, body: &[u8]) -> Vec<Message> {
        let sent = self.raw(&chunk::serialise(csid::of(kind), kind, stream_id, timestamp, body, 128));
        self.read(sent)
    }

    /// A command: the messages in answer.
    pub fn command(&mut self, stream_id: u32, values: &[Value]) -> Vec<Message> {
        self.message(kind::COMMAND, stream_id, 0, &amf0::write_all(values))
    }

    /// A command of the connection.
    pub fn call(&mut self, name: &str, transaction: f64, arguments: &[Value]) -> Vec<Message> {
        self.call_on(0, name, transaction, arguments)
    }

    /// A command of a stream.
    pub fn call_on(&mut self, stream_id: u32, name: &str, transaction: f64, arguments: &[Value]) -> Vec<Message> {
        let mut values = vec![Value::from(name), Value::from(transaction), Value::Null];
        values.extend_from_slice(arguments);
        self.command(stream_id, &values)
    }

    /// Why the session is over, if it is.
    pub fn closed(&self) -> Option<&Closed> {
        match self.events.last() {
            Some(server::Event::Closed(closed)) => Some(closed),
            _ => None,
        }
    }
}

/// The values of a command.
pub fn values(message: &Message) -> Vec<Value> {
    amf0::read_all(&message.body, Limits::CONTROL).expect("the server writes AMF0")
}

/// The names of the commands among messages.
pub fn names(messages: &[Message]) -> Vec<String> {
    let commands = messages.iter().filter(|message| message.kind == kind::COMMAND);
    commands.map(|message| values(message)[0].as_str().expect("a name").to_owned()).collect()
}
