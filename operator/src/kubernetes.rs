//! What every part that talks to an API server needs: typed access to one namespace or to all, and what a refusal means.

use k8s_openapi::NamespaceResourceScope;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};

/// Access to objects of one kind in `namespace` (None: in all).
#[must_use]
pub fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Why the API server refused a request, as far as a caller acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such object, or no such kind.
    NotFound,
    /// An object of that name exists.
    AlreadyExists,
    /// The object is another one, or of another version, than the request was meant for.
    Conflict,
    /// The account may not do this.
    Forbidden,
}

/// The refusal in `error`; None for every other failure.
#[must_use]
pub fn refusal(error: &kube::Error) -> Option<Refusal> {
    let kube::Error::Api(status) = error else { return None };
    if status.is_already_exists() {
        Some(Refusal::AlreadyExists)
    } else if status.is_conflict() {
        Some(Refusal::Conflict)
    } else if status.is_not_found() {
        Some(Refusal::NotFound)
    } else if status.is_forbidden() {
        Some(Refusal::Forbidden)
    } else {
        None
    }
}

/// The refusal that a watch met.
#[must_use]
pub fn watch_refusal(error: &watcher::Error) -> Option<Refusal> {
    match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => refusal(cause),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => None,
    }
}

/// What the API server answered, without the whole body.
#[must_use]
pub fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its answer must fail")]

    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_is_taken_is_told_apart_from_a_version_that_is_outdated() {
        let error = |code: u16, reason: &str| {
            let answer = json!({"status": "Failure", "reason": reason, "message": "words", "code": code});
            kube::Error::Api(Box::new(serde_json::from_value(answer).unwrap()))
        };
        for (code, reason, expected) in [
            (409, "AlreadyExists", Some(Refusal::AlreadyExists)),
            (409, "Conflict", Some(Refusal::Conflict)),
            (404, "NotFound", Some(Refusal::NotFound)),
            (403, "Forbidden", Some(Refusal::Forbidden)),
            (500, "InternalError", None),
        ] {
            assert_eq!(refusal(&error(code, reason)), expected, "{reason}");
            assert_eq!(watch_refusal(&watcher::Error::WatchStartFailed(error(code, reason))), expected, "{reason}");
        }
        assert_eq!(describe(&error(403, "Forbidden")), "words (403)");
    }
}
