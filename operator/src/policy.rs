//! What the installation allows events to ask for. Pure.

use crate::plan::Objection;
use crate::validate::Event;
use lectern_api::condition::reason;
use lectern_api::live_event::{Expose, ExposeType};

/// Any annotation may be set.
const ANY: &str = "*";

/// What events may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Types of Services.
    pub expose_types: Vec<ExposeType>,
    /// Prefixes of annotations on Services; `*` is all.
    pub annotation_prefixes: Vec<String>,
}

impl Policy {
    /// Everything that `event` asks for and may not, each with what to do.
    #[must_use]
    pub fn objections(&self, event: &Event) -> Vec<Objection> {
        let exposed = [
            ("spec.ingest.expose", &event.ingest.expose),
            ("spec.edges.expose.http", &event.edges.expose.http),
            ("spec.edges.expose.rtmp", &event.edges.expose.rtmp),
        ];
        exposed.iter().flat_map(|(field, expose)| self.refused(field, expose)).collect()
    }

    fn refused(&self, field: &str, expose: &Expose) -> Vec<Objection> {
        let refuse = |message: String| Objection { reason: reason::FORBIDDEN_BY_POLICY, message };
        let mut all = Vec::new();
        if !self.expose_types.contains(&expose.kind) {
            let allowed: Vec<&str> = self.expose_types.iter().map(|kind| kind.as_str()).collect();
            all.push(refuse(format!(
                "{field}.type: this installation allows {}, not {} (chart value policy.exposeTypes)",
                allowed.join(", "),
                expose.kind.as_str()
            )));
        }
        let may = |key: &String| self.annotation_prefixes.iter().any(|prefix| prefix == ANY || key.starts_with(prefix));
        all.extend(expose.annotations.keys().filter(|key| !may(key)).map(|key| {
            refuse(format!(
                "{field}.annotations: this installation does not allow {key} (chart value policy.annotationPrefixes)"
            ))
        }));
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its event must fail")]

    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_installation_does_not_allow_is_refused_with_the_value_to_change() {
        let raw = serde_json::from_value(json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": {"name": "gala"},
            "spec": {"streams": [{"name": "a"}], "ingest": {"expose": {"type": "NodePort", "annotations": {"x.dev/y": "z"}}}},
        }));
        let event = crate::validate::validate(&raw.unwrap()).unwrap();
        let strict = Policy { expose_types: vec![ExposeType::ClusterIP], annotation_prefixes: vec!["lb.dev/".into()] };
        let texts: Vec<String> = strict.objections(&event).into_iter().map(|objection| objection.message).collect();
        assert!(
            texts.iter().any(|text| text.contains("spec.ingest.expose.type") && text.contains("NodePort")),
            "{texts:?}"
        );
        assert!(texts.iter().any(|text| text.contains("x.dev/y")), "{texts:?}");
        let open = Policy {
            expose_types: vec![ExposeType::ClusterIP, ExposeType::NodePort, ExposeType::LoadBalancer],
            annotation_prefixes: vec![ANY.into()],
        };
        assert_eq!(open.objections(&event), []);
    }
}
