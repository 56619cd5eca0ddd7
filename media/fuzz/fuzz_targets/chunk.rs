//! See `checks/chunk.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/chunk.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::any_pieces(data));
