//! Which of two encoders of a stream is on air: the main or the backup one.
//!
//! The key decides an encoder's role, never the order in which they come. An encoder that is not on air is read and looked
//! at all the same, and goes on air at a frame that decoding can start at, so that a change costs one epoch. Of its media
//! nothing is kept but the last configuration of each track and the last metadata.

use super::timeline::Clock;
use crate::codec::Config;
use crate::track::{Class, Message, Track, TrackSet};
use bytes::Bytes;

#[cfg(test)]
mod tests;

/// An encoder that sends no media for this long is silent: the other one takes its place.
pub const SILENT_MS: u64 = 1_000;
/// The main encoder takes over from the backup once it has sent media for this long without a silence or a jump of its
/// time: shorter than that, a line that comes and goes would change the picture again and again.
pub const STEADY_MS: u64 = 10_000;
/// A configuration, or metadata, of more bytes than this is not kept: an AVC configuration has some 50 bytes, metadata some
/// 500. An encoder that needs more can be on air only from its beginning on.
const KEPT_BYTES_MAX: usize = 16 << 10;

/// What an encoder is for, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// On air whenever it sends steadily.
    Main,
    /// On air while the main one does not.
    Backup,
}

impl Role {
    /// The encoder beside it.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Main => Self::Backup,
            Self::Backup => Self::Main,
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its encoder is on air: it goes on its way.
    OnAir,
    /// Its encoder is not on air: it was looked at, and goes no further.
    Aside,
    /// Its encoder goes on air with this message: a new publish, which begins with these configurations and metadata.
    GoesOn(TrackSet),
}

/// Why an encoder that is not on air could not go on air now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// The encoder sent a configuration that the ingest cannot read; why not.
    Unreadable(String),
    /// No configuration of its leading track came.
    NoConfiguration,
    /// No frame came that decoding can start at.
    NoKeyFrame,
    /// No media for so many milliseconds.
    Silent(u64),
    /// The main encoder is back, and has been steady for so many milliseconds only.
    Steadying(u64),
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = |ms: &u64| format!("{}.{}s", ms / 1_000, ms % 1_000 / 100);
        match self {
            Self::Unreadable(words) => write!(f, "UnreadableConfiguration ({words})"),
            Self::NoConfiguration => f.write_str("NoSequenceHeader"),
            Self::NoKeyFrame => f.write_str("NoKeyFrame"),
            Self::Silent(ms) => write!(f, "Silent (nothing for {})", seconds(ms)),
            Self::Steadying(ms) => write!(f, "Steadying ({} of {})", seconds(ms), seconds(&STEADY_MS)),
        }
    }
}

/// What is known of one encoder.
#[derive(Debug)]
struct Encoder {
    clock: Clock,
    tracks: TrackSet,
    /// The last configuration of its track could not be read, and why.
    unreadable: Option<(Track, String)>,
    has_video: bool,
    can_start: bool,
    /// When media last came; at first when it was accepted.
    last_ms: u64,
    /// Since when media has come without a silence or a jump.
    steady_since_ms: Option<u64>,
    /// Its media is so far ahead of its arrival, counted from the first message.
    ahead_ms: u64,
}

impl Encoder {
    fn new(now_ms: u64) -> Self {
        Self {
            clock: Clock::default(),
            tracks: TrackSet::default(),
            unreadable: None,
            has_video: false,
            can_start: false,
            last_ms: now_ms,
            steady_since_ms: None,
            ahead_ms: 0,
        }
    }

    fn take(&mut self, now_ms: u64, stamp: u32, message: &Message) {
        match message.class {
            Class::Config => self.configuration(message),
            Class::Media(_) => {
                let reading = self.clock.read(now_ms, message.track, stamp);
                self.clock.accept(now_ms, message.track, &reading);
                if self.silent_ms(now_ms).is_some() || reading.jump.is_some() {
                    self.steady_since_ms = None;
                }
                self.steady_since_ms.get_or_insert(now_ms);
                self.last_ms = now_ms;
                self.ahead_ms = u64::try_from(reading.at - now_ms.cast_signed()).unwrap_or(0);
                self.has_video |= message.track == Track::Video;
                self.can_start |= self.starts_with(message);
            }
            Class::End | Class::Other | Class::NotCarried(_) => {}
        }
    }

    fn configuration(&mut self, message: &Message) {
        self.has_video |= message.track == Track::Video;
        match Config::read(message.track, &message.body) {
            Ok(_) => {
                *self.tracks.header_mut(message.track) = kept(&message.body);
                self.unreadable.take_if(|(track, _)| *track == message.track);
            }
            Err(error) => self.unreadable = Some((message.track, error.to_string())),
        }
    }

    /// Whether decoding can start at this message.
    fn starts_with(&self, message: &Message) -> bool {
        message.key() || (!self.has_video && matches!(message.class, Class::Media(_)))
    }

