//! The server session against what encoders send, also where it makes no sense.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "common/encoder.rs"]
mod encoder;
#[path = "common/pair.rs"]
mod pair;

use bytes::Bytes;
use encoder::{Encoder, media, names, values};
use lectern_media::amf0::{self, Value};
use lectern_media::machine::Output;
use lectern_media::rtmp::chunk;
use lectern_media::rtmp::message::{csid, kind};
use lectern_media::rtmp::{Closed, SessionError, Waiting, limits, server};
use lectern_media::track::Track;
use pair::{Pair, drain};

#[test]
fn the_dialogue_of_encoders_is_answered_as_they_expect() {
    let mut encoder = Encoder::connected();
    assert!(matches!(&encoder.events[0], server::Event::Connect { app, .. } if app == "live"), "without its slash");
    let name = Value::from("hall-a?key=secret");
    assert_eq!(names(&encoder.call("releaseStream", 2.0, std::slice::from_ref(&name))), ["_result"]);
    assert_eq!(names(&encoder.call("FCPublish", 3.0, std::slice::from_ref(&name))), ["_result", "onFCPublish"]);
    let created = encoder.call("createStream", 4.0, &[]);
    assert_eq!(values(&created[0])[1..], [Value::from(4.0), Value::Null, Value::from(1.0)]);
    assert_eq!(names(&encoder.call("_checkbw", 5.0, &[])), ["_result"]);
    assert_eq!(names(&encoder.call("getStreamLength", 6.0, std::slice::from_ref(&name))), ["_result"]);
    assert_eq!(names(&encoder.call("setSomething", 7.0, &[])), ["_error"]);
    assert!(encoder.call("onBWDone", 0.0, &[]).is_empty(), "nobody waits for an answer");
    assert!(encoder.call_on(1, "publish", 8.0, &[name, Value::from("live")]).is_empty(), "the shell decides");
    encoder.server.accept_publish(0).expect("was asked");
    let sent = encoder.drain();
    let answers = encoder.read(sent);
    assert_eq!(names(&answers), ["onStatus"]);
    let status = answers.last().map(|message| (message.stream_id, values(message))).expect("a status");
    assert_eq!(status.0, 1);
    assert_eq!(status.1[3].get("code").and_then(Value::as_str), Some("NetStream.Publish.Start"));
}

/// What comes out of a recorded publish in pieces of this size: every event of an accepted publisher.
fn replayed(recording: &[u8], piece_bytes: usize) -> Vec<server::Event> {
    let mut session = server::Session::new(server::Config::PUBLIC, 0);
    let mut events = Vec::new();
    for piece in recording.chunks(piece_bytes) {
        session.handle_bytes(0, Bytes::copy_from_slice(piece)).expect("is open");
        drain(|| session.poll(), &mut events);
        if matches!(events.last(), Some(server::Event::Publish { .. })) {
            // In the pieces after this one it is accepted already.
            let _ = session.accept_publish(0);
            drain(|| session.poll(), &mut events);
        }
    }
    events
}

#[test]
fn recorded_encoders_publish_the_same_in_any_pieces() {
    let cases: [(&str, &[u8], &str, usize, usize); 2] = [
        // 2 s at 10 frames a second between sequence header and end of sequence; sound with its header.
        ("ffmpeg", include_bytes!("../testdata/ffmpeg-publish.rtmp"), "hall-a", 22, 46),
        ("GStreamer", include_bytes!("../testdata/gstreamer-publish.rtmp"), "hall-b", 12, 0),
    ];
    for (encoder, recording, name, video, audio) in cases {
        let whole = replayed(recording, usize::MAX);
        assert!(matches!(&whole[1], server::Event::Publish { stream, .. } if stream == name), "{encoder}");
        assert!(matches!(whole[2], server::Event::Metadata(_)), "{encoder}");
        let count = |wanted| {
            whole.iter().filter(|event| matches!(event, server::Event::Media { track, .. } if *track == wanted)).count()
        };
        assert_eq!((count(Track::Video), count(Track::Audio)), (video, audio), "{encoder}");
        assert_eq!(whole.last(), Some(&server::Event::Ended), "{encoder}");
        for piece_bytes in [1, 100, 1_000, 4_000] {
            assert_eq!(replayed(recording, piece_bytes), whole, "{encoder} in pieces of {piece_bytes}");
        }
    }
}

