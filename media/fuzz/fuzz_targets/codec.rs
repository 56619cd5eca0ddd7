//! See `checks/codec.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/codec.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::changed(data));
