//! RTMP: chunks, messages, and the two sessions, sans-IO.
//!
//! Specification: Adobe's Real Time Messaging Protocol 1.0 (2012). Media never passes through `rml_rtmp`: its handshake
//! and its session engines see only what this module made anew from vetted values (docs/adr/0005).
//!
//! ```text
//! bytes ─▶ handshake ─▶ chunk::Reader ─▶ control ─▶ session ─▶ media, metadata, data
//!          (rml_rtmp)   (bounded)        (acks,     (commands, engine: rml_rtmp behind the guard)
//!                                         pings)
//! ```

pub mod chunk;
pub mod client;
pub mod limits;
pub mod message;
pub mod server;

mod command;
mod config;
mod control;
mod engine;
mod event;
mod handshake;
mod payload;
mod transport;

pub use event::{Closed, SessionError, Waiting};
pub use message::Message;
