//! The objects of an event: as golden files, by name, and by what must hold for all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its files must fail")]

mod policies;
mod restricted;
mod support;
mod templates;

use lectern::plan::{Images, Observed};
use lectern::render::Metrics;
use serde_json::{Value, json};
use std::path::Path;
use support::{NOW, event, event_with, idle, installation, live, rendered, rendered_by};

/// Compares with `operator/testdata/NAME`; `UPDATE=1` rewrites it, and the difference is what a review looks at.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    lectern_golden::check(path, text);
}

/// Pod templates are a function of spec and image: a changed line here rolls the pods of everybody who upgrades.
#[test]
fn the_objects_of_the_examples_are_as_reviewed() {
    for name in ["smallest", "everything"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(format!("{name}.yaml"));
        let (_, event) = lectern::input::event(&path).unwrap();
        golden(&format!("objects-{name}.yaml"), &rendered(&event).to_yaml().unwrap());
    }
}

#[test]
fn an_event_has_these_objects_and_no_others() {
    let names: Vec<String> = rendered(&event()).documents().unwrap().iter().map(name_of).collect();
    let expected = [
        "ServiceAccount gala-ingest",
        "ServiceAccount gala-edge",
        "Role gala-ingest",
        "RoleBinding gala-ingest",
        "Secret gala-seed",
        "Secret gala-relay",
        "Secret gala-hall-a-key",
        "Secret gala-hall-b-key",
        "ConfigMap gala-node",
        "NetworkPolicy gala-ingest",
        "NetworkPolicy gala-edge",
        "Service gala-ingest",
        "Service gala-edge",
        "Service gala-edge-rtmp",
        "Service gala-relay",
        "PodDisruptionBudget gala-ingest",
        "PodDisruptionBudget gala-edge",
        "Deployment gala-ingest",
        "Deployment gala-edge",
        "HorizontalPodAutoscaler gala-edge",
    ];
    assert_eq!(names, expected);
}

#[test]
fn what_is_not_asked_for_is_not_made() {
    let own_keys = event_with(&json!({ "ingest": { "publishKeysSecretRef": { "name": "mine" } } }));
    let keys: Vec<_> = rendered(&own_keys).secrets.into_iter().filter_map(|secret| secret.metadata.name).collect();
    assert_eq!(keys, ["gala-seed", "gala-relay"], "with their own keys nobody needs generated ones");

    let hls_only = event_with(&json!({ "playback": { "protocols": [] } }));
    assert!(rendered(&hls_only).services.iter().all(|one| one.metadata.name.as_deref() != Some("gala-edge-rtmp")));

    for (metrics, autoscalers) in
        [(Metrics::ApiService, 1), (Metrics::External, 1), (Metrics::Keda, 0), (Metrics::Operator, 0)]
    {
        let mut installation = installation();
        installation.metrics = metrics;
        assert_eq!(rendered_by(&event(), &Observed::default(), &installation).autoscalers.len(), autoscalers);
    }
}

#[test]
fn where_custom_metrics_are_somebody_elses_the_autoscaler_asks_for_external_ones() {
    let mut installation = installation();
    installation.metrics = Metrics::External;
    let autoscaler = rendered_by(&event(), &Observed::default(), &installation).autoscalers.remove(0);
    let metrics = serde_json::to_value(autoscaler.spec.unwrap().metrics).unwrap();
    let expected = json!([{"type": "External", "external": {
        "metric": {"name": "viewer_demand", "selector": {"matchLabels": {"lectern.dev/event": "gala"}}},
        "target": {"type": "AverageValue", "averageValue": "1050"},
    }}]);
    assert_eq!(metrics, expected);
}

#[test]
fn the_example_for_keda_goes_by_the_same_rules() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/autoscaling/keda.yaml")).unwrap();
    let example: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    let autoscaler = rendered(&event()).autoscalers.remove(0).spec.unwrap();
    let ours = serde_json::to_value(&autoscaler).unwrap();
    let theirs = &example["spec"];
    assert_eq!(theirs["advanced"]["horizontalPodAutoscalerConfig"]["behavior"], ours["behavior"]);
    assert_eq!(theirs["scaleTargetRef"]["name"], ours["scaleTargetRef"]["name"]);
    assert_eq!(theirs["minReplicaCount"], ours["minReplicas"]);
    assert_eq!(theirs["maxReplicaCount"], ours["maxReplicas"]);
    let target = &ours["metrics"][0]["object"]["target"]["averageValue"];
    assert_eq!(&theirs["triggers"][0]["metadata"]["threshold"], target);
}

