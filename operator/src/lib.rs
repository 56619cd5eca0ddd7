//! Lectern's operator: a pure middle (`validate`, `plan`, `render`) and the backends that carry a plan out.
//!
//! The middle knows no client, no clock and no socket: time is an argument, and what was seen is an `Observed` in which
//! everything may be missing.

mod admin;
pub mod args;
pub mod audience;
pub mod backend;
pub mod check;
pub mod crd;
pub mod input;
mod kubernetes;
pub mod metrics_api;
pub mod plan;
pub mod policy;
pub mod render;
pub mod repair;
pub mod scaling;
pub mod service_options;
pub mod show;
mod start;
mod status_client;
pub mod validate;
