//! See `checks/amf0.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/amf0.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::round_trip(data));
