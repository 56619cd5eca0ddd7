//! What Lectern promises on Kubernetes, each promise a test of that name: a real API server, real kubelets, real
//! encoders, and viewers who come through the Service.
//!
//! All tests share one cluster of two nodes with Lectern installed ([`stage`]); each has a namespace of its own. Those
//! in [`quiet`] disturb no other test and run side by side; those in [`rough`] take nodes, API server, operator or chart away
//! and run alone. Their names sort behind the others', so that they come last.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up must fail")]
#![allow(clippy::print_stderr, reason = "figures and the reasons of a failure, shown by the test harness")]

mod crowd;
mod encoder;
mod event;
mod namespace;
mod quiet;
mod rough;
mod stage;
mod web;
