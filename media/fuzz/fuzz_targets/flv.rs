//! See `checks/flv.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/flv.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::read(data));
