//! HTTP Live Streaming (RFC 8216, and draft-pantos-hls-rfc8216bis where it is newer): playlists as pure functions of
//! the ledger, and the decisions behind a ledger's entries.
//!
//! One file each: when to cut ([`cut`]), how much is listed ([`window`]), what a list is made of ([`Listing`]), its text
//! ([`media_playlist`], [`multivariant_playlist`]), and the attributes of the stream as a whole ([`variant()`]). The text
//! is frozen by the list profile that the ledger says: golden files beside the tests.

pub mod cut;
mod listing;
mod playlist;
mod time;
pub mod variant;
pub mod window;

pub use listing::{Kind, Listing};
pub use playlist::{MEDIA_PLAYLIST_NAME, media_playlist, multivariant_playlist};
pub(crate) use time::Utc;
pub use variant::variant;
