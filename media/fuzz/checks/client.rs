//! The client session: any bytes of a server, in any phase and any pieces, end in a state that the documentation names.

use bytes::Bytes;
use lectern_media::amf0::{Value, write_all};
use lectern_media::machine::Output;
use lectern_media::rtmp::chunk::serialise;
use lectern_media::rtmp::client::{ClientConfig, Event, Mode, Session};
use lectern_media::rtmp::message::kind;
use lectern_media::track::Track;

/// Bytes of a whole handshake of one side.
const HANDSHAKE_BYTES: usize = 3_073;

/// The first byte chooses mode and how far it has come, the second the pieces; the rest is the server's.
pub fn any_phase(data: &[u8]) {
    let [choice, piece, rest @ ..] = data else { return };
    let mode = if choice & 0x80 == 0 { Mode::Publish } else { Mode::Play };
    let mut session = Session::new(ClientConfig::new(mode, "rtmp://127.0.0.1/live", "live", "hall-a"), 0);
    run(&mut session);
    for step in prefix(mode, choice & 0x7) {
        let _ = session.handle_bytes(0, step);
        run(&mut session);
    }
    for (index, piece) in rest.chunks(usize::from(*piece).max(1)).enumerate() {
        let _ = session.handle_bytes(index as u64 * 7, Bytes::copy_from_slice(piece));
        run(&mut session);
        let _ = session.send_media(Track::Video, 0, &Bytes::from_static(b"\x27"));
    }
    session.handle_timeout(u64::MAX / 2);
    session.close();
    run(&mut session);
    assert_eq!(session.poll(), Output::Wait(None), "nothing is waited for at the end");
    assert!(session.handle_bytes(0, Bytes::new()).is_err());
}

fn run(session: &mut Session) {
    let mut closed = false;
    loop {
        match session.poll() {
            Output::Send(_) => {}
            Output::Wait(_) => return,
            Output::Event(event) => {
                assert!(!closed, "{event:?} after the end");
                closed = matches!(event, Event::Closed(_));
            }
        }
    }
}

/// What a server has answered by then.
fn prefix(mode: Mode, phase: u8) -> Vec<Bytes> {
    let command = |values: &[Value]| serialise(3, kind::COMMAND, 0, 0, &write_all(values), 128);
    let result = |transaction: f64, value: Value| {
        command(&[Value::from("_result"), Value::from(transaction), Value::Null, value])
    };
    let code = match mode {
        Mode::Publish => "NetStream.Publish.Start",
        Mode::Play => "NetStream.Play.Start",
    };
    let status = Value::Object(vec![("code".to_owned(), Value::from(code))]);
    let mut handshake = vec![0; HANDSHAKE_BYTES];
    handshake[0] = 3;
    let mut steps = vec![
        handshake.into(),
        result(1.0, Value::Null),
        result(2.0, Value::from(1.0)),
        command(&[Value::from("onStatus"), Value::from(0.0), Value::Null, status]),
    ];
    steps.truncate(usize::from(phase));
    steps
}