    fn silent_ms(&self, now_ms: u64) -> Option<u64> {
        Some(now_ms.saturating_sub(self.last_ms)).filter(|ms| *ms >= SILENT_MS)
    }

    fn steady_ms(&self, now_ms: u64) -> u64 {
        self.steady_since_ms.map_or(0, |since_ms| now_ms.saturating_sub(since_ms))
    }

    fn not_ready(&self, now_ms: u64) -> Option<NotReady> {
        let leader = if self.has_video { Track::Video } else { Track::Audio };
        if let Some((_, words)) = &self.unreadable {
            return Some(NotReady::Unreadable(words.clone()));
        }
        if self.tracks.header(leader).is_none() {
            return Some(NotReady::NoConfiguration);
        }
        if !self.can_start {
            return Some(NotReady::NoKeyFrame);
        }
        self.silent_ms(now_ms).map(NotReady::Silent)
    }
}

/// State of both encoders of a stream, and which of them is on air.
#[derive(Debug, Default)]
pub struct Roles {
    on_air: Option<Role>,
    main: Option<Encoder>,
    backup: Option<Encoder>,
}

impl Roles {
    /// The encoder that is on air.
    #[must_use]
    pub fn on_air(&self) -> Option<Role> {
        self.on_air
    }

    /// An encoder was accepted; an earlier one of its role is over. Returns whether it is on air at once: nothing else is.
    pub fn publish(&mut self, now_ms: u64, role: Role) -> bool {
        self.gone(role);
        *self.encoder_mut(role) = Some(Encoder::new(now_ms));
        let at_once = self.on_air.is_none();
        if at_once {
            self.on_air = Some(role);
        }
        at_once
    }

    /// The encoder of this role is gone. Returns whether it was on air; the other one goes on air with its next key frame.
    pub fn gone(&mut self, role: Role) -> bool {
        *self.encoder_mut(role) = None;
        self.on_air.take_if(|on_air| *on_air == role).is_some()
    }

    /// `onMetaData` of an encoder. Returns whether it is on air.
    pub fn metadata(&mut self, role: Role, payload: &Bytes) -> bool {
        if let Some(encoder) = self.encoder_mut(role) {
            encoder.tracks.metadata = kept(payload);
        }
        self.on_air == Some(role)
    }

    /// Audio or video of an encoder, with its RTMP time stamp.
    pub fn message(&mut self, now_ms: u64, role: Role, stamp: u32, message: &Message) -> Verdict {
        let Some(encoder) = self.encoder_mut(role) else { return Verdict::Aside };
        encoder.take(now_ms, stamp, message);
        if self.on_air == Some(role) {
            return Verdict::OnAir;
        }
        match self.encoder(role).filter(|own| own.starts_with(message) && self.may_go_on(now_ms, role, own)) {
            Some(own) => {
                let tracks = own.tracks.clone();
                self.on_air = Some(role);
                Verdict::GoesOn(tracks)
            }
            None => Verdict::Aside,
        }
    }

    /// The encoder that is there beside the one on air, and why it could not take over now.
    #[must_use]
    pub fn standby(&self, now_ms: u64) -> Option<(Role, Option<NotReady>)> {
        let role = self.on_air?.other();
        let encoder = self.encoder(role)?;
        let steadying = || {
            let steady_ms = encoder.steady_ms(now_ms);
            (role == Role::Main && steady_ms < STEADY_MS).then_some(NotReady::Steadying(steady_ms))
        };
        Some((role, encoder.not_ready(now_ms).or_else(steadying)))
    }

    /// Milliseconds by which the media of an encoder that is not on air is ahead of the clock.
    #[must_use]
    pub fn ahead_ms(&self, role: Role) -> u64 {
        self.encoder(role).map_or(0, |encoder| encoder.ahead_ms)
    }

    fn may_go_on(&self, now_ms: u64, role: Role, own: &Encoder) -> bool {
        if own.not_ready(now_ms).is_some() {
            return false;
        }
        let Some(other) = self.on_air.and_then(|on_air| self.encoder(on_air)) else { return true };
        let steady_ms = own.steady_ms(now_ms);
        // Two encoders that both send less often than once a second would take turns with every picture.
        let better = other.silent_ms(now_ms).is_some() && steady_ms >= SILENT_MS;
        better || (role == Role::Main && steady_ms >= STEADY_MS)
    }

    fn encoder(&self, role: Role) -> Option<&Encoder> {
        match role {
            Role::Main => self.main.as_ref(),
            Role::Backup => self.backup.as_ref(),
        }
    }

    fn encoder_mut(&mut self, role: Role) -> &mut Option<Encoder> {
        match role {
            Role::Main => &mut self.main,
            Role::Backup => &mut self.backup,
        }
    }
}

/// A copy of its own, if it is small: `bytes` may be a piece of a larger buffer, which it would keep alive.
fn kept(bytes: &Bytes) -> Option<Bytes> {
    (bytes.len() <= KEPT_BYTES_MAX).then(|| Bytes::copy_from_slice(bytes))
}
