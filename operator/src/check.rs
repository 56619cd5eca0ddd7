//! `lectern check`: whether an installation is in order, asked of the API server. `helm test` runs it.
//!
//! Four questions: is the definition there, does it take an event, does an operator lead, is the metrics API available.
//! Each answer is a line; one that is not good says what to do about it.

use crate::start::{self, Threads};
use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::{Value, json};

/// A Lease that was renewed longer ago belongs to an operator that is gone: it renews every few seconds.
const LEASE_AGE_MAX: SignedDuration = SignedDuration::from_secs(30);

/// What the event that is tried is called; it is never stored.
const TRIAL_NAME: &str = "lectern-check";

/// Options of `lectern check`.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckOptions {
    /// The namespace that Lectern is installed in.
    #[arg(long, value_name = "NAMESPACE", env = "LECTERN_NAMESPACE", default_value = "lectern-system")]
    pub namespace: String,
    /// The Lease of the operator that leads.
    #[arg(long, value_name = "NAME", env = "LECTERN_LEASE", default_value = "lectern-operator")]
    pub lease: String,
    /// A namespace in which events may be created; the check creates none (dry run).
    #[arg(long, value_name = "NAMESPACE", env = "LECTERN_TRIAL_NAMESPACE", default_value = "lectern-system")]
    pub trial_namespace: String,
    /// The metrics APIs that must be available, such as v1beta2.custom.metrics.k8s.io. Default: none.
    #[arg(long, value_name = "NAME", env = "LECTERN_API_SERVICES", value_delimiter = ',')]
    pub api_services: Vec<String>,
}

/// Asks all questions, prints all answers.
///
/// # Errors
/// When an answer is not good, or there is no API server to ask.
pub fn main(options: &CheckOptions) -> Result<()> {
    let (bad, all) = start::runtime(Threads::One)?.block_on(ask_all(options))?;
    if bad > 0 {
        bail!("{bad} of {all} checks failed; see above");
    }
    println!("Everything is in order.");
    Ok(())
}

/// How many checks failed, and how many there are.
async fn ask_all(options: &CheckOptions) -> Result<(usize, usize)> {
    let client =
        Client::try_default().await.context("failed to find an API server (KUBECONFIG, or run it in a pod)")?;
    let (mut bad, questions) = (0, questions(options));
    for question in &questions {
        let answer = match ask(&client, question).await {
            Ok(object) => (question.judge)(&object, Timestamp::now()),
            Err(error) => Err(format!("{error:#}")),
        };
        match answer {
            Ok(good) => println!("ok      {}: {good}", question.about),
            Err(problem) => {
                bad += 1;
                println!("NOT OK  {}: {problem}\n        {}", question.about, question.remedy);
            }
        }
    }
    Ok((bad, questions.len()))
}

/// Something to ask the API server, and how to read the answer.
struct Question {
    about: String,
    path: String,
    /// Sent by POST if there is one.
    body: Option<Value>,
    judge: fn(&Value, Timestamp) -> Result<String, String>,
    remedy: &'static str,
}

fn questions(options: &CheckOptions) -> Vec<Question> {
    let CheckOptions { namespace, lease, trial_namespace, api_services } = options;
    let mut questions = vec![
        Question {
            about: "the resource LiveEvent".into(),
            path: "/apis/lectern.dev/v1alpha1".into(),
            body: None,
            judge: |_, _| Ok("is served".into()),
            remedy: "kubectl apply --server-side -f crds/, or crds.enabled=true in the chart",
        },
        Question {
            about: format!("an event in {trial_namespace}"),
            path: format!("/apis/lectern.dev/v1alpha1/namespaces/{trial_namespace}/liveevents?dryRun=All"),
            body: Some(trial()),
            judge: |_, _| Ok("would be accepted".into()),
            remedy: "the definition may be of another version, or an admission policy is in the way",
        },
        Question {
            about: "the operator".into(),
            path: format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{lease}"),
            body: None,
            judge: leads,
            remedy: "kubectl get pods and kubectl logs in its namespace say why none leads",
        },
    ];
    questions.extend(api_services.iter().filter(|name| !name.is_empty()).map(|name| Question {
        about: format!("the metrics API {name}"),
        path: format!("/apis/apiregistration.k8s.io/v1/apiservices/{name}"),
        body: None,
        judge: |object, _| is_available(object),
        remedy: "kubectl logs of metrics-api; if another server owns it: autoscaling.backend=operator in the chart",
    }));
    questions
}

