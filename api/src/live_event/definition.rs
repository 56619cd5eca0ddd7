//! The resource definition as it is installed: what the derive makes, and the default of the status.

use super::LiveEvent;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

/// The CustomResourceDefinition of LiveEvents.
///
/// A status is there from the first moment, with `Ready=Unknown`: without it `helm --wait` and `kubectl wait` take an
/// event that the operator has not looked at for one that needs no waiting.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut definition = LiveEvent::crd();
    for version in &mut definition.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        tidy(schema);
        if let Some(status) = schema.properties.as_mut().and_then(|all| all.get_mut("status")) {
            status.default = Some(JSON(json!({
                "phase": "Pending",
                "conditions": [{
                    "type": "Ready",
                    "status": "Unknown",
                    "reason": crate::condition::reason::PENDING,
                    "message": "Waiting for the operator. If this stays, see whether it runs: kubectl get pods -A -l app.kubernetes.io/name=lectern",
                    "lastTransitionTime": "1970-01-01T00:00:00Z",
                }],
            })));
        }
    }
    definition
}

/// Two things that the derive leaves: descriptions keep the line breaks of the source, and unsigned numbers have formats
/// that the API server does not know and warns about.
fn tidy(schema: &mut JSONSchemaProps) {
    if let Some(text) = &mut schema.description {
        *text = text.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    }
    schema.format = schema.format.take().map(|format| match format.as_str() {
        "uint8" | "uint16" => "int32".into(),
        "uint32" | "uint64" => "int64".into(),
        _ => format,
    });
    schema.properties.iter_mut().flat_map(|all| all.values_mut()).for_each(tidy);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_one_that_an_api_server_takes_without_a_warning() {
        let text = serde_json::to_string(&definition()).unwrap_or_default();
        assert!(text.contains("x-kubernetes-list-map-keys") && text.contains("x-kubernetes-validations"));
        assert!(!text.contains("uint"), "formats that are not known");
        assert!(!text.contains("anyOf"), "not structural");
    }

    #[test]
    fn everything_that_people_write_is_explained() {
        fn walk(schema: &JSONSchemaProps, path: &str) {
            for (name, field) in schema.properties.iter().flatten() {
                let path = format!("{path}.{name}");
                assert!(field.description.as_ref().is_some_and(|text| text.ends_with(['.', '}', ')'])), "{path}");
                walk(field, &path);
                if let Some(JSONSchemaPropsOrArray::Schema(items)) = &field.items {
                    walk(items, &path);
                }
            }
        }
        let definition = definition();
        let schema = definition.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        walk(&schema.and_then(|schema| schema.properties.as_ref()).unwrap()["spec"], "spec");
    }

    #[test]
    fn a_new_event_is_not_ready_before_somebody_looked() {
        let definition = serde_json::to_value(definition()).unwrap();
        let status = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["default"];
        assert_eq!(
            (&status["conditions"][0]["type"], &status["conditions"][0]["status"]),
            (&json!("Ready"), &json!("Unknown"))
        );
        assert!(serde_json::from_value::<super::super::LiveEventStatus>(status.clone()).is_ok());
    }
}
