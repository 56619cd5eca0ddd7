//! Stage 3, render: the plan becomes objects, and those the documents that are applied, each with the hash by which a
//! change of ours is known. Pure. Asks the API server nothing.

use super::document::{Document, documents};
use super::pass::{Error, EventPass};
use crate::backend::cluster::watch::children::Children;
use crate::backend::cluster::watch::kind::Kind;
use crate::plan::Plan;
use crate::render::{self, Objects};
use lectern_api::live_event::UpdatePolicy;

/// What is to be applied for an event.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The plan that it was rendered from.
    pub plan: Plan,
    /// What there should be.
    pub objects: Objects,
    /// What is applied.
    pub documents: Vec<Document>,
    /// What is neither applied nor deleted now: it would restart an ingest that is in use.
    pub held: Vec<Document>,
}

/// Renders `plan`, and holds back what would restart an ingest that waits to be idle.
///
/// # Errors
/// When an object cannot be written as JSON; none of them holds anything that could not.
pub fn render(pass: &EventPass<'_>, mut plan: Plan) -> Result<Rendered, Error> {
    let objects = render::render(pass.event, &plan, &pass.identity, &pass.context.installation);
    let waits = |document: &Document| {
        let known = pass.children.deployment(&document.name).and_then(|known| known.template.as_deref());
        document.kind == Kind::Deployment
            && document.name == pass.event.name.ingest()
            && known.is_some_and(|known| Some(known) != document.template())
            && pass.event.ingest.update == UpdatePolicy::WhenIdle
            && !plan.idle.is_idle()
    };
    let all = documents(&objects).map_err(Error::Json)?;
    let (held, documents): (Vec<_>, Vec<_>) = all.into_iter().partition(waits);
    plan.rollout.template_waits = !held.is_empty();
    Ok(Rendered { plan, objects, documents, held })
}

/// Kind, name and uid of the objects that exist for the event and are not among `wanted`, applied or held: those are deleted.
#[must_use]
pub fn superfluous(wanted: [&[Document]; 2], children: &Children, uid: &str) -> Vec<(Kind, String, String)> {
    let ours = children
        .objects
        .iter()
        .filter(|(_, object)| !object.ending && object.owner.as_ref().is_some_and(|owner| owner.uid == uid));
    let is_wanted =
        |kind: Kind, name: &str| wanted.iter().copied().flatten().any(|one| one.kind == kind && one.name == name);
    let unwanted = ours.filter(|((kind, name), _)| !is_wanted(*kind, name));
    unwanted.map(|((kind, name), object)| (*kind, name.clone(), object.uid.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cluster::watch::seen::{Detail, ObjectSeen, Owner};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn what_no_longer_belongs_to_the_event_goes_and_what_never_did_stays() {
        let object = ObjectSeen {
            uid: "s".into(),
            owner: Some(Owner { kind: "LiveEvent".into(), name: "gala".into(), uid: "u".into() }),
            version: "7".into(),
            print: 1,
            ending: false,
            detail: Detail::Nothing,
        };
        let key = (Kind::Service, "gala-edge".to_owned());
        let children = Children { objects: [(key, Arc::new(object))].into(), ..Children::default() };
        let wanted = Document { kind: Kind::Service, name: "gala-edge".into(), value: json!({}), hash: "h".into() };
        let none: [&[Document]; 2] = [&[], &[]];
        assert_eq!(superfluous(none, &children, "u").len(), 1);
        for kept in [[std::slice::from_ref(&wanted), &[]], [&[], std::slice::from_ref(&wanted)]] {
            assert_eq!(superfluous(kept, &children, "u"), vec![], "applied or held");
        }
        assert_eq!(superfluous(none, &children, "another"), vec![]);
    }
}
