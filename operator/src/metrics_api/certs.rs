//! Certificates: `certificate` (pure) and `keeper` have the serving certificate, `api_services` makes the API server
//! trust it, and `front_proxy` knows whose requests are answered.

pub mod api_services;
pub mod certificate;
pub mod front_proxy;
pub mod keeper;
