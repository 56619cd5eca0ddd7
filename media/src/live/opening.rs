//! Between a publisher's first message and the opening of an epoch: which tracks there will be, whether each has its
//! configuration, and the media that came meanwhile. Nothing that can be shown waits for another key frame.

use crate::codec;
use crate::track::{Message, Track, TrackSet};
use bytes::Bytes;
use std::collections::VecDeque;

/// An epoch waits this long, by the clock or in media time, for the configuration of a track that was named or may yet
/// come.
pub(super) const CONFIG_WAIT_MS: u64 = 1_000;
/// Media that is kept until the epoch can open spans at most this: what is older would be far behind the clock.
const KEPT_MS_MAX: i64 = 10_000;
/// And has at most so many bytes, as while greetings are awaited.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// A message that is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) arrival_ms: u64,
    /// On the publish's clock.
    pub(super) at: i64,
    pub(super) message: Message,
}

/// What an epoch opens with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) tracks: TrackSet,
    /// The first is one that decoding can start at.
    pub(super) media: VecDeque<Kept>,
}

/// An epoch that cannot open yet: its tracks, and the media that wait for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    tracks: TrackSet,
    /// Tracks named in the metadata: video, audio.
    named: Option<(bool, bool)>,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    /// Arrival and time of the first media message.
    first: Option<(u64, i64)>,
    /// Time of the newest.
    last: i64,
}

impl Opening {
    /// Starts from the configurations that are known already: those of the epoch before, in the same session.
    pub(super) fn with(tracks: TrackSet) -> Self {
        let named = tracks.metadata.as_deref().and_then(named);
        Self { tracks, named, ..Self::default() }
    }

    /// The configurations that are known so far.
    pub(super) fn tracks(&self) -> &TrackSet {
        &self.tracks
    }

    pub(super) fn metadata(&mut self, payload: Bytes) {
        self.named = named(&payload);
        self.tracks.metadata = Some(payload);
    }

    /// Takes a configuration that can be read. Media of the configuration before it is of no use.
    pub(super) fn configuration(&mut self, track: Track, body: Bytes) {
        let slot = match track {
            Track::Video => &mut self.tracks.video,
            Track::Audio => &mut self.tracks.audio,
        };
        if slot.as_ref().is_some_and(|known| codec::same(track, known, &body)) {
            return;
        }
        if slot.replace(body).is_some() {
            self.kept.retain(|kept| kept.message.track != track);
            self.kept_bytes = self.kept.iter().map(|kept| kept.message.body.len()).sum();
        }
    }

    /// Keeps a message.
    pub(super) fn media(&mut self, kept: Kept) {
        self.first.get_or_insert((kept.arrival_ms, kept.at));
        self.last = self.last.max(kept.at);
        self.kept_bytes += kept.message.body.len();
        self.kept.push_back(kept);
        let over = |opening: &Self| {
            let span = opening.kept.front().map_or(0, |oldest| opening.last - oldest.at);
            opening.kept.len() > 1 && (opening.kept_bytes > KEPT_BYTES_MAX || span > KEPT_MS_MAX)
        };
        while over(self) {
            let gone = self.kept.pop_front();
            self.kept_bytes -= gone.map_or(0, |gone| gone.message.body.len());
        }
    }

    /// When the epoch can open with what there is, unless it can never.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        self.begin()?;
        self.due_ms()
    }

    /// What the epoch opens with, if it can open now.
    pub(super) fn start(&mut self, now_ms: u64) -> Option<Start> {
        let from = self.begin()?;
        if now_ms < self.due_ms()? {
            return None;
        }
        let media = self.kept.split_off(from);
        Some(Start { tracks: self.tracks.clone(), media })
    }

    /// Whether every track that is named has its configuration.
    fn complete(&self) -> bool {
        let (video, audio) = (self.tracks.video.is_some(), self.tracks.audio.is_some());
        match self.named {
            Some((needs_video, needs_audio)) => (video || !needs_video) && (audio || !needs_audio),
            None => video && audio,
        }
    }

    /// When the wait for configurations is over.
    fn due_ms(&self) -> Option<u64> {
        let (arrival_ms, at) = self.first?;
        let waited = self.complete() || self.last - at >= CONFIG_WAIT_MS.cast_signed();
        Some(if waited { arrival_ms } else { arrival_ms + CONFIG_WAIT_MS })
    }

    /// The first message that is kept and that an epoch of the known tracks can begin with.
    fn begin(&self) -> Option<usize> {
        let (video, audio) = (self.tracks.video.is_some(), self.tracks.audio.is_some());
        self.kept.iter().position(|kept| match kept.message.track {
            Track::Video => kept.message.key() && video,
            Track::Audio => audio && !video,
        })
    }

    /// Why no epoch is open, for a warning.
    pub(super) fn reason(&self) -> &'static str {
        let has = |track| self.kept.iter().any(|kept| kept.message.track == track);
        match (self.tracks.video.is_some(), self.tracks.audio.is_some()) {
            _ if self.first.is_none() => "no audio or video came",
            (false, false) => "no configuration of video or audio that can be read came",
            (true, _) if !has(Track::Video) => "video is announced and no picture came",
            (true, _) => "no key frame came",
            (false, true) if has(Track::Audio) => "the epoch is about to open",
            (false, true) => "no configuration of the video that can be read came",
        }
    }
}

/// Which tracks `onMetaData` names, by its `videocodecid` and `audiocodecid` properties. Their names are looked for as
/// AMF0 writes them; a stray match costs at most [`CONFIG_WAIT_MS`]. `None` where it names neither.
fn named(payload: &[u8]) -> Option<(bool, bool)> {
    let has = |name: &[u8]| payload.windows(name.len()).any(|w| w == name);
    match (has(b"\x00\x0cvideocodecid"), has(b"\x00\x0caudiocodecid")) {
        (false, false) => None,
        both => Some(both),
    }
}

#[cfg(test)]
mod tests;
