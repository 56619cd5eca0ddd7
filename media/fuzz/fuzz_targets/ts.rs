//! What the muxer writes of any frames and any configuration, `mpeg2ts` reads back: see `checks/ts.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/ts.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::round_trip(data));