fn trial() -> Value {
    json!({
        "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent", "metadata": {"name": TRIAL_NAME},
        "spec": {"streams": [{"name": "trial"}]},
    })
}

async fn ask(client: &Client, question: &Question) -> Result<Value> {
    let (method, body) = match &question.body {
        Some(body) => ("POST", body.to_string()),
        None => ("GET", String::new()),
    };
    let request = http::Request::builder().method(method).uri(&question.path);
    let request = request.header("Content-Type", "application/json").body(body.into_bytes());
    Ok(client.request(request.context("failed to write the question")?).await?)
}

/// Whether a replica holds the Lease and still renews it.
fn leads(lease: &Value, now: Timestamp) -> Result<String, String> {
    let holder = lease.pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default();
    if holder.is_empty() {
        return Err("no replica holds the Lease".into());
    }
    let renewed = lease.pointer("/spec/renewTime").and_then(Value::as_str).unwrap_or_default();
    let renewed: Timestamp = renewed.parse().map_err(|_| format!("{holder} never renewed the Lease"))?;
    let age = now.duration_since(renewed);
    if age > LEASE_AGE_MAX {
        return Err(format!("{holder} last renewed the Lease {} s ago", age.as_secs()));
    }
    Ok(format!("{holder} leads"))
}

fn is_available(api_service: &Value) -> Result<String, String> {
    let conditions = api_service.pointer("/status/conditions").and_then(Value::as_array);
    let available = conditions.into_iter().flatten().find(|c| c["type"] == "Available");
    let word = |key: &str| available.and_then(|c| c[key].as_str()).unwrap_or("nothing is known yet").to_owned();
    if word("status") == "True" { Ok("is available".into()) } else { Err(word("message")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_lease_counts_while_it_is_renewed() {
        let now = at("2026-12-01T09:00:30Z");
        let lease = |holder: &str, renewed: &str| json!({"spec": {"holderIdentity": holder, "renewTime": renewed}});
        assert_eq!(leads(&lease("one", "2026-12-01T09:00:29.5Z"), now), Ok("one leads".into()));
        for (lease, said) in [
            (lease("one", "2026-12-01T08:59:00Z"), "90 s ago"),
            (lease("", "2026-12-01T09:00:29Z"), "no replica holds"),
            (json!({"spec": {"holderIdentity": "one"}}), "never renewed"),
            (json!({}), "no replica holds"),
        ] {
            let problem = leads(&lease, now).expect_err("is not held");
            assert!(problem.contains(said), "{problem}");
        }
    }

    #[test]
    fn a_metrics_api_that_is_not_available_is_told_in_the_words_of_the_api_server() {
        let api = |status: &str| {
            json!({"status": {"conditions": [
            {"type": "Available", "status": status, "message": "no response from https://10.96.0.7:443"}]}})
        };
        assert!(is_available(&api("True")).is_ok());
        assert_eq!(is_available(&api("False")), Err("no response from https://10.96.0.7:443".into()));
        assert!(is_available(&json!({})).expect_err("unknown").contains("nothing is known yet"));
    }

    #[test]
    fn the_trial_event_is_one_that_would_work() {
        let trial: lectern_api::live_event::LiveEvent = serde_json::from_value(trial()).expect("is an event");
        assert_eq!(trial.spec.streams.len(), 1);
    }
}
