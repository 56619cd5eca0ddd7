//! The chunk reader against every split, habit and limit.

use super::*;
use crate::rtmp::limits::{AFTER_PUBLISH, BEFORE_ACCEPT};
use crate::rtmp::message::{Message, csid, kind};
use bytes::Bytes;
use proptest::prelude::*;

fn read(reader: &mut Reader, bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    reader.push(Bytes::copy_from_slice(bytes));
    let mut messages = Vec::new();
    while let Some(message) = reader.next_message()? {
        messages.push(message);
    }
    Ok(messages)
}

fn read_whole(bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    read(&mut Reader::new(AFTER_PUBLISH), bytes)
}

fn video(timestamp: u32, body: &[u8]) -> Message {
    Message { kind: kind::VIDEO, stream_id: 1, timestamp, body: Bytes::copy_from_slice(body) }
}

fn write(message: &Message, chunk_size: u32) -> Bytes {
    serialise(csid::of(message.kind), message.kind, message.stream_id, message.timestamp, &message.body, chunk_size)
}

fn set_chunk_size(size: u32) -> Bytes {
    serialise(csid::CONTROL, kind::SET_CHUNK_SIZE, 0, 0, &size.to_be_bytes(), 128)
}

/// Type 0 header on csid 4 of a video message on stream 1.
fn head(timestamp: u32, length: usize) -> Vec<u8> {
    header(csid::VIDEO, kind::VIDEO, 1, timestamp, length).to_vec()
}

#[test]
fn all_four_header_types_are_read() {
    let mut wire = head(1_000, 2);
    wire.extend_from_slice(b"ab");
    wire.extend_from_slice(b"\x44\0\0\x28\0\0\x03\x09abc"); // type 1: delta 40, length 3
    wire.extend_from_slice(b"\x84\0\0\x14abd"); // type 2: delta 20
    wire.extend_from_slice(b"\xc4abe"); // type 3: the same delta again
    let messages = read_whole(&wire).expect("reads");
    assert_eq!(messages, [video(1_000, b"ab"), video(1_040, b"abc"), video(1_060, b"abd"), video(1_080, b"abe")]);
}

#[test]
fn chunk_stream_ids_have_one_two_and_three_bytes() {
    for (basic, csid) in
        [(&b"\x03"[..], 3), (b"\0\0", 64), (b"\0\xff", 319), (b"\x01\0\0", 64), (b"\x01\xff\xff", 65_599)]
    {
        let wire = [basic, b"\0\0\x05\0\0\x01\x09\x01\0\0\0x"].concat();
        assert_eq!(read_whole(&wire).expect("reads"), [video(5, b"x")], "csid {csid}");
    }
}

#[test]
fn interleaved_messages_come_out_whole() {
    let body: Vec<u8> = (0..200).collect();
    let mut wire = head(7, 200);
    wire.extend_from_slice(&body[..128]);
    wire.extend_from_slice(&serialise(csid::AUDIO, kind::AUDIO, 1, 8, b"sound", 128));
    wire.push(0xc4);
    wire.extend_from_slice(&body[128..]);
    let audio = Message { kind: kind::AUDIO, stream_id: 1, timestamp: 8, body: Bytes::from_static(b"sound") };
    assert_eq!(read_whole(&wire).expect("reads"), [audio, video(7, &body)]);
}

#[test]
fn an_aborted_message_is_forgotten_and_the_next_one_is_whole() {
    let mut wire = head(7, 200);
    wire.extend_from_slice(&[1; 128]);
    wire.extend_from_slice(&serialise(csid::CONTROL, kind::ABORT, 0, 0, &4_u32.to_be_bytes(), 128));
    wire.extend_from_slice(&write(&video(9, b"next"), 128));
    let mut reader = Reader::new(AFTER_PUBLISH);
    let messages = read(&mut reader, &wire).expect("reads");
    assert_eq!(messages[0].kind, kind::ABORT);
    assert_eq!(messages[1..], [video(9, b"next")]);
    assert_eq!((reader.unfinished_bytes(), reader.unread_bytes()), (0, 0));
}