#[test]
fn every_object_says_whose_it_is_and_goes_with_the_event() {
    for document in rendered(&event()).documents().unwrap() {
        let metadata = &document["metadata"];
        let labels = &metadata["labels"];
        assert_eq!(labels["app.kubernetes.io/managed-by"], "lectern", "{document}");
        assert_eq!(labels["lectern.dev/event"], "gala");
        assert!(labels["lectern.dev/role"] == "ingest" || labels["lectern.dev/role"] == "edge");
        assert_eq!(metadata["namespace"], "default");
        let owner = &metadata["ownerReferences"][0];
        assert_eq!((&owner["kind"], &owner["controller"]), (&json!("LiveEvent"), &json!(true)));
        assert_eq!(owner["uid"], support::UID);
        assert!(owner["blockOwnerDeletion"].is_null(), "it would need a right on liveevents/finalizers");
    }
}

#[test]
fn what_refers_to_an_object_of_the_event_finds_it() {
    let documents = rendered(&event()).documents().unwrap();
    let names: Vec<String> = documents.iter().map(name_of).collect();
    let has = |kind: &str, name: &Value| {
        let wanted = format!("{kind} {}", name.as_str().unwrap());
        assert!(names.contains(&wanted), "{wanted}");
    };
    for deployment in documents.iter().filter(|one| one["kind"] == "Deployment") {
        let pod = &deployment["spec"]["template"]["spec"];
        has("ServiceAccount", &pod["serviceAccountName"]);
        for volume in pod["volumes"].as_array().unwrap() {
            match (&volume["configMap"]["name"], &volume["secret"]["secretName"]) {
                (Value::Null, secret) => has("Secret", secret),
                (config_map, _) => has("ConfigMap", config_map),
            }
        }
    }
    for service in documents.iter().filter(|one| one["kind"] == "Service") {
        let pods = pods_with(&documents, &service["spec"]["selector"]);
        assert_eq!(pods.len(), 1, "{service}");
        let ports = pods[0]["spec"]["containers"][0]["ports"].as_array().unwrap();
        for port in service["spec"]["ports"].as_array().unwrap() {
            assert!(ports.iter().any(|one| one["name"] == port["targetPort"]), "{port}");
        }
    }
    let autoscaler = documents.iter().find(|one| one["kind"] == "HorizontalPodAutoscaler").unwrap();
    has("Deployment", &autoscaler["spec"]["scaleTargetRef"]["name"]);
}

#[test]
fn the_autoscaler_aims_below_what_an_edge_carries_and_never_goes_down_fast() {
    let event = event_with(&json!({ "edges": {
        "min": 3, "max": 9, "viewersPerEdge": 1000, "targetUtilizationPercent": 60, "egressBitsPerSecondPerEdge": "4G",
    } }));
    let autoscaler = serde_json::to_value(&rendered(&event).autoscalers[0]).unwrap();
    let spec = &autoscaler["spec"];
    assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&json!(3), &json!(9)));
    let metric = |index: usize| {
        let object = &spec["metrics"][index]["object"];
        (object["metric"]["name"].clone(), object["target"]["averageValue"].clone())
    };
    assert_eq!(metric(0), (json!("viewer_demand"), json!("600")));
    assert_eq!(metric(1), (json!("egress_bits_per_second"), json!("2400000000")));
    let down = &spec["behavior"]["scaleDown"];
    assert!(down["stabilizationWindowSeconds"].as_u64().unwrap() >= 120);
    let policies = down["policies"].as_array().unwrap();
    assert!(!policies.is_empty(), "the only protection after an outage of the metrics");
}

#[test]
fn the_number_of_edges_is_never_applied() {
    let objects = rendered(&event());
    assert_eq!(objects.deployments[0].spec.as_ref().unwrap().replicas, Some(1));
    assert_eq!(objects.deployments[1].spec.as_ref().unwrap().replicas, None);
}

#[test]
fn the_ingest_may_be_taken_away_only_while_nobody_would_notice() {
    for (seen, at_once, busy) in [(live(), 0, true), (idle(), 1, false), (Observed::default(), 0, true)] {
        let objects = rendered_by(&event(), &seen, &installation());
        let budget = serde_json::to_value(&objects.pod_disruption_budgets[0]).unwrap();
        assert_eq!(budget["spec"]["maxUnavailable"], at_once);
        assert_eq!(budget["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow");
        let evict = &objects.ingest_pod_annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"];
        assert_eq!(evict.as_deref(), busy.then_some("false"));
    }
}

#[test]
fn the_image_in_use_stays_while_a_stream_is_live() {
    let images = Images { in_use: Some("lectern:1".into()), wanted: "lectern:2".into(), turn: true };
    for (seen, image) in [(live(), "lectern:1"), (idle(), "lectern:2")] {
        let seen = Observed { images: Some(images.clone()), ..seen };
        for deployment in rendered_by(&event(), &seen, &installation()).deployments {
            let deployment = serde_json::to_value(deployment).unwrap();
            assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], image);
        }
    }
}