#[test]
fn encoders_that_leave_things_out_can_publish() {
    let mut encoder = Encoder::connected();
    encoder.call("createStream", 2.0, &[]);
    // No mode, and the message stream of the connection instead of the new one.
    encoder.call_on(0, "publish", 3.0, &[Value::from("/hall-a")]);
    assert!(matches!(encoder.events.last(), Some(server::Event::Publish { stream, .. }) if stream == "hall-a"));
    assert_eq!(encoder.server.stream_id(), 1);
}

#[test]
fn the_key_may_be_in_the_application_or_the_url() {
    for (app, tc_url) in [("live?key=k", "rtmp://h/live?key=k"), ("live", "rtmp://h/live?key=k")] {
        let mut encoder = Encoder::new();
        let object =
            Value::Object(vec![("app".to_owned(), Value::from(app)), ("tcUrl".to_owned(), Value::from(tc_url))]);
        encoder.command(0, &[Value::from("connect"), Value::from(1.0), object]);
        encoder.call("createStream", 2.0, &[]);
        encoder.call_on(1, "publish", 3.0, &[Value::from("hall-a")]);
        let (app, stream, query) = ("live".to_owned(), "hall-a".to_owned(), Some("key=k".to_owned()));
        assert_eq!(encoder.events.last(), Some(&server::Event::Publish { app, stream, query }));
    }
}

#[test]
fn connect_with_values_that_the_engine_cannot_read_works() {
    let mut encoder = Encoder::new();
    let object = Value::Object(vec![
        ("app".to_owned(), Value::from("live")),
        ("when".to_owned(), Value::Date { unix_ms: 0.0, zone: 0 }),
        ("fourCcList".to_owned(), Value::StrictArray(vec![Value::from("hvc1")])),
        ("audioCodecs".to_owned(), Value::Undefined),
    ]);
    let answers = encoder.command(0, &[Value::from("connect"), Value::from(1.0), object, Value::Unsupported]);
    assert_eq!(names(&answers), ["_result"]);
}

#[test]
fn amf3_commands_and_data_are_read() {
    let mut encoder = Encoder::connected();
    let create = amf0::write_all(&[Value::from("createStream"), Value::from(2.0), Value::Null]);
    assert_eq!(names(&encoder.message(kind::COMMAND_AMF3, 0, 0, &[b"\0", &create[..]].concat())), ["_result"]);
    let mut encoder = Encoder::publishing();
    encoder.message(kind::DATA_AMF3, 1, 0, b"\0\x02\0\x0aonMetaData\x05");
    assert_eq!(encoder.events, [server::Event::Metadata(Bytes::from_static(b"\x02\0\x0aonMetaData\x05"))]);
}

#[test]
fn media_sent_before_the_answer_is_not_lost() {
    let mut encoder = Encoder::asking();
    encoder.message(kind::VIDEO, 1, 7, b"\x27early");
    assert!(matches!(encoder.events.last(), Some(server::Event::Publish { .. })), "nothing overtakes the question");
    encoder.server.accept_publish(0).expect("was asked");
    encoder.drain();
    assert_eq!(encoder.events.last(), Some(&media(Track::Video, 7, b"\x27early")));
}

#[test]
fn a_peer_that_floods_while_a_question_is_open_is_closed() {
    let mut encoder = Encoder::asking();
    for _ in 0..40 {
        encoder.raw(&[0; 8 * 1024]);
    }
    let pending = limits::BEFORE_ACCEPT.pending_bytes;
    assert!(
        matches!(encoder.closed(), Some(Closed::Chunk { source: chunk::ChunkError::PendingTooMuch { limit, .. }, .. }) if *limit == pending),
        "{:?}",
        encoder.closed()
    );
}

