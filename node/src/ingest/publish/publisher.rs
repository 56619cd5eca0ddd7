//! Who publishes a stream, and what is known of it.

use super::measure::{Excess, Kind, Measure};
use crate::ingest::keys::{KeyDigest, RightKey};
use lectern_api::node_status::IngestStream;
use lectern_media::amf0;
use lectern_media::codec::{Config, ConfigError};
use lectern_media::live::ingest::Written;
use lectern_media::track::{Class, Media, Message, Track, TrackSet};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// Characters of an encoder's name that are shown.
const ENCODER_CHARS_MAX: usize = 100;

/// A publisher whose configurations of a track cannot be read goes after this long, unless one could be read.
const UNREADABLE_MS_MAX: u64 = 10_000;

/// Name of one accepted publish.
pub type Id = u64;

/// An encoder that wants to publish.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// What it showed.
    pub key: RightKey,
    /// Where it is.
    pub address: SocketAddr,
    /// What it calls itself.
    pub flash_ver: &'a str,
}

/// What an accepted publisher holds.
#[derive(Debug)]
pub struct Ticket {
    /// Its name.
    pub id: Id,
    /// Comes when it has to go.
    pub dismissed: oneshot::Receiver<Dismissal>,
}

/// Why a publisher has to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// Another encoder took over, or another ingest did; the text is for the encoder.
    Replaced(String),
    /// It sends what is not accepted; the name under which it is counted, and words.
    Refused(&'static str, String),
}

/// The encoder that publishes a stream: its address, its name, and what was measured of it.
pub(in crate::ingest) struct Publisher {
    id: Id,
    /// Which key it showed.
    key: KeyDigest,
    address: SocketAddr,
    encoder: Option<String>,
    since_ms: u64,
    last_ms: u64,
    measure: Measure,
    video: Option<(String, u32, u32)>,
    audio: Option<String>,
    /// Since when no configuration of a track could be read, and why, while none ever could.
    unreadable: BTreeMap<Track, (u64, ConfigError)>,
    dismiss: oneshot::Sender<Dismissal>,
}

impl Publisher {
    pub(in crate::ingest) fn new(newcomer: Newcomer<'_>, now_ms: u64, segment_ms: u64) -> (Self, Ticket) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (dismiss, dismissed) = oneshot::channel();
        let publisher = Self {
            id,
            key: newcomer.key.digest,
            address: newcomer.address,
            encoder: shown(newcomer.flash_ver),
            since_ms: now_ms,
            last_ms: now_ms,
            measure: Measure::new(now_ms, segment_ms),
            video: None,
            audio: None,
            unreadable: BTreeMap::new(),
            dismiss,
        };
        (publisher, Ticket { id, dismissed })
    }

    pub(in crate::ingest) fn id(&self) -> Id {
        self.id
    }

    /// Which key it showed.
    pub(in crate::ingest) fn key(&self) -> &KeyDigest {
        &self.key
    }

    /// When it was accepted.
    pub(in crate::ingest) fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// When it last sent media, or was accepted.
    pub(in crate::ingest) fn last_ms(&self) -> u64 {
        self.last_ms
    }

    pub(in crate::ingest) fn dismiss(self, dismissal: Dismissal) {
        // A connection that is gone by now has dropped its ticket.
        let _ = self.dismiss.send(dismissal);
    }

    /// Looks at a message before it goes on its way.
    pub(in crate::ingest) fn message(&mut self, now_ms: u64, stamp: u32, message: &Message) -> Result<(), Dismissal> {
        self.last_ms = now_ms;
        let kind = match message.class {
            Class::NotCarried(codec) => return Err(refused(&ConfigError::Codec { codec })),
            Class::End | Class::Other => return Ok(()),
            Class::Media(Media { key, .. }) => Kind::Frame { key },
            Class::Config if self.configuration(now_ms, message) => Kind::Config,
            Class::Config => return Ok(()),
        };
        self.measure.message(now_ms, message.track, stamp, kind, message.body.len());
        let late = |(since_ms, _): &&(u64, ConfigError)| now_ms.saturating_sub(*since_ms) >= UNREADABLE_MS_MAX;
        match self.unreadable.values().find(late) {
            Some((_, error)) => Err(refused(error)),
            None => Ok(()),
        }
    }

    /// Whether the configuration can be read. Some encoders send an empty one first and the real one when they know it;
    /// a broken one in between is passed over.
    fn configuration(&mut self, now_ms: u64, message: &Message) -> bool {
        match Config::read(message.track, &message.body) {
            Ok(Config::Avc(config)) => self.video = Some((config.codec_string, config.width, config.height)),
            Ok(Config::Aac(config)) => self.audio = Some(config.codec_string),
            Err(error) => {
                let readable = match message.track {
                    Track::Video => self.video.is_some(),
                    Track::Audio => self.audio.is_some(),
                };
                if !readable {
                    self.unreadable.entry(message.track).or_insert((now_ms, error));
                }
                return false;
            }
        }
        self.unreadable.remove(&message.track);
        true
    }