/// A message of 300 bytes at a time that needs the extended field, with the field in type 3 chunks or without.
fn extended(repeats: bool, timestamp: u32) -> Vec<u8> {
    let body = [0x17; 300];
    let mut wire = head(timestamp, 300);
    for (index, piece) in body.chunks(128).enumerate() {
        if index > 0 {
            wire.push(0xc4);
            if repeats {
                wire.extend_from_slice(&timestamp.to_be_bytes());
            }
        }
        wire.extend_from_slice(piece);
    }
    wire
}

#[test]
fn extended_timestamps_are_read_in_both_habits_of_type_3_chunks() {
    for repeats in [true, false] {
        for timestamp in [0x00ff_ffff, 0x0100_0000, u32::MAX] {
            let mut wire = extended(repeats, timestamp);
            wire.extend_from_slice(&extended(repeats, timestamp));
            let expected = [video(timestamp, &[0x17; 300]), video(timestamp, &[0x17; 300])];
            assert_eq!(read_whole(&wire).expect("reads"), expected, "{repeats} {timestamp:x}");
            let mut reader = Reader::new(AFTER_PUBLISH);
            let bytewise: Vec<_> = wire.iter().flat_map(|byte| read(&mut reader, &[*byte]).expect("reads")).collect();
            assert_eq!(bytewise, expected, "byte by byte, {repeats} {timestamp:x}");
        }
    }
}

#[test]
fn a_peer_that_omits_the_extended_field_may_send_a_payload_that_looks_like_it_later() {
    let mut wire = extended(false, 0x0100_0000);
    let mut body = [0x17; 300];
    body[128..132].copy_from_slice(&0x0100_0001_u32.to_be_bytes());
    wire.extend_from_slice(&head(0x0100_0001, 300));
    for (index, piece) in body.chunks(128).enumerate() {
        if index > 0 {
            wire.push(0xc4);
        }
        wire.extend_from_slice(piece);
    }
    let messages = read_whole(&wire).expect("reads");
    assert_eq!(messages[1], video(0x0100_0001, &body));
}

#[test]
fn an_extended_delta_below_24_bits_is_taken_as_it_is() {
    // rml_rtmp 0.8 subtracts 0xffffff from it and wraps.
    let mut wire = write(&video(10, b"a"), 128).to_vec();
    wire.extend_from_slice(b"\x44\xff\xff\xff\0\0\x01\x09\0\0\0\x05b");
    assert_eq!(read_whole(&wire).expect("reads"), [video(10, b"a"), video(15, b"b")]);
}

#[test]
fn time_goes_on_where_the_24_bit_field_is_full_and_where_32_bits_wrap() {
    for at in [0x00ff_ffff_u32 - 60, 0xffff_ffff - 60] {
        let mut wire = write(&video(at, b"x"), 128).to_vec();
        for _ in 0..6 {
            wire.extend_from_slice(b"\x84\0\0\x14y");
        }
        let times: Vec<_> = read_whole(&wire).expect("reads").iter().map(|message| message.timestamp).collect();
        assert_eq!(times, (0..=6).map(|n| at.wrapping_add(20 * n)).collect::<Vec<_>>());
    }
}

#[test]
fn a_type_3_header_after_type_0_means_what_encoders_mean() {
    let mut wire = write(&video(23, b"a"), 128).to_vec();
    wire.extend_from_slice(b"\xc4b");
    assert_eq!(read_whole(&wire).expect("reads")[1].timestamp, 46, "ffmpeg: the delta is the first time");
    let mut wire = write(&video(500_000, b"a"), 128).to_vec();
    wire.extend_from_slice(b"\xc4b");
    assert_eq!(read_whole(&wire).expect("reads")[1].timestamp, 500_000, "librtmp: the same time again");
}

