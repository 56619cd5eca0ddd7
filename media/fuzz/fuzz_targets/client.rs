//! See `checks/client.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/client.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::any_phase(data));
