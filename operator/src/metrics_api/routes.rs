//! What is answered to whom. Pure: a request, who sent it, and what is known become an answer.
//!
//! The API server has authenticated and authorised the client that asks it for metrics, and says so with the certificate of its
//! front proxy. No other client may ask; headers such as X-Remote-User mean nothing here. The operator has a token of its
//! own, good for one path.

use super::rounds::Outcome;
use super::wire::{self, Metric, Sample, Version};
use crate::audience::{self, EventAudience};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body_util::Full;
use lectern_api::labels;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::borrow::Cow;
use subtle::ConstantTimeEq as _;

/// A round that ended longer ago tells nothing any more: then there is no answer rather than an old one, because
/// autoscalers do not look at the time of a value.
const ROUND_AGE_MS_MAX: u64 = 15_000;

/// Who sent a request, as TLS knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// No certificate.
    Anonymous,
    /// One that the front proxy's authority signed, with this common name.
    Certified(String),
}

/// What is known at the time of a request.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The last round; None before the first.
    pub outcome: Option<&'a Outcome>,
    /// Names that the front proxy may have; empty: every one that its authority signed.
    pub allowed_names: &'a [String],
    /// Tokens of the operator: of the serving key, and of the one before.
    pub tokens: &'a [String],
    /// Why no requests should be sent here, if so.
    pub not_ready: Option<&'static str>,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// An answer.
pub type Reply = Response<Full<Bytes>>;

/// Answers a request.
#[must_use]
pub fn answer(method: &Method, uri: &Uri, headers: &HeaderMap, peer: &Peer, known: &Known<'_>) -> Reply {
    if method != Method::GET {
        return fail(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "only GET is answered");
    }
    match uri.path() {
        "/healthz" => text(StatusCode::OK, "ok"),
        "/readyz" => match known.not_ready {
            None => text(StatusCode::OK, "ok"),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
        },
        audience::PATH => audience(headers, known),
        path => match refusal(peer, known) {
            Some(refusal) => refusal,
            None => api(path, uri.query().unwrap_or_default(), known),
        },
    }
}

/// Only the front proxy may ask.
fn refusal(peer: &Peer, known: &Known<'_>) -> Option<Reply> {
    match peer {
        Peer::Anonymous => Some(fail(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "a client certificate of the API server's front proxy is needed; ask through the API server",
        )),
        Peer::Certified(name) if !known.allowed_names.is_empty() && !known.allowed_names.contains(name) => {
            Some(fail(StatusCode::FORBIDDEN, "Forbidden", &format!("{name:?} is none of requestheader-allowed-names")))
        }
        Peer::Certified(_) => None,
    }
}

fn audience(headers: &HeaderMap, known: &Known<'_>) -> Reply {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let matches = token.is_some_and(|token| {
        // Every one is compared, so that time tells nothing.
        known.tokens.iter().fold(false, |found, own| found | bool::from(own.as_bytes().ct_eq(token)))
    });
    if !matches {
        return fail(StatusCode::UNAUTHORIZED, "Unauthorized", "the operator's token is needed");
    }
    let json = known.outcome.map_or_else(|| Outcome::default().json(), Outcome::json);
    reply(StatusCode::OK, "application/json", json)
}

fn api(path: &str, query: &str, known: &Known<'_>) -> Reply {
    let parts: Vec<Cow<'_, str>> = path.trim_matches('/').split('/').map(decoded).collect();
    let parts: Vec<&str> = parts.iter().map(Cow::as_ref).collect();
    let version = |group: &str, name: &str| Version::of(group).iter().copied().find(|version| version.name() == name);
    match parts.as_slice() {
        ["apis"] => json(&wire::groups()),
        ["apis", group] if !Version::of(group).is_empty() => json(&wire::group(group)),
        ["apis", group, name] => version(group, name).map_or_else(not_found, |version| json(&wire::resources(version))),
        ["apis", group, name, "namespaces", namespace, rest @ ..] => match (version(group, name), rest) {
            (Some(version @ (Version::Custom1 | Version::Custom2)), [wire::RESOURCE, event, metric]) => {
                custom(version, namespace, event, metric, query, known)
            }
            (Some(version @ (Version::Custom1 | Version::Custom2)), [resource, event, metric]) => {
                no_metric(version, metric, &format!("{resource} {event}"), "")
            }
            (Some(version @ Version::External1), [metric]) => external(version, namespace, metric, query, known),
            _ => not_found(),
        },
        _ => not_found(),
    }
}

