//! A made-up stream: H.264 and AAC as an encoder with a constant bit rate sends them, 25 frames a second, a key frame at
//! every segment. Nothing in it can be decoded, and no part of the way tries to. Pure.

use bytes::{BufMut, Bytes, BytesMut};
use lectern_media::amf0::{Value, write_all};
use lectern_media::track::Track;

/// Distance of frames in milliseconds.
const FRAME_MS: u64 = 40;
/// A key frame has the bytes of so many others: what x264 makes of a lecture.
const KEY_FRAMES_WEIGH: u64 = 8;
/// Bits per second of the sound, if that is at most a fifth of all.
const AUDIO_BITRATE: u64 = 128_000;
const AUDIO_RATE: u64 = 48_000;
const AUDIO_SAMPLES: u64 = 1_024;
/// FLV's bytes before a frame: five of the video tag, four of the length of the one NAL unit; two of the audio tag.
const VIDEO_HEAD_BYTES: u64 = 9;
const AUDIO_HEAD_BYTES: u64 = 2;

/// AVC sequence header: Baseline, level 3.1, 1280x720 (ISO/IEC 14496-15, 5.3.3.1).
const VIDEO_CONFIG: &[u8] = b"\x17\0\0\0\0\x01\x42\xc0\x1f\xff\xe1\x00\x09\x67\x42\xc0\x1f\xda\x01\x40\x16\xe4\
    \x01\x00\x04\x68\xce\x3c\x80";
/// AAC sequence header: LC, 48 kHz, stereo.
const AUDIO_CONFIG: &[u8] = b"\xaf\0\x11\x90";
const NAL_IDR: u8 = 0x65;
const NAL_SLICE: u8 = 0x41;

/// Generator of the stream that `calibrate` publishes.
#[derive(Clone, Debug)]
pub struct Source {
    frames_per_segment: u64,
    key: Bytes,
    inter: Bytes,
    audio: Bytes,
    video_sent: u64,
    audio_sent: u64,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which.
    pub track: Track,
    /// Milliseconds since the start.
    pub t_ms: u64,
    /// FLV tag body.
    pub body: Bytes,
}

impl Source {
    /// A stream of `bitrate` bits per second with a key frame every `segment_ms`, or the next multiple of 40 ms.
    #[must_use]
    pub fn new(bitrate: u64, segment_ms: u64) -> Self {
        let audio_bytes = AUDIO_BITRATE.min(bitrate / 5) * AUDIO_SAMPLES / AUDIO_RATE / 8;
        let frames_per_segment = segment_ms.div_ceil(FRAME_MS).max(2);
        let audio_bits = audio_bytes * 8 * AUDIO_RATE / AUDIO_SAMPLES;
        let segment_bytes = (bitrate - audio_bits) * frames_per_segment * FRAME_MS / 8_000;
        let inter_bytes = segment_bytes / (frames_per_segment - 1 + KEY_FRAMES_WEIGH);
        let key_bytes = segment_bytes - inter_bytes * (frames_per_segment - 1);
        Self {
            frames_per_segment,
            key: video(0x17, NAL_IDR, key_bytes),
            inter: video(0x27, NAL_SLICE, inter_bytes),
            audio: audio(audio_bytes),
            video_sent: 0,
            audio_sent: 0,
        }
    }

    /// Distance of key frames in milliseconds.
    #[must_use]
    pub fn segment_ms(&self) -> u64 {
        self.frames_per_segment * FRAME_MS
    }

    /// `onMetaData`, AMF0.
    #[must_use]
    pub fn metadata() -> Bytes {
        let numbers = [("width", 1_280.0), ("height", 720.0), ("framerate", 25.0), ("videocodecid", 7.0)];
        let mut properties: Vec<(String, Value)> =
            numbers.into_iter().map(|(name, number)| (name.to_owned(), Value::Number(number))).collect();
        properties.push(("audiocodecid".to_owned(), Value::Number(10.0)));
        properties.push(("encoder".to_owned(), Value::String("lectern-node calibrate".to_owned())));
        write_all(&[Value::String("onMetaData".to_owned()), Value::EcmaArray(properties)])
    }

    /// Sequence headers.
    #[must_use]
    pub fn configurations() -> [(Track, Bytes); 2] {
        [(Track::Video, Bytes::from_static(VIDEO_CONFIG)), (Track::Audio, Bytes::from_static(AUDIO_CONFIG))]
    }

