//! HTTP Live Streaming (RFC 8216, and draft-pantos-hls-rfc8216bis where it is newer): playlists as pure functions of
//! the ledger, and the decisions behind a ledger's entries.
//!
//! When to cut ([`cut`]), what is listed ([`window`]), the text ([`media_playlist`], [`multivariant_playlist`]) and what
//! the text says of the stream as a whole ([`variant()`]) are four files. The text is part of profile 1 and frozen with
//! it: golden files beside the tests.

pub mod cut;
mod playlist;
mod time;
pub mod variant;
pub mod window;

pub use playlist::{MEDIA_PLAYLIST_NAME, media_playlist, multivariant_playlist};
pub use variant::variant;
