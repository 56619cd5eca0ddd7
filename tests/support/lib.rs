//! What the end-to-end tests share: starting the fleet, publishing with real encoders, following playlists, waiting.
//!
//! Binaries are started by path, as a user would; nothing of the node or the operator is imported. They are built by
//! `cargo build --workspace` (`make test` does it): a test that finds none says so.

pub mod browser;
pub mod crowd;
pub mod follow;
pub mod frames;
pub mod http;
pub mod local;
pub mod media;
pub mod nodes;
pub mod page;
pub mod process;
pub mod publish;
pub mod reel;
pub mod wait;