    fn video_ms(&self) -> u64 {
        self.video_sent * FRAME_MS
    }

    fn audio_ms(&self) -> u64 {
        self.audio_sent * AUDIO_SAMPLES * 1_000 / AUDIO_RATE
    }

    /// When the next message is due, in milliseconds since the start.
    #[must_use]
    pub fn due_ms(&self) -> u64 {
        self.video_ms().min(self.audio_ms())
    }

    /// The next message, in the order of their times.
    pub fn advance(&mut self) -> Piece {
        let t_ms = self.due_ms();
        if self.video_ms() <= self.audio_ms() {
            let key = self.video_sent.is_multiple_of(self.frames_per_segment);
            self.video_sent += 1;
            Piece { track: Track::Video, t_ms, body: if key { self.key.clone() } else { self.inter.clone() } }
        } else {
            self.audio_sent += 1;
            Piece { track: Track::Audio, t_ms, body: self.audio.clone() }
        }
    }
}

/// A tag body of `bytes`, with one NAL unit.
fn video(first: u8, nal: u8, bytes: u64) -> Bytes {
    let nal_bytes = bytes.saturating_sub(VIDEO_HEAD_BYTES).max(2);
    let mut body = BytesMut::new();
    body.put_slice(&[first, 1, 0, 0, 0]);
    body.put_u32(u32::try_from(nal_bytes).unwrap_or(u32::MAX));
    body.put_u8(nal);
    fill(&mut body, nal_bytes - 1);
    body.freeze()
}

fn audio(bytes: u64) -> Bytes {
    let mut body = BytesMut::new();
    body.put_slice(b"\xaf\x01");
    fill(&mut body, bytes.saturating_sub(AUDIO_HEAD_BYTES).max(1));
    body.freeze()
}

/// Bytes that look coded and never zero: three in a row that mean something to a decoder begin with two zeros.
fn fill(body: &mut BytesMut, bytes: u64) {
    let mut state = bytes | 1;
    for _ in 0..bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [high, ..] = state.to_be_bytes();
        body.put_u8(high.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lectern_media::codec::Config;
    use lectern_media::track::{Class, Media, classify};

    fn of(seconds: u64, mut source: Source) -> Vec<Piece> {
        std::iter::from_fn(|| (source.due_ms() < seconds * 1_000).then(|| source.advance())).collect()
    }

    #[test]
    fn a_stream_has_the_bit_rate_that_was_asked_for() {
        for bitrate in [100_000, 600_000, 3_000_000, 30_000_000] {
            let bytes: usize = of(20, Source::new(bitrate, 2_000)).iter().map(|piece| piece.body.len()).sum();
            let got = bytes as u64 * 8 / 20;
            assert!(got.abs_diff(bitrate) * 100 <= bitrate, "{got} of {bitrate}");
        }
    }

    #[test]
    fn every_segment_begins_with_a_key_frame_and_times_never_go_back() {
        for (segment_ms, cut_ms) in [(2_000, 2_000), (500, 520), (1_000, 1_000)] {
            let source = Source::new(3_000_000, segment_ms);
            assert_eq!(source.segment_ms(), cut_ms);
            let pieces = of(10, source);
            assert!(pieces.is_sorted_by_key(|piece| piece.t_ms));
            let is_key =
                |piece: &&Piece| matches!(classify(piece.track, &piece.body), Class::Media(Media { key: true, .. }));
            let keys: Vec<u64> = pieces.iter().filter(is_key).map(|piece| piece.t_ms).collect();
            assert!(keys.windows(2).all(|pair| pair[1] - pair[0] == cut_ms) && keys[0] == 0, "{keys:?}");
            let count = |track| pieces.iter().filter(|piece| piece.track == track).count();
            assert_eq!((count(Track::Video), count(Track::Audio)), (250, 469));
        }
    }

    #[test]
    fn its_configurations_are_those_of_a_real_encoder() {
        let [(_, video), (_, audio)] = Source::configurations();
        let video = Config::read(Track::Video, &video).unwrap();
        assert_eq!((video.name(), video.resolution()), ("avc1.42c01f", Some((1_280, 720))));
        let Config::Aac(audio) = Config::read(Track::Audio, &audio).unwrap() else { panic!("not AAC") };
        assert_eq!((audio.sample_rate, audio.channels, audio.codec_string.as_str()), (48_000, 2, "mp4a.40.2"));
    }
}
