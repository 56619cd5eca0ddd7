//! What runs on the nodes and how it is told: command lines and configuration files. Pure text; `cluster` starts it.

use crate::certs::Certificates;
use crate::network::{API_PORT, POD_NETWORK, SERVICE_NETWORK, node_address, pod_network};
use crate::work::cgroup_name;
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the address of containerd is, in the machine's own `/run`.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// The image that holds a pod's namespaces.
pub const PAUSE_IMAGE: &str = "localhost/pause:dev";
/// Where Debian and Ubuntu put the CNI plugins, and where other distributions do.
const CNI_FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// A cluster as wanted.
#[derive(Clone, Debug)]
pub struct Options {
    /// 1 or 2.
    pub nodes: u8,
    /// What runs besides store and API server.
    pub control_plane: ControlPlane,
    /// How often the HPA controller looks; 2 s keep tests short.
    pub hpa_period: Duration,
    /// How long the HPA remembers a higher wish.
    pub hpa_downscale_stabilization: Duration,
    /// How long a silent node counts as alive.
    pub node_monitor_grace_period: Duration,
    /// The kubelets' longest wait before a crashed container starts again. Kubernetes' default, 5 min with 10 s at
    /// first, is what users meet, so it is the default here.
    pub crash_back_off_max: Option<Duration>,
    /// Port of 127.0.0.1 for the API server; 0 is any.
    pub api_port: u16,
    /// Where the logs go; in the work folder, and gone with it, when this is `None` and `LECTERN_CLUSTER_LOGS` unset.
    pub logs: Option<PathBuf>,
}

/// How much of a control plane there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlPlane {
    /// Everything, and nodes.
    Full,
    /// etcd and API server alone: objects are stored, nothing happens to them, nothing runs.
    StoreAndApi,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 1,
            control_plane: ControlPlane::Full,
            hpa_period: Duration::from_secs(2),
            hpa_downscale_stabilization: Duration::from_secs(10),
            node_monitor_grace_period: Duration::from_secs(20),
            crash_back_off_max: None,
            api_port: 0,
            logs: None,
        }
    }
}

impl Options {
    /// The periods of a controller manager that was given no flags: what users meet, and too long for most tests.
    #[must_use]
    pub fn with_kubernetes_periods(self) -> Self {
        Self {
            hpa_period: Duration::from_secs(15),
            hpa_downscale_stabilization: Duration::from_secs(300),
            node_monitor_grace_period: Duration::from_secs(50),
            ..self
        }
    }
}

/// One process of a cluster, on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// All controllers: Deployments, EndpointSlices, HPA, …
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// The container runtime of a node.
    Containerd(u8),
    /// The kubelet of a node.
    Kubelet(u8),
    /// What makes Services work on a node.
    KubeProxy(u8),
}

impl Component {
    /// The node it runs on.
    #[must_use]
    pub fn node(self) -> u8 {
        match self {
            Self::Etcd | Self::ApiServer | Self::ControllerManager | Self::Scheduler => 1,
            Self::Containerd(node) | Self::Kubelet(node) | Self::KubeProxy(node) => node,
        }
    }

    /// Its program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Containerd(_) => "containerd",
            Self::Kubelet(_) => "kubelet",
            Self::KubeProxy(_) => "kube-proxy",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.program(), self.node())
    }
}

/// The name of a node, counted from 1.
#[must_use]
pub fn node_name(node: u8) -> String {
    format!("node-{node}")
}

/// Files of a cluster: where they are, and what stands in them.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The work folder.
    pub work: PathBuf,
    /// Certificates and keys.
    pub certificates: Certificates,
}

impl Layout {
    /// The folder of what a node keeps.
    #[must_use]
    pub fn node(&self, node: u8) -> PathBuf {
        self.work.join(node_name(node))
    }

    /// The access file of a client of the API server.
    #[must_use]
    pub fn kubeconfig(&self, client: &str) -> String {
        self.work.join(format!("{client}.kubeconfig")).to_string_lossy().into_owned()
    }

