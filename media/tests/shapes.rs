//! What encoders send, at the machine [`lectern_media::live::Ingest`] over virtual time: each message with its time
//! stamp and its arrival. Faults by name, then random shapes by seed.
#![allow(missing_docs, clippy::expect_used, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "the seeds to run come from the environment")]

#[path = "shapes/bench.rs"]
mod bench;
#[path = "shapes/faults.rs"]
mod faults;
#[path = "shapes/generate.rs"]
mod generate;
#[path = "shapes/meaning.rs"]
mod meaning;
#[path = "sim/random.rs"]
mod random;
