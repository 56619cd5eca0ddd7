//! What a peer is answered that asks at the wrong moment, asks twice, or leaves something out.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "common/encoder.rs"]
mod encoder;
#[path = "common/pair.rs"]
mod pair;

use encoder::{Encoder, media, names, values};
use lectern_media::amf0::Value;
use lectern_media::rtmp::message::{Message, kind};
use lectern_media::rtmp::{Closed, limits, server};
use lectern_media::track::Track;

/// A viewer whose play was accepted, its events taken.
fn playing() -> Encoder {
    let mut viewer = Encoder::connected();
    viewer.call("createStream", 2.0, &[]);
    viewer.call_on(1, "play", 0.0, &[Value::from("hall-a")]);
    viewer.server.accept_play(0).expect("was asked");
    let sent = viewer.drain();
    viewer.read(sent);
    viewer.events.clear();
    viewer
}

/// The message stream and the code of each `onStatus` and `_error` among `messages`.
fn statuses(messages: &[Message]) -> Vec<(u32, String)> {
    let commands = messages.iter().filter(|message| message.kind == kind::COMMAND);
    commands
        .filter_map(|message| {
            let values = values(message);
            let code = values.last()?.get("code").and_then(Value::as_str)?;
            Some((message.stream_id, code.to_owned()))
        })
        .collect()
}

fn status(stream_id: u32, code: &str) -> Vec<(u32, String)> {
    vec![(stream_id, code.to_owned())]
}

#[test]
fn a_second_publish_is_refused_and_the_first_goes_on() {
    let mut encoder = Encoder::publishing();
    encoder.call("createStream", 6.0, &[]);
    let answers = encoder.call_on(2, "publish", 7.0, &[Value::from("hall-b?key=other"), Value::from("live")]);
    assert_eq!(statuses(&answers), status(2, "NetStream.Publish.BadName"));
    assert!(matches!(encoder.events[..], [server::Event::SecondRefused { .. }]), "{:?}", encoder.events);
    encoder.events.clear();
    encoder.message(kind::VIDEO, 2, 0, b"\x27of the refused stream");
    encoder.message(kind::VIDEO, 1, 40, b"\x27of the first");
    assert_eq!(encoder.events, [media(Track::Video, 40, b"\x27of the first")]);
    encoder.call("FCUnpublish", 8.0, &[Value::from("hall-b?key=other")]);
    encoder.call("deleteStream", 9.0, &[Value::from(2.0)]);
    assert_eq!(encoder.events.len(), 1, "the end of the refused stream is not the end of the first");
    encoder.call("FCUnpublish", 10.0, &[Value::from("hall-a?key=secret")]);
    assert_eq!(encoder.events.last(), Some(&server::Event::Ended));
}

#[test]
fn media_on_a_stream_that_was_never_made_belongs_to_the_accepted_one() {
    let mut encoder = Encoder::publishing();
    encoder.message(kind::VIDEO, 0, 40, b"\x27x");
    assert_eq!(encoder.events, [media(Track::Video, 40, b"\x27x")]);
}

#[test]
fn a_publisher_that_wants_to_play_and_a_viewer_that_wants_more_are_refused_and_go_on() {
    let mut encoder = Encoder::publishing();
    let answers = encoder.call_on(1, "play", 6.0, &[Value::from("hall-b")]);
    assert_eq!(statuses(&answers), status(1, "NetStream.Play.Failed"));
    assert_eq!(encoder.closed(), None);

    let mut viewer = playing();
    assert_eq!(statuses(&viewer.call("createStream", 3.0, &[])), status(0, "NetConnection.Call.Failed"));
    let answers = viewer.call_on(1, "play", 0.0, &[Value::from("hall-b")]);
    assert_eq!(statuses(&answers), status(1, "NetStream.Play.Failed"));
    let answers = viewer.call_on(1, "publish", 0.0, &[Value::from("hall-b")]);
    assert_eq!(statuses(&answers), status(1, "NetStream.Publish.BadName"));
    assert_eq!(viewer.closed(), None);
    assert!(viewer.server.send_message(kind::VIDEO, 0, &bytes::Bytes::from_static(b"\x27x")).is_ok(), "it still plays");
}

