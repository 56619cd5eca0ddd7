//! What changes the tracks of a stream: sequence headers and parameter sets by their meaning, never by their bytes
//! (docs/adr/0011).

use super::{Ingest, Output, Source};
use crate::codec::{self, Config};
use crate::live::ring::Content;
use crate::relay::{Metadata, RelayMessage};
use crate::track::{Class, Message, Track};
use bytes::Bytes;

/// Players get new metadata at most once in this time: an encoder may send them with each frame.
const METADATA_MS_MIN: u64 = 1_000;

impl Ingest {
    /// Metadata that the publisher changed within the epoch go to players, if it is time.
    pub(super) fn pass_metadata_on(&mut self, now_ms: u64) {
        let Source::Live(epoch) = &mut self.source else { return };
        if self.session.metadata_ms.is_some_and(|at| now_ms < at + METADATA_MS_MIN) {
            return;
        }
        let Some(payload) = self.session.metadata.take() else { return };
        if epoch.tracks().metadata.as_ref() == Some(&payload) {
            return;
        }
        self.session.metadata_ms = Some(now_ms);
        let change = Metadata::announcing(epoch.id(), &payload);
        epoch.set_metadata(payload);
        self.ring.push(Content::Message(RelayMessage::Metadata(change)));
    }

    /// A sequence header. One that cannot be read is passed over: encoders send an empty one first, or a broken one in
    /// between. A change takes effect with the next frame that decoding can start at, so that nothing before it is lost.
    pub(super) fn configuration(&mut self, now_ms: u64, message: Message) {
        let Message { track, body, .. } = message;
        match Config::read(track, &body) {
            Ok(_) => self.set_header(track, body),
            Err(error) => {
                let words = error.to_string();
                if self.session.unreadable(now_ms, &words) {
                    self.outputs.push_back(Output::Note(format!("passed over: {words}")));
                }
            }
        }
    }

    /// Parameter sets inside a key frame are in force from it on, whatever the sequence header said (ITU-T H.264,
    /// 7.4.1.2.1): if they change the configuration, the key frame opens an epoch with a header that has them.
    pub(super) fn parameter_sets(&mut self, message: &Message) {
        let Class::Media(media) = message.class else { return };
        if !media.key {
            return;
        }
        let changed = self.video_header().and_then(|header| codec::changed_by(header, &media.payload(&message.body)));
        if let Some(header) = changed {
            self.set_header(Track::Video, header);
        }
    }

    /// The message with a length before each NAL unit, as FLV has it: some encoders write start codes in their place.
    pub(super) fn with_lengths(&self, message: Message) -> Message {
        let (Class::Media(media), Track::Video) = (message.class, message.track) else { return message };
        let payload = media.payload(&message.body);
        let Some(units) = self.video_header().and_then(|header| codec::with_lengths(header, &payload)) else {
            return message;
        };
        let header = message.body.slice(..message.body.len() - payload.len());
        Message { body: [&header[..], &units].concat().into(), ..message }
    }

    /// The sequence header of the video that is in force for the next message.
    fn video_header(&self) -> Option<&Bytes> {
        match &self.source {
            Source::Absent { .. } => None,
            Source::Opening(opening) => opening.tracks().header(Track::Video),
            Source::Live(epoch) => self.session.next.as_ref().unwrap_or(epoch.tracks()).header(Track::Video),
        }
    }

    /// A header that can be read comes into force. One that means the same as the one in force changes nothing.
    fn set_header(&mut self, track: Track, body: Bytes) {
        match &mut self.source {
            Source::Absent { .. } => {}
            Source::Opening(opening) => opening.configuration(track, body),
            Source::Live(epoch) => {
                let now = epoch.tracks();
                let same = |known: &&Bytes| codec::same(track, known, &body);
                let body = now.header(track).filter(same).cloned().unwrap_or(body);
                if self.session.next.is_some() || now.header(track) != Some(&body) {
                    *self.session.next_tracks(now).header_mut(track) = Some(body);
                }
            }
        }
    }
}