    /// What stands in the access file of `client` when the API server is at `server`. JSON is YAML.
    #[must_use]
    pub fn kubeconfig_text(&self, client: &str, server: &str) -> String {
        let pki = &self.certificates;
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "lectern",
            "clusters": [{"name": "lectern", "cluster": {
                "server": server, "certificate-authority": pki.certificate("server-ca")}}],
            "users": [{"name": client, "user": {
                "client-certificate": pki.certificate(client), "client-key": pki.key(client)}}],
            "contexts": [{"name": "lectern", "context": {"cluster": "lectern", "user": client}}],
        })
        .to_string()
    }

    /// The files that a node's programs read, with their texts.
    #[must_use]
    pub fn node_files(&self, node: u8, options: &Options) -> Vec<(PathBuf, String)> {
        let folder = self.node(node);
        vec![
            (folder.join("containerd.toml"), containerd(&folder)),
            (folder.join("cni/10-pods.conflist"), pod_interfaces(&folder, node).to_string()),
            // No server answers there unless a test starts a name server: refused at once, not after a time-out.
            (folder.join("resolv.conf"), format!("nameserver {}\n", node_address(1))),
            (folder.join("kubelet.yaml"), self.kubelet(node, options).to_string()),
            (folder.join("kube-proxy.yaml"), self.kube_proxy(node).to_string()),
        ]
    }

    /// The command line of a component, less the program.
    #[must_use]
    pub fn arguments(&self, component: Component, options: &Options) -> Vec<String> {
        match component {
            Component::Etcd => etcd(&self.work),
            Component::ApiServer => api_server(&self.certificates),
            Component::ControllerManager => {
                controller_manager(&self.kubeconfig(component.program()), &self.certificates, options)
            }
            Component::Scheduler => scheduler(&self.kubeconfig(component.program())),
            Component::Containerd(node) => vec!["--config".into(), text(&self.node(node).join("containerd.toml"))],
            Component::Kubelet(node) => self.kubelet_arguments(node),
            Component::KubeProxy(node) => vec![flag("config", text(&self.node(node).join("kube-proxy.yaml")))],
        }
    }

    fn kubelet_arguments(&self, node: u8) -> Vec<String> {
        let folder = self.node(node);
        vec![
            flag("config", text(&folder.join("kubelet.yaml"))),
            flag("kubeconfig", self.kubeconfig(&node_name(node))),
            flag("hostname-override", node_name(node)),
            flag("node-ip", node_address(node).to_string()),
            flag("root-dir", text(&folder.join("kubelet"))),
            flag("cert-dir", text(&folder.join("kubelet-certificates"))),
        ]
    }

    fn kubelet(&self, node: u8, options: &Options) -> Value {
        let folder = self.node(node);
        let mut config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{}", cgroup_name(&self.work, &node_name(node))),
            "failCgroupV1": false,
            "failSwapOn": false,
            // Root in a container may lower neither.
            "oomScoreAdj": 0,
            "maxOpenFiles": 20_000,
            "enforceNodeAllocatable": [],
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "resolvConf": text(&folder.join("resolv.conf")),
            // No server answers there either, but pods have the address of a name service as in other clusters.
            "clusterDNS": [node_address(1).to_string()],
            "clusterDomain": "cluster.local",
            "serializeImagePulls": false,
            "podLogsDir": "/var/log/pods",
            "volumePluginDir": text(&folder.join("volume-plugins")),
            "authentication": {
                "anonymous": {"enabled": false}, "webhook": {"enabled": true},
                "x509": {"clientCAFile": self.certificates.certificate("client-ca")}},
            "authorization": {"mode": "Webhook"},
        });
        if let Some(longest) = options.crash_back_off_max {
            config["crashLoopBackOff"] = json!({"maxContainerRestartPeriod": seconds(longest)});
        }
        config
    }

    fn kube_proxy(&self, node: u8) -> Value {
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": self.kubeconfig("kube-proxy")},
            "hostnameOverride": node_name(node),
            "clusterCIDR": POD_NETWORK,
            "oomScoreAdj": 0,
            "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        })
    }
}

fn etcd(work: &Path) -> Vec<String> {
    vec![
        flag("data-dir", text(&work.join("etcd"))),
        flag("listen-client-urls", "http://127.0.0.1:2379"),
        flag("advertise-client-urls", "http://127.0.0.1:2379"),
        flag("listen-peer-urls", "http://127.0.0.1:2380"),
        // The store lives no longer than the machine's memory does.
        "--unsafe-no-fsync".into(),
        flag("log-level", "warn"),
    ]
}

