//! See `checks/relay.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/relay.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::any_documents(data));