    /// `onMetaData`: the encoder's own name is better than `flashVer`, which most set to Adobe's.
    pub(in crate::ingest) fn metadata(&mut self, payload: &[u8]) {
        let Ok(values) = amf0::read_all(payload, amf0::Limits::METADATA) else { return };
        let encoder = values.get(1).and_then(|properties| properties.get("encoder")?.as_str());
        self.encoder = encoder.and_then(shown).or(self.encoder.take());
    }

    /// So many bytes came on its connection.
    pub(in crate::ingest) fn received(&mut self, now_ms: u64, bytes: u64) {
        self.measure.received(now_ms, bytes);
    }

    /// The muxer made this of what it sent.
    pub(in crate::ingest) fn written(&mut self, now_ms: u64, more: Written) {
        self.measure.written(now_ms, more);
    }

    /// Its dismissal if it sends more than `max_bps`.
    pub(in crate::ingest) fn above(&self, now_ms: u64, max_bps: u64) -> Option<Dismissal> {
        let Excess { rate, of } = self.measure.above(now_ms, max_bps)?;
        let (rate, max) = (rate / 1_000_000, max_bps / 1_000_000);
        let text = format!("{rate} Mbit/s of {of} is above the limit of {max} Mbit/s");
        Some(Dismissal::Refused("BitRateTooHigh", text))
    }

    /// Fills in what is known of it. `tracks` are those of the open epoch.
    pub(in crate::ingest) fn status(&self, now_ms: u64, tracks: Option<&TrackSet>, status: &mut IngestStream) {
        let report = self.measure.report(now_ms);
        status.live = true;
        status.since_ms = Some(self.since_ms);
        status.publisher = Some(self.address.to_string());
        status.encoder.clone_from(&self.encoder);
        let video = tracks.and_then(video_of).or_else(|| self.video.clone());
        if let Some((codec, width, height)) = video {
            (status.video_codec, status.width, status.height) = (Some(codec), Some(width), Some(height));
        }
        status.audio_codec.clone_from(&self.audio);
        status.frame_rate = report.frame_rate;
        status.bit_rate = report.bit_rate;
        status.gop_ms = report.gop_ms;
        status.warnings = report.warnings;
    }
}

/// Codec, width and height of the video in an epoch. Parameter sets of a key frame may have taken the place of those in the
/// last sequence header.
fn video_of(tracks: &TrackSet) -> Option<(String, u32, u32)> {
    match Config::read(Track::Video, tracks.header(Track::Video)?) {
        Ok(Config::Avc(config)) => Some((config.codec_string, config.width, config.height)),
        Ok(Config::Aac(_)) | Err(_) => None,
    }
}

fn refused(error: &ConfigError) -> Dismissal {
    Dismissal::Refused("UnsupportedCodec", error.to_string())
}

/// A name that a peer gave itself, fit to be shown; `None` if there is nothing to show.
fn shown(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| lectern_api::text::is_showable(*c)).take(ENCODER_CHARS_MAX).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use lectern_media::live::standby::Role;

    /// Baseline, 320x180.
    const HEADER: &[u8] = b"\x17\0\0\0\0\x01\x42\xc0\x0b\xff\xe1\x00\x17\x67\x42\xc0\x0b\xda\x05\x06\x7e\x7c\x04\x40\
        \x00\x00\x03\x00\x40\x00\x00\x05\x03\xc5\x0a\xa8\x01\x00\x04\x68\xce\x0f\xc8";
    /// Baseline, 3840x2160.
    const IN_FORCE: &[u8] = b"\x17\0\0\0\0\x01\x42\xc0\x34\xff\xe1\x00\x19\x67\x42\xc0\x34\xda\x00\xf0\x01\x0f\xb0\x11\
        \x00\x00\x03\x00\x01\x00\x00\x03\x00\x78\x0f\x18\x32\xa0\x01\x00\x04\x68\xce\x0f\xc8";

    #[test]
    fn status_shows_the_video_of_the_open_epoch_and_that_of_the_header_before_there_is_one() {
        let key = RightKey { role: Role::Main, digest: [0; 32] };
        let newcomer = Newcomer { key, address: ([127, 0, 0, 1], 1).into(), flash_ver: "" };
        let (mut publisher, _ticket) = Publisher::new(newcomer, 0, 2_000);
        publisher.message(0, 0, &Message::read(Track::Video, Bytes::from_static(HEADER))).unwrap();
        let open = TrackSet { video: Some(Bytes::from_static(IN_FORCE)), ..TrackSet::default() };
        for (tracks, codec, size) in [(None, "avc1.42c00b", (320, 180)), (Some(&open), "avc1.42c034", (3_840, 2_160))] {
            let mut status = IngestStream::default();
            publisher.status(0, tracks, &mut status);
            assert_eq!(status.video_codec.as_deref(), Some(codec));
            assert_eq!(status.width.zip(status.height), Some(size));
        }
    }
}
