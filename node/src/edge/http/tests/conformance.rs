//! HTTP/2 in raw frames against RFC 9113, which the cases cite by section: what a server must refuse, with which code, and
//! what it must ignore.

use super::h2_frames::{HEADERS, PING, PREFACE, SETTINGS, WINDOW_UPDATE, frame};
use super::*;

const DATA: u8 = 0;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// A type that no specification knows.
const UNKNOWN: u8 = 0xee;

const END_OF_BOTH: u8 = 5;

/// Error codes (RFC 9113, 7).
const PROTOCOL_ERROR: u8 = 1;
const FLOW_CONTROL_ERROR: u8 = 3;
const FRAME_SIZE_ERROR: u8 = 6;
const COMPRESSION_ERROR: u8 = 9;

/// A connection on which the preface and `settings` were said, and then `frames`.
async fn say(rig: &Rig, settings: &[u8], frames: &[u8]) -> Client {
    let mut client = rig.connect().await;
    client.socket.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings), frames].concat()).await.unwrap();
    client
}

/// The next frame of that type: its flags and payload.
async fn next(client: &mut Client, wanted: u8) -> (u8, Vec<u8>) {
    loop {
        if let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = client.buffer.as_slice() {
            let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap();
            if rest.len() >= length {
                let (kind, flags, payload) = (*kind, *flags, rest[..length].to_vec());
                client.buffer.drain(..9 + length);
                if kind == wanted {
                    return (flags, payload);
                }
                continue;
            }
        }
        assert_ne!(client.more().await, 0, "closed before a frame of type {wanted}");
    }
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection_with_the_code_of_its_kind() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let max = u32::MAX >> 1;
    let cases = [
        ("6.5 settings of five bytes", frame(SETTINGS, 0, 0, &[0; 5]), FRAME_SIZE_ERROR),
        ("6.5 settings of a stream", frame(SETTINGS, 0, 1, &[]), PROTOCOL_ERROR),
        ("6.5 an acknowledgement that says something", frame(SETTINGS, 1, 0, &[0; 6]), FRAME_SIZE_ERROR),
        ("6.5.2 a window beyond the limit", frame(SETTINGS, 0, 0, &[0, 4, 128, 0, 0, 0]), FLOW_CONTROL_ERROR),
        ("6.9 no bytes more", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), PROTOCOL_ERROR),
        ("6.9.1 more than there can be", frame(WINDOW_UPDATE, 0, 0, &max.to_be_bytes()), FLOW_CONTROL_ERROR),
        ("6.2 a request on stream 0", frame(HEADERS, END_OF_BOTH, 0, &[0x82]), PROTOCOL_ERROR),
        ("5.1.1 a request on a stream of the server", frame(HEADERS, END_OF_BOTH, 2, &[0x82]), PROTOCOL_ERROR),
        ("5.1 data of no request", frame(DATA, 1, 1, b"x"), PROTOCOL_ERROR),
        ("6.10 a continuation of nothing", frame(CONTINUATION, 4, 1, &[0x82]), PROTOCOL_ERROR),
        ("4.3 a header of index 0", frame(HEADERS, END_OF_BOTH, 1, &[0x80]), COMPRESSION_ERROR),
        ("6.7 a ping of seven bytes", frame(PING, 0, 0, &[0; 7]), FRAME_SIZE_ERROR),
        ("8.4 a promise of a client", frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x82]), PROTOCOL_ERROR),
        ("4.2 a frame beyond the limit", frame(DATA, 0, 1, &vec![0; (16 << 10) + 1]), FRAME_SIZE_ERROR),
    ];
    let mut found = Vec::new();
    for (what, frames, code) in cases {
        let mut client = say(&rig, &[], &frames).await;
        let (_, payload) = next(&mut client, GOAWAY).await;
        if payload[4..8] != [0, 0, 0, code] {
            found.push((what, payload[7]));
        }
    }
    // The library ends the connection as it must, with the general code in place of the exact one.
    let general = [
        "6.5 settings of five bytes",
        "6.5 an acknowledgement that says something",
        "6.5.2 a window beyond the limit",
        "4.3 a header of index 0",
        "6.7 a ping of seven bytes",
    ];
    assert_eq!(found, general.map(|what| (what, PROTOCOL_ERROR)));
    assert_eq!(rig.get("/live/hall-a/media.m3u8").await.status, 200);
}

#[tokio::test]
async fn a_ping_comes_back_as_it_is_and_unknown_frames_and_settings_mean_nothing() {
    let rig = Rig::new().await;
    let frames = [frame(UNKNOWN, 0xff, 0, b"?"), frame(PING, 0, 0, b"as it is")].concat();
    let mut client = say(&rig, &[0xee, 0xee, 1, 2, 3, 4], &frames).await;
    assert_eq!(next(&mut client, PING).await, (1, b"as it is".to_vec()));
}

#[tokio::test]
async fn no_byte_is_sent_beyond_a_window() {
    let rig = Rig::new().await;
    rig.show(live(1..=8));
    let path = name(8);
    let text = |head: u8, text: &str| [&[head, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let block = [vec![0x82, 0x86], text(0x04, &path), text(0x01, "edge")].concat();
    let mut client = say(&rig, &[0, 4, 0, 0, 0, 1], &frame(HEADERS, END_OF_BOTH, 1, &block)).await;
    assert_eq!(next(&mut client, DATA).await, (0, segment_bytes(8)[..1].to_vec()));
    client.socket.write_all(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 2])).await.unwrap();
    assert_eq!(next(&mut client, DATA).await, (0, segment_bytes(8)[1..3].to_vec()));
    client.socket.write_all(&frame(WINDOW_UPDATE, 0, 1, &[0, 1, 0, 0])).await.unwrap();
    assert_eq!(next(&mut client, DATA).await, (1, segment_bytes(8)[3..].to_vec()));
}
