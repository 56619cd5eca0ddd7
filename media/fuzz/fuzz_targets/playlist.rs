//! What the renderer writes of any ledger, `m3u8-rs` reads back: see `checks/playlist.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/playlist.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::round_trip(data));
