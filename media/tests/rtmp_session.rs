//! Server and client session against each other.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "common/encoder.rs"]
mod encoder;
#[path = "common/pair.rs"]
mod pair;

use bytes::Bytes;
use encoder::media;
use lectern_media::machine::Output;
use lectern_media::relay::{self, Heartbeat, RelayMessage};
use lectern_media::rtmp::chunk;
use lectern_media::rtmp::client::{self, ClientConfig, Mode, set_data_frame};
use lectern_media::rtmp::message::{csid, kind};
use lectern_media::rtmp::{Closed, SessionError, Waiting, limits, server};
use lectern_media::track::Track;
use pair::{Pair, drain};

#[test]
fn a_publisher_is_asked_for_and_its_stream_comes_through_byte_for_byte() {
    let mut pair = Pair::publisher("hall-a?key=secret");
    let events = pair.take_server();
    assert!(matches!(&events[0], server::Event::Connect { app, query: None, .. } if app == "live"), "{events:?}");
    let (app, stream) = ("live".to_owned(), "hall-a".to_owned());
    assert_eq!(events[1..], [server::Event::Publish { app, stream, query: Some("key=secret".to_owned()) }]);
    pair.server.accept_publish(pair.now_ms).expect("was asked");
    pair.run();
    assert_eq!(pair.take_client(), [client::Event::Ready]);

    let metadata =
        [&b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x04when\x0b\x42\x76\0\0\0\0\0\0\0\0"[..], b"\0\0\x09"].concat();
    pair.client.send_data(0, &set_data_frame(&metadata)).expect("is ready");
    pair.client.send_media(Track::Video, 0, &Bytes::from_static(b"\x17\0\0\0\0\x01\x64")).expect("is ready");
    let big = Bytes::from(vec![0x27; 200_000]);
    pair.client.send_media(Track::Video, u32::MAX, &big).expect("is ready");
    pair.client.send_media(Track::Audio, 23, &Bytes::from_static(b"\xaf\x01sound")).expect("is ready");
    pair.run();
    let expected = [
        server::Event::Metadata(metadata.into()),
        media(Track::Video, 0, b"\x17\0\0\0\0\x01\x64"),
        media(Track::Video, u32::MAX, &big),
        media(Track::Audio, 23, b"\xaf\x01sound"),
    ];
    assert_eq!(pair.take_server(), expected);

    pair.client.close();
    pair.run();
    assert_eq!(pair.take_server(), [server::Event::Ended]);
    assert_eq!(pair.take_client(), [client::Event::Closed(Closed::ByUs)]);
}

#[test]
fn a_viewer_gets_shared_packets_and_messages() {
    let mut pair = Pair::viewer("hall-a");
    let (app, stream) = ("live".to_owned(), "hall-a".to_owned());
    assert_eq!(pair.take_server()[1..], [server::Event::Play { app, stream, query: None }]);
    pair.server.accept_play(pair.now_ms).expect("was asked");
    pair.run();
    assert_eq!(pair.take_client()[0], client::Event::Ready);
    assert_eq!(pair.server.stream_id(), 1);

    let body = Bytes::from(vec![7; 150_000]);
    let shared = chunk::serialise(csid::VIDEO, kind::VIDEO, 1, 40, &body, limits::PLAY_CHUNK_SIZE);
    pair.client.handle_bytes(pair.now_ms, shared).expect("is open");
    pair.server.send_message(kind::AUDIO, 41, &Bytes::from_static(b"\xaf\x01x")).expect("plays");
    pair.run();
    let expected = [
        client::Event::Media { track: Track::Video, timestamp: 40, body },
        client::Event::Media { track: Track::Audio, timestamp: 41, body: Bytes::from_static(b"\xaf\x01x") },
    ];
    assert_eq!(pair.take_client(), expected);

    pair.server.close("NetStream.Play.UnpublishNotify", "over").expect("plays");
    pair.run();
    assert_eq!(pair.take_client(), [client::Event::Ended]);
    assert_eq!(pair.take_server(), [server::Event::Closed(Closed::ByUs)]);
}

#[test]
fn a_wrong_key_is_answered_with_a_code_and_a_reason() {
    let mut pair = Pair::publisher("hall-a?key=wrong");
    pair.server.reject("NetStream.Publish.BadName", "wrong key for hall-a").expect("was asked");
    pair.run();
    let (code, description) = ("NetStream.Publish.BadName".to_owned(), "wrong key for hall-a".to_owned());
    let closed = Closed::Rejected { code: code.clone(), description: description.clone() };
    assert_eq!(
        pair.take_client(),
        [client::Event::Rejected { code, description }, client::Event::Closed(closed.clone())]
    );
    assert_eq!(pair.take_server().last(), Some(&server::Event::Closed(closed)));
    assert_eq!(pair.server.handle_bytes(pair.now_ms, Bytes::new()), Err(SessionError::Closed));
}

#[test]
fn no_answer_repeats_the_key() {
    let pair = Pair::publishing();
    assert!(!pair.server_sent.windows(6).any(|window| window == b"secret"));
    assert!(pair.client_sent.windows(6).any(|window| window == b"secret"), "the test looks for the right thing");
}

#[test]
fn a_relay_connects_with_a_token_and_data_goes_both_ways() {
    let config = ClientConfig::new(Mode::Publish, "rtmp://10.0.0.7:1936/relay?token=t", relay::RELAY_APP, "hall-a");
    let mut pair = Pair::new(server::Config::RELAY, config);
    pair.run();
    let events = pair.take_server();
    assert!(
        matches!(&events[..], [server::Event::Connect { app, query: Some(query), .. }] if app == "relay" && query == "token=t")
    );
    pair.server.accept_connect().expect("was asked");
    pair.run();
    let (app, stream, query) = ("relay".to_owned(), "hall-a".to_owned(), Some("token=t".to_owned()));
    assert_eq!(pair.take_server(), [server::Event::Publish { app, stream, query }]);
    pair.server.accept_publish(pair.now_ms).expect("was asked");
    pair.run();
    assert_eq!(pair.take_client(), [client::Event::Ready]);

    let message = relay::encode(&RelayMessage::Heartbeat(Heartbeat { now_ms: 5 }));
    pair.server.send_message(kind::DATA, 0, &message).expect("is accepted");
    pair.client.send_data(0, &message).expect("is ready");
    pair.run();
    assert_eq!(pair.take_client(), [client::Event::Data(message.clone())]);
    assert_eq!(pair.take_server(), [server::Event::Data(message)]);
}

#[test]
fn a_relay_without_the_token_is_refused_at_connect() {
    let config = ClientConfig::new(Mode::Publish, "rtmp://10.0.0.7:1936/relay", relay::RELAY_APP, "hall-a");
    let mut pair = Pair::new(server::Config::RELAY, config);
    pair.run();
    pair.server.reject("NetConnection.Connect.Rejected", "wrong token").expect("was asked");
    pair.run();
    let code = "NetConnection.Connect.Rejected".to_owned();
    assert_eq!(pair.take_client()[0], client::Event::Rejected { code, description: "wrong token".to_owned() });
}

#[test]
fn a_publisher_that_another_one_replaces_is_told() {
    let mut pair = Pair::publishing();
    pair.server.close("NetStream.Publish.BadName", "another publisher took over").expect("publishes");
    pair.run();
    assert!(
        matches!(&pair.take_client()[0], client::Event::Rejected { code, .. } if code == "NetStream.Publish.BadName")
    );
}

#[test]
fn any_size_of_pieces_gives_the_same_events() {
    for piece_bytes in [1, 7, 128, 1_537] {
        let mut pair = Pair::new(
            server::Config::PUBLIC,
            ClientConfig::new(Mode::Publish, "rtmp://127.0.0.1/live", "live", "hall-a?key=secret"),
        );
        pair.piece_bytes = piece_bytes;
        pair.run();
        assert_eq!(pair.take_server().len(), 2, "pieces of {piece_bytes}");
        pair.server.accept_publish(pair.now_ms).expect("was asked");
        pair.run();
        pair.client.send_media(Track::Video, 5, &Bytes::from(vec![0x27; 70_000])).expect("is ready");
        pair.run();
        assert_eq!(pair.take_server(), [media(Track::Video, 5, &[0x27; 70_000])], "pieces of {piece_bytes}");
    }
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let config = ClientConfig::new(Mode::Publish, "rtmp://127.0.0.1/live", "live", "hall-a");
    let mut client = client::Session::new(config, 0);
    let mut events = Vec::new();
    drain(|| client.poll(), &mut events);
    assert_eq!(client.poll(), Output::Wait(Some(5_000)));
    client.handle_timeout(5_000);
    drain(|| client.poll(), &mut events);
    assert_eq!(events, [client::Event::Closed(Closed::TimedOut { what: Waiting::Handshake })]);
}