#[test]
fn the_ingest_reads_the_configuration_that_is_mounted() {
    let objects = rendered(&event());
    let text = &objects.config_maps[0].data.as_ref().unwrap()[lectern::render::NODE_FILE];
    let config: lectern_api::node_config::IngestConfig = serde_json::from_str(text).unwrap();
    assert_eq!(config.event, "default/gala");
    let pod = serde_json::to_value(&objects.deployments[0]).unwrap()["spec"]["template"]["spec"].clone();
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let mounted = |path: &str| mounts.iter().any(|one| path.starts_with(one["mountPath"].as_str().unwrap()));
    assert!(mounted(&config.seed_file) && mounted(pod["containers"][0]["args"][2].as_str().unwrap()));
}

#[test]
fn a_printed_plan_tells_no_secret() {
    let event = event();
    let plan = lectern::plan::plan(&event, &Observed::default(), NOW.parse().unwrap());
    let text = lectern::show::objects(&event, &plan).unwrap();
    assert_eq!(text.matches("(derived by the operator)").count(), 4);
    let seed = lectern_api::keys::relay_token(b"");
    assert!(!text.contains(&seed), "not even those of an empty seed");
}

fn name_of(document: &Value) -> String {
    format!("{} {}", document["kind"].as_str().unwrap(), document["metadata"]["name"].as_str().unwrap())
}

/// The pod templates that have all the labels of `selector`.
fn pods_with<'a>(documents: &'a [Value], selector: &Value) -> Vec<&'a Value> {
    let templates = documents.iter().filter(|one| one["kind"] == "Deployment").map(|one| &one["spec"]["template"]);
    let matches = |pod: &&Value| {
        let labels = &pod["metadata"]["labels"];
        selector.as_object().unwrap().iter().all(|(key, value)| &labels[key] == value)
    };
    templates.filter(matches).collect()
}

#[test]
fn the_load_balancer_of_the_ingest_shows_the_addresses_of_encoders_and_a_node_port_answers_everywhere() {
    let policy = |expose: Value| {
        let objects = rendered(&event_with(&json!({"ingest": {"expose": expose}})));
        let of = |name: &str| {
            let service = objects.services.iter().find(|service| service.metadata.name.as_deref() == Some(name));
            service.and_then(|service| service.spec.clone()).and_then(|spec| spec.external_traffic_policy)
        };
        (of("gala-ingest"), of("gala-edge"))
    };
    let local = Some("Local".to_owned());
    assert_eq!(policy(json!({"type": "LoadBalancer"})), (local.clone(), None));
    assert_eq!(policy(json!({"type": "NodePort"})), (None, None), "Local would not answer on nodes without the pod");
    assert_eq!(policy(json!({"type": "ClusterIP"})), (None, None), "the API server refuses it there");
    let chosen = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Cluster"});
    assert_eq!(policy(chosen), (Some("Cluster".to_owned()), None), "what the event says wins");
    assert_eq!(policy(json!({"type": "NodePort", "externalTrafficPolicy": "Local"})), (local, None));
}

#[test]
fn a_key_generation_replaces_the_keys_and_touches_no_pod() {
    let of = |generation: Option<u32>| {
        let objects = rendered(&event_with(&json!({"ingest": {"keyGeneration": generation}})));
        let secrets: Vec<(String, String)> = objects
            .secrets
            .iter()
            .map(|secret| {
                let values = secret.string_data.iter().flatten().map(|(_, value)| value.clone());
                (secret.metadata.name.clone().unwrap(), values.collect())
            })
            .collect();
        let config = objects.config_maps[0].data.clone().unwrap().into_values().collect::<String>();
        (secrets, serde_json::to_value(&objects.deployments).unwrap(), config)
    };
    let (none, first, second) = (of(None), of(Some(1)), of(Some(2)));
    let name = |found: &(Vec<(String, String)>, Value, String)| found.0[2].0.clone();
    assert_eq!(
        [name(&none), name(&first), name(&second)],
        ["gala-hall-a-key", "gala-hall-a-key-1", "gala-hall-a-key-2"]
    );
    assert_ne!(first.0[2].1, second.0[2].1);
    assert_ne!(none.0[2].1, first.0[2].1);
    assert_eq!(none.0[..2], second.0[..2], "seed and relay token stay: links between nodes are not cut");
    assert_eq!(none.1, second.1, "no pod is replaced");
    assert!(!none.2.contains("keySalt") && second.2.contains("/2"), "the ingest reads it from its configuration");
}