/// A metric of one event, or with `*` of all events of the namespace.
fn custom(version: Version, namespace: &str, event: &str, metric: &str, query: &str, known: &Known<'_>) -> Reply {
    let what = format!("{} {event}", wire::RESOURCE);
    let Some(found) = Metric::named(metric) else { return no_metric(version, metric, &what, "") };
    if parameter(query, "metricLabelSelector").is_some() || event == "*" && parameter(query, "labelSelector").is_some()
    {
        return fail(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "events are asked for by name; selectors are not supported",
        );
    }
    let (outcome, fresh) = match fresh(known) {
        Ok(fresh) => fresh,
        Err(why) => return no_metric(version, metric, &what, why),
    };
    let own = |id: &'_ String| {
        id.split_once('/').is_some_and(|(space, name)| space == namespace && (event == "*" || name == event))
    };
    let samples: Vec<Sample<'_>> = outcome
        .round
        .events
        .iter()
        .filter(|(id, _)| own(id))
        .map(|(id, audience)| sample(id, found, audience, fresh))
        .collect();
    if samples.is_empty() {
        let id = format!("{namespace}/{event}");
        let why = outcome.unknown.get(&id).copied().unwrap_or("there is no such event");
        return no_metric(version, metric, &what, why);
    }
    json(&wire::values(version, &samples))
}

/// A metric of the event that the label selector names.
fn external(version: Version, namespace: &str, metric: &str, query: &str, known: &Known<'_>) -> Reply {
    let Some(found) = Metric::named(metric) else { return no_metric(version, metric, "events", "") };
    let selector = parameter(query, "labelSelector").unwrap_or_default();
    let Some(event) = selector.split_once('=').filter(|(key, _)| *key == labels::EVENT).map(|(_, event)| event) else {
        let message = format!("labelSelector must be {}=EVENT, not {selector:?}", labels::EVENT);
        return fail(StatusCode::BAD_REQUEST, "BadRequest", &message);
    };
    let event = event.trim_start_matches('=');
    let (outcome, fresh) = match fresh(known) {
        Ok(fresh) => fresh,
        Err(why) => return no_metric(version, metric, event, why),
    };
    let id = format!("{namespace}/{event}");
    match outcome.round.events.get_key_value(&id) {
        Some((id, audience)) => json(&wire::values(version, &[sample(id, found, audience, fresh)])),
        None => {
            let why = outcome.unknown.get(&id).copied().unwrap_or("there is no such event");
            no_metric(version, metric, event, why)
        }
    }
}

fn sample<'a>(id: &'a str, metric: Metric, audience: &EventAudience, at_ms: u64) -> Sample<'a> {
    let (namespace, event) = id.split_once('/').unwrap_or(("", id));
    let value = match metric {
        Metric::LiveViewers => audience.viewers,
        Metric::ViewerDemand => audience.demand,
        Metric::EgressBitsPerSecond => audience.egress_bits_per_second,
    };
    Sample { namespace, event, metric, value, at_ms }
}

/// The last round and when it ended, if it may still be told.
fn fresh<'a>(known: &Known<'a>) -> Result<(&'a Outcome, u64), &'static str> {
    let Some(outcome) = known.outcome else { return Err("the edges were not asked yet") };
    let ended_ms = outcome.round.ended_ms;
    if known.now_ms.saturating_sub(ended_ms) > ROUND_AGE_MS_MAX {
        return Err("the edges have not been asked for a while");
    }
    Ok((outcome, ended_ms))
}

/// As the library of the Kubernetes project words it; autoscalers show these words to people.
fn no_metric(version: Version, metric: &str, what: &str, why: &str) -> Reply {
    let mut message = match version {
        Version::Custom1 | Version::Custom2 => format!("the server could not find the metric {metric} for {what}"),
        Version::External1 => format!("the server could not find the external metric {metric} for {what}"),
    };
    if !why.is_empty() {
        message = format!("{message}: {why}");
    }
    fail(StatusCode::NOT_FOUND, "NotFound", &message)
}

fn not_found() -> Reply {
    fail(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
}

fn fail(code: StatusCode, reason: &str, message: &str) -> Reply {
    let body = wire::failure(code.as_u16(), reason, message).to_string();
    reply(code, "application/json", body.into())
}

fn json(value: &Value) -> Reply {
    reply(StatusCode::OK, "application/json", value.to_string().into())
}

fn text(code: StatusCode, words: &'static str) -> Reply {
    reply(code, "text/plain; charset=utf-8", Bytes::from_static(words.as_bytes()))
}

fn reply(code: StatusCode, kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = code;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// A parameter of a query, unless it is empty.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.into_iter().find(|(key, _)| decoded(key) == name)?;
    Some(decoded(&found.1.replace('+', " ")).into_owned()).filter(|value| !value.is_empty())
}

/// Percent-encoding undone. What is no UTF-8 then matches nothing.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests;