#[test]
fn an_encoder_may_begin_a_chunk_stream_with_type_1() {
    // librtmp sends its first ping so.
    let wire = b"\x42\0\0\0\0\0\x06\x04\0\x06\0\0\0\x01";
    let messages = read_whole(wire).expect("reads");
    assert_eq!((messages[0].kind, messages[0].stream_id, messages[0].timestamp), (kind::USER_CONTROL, 0, 0));
}

#[test]
fn an_empty_message_is_a_message() {
    assert_eq!(read_whole(&write(&video(3, b""), 128)).expect("reads"), [video(3, b"")]);
}

#[test]
fn aggregates_are_taken_apart_with_their_own_times() {
    let part = |kind: u8, time: u32, body: &[u8]| {
        let [_, l2, l1, l0] = (body.len() as u32).to_be_bytes();
        let [t3, t2, t1, t0] = time.to_be_bytes();
        let trailer = (body.len() as u32 + 11).to_be_bytes();
        [&[kind, l2, l1, l0, t2, t1, t0, t3, 0, 0, 0][..], body, &trailer].concat()
    };
    let mut body = [part(9, 0x0100_0000, b"video"), part(8, 0x0100_0017, b"sound")].concat();
    let expected = [
        video(4_000, b"video"),
        Message { kind: kind::AUDIO, stream_id: 1, timestamp: 4_023, body: Bytes::from_static(b"sound") },
    ];
    let wire = serialise(3, kind::AGGREGATE, 1, 4_000, &body, 128);
    assert_eq!(read_whole(&wire).expect("reads"), expected);
    body.truncate(body.len() - 4);
    let wire = serialise(3, kind::AGGREGATE, 1, 4_000, &body, 128);
    assert_eq!(read_whole(&wire).expect("reads"), expected, "without the last size");
    body.truncate(body.len() - 1);
    let wire = serialise(3, kind::AGGREGATE, 1, 4_000, &body, 128);
    assert_eq!(read_whole(&wire), Err(ChunkError::Aggregate));
    let wire = serialise(3, kind::AGGREGATE, 1, 4_000, &part(22, 0, b""), 128);
    assert_eq!(read_whole(&wire), Err(ChunkError::AggregateKind { kind: 22 }), "no aggregate in an aggregate");
}

#[test]
fn chunk_sizes_below_the_floor_are_refused_and_huge_ones_are_clamped() {
    for size in [0, 1, 127, 0x8000_0000, u32::MAX] {
        assert_eq!(read_whole(&set_chunk_size(size)), Err(ChunkError::ChunkSize { size }));
    }
    for size in [128, 4_096, 0x7fff_ffff] {
        let message = video(1, &[5; 5_000]);
        let wire = [set_chunk_size(size), write(&message, size)].concat();
        assert_eq!(read_whole(&wire).expect("reads")[1], message);
    }
    let short = serialise(csid::CONTROL, kind::SET_CHUNK_SIZE, 0, 0, b"\0\0\x10", 128);
    assert_eq!(read_whole(&short), Err(ChunkError::ControlLength { kind: 1, length: 3 }));
}

#[test]
fn a_message_in_one_piece_is_a_slice_of_the_input() {
    let message = video(1, &[5; 5_000]);
    let input = Bytes::from([set_chunk_size(60_000), write(&message, 60_000)].concat());
    let within = input.as_ptr_range();
    let mut reader = Reader::new(AFTER_PUBLISH);
    reader.push(input);
    assert_eq!(reader.next_message().expect("reads").map(|message| message.kind), Some(kind::SET_CHUNK_SIZE));
    let message = reader.next_message().expect("reads").expect("is whole");
    assert!(within.contains(&message.body.as_ptr()), "no copy was made");
}

