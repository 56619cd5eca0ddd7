//! What earlier passes applied for an event, so that nothing is applied twice. Pure.

use super::document::Document;
use crate::backend::cluster::watch::children::Children;
use crate::backend::cluster::watch::kind::Kind;
use crate::backend::cluster::watch::seen::ObjectSeen;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// What was applied before, so that it is not applied again.
#[derive(Debug, Default)]
pub struct LastApplied {
    documents: HashMap<(Kind, String), Mark>,
    secrets: Vec<String>,
    secrets_at: Option<Instant>,
}

/// One object as it was left.
#[derive(Debug)]
struct Mark {
    hash: String,
    /// What the API server called that state.
    version: String,
    /// The fingerprint of that state; if the answer did not tell, once a watch has shown it.
    print: Option<u64>,
}

impl LastApplied {
    /// Whether `document` is to be applied: it is another than last time, or the object was changed since.
    pub fn is_due(&mut self, document: &Document, children: &Children) -> bool {
        let key = (document.kind, document.name.clone());
        let (Some(mark), seen) = (self.documents.get_mut(&key), children.objects.get(&key)) else { return true };
        if mark.hash != document.hash {
            return true;
        }
        match seen {
            None => true,
            Some(seen) if seen.ending => false,
            Some(seen) if seen.version == mark.version => {
                mark.print = Some(seen.print);
                false
            }
            Some(seen) => mark.print != Some(seen.print),
        }
    }

    /// Whether the object was applied by an earlier pass.
    #[must_use]
    pub fn knows(&self, kind: Kind, name: &str) -> bool {
        self.documents.contains_key(&(kind, name.to_owned()))
    }

    /// Notes that `document` was applied: the API server called the result `version`, and it looks like `answer`.
    pub fn note(&mut self, document: &Document, version: String, answer: Option<&ObjectSeen>) {
        let mark = Mark { hash: document.hash.clone(), version, print: answer.map(|seen| seen.print) };
        self.documents.insert((document.kind, document.name.clone()), mark);
    }

    /// Notes that an object was deleted.
    pub fn forget(&mut self, kind: Kind, name: &str) {
        self.documents.remove(&(kind, name.to_owned()));
    }

    /// Whether all Secrets were created within `again`, so that only new names are due.
    #[must_use]
    pub fn secrets_are_recent(&self, again: Duration) -> bool {
        self.secrets_at.is_some_and(|at| at.elapsed() < again)
    }

    /// Whether a Secret of that name was created before.
    #[must_use]
    pub fn has_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|known| known == name)
    }

    /// Notes which Secrets exist; `all` says that each of them was created anew.
    pub fn note_secrets(&mut self, names: Vec<String>, all: bool) {
        self.secrets = names;
        if all {
            self.secrets_at = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cluster::watch::seen::{Detail, Owner};
    use serde_json::json;
    use std::sync::Arc;

    fn document(hash: &str) -> Document {
        Document { kind: Kind::Service, name: "gala-edge".into(), value: json!({"metadata": {}}), hash: hash.into() }
    }

    fn children(version: &str, print: u64) -> Children {
        let object = ObjectSeen {
            uid: "s".into(),
            owner: Some(Owner { kind: "LiveEvent".into(), name: "gala".into(), uid: "u".into() }),
            version: version.into(),
            print,
            ending: false,
            detail: Detail::Nothing,
        };
        let key = (Kind::Service, "gala-edge".to_owned());
        Children { objects: [(key, Arc::new(object))].into(), ..Children::default() }
    }

    fn applied(hash: &str, version: &str) -> LastApplied {
        let mark = Mark { hash: hash.into(), version: version.into(), print: None };
        LastApplied { documents: [((Kind::Service, "gala-edge".to_owned()), mark)].into(), ..LastApplied::default() }
    }

    #[test]
    fn what_is_as_it_was_left_is_not_applied_again() {
        let mut applied = applied("h", "7");
        assert!(!applied.is_due(&document("h"), &children("7", 1)));
        assert!(!applied.is_due(&document("h"), &children("8", 1)), "only its status moved");
        assert!(applied.is_due(&document("h"), &children("9", 2)), "a user edited it");
        assert!(applied.is_due(&document("other"), &children("7", 1)), "we want another");
        assert!(applied.is_due(&document("h"), &Children::default()), "a user deleted it");
    }

    #[test]
    fn after_a_restart_everything_is_applied_once() {
        assert!(LastApplied::default().is_due(&document("h"), &children("7", 1)));
    }
}