#[test]
fn an_encoder_may_publish_again_on_the_same_connection() {
    for goodbye in ["deleteStream", "closeStream", "FCUnpublish"] {
        let mut encoder = Encoder::publishing();
        let argument = if goodbye == "FCUnpublish" { Value::from("hall-a") } else { Value::from(1.0) };
        encoder.call(goodbye, 6.0, &[argument]);
        assert_eq!(encoder.events.last(), Some(&server::Event::Ended), "{goodbye}");
        encoder.message(kind::VIDEO, 1, 0, b"\x27late");
        encoder.call("createStream", 7.0, &[]);
        encoder.call_on(2, "publish", 8.0, &[Value::from("hall-b"), Value::from("live")]);
        assert!(matches!(encoder.events.last(), Some(server::Event::Publish { stream, .. }) if stream == "hall-b"));
        encoder.server.accept_publish(0).expect("was asked");
        encoder.drain();
        encoder.message(kind::VIDEO, 2, 0, b"\x27x");
        assert_eq!(encoder.events.last(), Some(&media(Track::Video, 0, b"\x27x")), "{goodbye}");
    }
}

#[test]
fn a_goodbye_ends_once_and_another_stream_s_not_at_all() {
    let mut encoder = Encoder::publishing();
    encoder.call("deleteStream", 0.0, &[Value::from(3.0)]);
    assert!(encoder.events.is_empty());
    encoder.call("FCUnpublish", 6.0, &[Value::from("hall-a")]);
    encoder.call("deleteStream", 7.0, &[Value::from(1.0)]);
    assert_eq!(encoder.events, [server::Event::Ended]);
}

#[test]
fn pings_are_answered_and_acknowledgements_count_all_bytes() {
    let mut encoder = Encoder::publishing();
    let answers = encoder.message(kind::USER_CONTROL, 0, 0, b"\0\x06\x01\x02\x03\x04");
    assert_eq!((answers[0].kind, &answers[0].body[..]), (kind::USER_CONTROL, &b"\0\x07\x01\x02\x03\x04"[..]));
    encoder.message(kind::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &5_000_u32.to_be_bytes());
    let mut acknowledged = Vec::new();
    for _ in 0..40 {
        let answers = encoder.message(kind::VIDEO, 1, 0, &[0x27; 1_000]);
        let total = encoder.server.received_bytes() as u32;
        for answer in answers {
            assert_eq!((answer.kind, &answer.body[..]), (kind::ACKNOWLEDGEMENT, &total.to_be_bytes()[..]));
            acknowledged.push(total);
        }
    }
    assert!(acknowledged.windows(2).all(|pair| (5_000..7_000).contains(&(pair[1] - pair[0]))), "{acknowledged:?}");
    assert!(acknowledged.len() >= 6, "{acknowledged:?}");
}

#[test]
fn acknowledgements_and_pings_do_not_count_as_control_but_the_rest_does() {
    let mut encoder = Encoder::publishing();
    for _ in 0..300 {
        encoder.message(kind::ACKNOWLEDGEMENT, 0, 0, &[0; 4]);
        encoder.message(kind::USER_CONTROL, 0, 0, b"\0\x06\0\0\0\0");
        encoder.message(kind::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &[0, 0x10, 0, 0]);
    }
    assert_eq!(encoder.closed(), None);
    for _ in 0..64 {
        encoder.call("onBWDone", 0.0, &[]);
    }
    assert_eq!(encoder.closed(), Some(&Closed::TooManyControlMessages { limit: 64 }));
}

#[test]
fn captions_and_cue_points_of_a_publisher_are_no_control_messages() {
    let mut encoder = Encoder::publishing();
    for n in 0..200 {
        encoder.message(kind::DATA, 1, n, b"\x02\0\x0aonTextData\x05");
    }
    assert_eq!(encoder.events.len(), 200);
    assert_eq!(encoder.closed(), None);
}

#[test]
fn metadata_that_is_a_bomb_is_dropped_and_strange_metadata_is_not() {
    let mut encoder = Encoder::publishing();
    let bomb = [&b"\x02\0\x0aonMetaData"[..], &b"\x0a\0\0\0\x01".repeat(1_000)].concat();
    encoder.message(kind::DATA, 1, 0, &bomb);
    assert!(encoder.events.is_empty());
    let strange = b"\x02\0\x0aonMetaData\x11\x0a\x0b";
    encoder.message(kind::DATA, 1, 0, strange);
    assert_eq!(encoder.events, [server::Event::Metadata(Bytes::from_static(strange))]);
}