fn api_server(pki: &Certificates) -> Vec<String> {
    vec![
        flag("etcd-servers", "http://127.0.0.1:2379"),
        flag("secure-port", API_PORT),
        flag("bind-address", "0.0.0.0"),
        flag("advertise-address", node_address(1)),
        flag("service-cluster-ip-range", SERVICE_NETWORK),
        flag("authorization-mode", "Node,RBAC"),
        flag("allow-privileged", true),
        flag("enable-admission-plugins", "NodeRestriction"),
        // Aggregated APIs are asked at their pods' addresses: of two replicas the living one answers.
        flag("enable-aggregator-routing", true),
        flag("client-ca-file", pki.certificate("client-ca")),
        flag("tls-cert-file", pki.certificate("apiserver")),
        flag("tls-private-key-file", pki.key("apiserver")),
        flag("kubelet-client-certificate", pki.certificate("kube-apiserver")),
        flag("kubelet-client-key", pki.key("kube-apiserver")),
        flag("kubelet-preferred-address-types", "InternalIP"),
        flag("service-account-issuer", "https://kubernetes.default.svc"),
        flag("service-account-key-file", pki.service_account_public()),
        flag("service-account-signing-key-file", pki.key("service-account")),
        flag("requestheader-client-ca-file", pki.certificate("front-proxy-ca")),
        flag("requestheader-allowed-names", "system:auth-proxy"),
        flag("requestheader-username-headers", "X-Remote-User"),
        flag("requestheader-group-headers", "X-Remote-Group"),
        flag("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        flag("proxy-client-cert-file", pki.certificate("front-proxy")),
        flag("proxy-client-key-file", pki.key("front-proxy")),
    ]
}

fn controller_manager(kubeconfig: &str, pki: &Certificates, options: &Options) -> Vec<String> {
    vec![
        flag("kubeconfig", kubeconfig),
        flag("authentication-kubeconfig", kubeconfig),
        flag("authorization-kubeconfig", kubeconfig),
        flag("service-account-private-key-file", pki.key("service-account")),
        flag("root-ca-file", pki.certificate("server-ca")),
        flag("use-service-account-credentials", true),
        flag("leader-elect", false),
        flag("cluster-signing-cert-file", pki.certificate("client-ca")),
        flag("cluster-signing-key-file", pki.key("client-ca")),
        flag("service-cluster-ip-range", SERVICE_NETWORK),
        flag("horizontal-pod-autoscaler-sync-period", seconds(options.hpa_period)),
        flag("horizontal-pod-autoscaler-downscale-stabilization", seconds(options.hpa_downscale_stabilization)),
        flag("node-monitor-grace-period", seconds(options.node_monitor_grace_period)),
    ]
}

fn scheduler(kubeconfig: &str) -> Vec<String> {
    vec![
        flag("kubeconfig", kubeconfig),
        flag("authentication-kubeconfig", kubeconfig),
        flag("authorization-kubeconfig", kubeconfig),
        flag("leader-elect", false),
    ]
}

fn containerd(folder: &Path) -> String {
    let bin = CNI_FOLDERS.iter().find(|f| Path::new(f).is_dir()).unwrap_or(&CNI_FOLDERS[0]);
    let (root, conf) = (text(&folder.join("containerd")), text(&folder.join("cni")));
    // restrict_oom_score_adj: root may lack the capability to lower it.
    format!(
        r#"version = 2
root = "{root}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
disable_hugetlb_controller = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{bin}"
conf_dir = "{conf}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    )
}

/// Pods on a bridge of their own. No masquerade: no way leads out, and across nodes a pod keeps its address.
fn pod_interfaces(folder: &Path, node: u8) -> Value {
    json!({
        "cniVersion": "0.4.0", "name": "pods",
        "plugins": [{
            "type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": text(&folder.join("ipam")),
                "ranges": [[{"subnet": pod_network(node)}]], "routes": [{"dst": "0.0.0.0/0"}]},
        }],
    })
}

fn flag(name: &str, value: impl fmt::Display) -> String {
    format!("--{name}={value}")
}

fn seconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
