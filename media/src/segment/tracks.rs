//! The tracks that a muxer is made for, and why one is not.

use super::profile::Profile;
use crate::codec::{self, Config};
use crate::track::{Track, TrackSet};

/// Why there is no muxer for a set of tracks.
#[derive(Debug, thiserror::Error)]
pub enum MuxError {
    /// A profile of another release.
    #[error("profile {profile} is not known, this build speaks {} at most", Profile::NEWEST)]
    Profile {
        /// The profile that the epoch was announced with.
        profile: Profile,
    },
    /// Neither video nor audio.
    #[error("there is no track to mux")]
    NoTracks,
    /// A configuration.
    #[error("failed to read the configuration of the {track} track", track = match track { Track::Video => "video", Track::Audio => "audio" })]
    Config {
        /// The track that it belongs to.
        track: Track,
        /// Why.
        #[source]
        source: codec::ConfigError,
    },
    /// The tables at the start of a segment could not be written.
    #[error("failed to write the program tables: {message}")]
    Tables {
        /// What `mpeg2ts` reported.
        message: String,
    },
}

/// The tracks of a segment by their configurations.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    /// The video, if there is any.
    pub video: Option<codec::avc::Config>,
    /// The audio, if there is any.
    pub audio: Option<codec::aac::Config>,
}

impl Tracks {
    /// Reads the sequence headers of an epoch.
    ///
    /// # Errors
    /// No track, or a configuration that cannot be carried: see [`MuxError`].
    pub fn read(tracks: &TrackSet) -> Result<Self, MuxError> {
        let mut read = Self::default();
        for (track, body) in [(Track::Video, &tracks.video), (Track::Audio, &tracks.audio)] {
            let Some(body) = body else { continue };
            match Config::read(track, body).map_err(|source| MuxError::Config { track, source })? {
                Config::Avc(config) => read.video = Some(config),
                Config::Aac(config) => read.audio = Some(config),
            }
        }
        if read.video.is_none() && read.audio.is_none() { Err(MuxError::NoTracks) } else { Ok(read) }
    }
}
