//! An encoder: 10 pictures a second with a key frame every 2 s, audio beside it; it reconnects like OBS does.

use super::random::Random;
use bytes::Bytes;
use lectern_media::track::Track;

/// FLV tag body with the AVCDecoderConfigurationRecord of a 320×180 baseline stream (made with x264).
const AVC_CONFIG: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x42, 0xc0, 0x0b, 0xff, 0xe1, 0x00, 0x17, 0x67, 0x42, 0xc0, 0x0b, 0xda, 0x05, 0x06, 0x7e,
    0x7c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x05, 0x03, 0xc5, 0x0a, 0xa8, 0x01, 0x00, 0x04, 0x68,
    0xce, 0x0f, 0xc8,
];
/// The same picture parameters under another level: a changed configuration.
const AVC_CONFIG_CHANGED: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x42, 0xc0, 0x0c, 0xff, 0xe1, 0x00, 0x17, 0x67, 0x42, 0xc0, 0x0c, 0xda, 0x05, 0x06, 0x7e,
    0x7c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x05, 0x03, 0xc5, 0x0a, 0xa8, 0x01, 0x00, 0x04, 0x68,
    0xce, 0x0f, 0xc8,
];
const AAC_CONFIG: &[u8] = &[0xaf, 0, 0x12, 0x10];

const FRAME_MS: u64 = 100;
const AUDIO_MS: u64 = 46;

/// A simulated encoder of one stream.
pub struct Encoder {
    random: Random,
    /// The ingest it publishes to.
    pub at: Option<usize>,
    /// When it connects next; `None` while it is off.
    pub connect_ms: Option<u64>,
    pub retry_ms: u64,
    pub key_every: u64,
    pub video: bool,
    pub audio: bool,
    /// Audio configuration comes this long after the start.
    pub late_audio_ms: u64,
    /// Time stamps stand still and no message comes, up to here.
    pub silent_until_ms: u64,
    config: &'static [u8],
    started_ms: u64,
    start_stamp: u32,
    sent_video: u64,
    sent_audio: u64,
    send_config: (bool, bool),
}

impl Encoder {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed ^ 0xe4c0de),
            at: None,
            connect_ms: None,
            retry_ms: 1_000,
            key_every: 20,
            video: true,
            audio: true,
            late_audio_ms: 0,
            silent_until_ms: 0,
            config: AVC_CONFIG,
            started_ms: 0,
            start_stamp: 0,
            sent_video: 0,
            sent_audio: 0,
            send_config: (false, false),
        }
    }

    pub fn wants_to_connect(&mut self, now_ms: u64, alive: &[usize]) -> Option<usize> {
        if self.at.is_some() || self.connect_ms.is_none_or(|at| now_ms < at) {
            return None;
        }
        if alive.is_empty() {
            self.connect_ms = Some(now_ms + self.retry_ms);
            return None;
        }
        let count = alive.len() as u64;
        let at = alive[usize::try_from(self.random.below(count)).expect("few")];
        self.at = Some(at);
        self.connect_ms = None;
        self.restart(now_ms);
        Some(at)
    }

    /// Time stamps begin anew, anywhere: as after a reconnect, or a jump in the middle of a session.
    pub fn restart(&mut self, now_ms: u64) {
        self.started_ms = now_ms;
        self.start_stamp = u32::try_from(self.random.below(1 << 32)).expect("32 bits");
        self.sent_video = 0;
        self.sent_audio = 0;
        self.send_config = (true, true);
    }

    pub fn change_config(&mut self) {
        self.config = AVC_CONFIG_CHANGED;
        self.send_config.0 = true;
        // A new configuration comes with a key frame.
        self.sent_video = self.sent_video.next_multiple_of(self.key_every);
    }

    pub fn lost(&mut self, now_ms: u64) {
        self.at = None;
        self.connect_ms = Some(now_ms + self.retry_ms);
    }

    pub fn refused(&mut self, now_ms: u64) {
        self.lost(now_ms);
    }

    pub fn stop(&mut self, again_ms: Option<u64>) {
        self.at = None;
        self.connect_ms = again_ms;
    }

    /// The messages that are due, in the order of their time.
    pub fn due(&mut self, now_ms: u64) -> Vec<(Track, u32, Bytes)> {
        let mut messages = Vec::new();
        if now_ms < self.silent_until_ms {
            return messages;
        }
        let elapsed = now_ms.saturating_sub(self.started_ms);
        if std::mem::take(&mut self.send_config.0) && self.video {
            messages.push((Track::Video, self.stamp(elapsed), Bytes::from_static(self.config)));
        }
        if self.send_config.1 && self.audio && elapsed >= self.late_audio_ms {
            self.send_config.1 = false;
            messages.push((Track::Audio, self.stamp(elapsed), Bytes::from_static(AAC_CONFIG)));
        }
        while self.sent_video * FRAME_MS <= elapsed {
            let t = self.sent_video * FRAME_MS;
            if self.video {
                messages.push((Track::Video, self.stamp(t), self.picture(self.sent_video)));
            }
            self.sent_video += 1;
        }
        while self.sent_audio * AUDIO_MS <= elapsed {
            let t = self.sent_audio * AUDIO_MS;
            if self.audio && t >= self.late_audio_ms {
                messages.push((Track::Audio, self.stamp(t), Self::sound(self.sent_audio)));
            }
            self.sent_audio += 1;
        }
        messages.sort_by_key(|(_, stamp, _)| stamp.wrapping_sub(self.start_stamp));
        messages
    }

    /// Skips what was not sent during a silence: the time stamps stay honest.
    pub fn resume_after_silence(&mut self, now_ms: u64) {
        let elapsed = now_ms - self.started_ms;
        self.sent_video = (elapsed / FRAME_MS + 1).next_multiple_of(self.key_every);
        self.sent_audio = elapsed / AUDIO_MS + 1;
    }

    fn stamp(&self, t_ms: u64) -> u32 {
        self.start_stamp.wrapping_add(u32::try_from(t_ms).expect("less than 49 days"))
    }

    fn picture(&self, n: u64) -> Bytes {
        let key = n.is_multiple_of(self.key_every);
        let (first, nal) = if key { (0x17, 0x65) } else { (0x27, 0x41) };
        let mut body = vec![first, 1, 0, 0, 0, 0, 0, 0, 13, nal];
        body.extend_from_slice(&self.started_ms.to_be_bytes()[4..]);
        body.extend_from_slice(&n.to_be_bytes());
        Bytes::from(body)
    }

    fn sound(n: u64) -> Bytes {
        let mut body = vec![0xaf, 1];
        body.extend_from_slice(&n.to_be_bytes());
        Bytes::from(body)
    }
}
