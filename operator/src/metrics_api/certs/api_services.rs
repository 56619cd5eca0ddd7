//! Keeps `caBundle` of the APIServices current, so that the API server trusts the serving certificate. Only of those
//! that point at our Service: APIServices of other servers are left alone.

use super::certificate::Material;
use k8s_openapi::ByteString;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Between two looks, whatever happens: a user may have applied the APIService anew.
const PERIOD: Duration = Duration::from_secs(30);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// What is to be done about one.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// It is as it should be.
    Nothing,
    /// It points at another server, or at none; the text says which.
    Leave(String),
    /// This patch.
    Patch(serde_json::Value),
}

/// Keeps `names` for ever, if they point at `service` in `namespace`.
pub async fn keep(
    client: Client,
    names: &'static [&'static str],
    (namespace, service): (String, String),
    mut material: watch::Receiver<Option<Material>>,
) {
    let api: Api<APIService> = Api::all(client);
    let mut said: BTreeMap<&str, String> = BTreeMap::new();
    loop {
        let bundle = material.borrow_and_update().as_ref().map(|material| material.authorities.clone());
        let mut failed = false;
        if let Some(bundle) = &bundle {
            for name in names {
                let words = match look(&api, name, &namespace, &service, bundle).await {
                    Ok(words) => words,
                    Err(error) => {
                        failed = true;
                        format!("failed to keep its caBundle: {error}")
                    }
                };
                if said.insert(name, words.clone()).as_ref() != Some(&words) && !words.is_empty() {
                    tracing::info!(api_service = name, "{words}");
                }
            }
        }
        // A new certificate is a reason to look at once.
        match timeout(if failed { RETRY } else { PERIOD }, material.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => return,
        }
    }
}

async fn look(
    api: &Api<APIService>,
    name: &str,
    namespace: &str,
    service: &str,
    bundle: &str,
) -> Result<String, kube::Error> {
    match step(api.get_opt(name).await?.as_ref(), namespace, service, bundle) {
        Step::Nothing => Ok(String::new()),
        Step::Leave(words) => Ok(words),
        Step::Patch(patch) => {
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
            Ok("its caBundle is the authority of the serving certificate now".into())
        }
    }
}

fn step(found: Option<&APIService>, namespace: &str, service: &str, bundle: &str) -> Step {
    let Some(spec) = found.and_then(|found| found.spec.as_ref()) else {
        return Step::Leave("it is not registered: autoscalers cannot read metrics through the API server".into());
    };
    let owner = spec.service.as_ref();
    let owner = owner.map(|owner| (owner.namespace.as_deref(), owner.name.as_deref())).unwrap_or_default();
    if owner != (Some(namespace), Some(service)) {
        let (theirs, name) = (owner.0.unwrap_or_default(), owner.1.unwrap_or_default());
        return Step::Leave(format!(
            "it belongs to {theirs}/{name}, not to {namespace}/{service}, and is left alone; \
             autoscaling.backend=operator in the chart does without it"
        ));
    }
    if spec.insecure_skip_tls_verify == Some(true) {
        return Step::Leave(
            "it skips the verification of certificates (insecureSkipTLSVerify), and is left alone".into(),
        );
    }
    let bundle = ByteString(bundle.as_bytes().to_vec());
    if spec.ca_bundle.as_ref() == Some(&bundle) {
        return Step::Nothing;
    }
    // The version makes it fail if the owner changed in between.
    let version = found.and_then(|found| found.metadata.resource_version.as_deref());
    Step::Patch(json!({"metadata": {"resourceVersion": version}, "spec": {"caBundle": bundle}}))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its object must fail")]

    use super::*;

    fn api_service(spec: serde_json::Value) -> APIService {
        let mut object =
            json!({"metadata": {"resourceVersion": "7"}, "spec": {"groupPriorityMinimum": 1, "versionPriority": 1}});
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_an_api_service_that_points_here_is_patched_and_only_once() {
        let ours = json!({"namespace": "lectern-system", "name": "lectern-metrics"});
        let patch = json!({"metadata": {"resourceVersion": "7"}, "spec": {"caBundle": "UEVN"}});
        let table = [
            (json!({"service": ours}), Some(Step::Patch(patch.clone()))),
            (json!({"service": ours, "caBundle": "b2xk"}), Some(Step::Patch(patch))),
            (json!({"service": ours, "caBundle": "UEVN"}), Some(Step::Nothing)),
            (json!({"service": ours, "insecureSkipTLSVerify": true}), None),
            (json!({"service": {"namespace": "monitoring", "name": "prometheus-adapter"}}), None),
            (json!({"service": {"namespace": "lectern-system", "name": "other"}}), None),
            (json!({}), None),
        ];
        for (spec, expected) in table {
            let step = step(Some(&api_service(spec.clone())), "lectern-system", "lectern-metrics", "PEM");
            match expected {
                Some(expected) => assert_eq!(step, expected, "{spec}"),
                None => assert!(matches!(step, Step::Leave(_)), "{spec}: {step:?}"),
            }
        }
        assert!(matches!(step(None, "a", "b", "PEM"), Step::Leave(_)));
    }
}
