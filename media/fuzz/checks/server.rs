//! The server session, handshake and guard and engine: any bytes, in any phase and any pieces, end in a state that the
//! documentation names, with bounded answers.

use bytes::Bytes;
use lectern_media::amf0::{Value, write_all};
use lectern_media::machine::Output;
use lectern_media::rtmp::chunk::serialise;
use lectern_media::rtmp::message::kind;
use lectern_media::rtmp::server::{Config, Event, Session};

/// Bytes of a whole handshake of one side.
const HANDSHAKE_BYTES: usize = 3_073;
/// What a session may answer to a byte, and once besides: a ping costs 18 bytes and its answer as much; the longest
/// answers are those to `play`.
const ANSWER_BYTES_PER_BYTE: usize = 64;
const ANSWER_BYTES: usize = 8_192;

/// The first byte chooses how far the peer has come and what the shell decides, the second the pieces.
pub fn any_phase(data: &[u8]) {
    let [choice, piece, rest @ ..] = data else { return };
    let config = if choice & 0x40 == 0 { Config::PUBLIC } else { Config::RELAY };
    let mut peer = Peer { session: Session::new(config, 0), rejects: choice & 0x80 != 0, now_ms: 0, answered: 0 };
    let prefix = prefix(choice & 0x3f);
    peer.give(&prefix);
    for piece in rest.chunks(usize::from(*piece).max(1)) {
        peer.give(piece);
        if peer.session.handle_bytes(peer.now_ms, Bytes::new()).is_err() {
            break;
        }
    }
    assert!(
        peer.answered <= ANSWER_BYTES + (prefix.len() + rest.len()) * ANSWER_BYTES_PER_BYTE,
        "{} bytes in answer to {}",
        peer.answered,
        prefix.len() + rest.len()
    );
    peer.session.handle_timeout(u64::MAX / 2);
    peer.session.handle_end();
    peer.run();
    assert_eq!(peer.session.poll(), Output::Wait(None), "nothing is waited for at the end");
}

struct Peer {
    session: Session,
    rejects: bool,
    now_ms: u64,
    answered: usize,
}

impl Peer {
    fn give(&mut self, bytes: &[u8]) {
        let _ = self.session.handle_bytes(self.now_ms, Bytes::copy_from_slice(bytes));
        self.run();
        // Slow enough for a thousand small pieces to take several seconds.
        self.now_ms += 7;
    }

    fn run(&mut self) {
        let mut closed = false;
        loop {
            match self.session.poll() {
                Output::Send(bytes) => self.answered += bytes.len(),
                Output::Wait(_) => return,
                Output::Event(event) => {
                    assert!(!closed, "{event:?} after the end");
                    closed = matches!(event, Event::Closed(_));
                    self.decide(&event);
                }
            }
        }
    }

    fn decide(&mut self, event: &Event) {
        // In a session that does not ask there is nothing to accept at `Connect`: an error that is ignored.
        let _ = match event {
            Event::Connect { .. } => self.session.accept_connect(),
            Event::Publish { .. } | Event::Play { .. } if self.rejects => self.session.reject("code", "description"),
            Event::Publish { .. } => self.session.accept_publish(self.now_ms),
            Event::Play { .. } => self.session.accept_play(self.now_ms),
            Event::Metadata(_)
            | Event::Data(_)
            | Event::Media { .. }
            | Event::Pause { .. }
            | Event::SecondRefused { .. }
            | Event::Ended
            | Event::Closed(_) => Ok(()),
        };
    }
}

/// What a peer that has come so far has sent.
fn prefix(phase: u8) -> Vec<u8> {
    let command = |stream_id, values: &[Value]| serialise(3, kind::COMMAND, stream_id, 0, &write_all(values), 128);
    let app = Value::Object(vec![("app".to_owned(), Value::from("live"))]);
    let name = Value::from("hall-a?key=0123456789");
    let mut handshake = vec![0; HANDSHAKE_BYTES];
    handshake[0] = 3;
    let steps = [
        handshake.into(),
        command(0, &[Value::from("connect"), Value::from(1.0), app]),
        command(0, &[Value::from("createStream"), Value::from(2.0), Value::Null]),
    ];
    let last = match phase {
        4 => command(1, &[Value::from("publish"), Value::from(3.0), Value::Null, name, Value::from("live")]),
        5 => command(1, &[Value::from("play"), Value::from(3.0), Value::Null, name]),
        _ => Bytes::new(),
    };
    let mut bytes: Vec<u8> = steps.iter().take(usize::from(phase)).flatten().copied().collect();
    bytes.extend_from_slice(&last);
    bytes
}
