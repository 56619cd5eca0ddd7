//! The two state machines of a live stream over virtual time: named orderings of failures, and random ones by seed.
#![allow(missing_docs, clippy::expect_used, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "the seeds to run come from the environment")]

#[path = "sim/check.rs"]
mod check;
#[path = "sim/deliver.rs"]
mod deliver;
#[path = "sim/encoder.rs"]
mod encoder;
#[path = "sim/links.rs"]
mod links;
#[path = "sim/orderings.rs"]
mod orderings;
#[path = "sim/random.rs"]
mod random;
#[path = "sim/releases.rs"]
mod releases;
#[path = "sim/standstill.rs"]
mod standstill;
#[path = "sim/storm.rs"]
mod storm;
#[path = "sim/viewers.rs"]
mod viewers;
#[path = "sim/world.rs"]
mod world;
