//! The part of a request that answers depend on besides its path.

use crate::edge::door::Credentials;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method};
use std::net::IpAddr;

/// Method and headers of a request.
#[derive(Debug)]
pub struct RequestHead {
    /// GET, HEAD or OPTIONS; other methods are refused before anything else is looked at.
    pub method: Method,
    /// All headers.
    pub headers: HeaderMap,
}

impl RequestHead {
    /// Whether the body of the answer is wanted, not only its headers.
    #[must_use]
    pub fn is_get(&self) -> bool {
        self.method == Method::GET
    }

    /// What a viewer at `peer` shows with this request.
    #[must_use]
    pub fn credentials(&self, peer: IpAddr) -> Credentials<'_> {
        Credentials { peer, agent: self.headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default() }
    }
}
