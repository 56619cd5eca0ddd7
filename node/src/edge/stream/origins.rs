//! Which pages of other origins may play (Fetch standard, "CORS protocol").

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

/// How long a browser may remember a preflight, in seconds: two hours is what Chromium keeps at most.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
/// What players send beyond the safelisted headers: the answer to a preflight that names none.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("Range, If-None-Match, If-Range, Cache-Control, Pragma");
/// What players may read: lengths for bandwidth estimation, Date for the live clock, Retry-After when refused.
const RESPONSE_HEADERS: HeaderValue =
    HeaderValue::from_static("Accept-Ranges, Content-Length, Content-Range, Date, ETag, Retry-After");

/// The origins of pages that may play.
#[derive(Debug, Default)]
pub enum Origins {
    /// No page of another origin.
    #[default]
    None,
    /// Every page.
    Any,
    /// These, compared byte for byte as browsers send them.
    These(Vec<HeaderValue>),
}

impl Origins {
    /// From the event's list; `*` anywhere in it means every page. What cannot be a header value matches no page.
    #[must_use]
    pub fn new(allowed: &[String]) -> Self {
        if allowed.iter().any(|origin| origin == "*") {
            return Self::Any;
        }
        let these: Vec<_> =
            allowed.iter().filter_map(|origin| HeaderValue::from_str(origin.trim_end_matches('/')).ok()).collect();
        if these.is_empty() { Self::None } else { Self::These(these) }
    }

    /// Adds to `answer` what a page needs to be allowed to read it.
    pub fn allow(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        let allowed = match self {
            Self::None => return,
            Self::Any => HeaderValue::from_static("*"),
            Self::These(these) => {
                // The answer differs by origin, for caches in front even when this request names none.
                answer.append(VARY, HeaderValue::from_static("Origin"));
                match request.get(ORIGIN) {
                    Some(origin) if these.contains(origin) => origin.clone(),
                    _ => return,
                }
            }
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    }

    /// Adds to `answer` what a preflight asks, beyond [`Origins::allow`].
    pub fn preflight(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        self.allow(request, answer);
        if answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            // Any header may be sent: no answer depends on one, and credentials are never allowed.
            let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned().unwrap_or(REQUEST_HEADERS);
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
            answer.append(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
            answer.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
        }
    }
}