#[test]
fn lengths_chunk_streams_and_pending_bytes_are_bounded() {
    let read_before = |wire: &[u8]| read(&mut Reader::new(BEFORE_ACCEPT), wire);
    let limit = BEFORE_ACCEPT.message_bytes;
    assert_eq!(read_before(&head(0, limit + 1)), Err(ChunkError::MessageTooLong { length: limit + 1, csid: 4, limit }));
    let announced: Vec<u8> = (3..6).flat_map(|csid| [&header(csid, 20, 0, 0, limit)[..], &[0; 128]].concat()).collect();
    assert_eq!(read_before(&announced), Err(ChunkError::PendingTooMuch { pending: 3 * limit, limit: 2 * limit }));
    let many: Vec<u8> = (3..20).flat_map(|csid| serialise(csid, 20, 0, 0, b"x", 128)).collect();
    assert_eq!(read_before(&many), Err(ChunkError::TooManyChunkStreams { csid: 19, limit: 16 }));
}

#[test]
fn what_a_peer_announces_and_does_not_send_is_not_allocated() {
    let mut reader = Reader::new(AFTER_PUBLISH);
    let wire = [set_chunk_size(0x00ff_ffff).to_vec(), head(0, 8 * 1024 * 1024), vec![0; 10]].concat();
    assert_eq!(read(&mut reader, &wire).map(|messages| messages.len()), Ok(1));
    assert!(reader.allocated_bytes() <= 8 * 1024, "{} bytes are held", reader.allocated_bytes());
}

#[test]
fn headers_that_refer_to_nothing_or_cut_into_a_message_are_errors() {
    assert_eq!(read_whole(b"\x84\0\0\x01x"), Err(ChunkError::NoHeaderBefore { format: 2, csid: 4 }));
    assert_eq!(read_whole(b"\xc4x"), Err(ChunkError::NoHeaderBefore { format: 3, csid: 4 }));
    let mut wire = head(7, 200);
    wire.extend_from_slice(&[1; 128]);
    wire.extend_from_slice(&head(8, 10));
    assert_eq!(read_whole(&wire), Err(ChunkError::HeaderInsideMessage { format: 0, csid: 4, left: 72 }));
}

#[test]
fn a_header_of_its_own_and_the_body_make_the_same_bytes_as_a_serialised_message() {
    for timestamp in [0, 5, 0x00ff_ffff, u32::MAX] {
        let message = video(timestamp, &[9; 1_000]);
        let apart = [head(timestamp, 1_000), message.body.to_vec()].concat();
        assert_eq!(write(&message, 60_000), apart);
        assert!(head(timestamp, 1_000).len() <= HEADER_BYTES_MAX);
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let kinds = prop::sample::select(vec![kind::AUDIO, kind::VIDEO, kind::DATA, kind::COMMAND]);
    let times = prop_oneof![0_u32..100_000, 0x00ff_fff0_u32..0x0100_0010, Just(u32::MAX)];
    (kinds, times, 0_u32..3, prop::collection::vec(any::<u8>(), 0..700))
        .prop_map(|(kind, timestamp, stream_id, body)| Message { kind, stream_id, timestamp, body: body.into() })
}

/// Cuts `bytes` where `cuts` say.
fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Everything that comes out of the pieces, up to the first error.
fn outcome(pieces: &[&[u8]]) -> (Vec<Message>, Option<ChunkError>) {
    let mut reader = Reader::new(BEFORE_ACCEPT);
    let mut messages = Vec::new();
    for piece in pieces {
        reader.push(Bytes::copy_from_slice(piece));
        loop {
            match reader.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_at_any_chunk_size_and_split(
        messages in prop::collection::vec(any_message(), 0..8),
        size in 128_u32..2_000,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut wire = set_chunk_size(size).to_vec();
        for message in &messages {
            wire.extend_from_slice(&write(message, size));
        }
        let (read, error) = outcome(&pieces(&wire, &cuts));
        prop_assert_eq!(error, None);
        prop_assert_eq!(&read[1..], &messages[..]);
    }

    #[test]
    fn any_split_of_any_bytes_gives_the_same(
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(0x04), Just(0xc4), Just(0xff), any::<u8>()], 0..600),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(outcome(&pieces(&bytes, &cuts)), outcome(&[&bytes]));
    }
}
