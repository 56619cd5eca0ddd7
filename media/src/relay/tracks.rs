//! The tracks of an epoch on the relay: FLV tag bodies as hexadecimal text, written by the ingest, read by every edge.

use super::{Epoch, Metadata};
use crate::ledger::{EpochId, Profile};
use crate::track::TrackSet;
use bytes::Bytes;
use std::fmt::Write;

impl Epoch {
    /// The message that announces `epoch` of `presentation` with these tracks.
    #[must_use]
    pub fn announcing(epoch: EpochId, presentation: EpochId, profile: Profile, tracks: &TrackSet) -> Self {
        let text = |body: &Option<Bytes>| body.as_deref().map(hex);
        Self {
            epoch,
            presentation,
            profile,
            video: text(&tracks.video),
            audio: text(&tracks.audio),
            metadata: text(&tracks.metadata),
        }
    }

    /// Its tracks. `None` if one of them is no hexadecimal text.
    #[must_use]
    pub fn tracks(&self) -> Option<TrackSet> {
        let body = |text: &Option<String>| match text {
            None => Some(None),
            Some(text) => unhex(text).map(Some),
        };
        Some(TrackSet { video: body(&self.video)?, audio: body(&self.audio)?, metadata: body(&self.metadata)? })
    }
}

impl Metadata {
    /// The message that announces `payload`, AMF0, in `epoch`.
    #[must_use]
    pub fn announcing(epoch: EpochId, payload: &[u8]) -> Self {
        Self { epoch, metadata: hex(payload) }
    }

    /// Its AMF0. `None` if it is no hexadecimal text.
    #[must_use]
    pub fn payload(&self) -> Option<Bytes> {
        unhex(&self.metadata)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Bytes> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect::<Option<Vec<_>>>()
        .map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_come_back_as_they_were_announced() {
        let tracks = TrackSet {
            video: Some(Bytes::from_static(&[0x17, 0, 0xff])),
            audio: None,
            metadata: Some(Bytes::from_static(b"\x02\x00\x0aonMetaData")),
        };
        assert_eq!(Epoch::announcing(2, 1, Profile::ONE, &tracks).tracks(), Some(tracks));
    }

    #[test]
    fn text_that_is_not_hexadecimal_is_refused() {
        for text in ["1", "1g", "\u{e9}"] {
            let epoch = Epoch { video: Some(text.into()), ..Epoch::default() };
            assert_eq!(epoch.tracks(), None, "{text}");
            assert_eq!(Metadata { epoch: 1, metadata: text.into() }.payload(), None, "{text}");
        }
    }
}
