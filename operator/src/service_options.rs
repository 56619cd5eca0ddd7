//! Options that `lectern operator` and `lectern metrics-api` share. Each is an environment variable, which is what the
//! chart sets (docs/cluster.md).

use clap::ValueEnum;
use lectern_process::logs::LogOptions;
use std::net::SocketAddr;

/// Options of the two commands that a cluster runs all the time.
#[derive(Clone, Debug, clap::Args)]
pub struct ServiceOptions {
    /// The namespace that Lectern is installed in: Lease, root Secret and the Secret with the serving certificate are there.
    #[arg(long, value_name = "NAMESPACE", env = "LECTERN_NAMESPACE", default_value = "lectern-system")]
    pub namespace: String,
    /// Name of this replica in logs, as holder of the Lease and as reporter of Events. Default: the name of the host.
    #[arg(long, value_name = "NAME", env = "LECTERN_POD_NAME")]
    pub pod_name: Option<String>,
    /// Namespaces whose events are served. Default: all.
    #[arg(long, value_name = "NAMESPACE", env = "LECTERN_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_ADMIN", default_value = "0.0.0.0:9090")]
    pub listen_admin: SocketAddr,
    /// What scales the edges, and so which APIServices Lectern owns.
    #[arg(long, value_enum, env = "LECTERN_METRICS_BACKEND", default_value = "apiservice")]
    pub metrics_backend: Backend,
    /// The Service of metrics-api. Its name is the name in the certificate.
    #[arg(long, value_name = "NAME", env = "LECTERN_METRICS_SERVICE", default_value = "lectern-metrics")]
    pub metrics_service: String,
    /// The Secret with that certificate, which metrics-api creates and renews.
    #[arg(long, value_name = "NAME", env = "LECTERN_METRICS_TLS_SECRET", default_value = "lectern-metrics-tls")]
    pub metrics_tls_secret: String,
    /// Format and level of logs.
    #[command(flatten)]
    pub logs: LogOptions,
}

/// Who scales edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
pub enum Backend {
    /// An autoscaler that asks metrics-api.
    Apiservice,
    /// An autoscaler that asks metrics-api by way of external.metrics.k8s.io.
    External,
    /// KEDA.
    Keda,
    /// The operator.
    Operator,
}

impl Backend {
    /// The APIServices that the chart registers for metrics-api, first the one that autoscalers prefer.
    #[must_use]
    pub fn api_services(self) -> &'static [&'static str] {
        match self {
            Self::Apiservice => &["v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io"],
            Self::External => &["v1beta1.external.metrics.k8s.io"],
            Self::Keda | Self::Operator => &[],
        }
    }
}

impl ServiceOptions {
    /// The namespaces to watch; None is all of them.
    #[must_use]
    pub fn scopes(&self) -> Vec<Option<String>> {
        let named = filled(&self.watch_namespaces);
        if named.is_empty() { vec![None] } else { named.into_iter().map(Some).collect() }
    }
}

/// An empty variable counts as none.
#[must_use]
pub fn filled(all: &[String]) -> Vec<String> {
    all.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its options must fail")]

    use crate::args::{Args, Command};
    use clap::Parser as _;

    #[test]
    fn both_commands_watch_the_namespaces_that_are_named_and_all_where_none_is() {
        let table: [(&str, &[Option<&str>]); 3] =
            [("halls, ,labs", &[Some("halls"), Some("labs")]), (" ", &[None]), ("halls", &[Some("halls")])];
        for (text, expected) in table {
            for command in [&["operator", "--node-image", "i"][..], &["metrics-api"]] {
                let words = [&["lectern"], command, &["--watch-namespaces", text]].concat();
                let service = match Args::try_parse_from(words).unwrap().command {
                    Command::Operator(options) => options.service,
                    Command::MetricsApi(options) => options.service,
                    other => panic!("{other:?}"),
                };
                let scopes = service.scopes();
                assert_eq!(scopes.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{text:?}");
            }
        }
    }
}
