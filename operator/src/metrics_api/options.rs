//! Options of `lectern metrics-api`. Each is an environment variable, which is what the chart sets (docs/cluster.md).

use crate::service_options::ServiceOptions;
use std::net::SocketAddr;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Answers, over TLS on --listen-https:
  /apis/custom.metrics.k8s.io/…    live_viewers, viewer_demand and egress_bits_per_second of
                                   liveevents.lectern.dev, to the API server alone (a client
                                   certificate of its front proxy)
  /apis/external.metrics.k8s.io/…  the same, selected by the label lectern.dev/event
  /lectern/v1/audience             everything at once, to the operator alone (a token derived
                                   from the certificate's key)
  /healthz, /readyz                to every client
and on --listen-admin /healthz, /readyz, /metrics.

Nothing has to lead: every replica asks every edge, and each gives the same answers. To look at them by hand:
  kubectl get --raw /apis/custom.metrics.k8s.io/v1beta2/namespaces/NAMESPACE/liveevents.lectern.dev/EVENT/viewer_demand";

/// Options of `lectern metrics-api`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct MetricsApiOptions {
    /// Options that the operator has, too.
    #[command(flatten)]
    pub service: ServiceOptions,
    /// Where the API is served.
    #[arg(long, value_name = "ADDRESS", env = "LECTERN_LISTEN_HTTPS", default_value = "0.0.0.0:8443")]
    pub listen_https: SocketAddr,
    /// A folder with a serving certificate (tls.crt, tls.key) that another program keeps, read again when it changes. Then
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
}

impl MetricsApiOptions {
    /// The name by which the API server calls.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.service.metrics_service, self.service.namespace)
    }
}
