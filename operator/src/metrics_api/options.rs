//! Options of `lectern metrics-api`. Each is an environment variable, which is what the chart sets (docs/cluster.md).

use crate::backend::cluster::Backend;
use crate::telemetry::Logs;
use std::net::SocketAddr;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Answers, over TLS on --listen-https:
  /apis/custom.metrics.k8s.io/…    live_viewers, viewer_demand and egress_bits_per_second of liveevents.lectern.dev, to the
                                   API server alone (a client certificate of its front proxy)
  /apis/external.metrics.k8s.io/…  the same, selected by the label lectern.dev/event
  /lectern/v1/audience             everything at once, to the operator alone (a token derived from the certificate's key)
  /healthz, /readyz                to everybody
and on --listen-admin /healthz, /readyz, /metrics.

Nothing has to lead: every replica asks every edge, and each gives the same answers. To look at them by hand:
  kubectl get --raw /apis/custom.metrics.k8s.io/v1beta2/namespaces/NAMESPACE/liveevents.lectern.dev/EVENT/viewer_demand";

/// Options of `lectern metrics-api`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct MetricsApiOptions {
    /// The namespace that Lectern is installed in: the Secret with the serving certificate is there.
    #[arg(long, value_name = "NAMESPACE", env = "LECTERN_NAMESPACE", default_value = "lectern-system")]
    pub namespace: String,
    /// Who this replica is, in logs. Default: nobody.
    #[arg(long, value_name = "NAME", env = "LECTERN_POD_NAME")]
    pub pod_name: Option<String>,
    /// Namespaces whose events are counted. Default: all.
    #[arg(long, value_name = "NAMESPACE", env = "LECTERN_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Where the API is served.
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_HTTPS", default_value = "0.0.0.0:8443")]
    pub listen_https: SocketAddr,
    /// Where /healthz, /readyz and /metrics are read.
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_ADMIN", default_value = "0.0.0.0:9090")]
    pub listen_admin: SocketAddr,
    /// Who scales edges: says which APIServices are Lectern's.
    #[arg(long, value_enum, env = "LECTERN_METRICS_BACKEND", default_value = "apiservice")]
    pub metrics_backend: Backend,
    /// The Service in front of this program: the name in the serving certificate.
    #[arg(long, value_name = "NAME", env = "LECTERN_METRICS_SERVICE", default_value = "lectern-metrics")]
    pub metrics_service: String,
    /// The Secret that the serving certificate is kept in; made and renewed by this program.
    #[arg(long, value_name = "NAME", env = "LECTERN_METRICS_TLS_SECRET", default_value = "lectern-metrics-tls")]
    pub metrics_tls_secret: String,
    /// A folder with a serving certificate (tls.crt, tls.key) that somebody else keeps, read again when it changes. Then
    /// no Secret is touched.
    #[arg(long, value_name = "FOLDER", env = "LECTERN_TLS_DIR")]
    pub tls_dir: Option<PathBuf>,
    /// Keep caBundle of the APIServices current, if they point at the Service.
    #[arg(
        long,
        value_name = "BOOL",
        env = "LECTERN_PATCH_API_SERVICES",
        default_value = "false",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub patch_api_services: bool,
    /// How logs are written.
    #[command(flatten)]
    pub logs: Logs,
}

impl MetricsApiOptions {
    /// Namespaces to watch; None is all.
    #[must_use]
    pub fn scopes(&self) -> Vec<Option<String>> {
        let named: Vec<_> = self.watch_namespaces.iter().filter(|name| !name.is_empty()).cloned().map(Some).collect();
        if named.is_empty() { vec![None] } else { named }
    }

    /// The name by which the API server calls.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.metrics_service, self.namespace)
    }

    /// The APIServices that the chart registers for this program.
    #[must_use]
    pub fn api_services(&self) -> &'static [&'static str] {
        match self.metrics_backend {
            Backend::Apiservice => &["v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io"],
            Backend::External => &["v1beta1.external.metrics.k8s.io"],
            Backend::Keda | Backend::Operator => &[],
        }
    }
}