#[test]
fn short_messages_do_not_keep_the_read_buffer_alive() {
    let mut encoder = Encoder::publishing();
    encoder.message(kind::SET_CHUNK_SIZE, 0, 0, &60_000_u32.to_be_bytes());
    let long = [&b"\x17\x01\0\0\0frame"[..], &[7; 8 << 10]].concat();
    let bodies = [&b"\x17\0\0\0\0config"[..], b"\x17\x01\0\0\0frame", &long];
    let wire = bodies.map(|body| chunk::serialise(csid::VIDEO, kind::VIDEO, 1, 0, body, 60_000));
    let input = Bytes::from(wire.concat());
    let within = input.as_ptr_range();
    encoder.server.handle_bytes(0, input).expect("is open");
    encoder.drain();
    let slices: Vec<_> = encoder
        .events
        .iter()
        .map(|event| match event {
            server::Event::Media { body, .. } => within.contains(&body.as_ptr()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(slices, [false, false, true], "a header and a short frame are copied, a long frame is not");
}

#[test]
fn a_viewer_on_another_stream_is_told_to_connect_again() {
    let mut encoder = Encoder::connected();
    encoder.call("createStream", 2.0, &[]);
    encoder.call("createStream", 3.0, &[]);
    let answers = encoder.call_on(2, "play", 4.0, &[Value::from("hall-a")]);
    assert_eq!(names(&answers), ["onStatus"]);
    assert!(matches!(encoder.closed(), Some(Closed::Rejected { code, .. }) if code == "NetStream.Play.Failed"));
}

#[test]
fn the_shell_cannot_accept_what_nobody_asked_for() {
    let mut encoder = Encoder::connected();
    assert_eq!(encoder.server.accept_publish(0), Err(SessionError::WrongState("accept")));
    assert_eq!(encoder.server.reject("x", "y"), Err(SessionError::WrongState("reject")));
    assert!(encoder.server.send_message(kind::DATA, 0, &Bytes::new()).is_err());
    let mut encoder = Encoder::asking();
    assert_eq!(encoder.server.accept_play(0), Err(SessionError::WrongState("accept")), "it wants to publish");
    assert_eq!(encoder.server.accept_publish(0), Ok(()));
}

/// Moves the clock to the deadline that the server waits for.
fn wait(encoder: &mut Encoder) -> Option<u64> {
    match encoder.server.poll() {
        Output::Wait(Some(deadline_ms)) => {
            encoder.server.handle_timeout(deadline_ms - 1);
            assert_eq!(encoder.closed(), None);
            encoder.server.handle_timeout(deadline_ms);
            encoder.drain();
            Some(deadline_ms)
        }
        Output::Wait(None) => None,
        other => panic!("was drained: {other:?}"),
    }
}

#[test]
fn every_phase_has_its_deadline() {
    let mut silent = Encoder::new();
    silent.server = server::Session::new(server::Config::PUBLIC, 0);
    assert_eq!(wait(&mut silent), Some(5_000));
    assert_eq!(silent.closed(), Some(&Closed::TimedOut { what: Waiting::Handshake }));

    let mut idle = Encoder::connected();
    assert_eq!(wait(&mut idle), Some(10_000));
    assert_eq!(idle.closed(), Some(&Closed::TimedOut { what: Waiting::Accept }));

    let mut publisher = Encoder::publishing();
    publisher.now_ms = 7_000;
    publisher.message(kind::VIDEO, 1, 0, b"\x27x");
    assert_eq!(wait(&mut publisher), Some(10_807_000), "3 h after the last byte");
    assert_eq!(publisher.closed(), Some(&Closed::TimedOut { what: Waiting::Bytes }));

    let mut ended = Encoder::publishing();
    ended.now_ms = 60_000;
    ended.call("deleteStream", 0.0, &[Value::from(1.0)]);
    assert_eq!(wait(&mut ended), Some(70_000), "10 s after the end");

    let mut pair = Pair::playing();
    assert_eq!(pair.server.poll(), Output::Wait(None), "a viewer may stay silent for ever");
}

#[test]
fn the_end_of_a_connection_is_an_event_once() {
    let mut encoder = Encoder::publishing();
    encoder.server.handle_end();
    encoder.server.handle_end();
    encoder.drain();
    assert_eq!(encoder.events, [server::Event::Closed(Closed::ByPeer)]);
}
