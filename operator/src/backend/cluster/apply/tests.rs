//! What is applied again, and what is not.

use super::*;
use crate::backend::cluster::seen::{Detail, ObjectSeen};
use std::sync::Arc;

fn document(hash: &str) -> Document {
    Document { kind: Kind::Service, name: "gala-edge".into(), value: json!({"metadata": {}}), hash: hash.into() }
}

fn around(version: &str, print: u64) -> Surroundings {
    let object = ObjectSeen {
        uid: "s".into(),
        owner: Some(Owner { kind: "LiveEvent".into(), name: "gala".into(), uid: "u".into() }),
        version: version.into(),
        print,
        ending: false,
        detail: Detail::Nothing,
    };
    let key = (Kind::Service, "gala-edge".to_owned());
    Surroundings { objects: [(key, Arc::new(object))].into(), ..Surroundings::default() }
}

fn applied(hash: &str, version: &str) -> Applied {
    let mark = Mark { hash: hash.into(), version: version.into(), print: None };
    Applied { documents: [((Kind::Service, "gala-edge".to_owned()), mark)].into(), ..Applied::default() }
}

#[test]
fn what_is_as_it_was_left_is_not_applied_again() {
    let mut applied = applied("h", "7");
    assert!(!applied.is_due(&document("h"), &around("7", 1)));
    assert!(!applied.is_due(&document("h"), &around("8", 1)), "only its status moved");
    assert!(applied.is_due(&document("h"), &around("9", 2)), "somebody edited it");
    assert!(applied.is_due(&document("other"), &around("7", 1)), "we want another");
    assert!(applied.is_due(&document("h"), &Surroundings::default()), "somebody deleted it");
}

#[test]
fn after_a_restart_everything_is_applied_once() {
    assert!(Applied::default().is_due(&document("h"), &around("7", 1)));
}

#[test]
fn what_no_longer_belongs_to_the_event_goes_and_what_never_did_stays() {
    let around = around("7", 1);
    assert_eq!(superfluous(&[], &around, "u").len(), 1);
    assert_eq!(superfluous(&[document("h")], &around, "u"), vec![]);
    assert_eq!(superfluous(&[], &around, "somebody else"), vec![]);
}