#[test]
fn pause_is_answered_and_told_and_seek_is_refused_in_words() {
    let mut viewer = playing();
    let answers = viewer.call_on(1, "pause", 0.0, &[Value::Boolean(true), Value::from(1_500.0)]);
    assert_eq!(statuses(&answers), status(1, "NetStream.Pause.Notify"));
    let answers = viewer.call_on(1, "pause", 0.0, &[Value::Boolean(false), Value::from(1_500.0)]);
    assert_eq!(statuses(&answers), status(1, "NetStream.Unpause.Notify"));
    assert_eq!(viewer.events, [true, false].map(|paused| server::Event::Pause { paused }));
    let answers = viewer.call_on(1, "seek", 0.0, &[Value::from(0.0)]);
    assert_eq!(statuses(&answers), status(1, "NetStream.Seek.Failed"));
    assert_eq!(viewer.closed(), None);

    let mut encoder = Encoder::publishing();
    assert!(encoder.call_on(1, "pause", 0.0, &[Value::Boolean(true)]).is_empty(), "a publisher has nothing to pause");
    assert!(encoder.events.is_empty());
}

#[test]
fn connect_without_an_application_is_answered_with_an_error() {
    let long = "x".repeat(2_000);
    for app in [None, Some(""), Some("/"), Some("?key=k"), Some(long.as_str())] {
        let mut encoder = Encoder::new();
        let object = Value::Object(app.map(|app| ("app".to_owned(), Value::from(app))).into_iter().collect());
        let answers = encoder.command(0, &[Value::from("connect"), Value::from(1.0), object]);
        assert_eq!(names(&answers), ["_error"], "{app:?}");
        assert_eq!(statuses(&answers), status(0, "NetConnection.Connect.Rejected"), "{app:?}");
        assert_eq!(values(&answers[0])[1], Value::from(1.0), "the transaction of the connect");
        assert!(matches!(encoder.closed(), Some(Closed::Rejected { .. })), "{app:?}");
    }
}

#[test]
fn a_second_connect_and_too_many_streams_are_refused_and_the_connection_goes_on() {
    let mut encoder = Encoder::connected();
    assert_eq!(names(&encoder.call("connect", 2.0, &[])), ["_error"]);
    for n in 1..=limits::STREAMS_MAX {
        assert_eq!(names(&encoder.call("createStream", f64::from(n + 2), &[])), ["_result"]);
    }
    assert_eq!(names(&encoder.call("createStream", 20.0, &[])), ["_error"]);
    encoder.call_on(1, "publish", 21.0, &[Value::from("hall-a?key=k")]);
    assert!(matches!(encoder.events.last(), Some(server::Event::Publish { .. })));
}

#[test]
fn a_request_that_lacks_something_is_refused_with_a_code_before_the_end() {
    let mut early = Encoder::new();
    assert_eq!(names(&early.call("createStream", 1.0, &[])), ["_error"]);
    assert_eq!(early.closed().map(ToString::to_string), Some("unexpected \"createStream\" before connect".to_owned()));

    let long = "x".repeat(2_000);
    for (what, streams, name) in [
        ("no stream", 0, Value::from("hall-a")),
        ("no name", 1, Value::Null),
        ("a name that is too long", 1, Value::from(long.as_str())),
    ] {
        for (command, code) in [("publish", "NetStream.Publish.BadName"), ("play", "NetStream.Play.Failed")] {
            let mut encoder = Encoder::connected();
            for n in 0..streams {
                encoder.call("createStream", f64::from(n + 2), &[]);
            }
            let answers = encoder.call_on(1, command, 3.0, std::slice::from_ref(&name));
            assert_eq!(statuses(&answers), status(1, code), "{what}");
            assert!(matches!(encoder.closed(), Some(Closed::Rejected { .. })), "{what}: {:?}", encoder.closed());
        }
    }
}
