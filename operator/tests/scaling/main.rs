//! How edges follow an audience, over virtual time: crowds, the autoscaler of Kubernetes with its real rules, what the
//! operator adds (schedule, burst, deletion costs, lost edges), edges that start, fill up and refuse.
//!
//! Rules and numbers of our own are the real ones: the event goes through `plan`, the autoscaler acts on the object that
//! `render` makes. What surrounds them is modelled on measurements (docs/autoscaling.md says which). No clock and no
//! random source: every run of a scenario is the same, and its plot is a golden file (`UPDATE=1` rewrites it).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a simulation that cannot run must fail")]

mod audience;
mod control;
mod figures;
mod hpa;
mod plot;
mod random;
mod rules;
mod run;
mod scenarios;
mod world;
