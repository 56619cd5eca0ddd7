//! The bytes that are known to end a bare `rml_rtmp` 0.8 session, or its process, against the guarded one.
//!
//! Each was found by fuzzing or by reading; docs/adr/0005 says what was made of it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use bytes::Bytes;
use lectern_media::amf0::{self, Value};
use lectern_media::machine::Output;
use lectern_media::rtmp::message::{csid, kind};
use lectern_media::rtmp::server::{Config, Event, Session};
use lectern_media::rtmp::{Closed, chunk};
use rml_rtmp::sessions::{ServerSession, ServerSessionConfig};

/// Name and bytes, as they come right after the handshake. The bare session dies of each at once.
fn killers() -> Vec<(&'static str, Vec<u8>)> {
    let interleaved = [
        &chunk::header(4, kind::VIDEO, 1, 0, 200)[..],
        &[0x27; 128],
        &chunk::serialise(6, kind::AUDIO, 1, 0, &[0xaf; 10], 128),
        &[0xc4],
        &[0x27; 72],
    ];
    let aborted = [
        &chunk::header(4, kind::VIDEO, 1, 0, 200)[..],
        &[0x27; 128],
        &chunk::serialise(2, kind::ABORT, 0, 0, &4_u32.to_be_bytes(), 128),
        &chunk::serialise(4, kind::VIDEO, 1, 0, &[0x27; 100], 128),
    ];
    let set_data_frame = b"\x03\0\0\0\0\0\x10\x12\0\0\0\0\x02\0\x0d@setDataFrame";
    vec![
        ("a command of one value", b"\x03\0\0\0\0\0\x01\x14\0\0\0\0\x05".to_vec()),
        ("an AMF3 command of one byte", b"\x02\0\0\xa8\0\0\0\x11\x01\0\0\0".to_vec()),
        ("@setDataFrame and nothing after it", set_data_frame.to_vec()),
        ("two messages interleaved", interleaved.concat()),
        ("an aborted message and another one", aborted.concat()),
    ]
}

/// What the bare session dies of only while somebody publishes.
fn later_killers() -> Vec<(&'static str, Vec<u8>)> {
    vec![(
        "@setDataFrame and only a name",
        chunk(kind::DATA, &[Value::from("@setDataFrame"), Value::from("onMetaData")]),
    )]
}

/// Ends the whole process of a bare session: not to be tried on it.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |level: &[u8]| chunk::serialise(3, kind::COMMAND, 0, 0, &level.repeat(60_000 / level.len()), 128);
    vec![
        ("10,000 arrays in arrays", deep(b"\x0a\0\0\0\x01").to_vec()),
        ("15,000 objects in objects", deep(b"\x03\0\x01a").to_vec()),
        ("60,000 values", deep(b"\x05").to_vec()),
        ("an array of four billion", deep(b"\x0a\xff\xff\xff\xff").to_vec()),
    ]
}

fn chunk(kind: u8, values: &[Value]) -> Vec<u8> {
    chunk::serialise(csid::of(kind), kind, 0, 0, &amf0::write_all(values), 128).to_vec()
}

/// A session after a simple handshake.
fn open() -> Session {
    let mut session = Session::new(Config::PUBLIC, 0);
    let mut hello = vec![0; 3_073];
    hello[0] = 3;
    session.handle_bytes(0, hello.into()).unwrap();
    run(&mut session);
    session
}

/// A session whose publisher was accepted.
fn publishing() -> Session {
    let mut session = open();
    let app = Value::Object(vec![("app".to_owned(), Value::from("live"))]);
    let dialogue = [
        chunk(kind::COMMAND, &[Value::from("connect"), Value::from(1.0), app]),
        chunk(kind::COMMAND, &[Value::from("createStream"), Value::from(2.0), Value::Null]),
        chunk(kind::COMMAND, &[Value::from("publish"), Value::from(3.0), Value::Null, Value::from("hall-a")]),
    ];
    session.handle_bytes(0, dialogue.concat().into()).unwrap();
    assert!(matches!(run(&mut session).last(), Some(Event::Publish { .. })));
    session.accept_publish(0).unwrap();
    run(&mut session);
    session
}

fn run(session: &mut Session) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match session.poll() {
            Output::Send(_) => {}
            Output::Event(event) => events.push(event),
            Output::Wait(_) => return events,
        }
    }
}

#[test]
fn the_bare_session_still_falls_over() {
    // If this fails the library got better and the guard may get thinner.
    for (name, bytes) in killers() {
        let bare = std::panic::catch_unwind(|| {
            let (mut session, _) = ServerSession::new(ServerSessionConfig::new()).unwrap();
            let _ = session.handle_input(&bytes);
        });
        assert!(bare.is_err(), "{name}");
    }
}

#[test]
fn the_guarded_session_survives_or_ends_with_a_reason_in_every_phase() {
    for (name, bytes) in killers().into_iter().chain(later_killers()).chain(bombs()) {
        for (phase, mut session) in [("open", open()), ("publishing", publishing())] {
            session.handle_bytes(0, Bytes::from(bytes.clone())).unwrap();
            for event in run(&mut session) {
                assert!(
                    matches!(
                        event,
                        Event::Media { .. }
                            | Event::Data(_)
                            | Event::Metadata(_)
                            | Event::Closed(Closed::Command { .. } | Closed::Unexpected { .. })
                    ),
                    "{name}, {phase}: {event:?}"
                );
            }
        }
    }
}

#[test]
fn legal_interleaving_is_read_right() {
    let mut session = publishing();
    let (_, interleaved) = killers().swap_remove(3);
    session.handle_bytes(0, interleaved.into()).unwrap();
    let lengths: Vec<_> = run(&mut session)
        .iter()
        .map(|event| match event {
            Event::Media { body, .. } => body.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths, [10, 200]);
}

#[test]
fn nested_values_are_refused_with_their_depth() {
    for (name, bytes) in bombs() {
        let mut session = open();
        session.handle_bytes(0, bytes.into()).unwrap();
        let events = run(&mut session);
        assert!(
            matches!(
                &events[..],
                [Event::Closed(Closed::Command { source: amf0::Error::Depth { .. } | amf0::Error::Values { .. }, .. })]
            ),
            "{name}: {events:?}"
        );
    }
}
