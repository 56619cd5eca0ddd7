//! Reads an FLV file: eleven bytes before each tag body (FLV specification v10.1, E.4.1).

use bytes::Bytes;
use lectern_media::track::{Frame, Message, Track, TrackSet};

/// The sequence headers and the frames of a file.
pub fn read(file: &[u8]) -> (TrackSet, Vec<Frame>) {
    let file = Bytes::copy_from_slice(file);
    let (mut tracks, mut frames, mut at) = (TrackSet::default(), Vec::new(), 13);
    while at < file.len() {
        let head = &file[at..at + 11];
        let size = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        let t_ms = u64::from(u32::from_be_bytes([head[7], head[4], head[5], head[6]]));
        let body = file.slice(at + 11..at + 11 + size);
        at += 11 + size + 4;
        match (head[0], body.get(1)) {
            (9, Some(0)) => tracks.video = Some(body),
            (8, Some(0)) => tracks.audio = Some(body),
            (9, Some(1)) => frames.push(Message::read(Track::Video, body).at(t_ms)),
            (8, Some(1)) => frames.push(Message::read(Track::Audio, body).at(t_ms)),
            _ => {}
        }
    }
    (tracks, frames)
}
