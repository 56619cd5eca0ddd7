//! A cluster as tests use it: one that was started for them, or one that was there.

mod own;
mod supervise;

use crate::components::{CONTAINERD_SOCKET, Component, Options};
use crate::tools;
use anyhow::{Context as _, Result, bail, ensure};
use own::Own;
use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use supervise::Supervisor;

/// Set to `yes`, it says that the cluster of `KUBECONFIG` may be used for tests though it is not on this machine.
const DISPOSABLE: &str = "LECTERN_TEST_CLUSTER_IS_DISPOSABLE";

/// A Kubernetes cluster. Dropping one that was started here removes it; so does the end of the process.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
    kubectl: Vec<OsString>,
    // Dropped before what it looks after.
    supervisor: Option<Supervisor>,
    /// `None`: it was there before, and stays.
    own: Option<Arc<Mutex<Own>>>,
}

impl Cluster {
    /// Starts one. Needs root; takes some ten seconds once Kubernetes is built.
    ///
    /// # Errors
    /// When something does not start, with where its log is.
    pub fn start(options: &Options) -> Result<Self> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "a cluster of one's own needs root; or set KUBECONFIG to one that is there"
        );
        let components = tools::components()?;
        let own = Own::start(options, &components)?;
        let kubectl = vec![components.into(), "kubectl".into()];
        let kubeconfig = own.kubeconfig().to_owned();
        let own = Arc::new(Mutex::new(own));
        Ok(Self { kubeconfig, kubectl, supervisor: Some(Supervisor::of(&own)), own: Some(own) })
    }

    /// Takes the cluster of `KUBECONFIG` if that is set; else starts one.
    ///
    /// # Errors
    /// As [`Cluster::start`]; and when the cluster of `KUBECONFIG` is not on this machine and nothing says that tests
    /// may have it: they install, scale and delete as they please.
    pub fn connect(options: &Options) -> Result<Self> {
        let Some(kubeconfig) = std::env::var_os("KUBECONFIG").filter(|k| !k.is_empty()) else {
            return Self::start(options);
        };
        let kubectl = vec![tools::components()?.into(), "kubectl".into()];
        let found = Self { kubeconfig: kubeconfig.into(), kubectl, supervisor: None, own: None };
        let server =
            found.kubectl(&["config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}"])?;
        let disposable = std::env::var(DISPOSABLE).is_ok_and(|v| v == "yes");
        ensure!(
            disposable || is_loopback(&server),
            "KUBECONFIG leads to {server}: set {DISPOSABLE}=yes if tests may install, scale and delete there"
        );
        eprintln!("testcluster: using {server} of KUBECONFIG");
        Ok(found)
    }

    /// Whether it was started here: then its parts can be stopped, and there is no registry to pull from.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The access file of a member of `system:masters`; the address in it is one of this machine's loopback.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs `kubectl` and answers what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        output(self.kubectl_command().args(arguments), "")
    }

    /// Server-side applies `manifests` (YAML or JSON).
    ///
    /// # Errors
    /// When the API server refuses, with its sentence.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        let arguments = ["apply", "--server-side", "--field-manager=test", "--filename=-"];
        output(self.kubectl_command().args(arguments), manifests)
    }

    /// `kubectl` for this cluster, to be given arguments.
    #[must_use]
    pub fn kubectl_command(&self) -> Command {
        let mut command = Command::new(&self.kubectl[0]);
        command.args(&self.kubectl[1..]).env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Runs Helm and answers what it printed.
    ///
    /// # Errors
    /// When it cannot be built or fails, with what it said.
    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        let mut helm = helm_command()?;
        output(helm.env("KUBECONFIG", &self.kubeconfig).args(arguments), "")
    }

    /// A command that runs in the cluster's network, on the first node's machine, and ends with it. In a cluster that
    /// was there it runs here.
    #[must_use]
    pub fn exec_in_netns(&self, program: &str) -> Command {
        self.own().map_or_else(|| Command::new(program), |own| own.command(program))
    }

    /// [`Cluster::exec_in_netns`] on the machine of a node, counted from 1: its containerd, its processes.
    ///
    /// # Errors
    /// When there is no such node, or the cluster was there before.
    pub fn exec_on_node(&self, node: u8, program: &str) -> Result<Command> {
        self.must_be_own("run a command on a node")?.command_on(node, program)
    }

    /// Kills the process of a pod's only container with SIGKILL, as the kernel does when memory is short. The kubelet
    /// starts it again.
    ///
    /// # Errors
    /// When the pod has no running container, or the cluster was there before.
    pub fn kill_container(&self, namespace: &str, pod: &str) -> Result<()> {
        let place = "jsonpath={.spec.nodeName} {.status.containerStatuses[0].containerID}";
        let place = self.kubectl(&["--namespace", namespace, "get", "pod", pod, "--output", place])?;
        let found =
            place.split_once(" containerd://").with_context(|| format!("pod {pod} has no container: {place:?}"))?;
        let node = found.0.strip_prefix("node-").and_then(|number| number.parse().ok());
        let mut ctr =
            self.exec_on_node(node.with_context(|| format!("pod {pod} is on no node of ours: {place}"))?, "ctr")?;
        ctr.args([
            "--address",
            CONTAINERD_SOCKET,
            "--namespace",
            "k8s.io",
            "tasks",
            "kill",
            "--signal",
            "SIGKILL",
            found.1,
        ]);
        output(&mut ctr, "").map(drop)
    }

    /// A port of this machine's loopback that leads to `target` in the cluster's network, while this process lives.
    ///
    /// # Errors
    /// When the cluster was there before: use `kubectl port-forward`.
    pub fn forward(&self, port: u16, target: SocketAddr) -> Result<SocketAddr> {
        self.must_be_own("forward a port")?.forward(port, target)
    }

    /// Gives every node the image in `tar`.
    ///
    /// # Errors
    /// When a node does not take it, or the cluster was there before: it pulls from a registry.
    pub fn import_image(&self, tar: &Path) -> Result<()> {
        self.must_be_own("import an image")?.import_image(tar)
    }

    /// Stops a component in order and waits for its end. Pods run on.
    ///
    /// # Errors
    /// When it does not run or does not end.
    pub fn stop_component(&self, component: Component) -> Result<()> {
        self.must_be_own("stop a component")?.stop(component)
    }

    /// Kills a component and waits for its end: it stays away until it is started. Pods run on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill_component(&self, component: Component) -> Result<()> {
        self.must_be_own("kill a component")?.kill(component)
    }

    /// Starts a component that was stopped. It may take some seconds until it works again.
    ///
    /// # Errors
    /// When it runs, or does not start.
    pub fn start_component(&self, component: Component) -> Result<()> {
        self.must_be_own("start a component")?.start_component(component)
    }

    /// Ends the controllers and starts them with the periods of `options`.
    ///
    /// # Errors
    /// When they do not run or do not start.
    pub fn restart_controllers(&self, options: &Options) -> Result<()> {
        self.must_be_own("restart the controllers")?.restart_controllers(options)
    }

    /// Waits until the API server answers that it is ready.
    ///
    /// # Errors
    /// When it does not in three minutes.
    pub fn wait_for_api_server(&self) -> Result<()> {
        self.must_be_own("wait for the API server")?.wait_for_api_server()
    }

    /// The second node is gone from one moment to the next: cable out, then power off, with all its pods. Its node
    /// object stays until a client deletes it.
    ///
    /// # Errors
    /// When there is no such node or it is the first, which is the cluster.
    pub fn kill_node(&self, node: u8) -> Result<()> {
        self.must_be_own("kill a node")?.kill_node(node)
    }

    /// Boots a node that was killed, with what was on its disk.
    ///
    /// # Errors
    /// When it runs or does not start.
    pub fn start_node(&self, node: u8) -> Result<()> {
        self.must_be_own("start a node")?.start_node(node)
    }

    /// Removes it and tells what could not be removed; just dropping it does not tell.
    ///
    /// # Errors
    /// When something is left behind.
    pub fn remove(mut self) -> Result<()> {
        drop(self.supervisor.take());
        match self.own.take().and_then(Arc::into_inner) {
            Some(own) => own.into_inner().unwrap_or_else(PoisonError::into_inner).remove(),
            None => Ok(()),
        }
    }

    fn own(&self) -> Option<MutexGuard<'_, Own>> {
        // A test that panicked while it held the lock has no part in what the next one does.
        self.own.as_ref().map(|own| own.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn must_be_own(&self, what: &str) -> Result<MutexGuard<'_, Own>> {
        self.own().with_context(|| format!("failed to {what}: only a cluster that was started here can do that"))
    }
}

/// Helm, keeping its files away from those of the user.
///
/// # Errors
/// When it cannot be built.
pub fn helm_command() -> Result<Command> {
    let mut helm = Command::new(tools::helm()?);
    let home = tools::cache()?.join("helm-home");
    for kind in ["CACHE", "CONFIG", "DATA"] {
        helm.env(format!("HELM_{kind}_HOME"), home.join(kind.to_lowercase()));
    }
    Ok(helm)
}

/// Runs a command with `input` and answers its standard output.
///
/// # Errors
/// When it does not succeed, with its standard error.
pub fn output(command: &mut Command, input: &str) -> Result<String> {
    let what = || {
        let words =
            std::iter::once(command_name(command)).chain(command.get_args().map(|a| a.to_string_lossy().into()));
        words.collect::<Vec<String>>().join(" ")
    };
    let what = what();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("failed to start {what}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not want the input closes it; its exit status decides.
        let _ = stdin.write_all(input.as_bytes());
    }
    let done = child.wait_with_output().with_context(|| format!("failed to wait for {what}"))?;
    if !done.status.success() {
        bail!("{what} failed ({}): {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    String::from_utf8(done.stdout).with_context(|| format!("{what} printed something that is not UTF-8"))
}

fn command_name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_loopback(server: &str) -> bool {
    let host = server.trim_start_matches("https://").trim_start_matches("http://");
    ["127.", "localhost:", "[::1]"].iter().any(|l| host.starts_with(l))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_elsewhere_is_not_taken_for_one_of_this_machine() {
        for (server, here) in [
            ("https://127.0.0.1:6443", true),
            ("https://localhost:40123", true),
            ("https://[::1]:6443", true),
            ("https://10.0.0.7:6443", false),
            ("https://localhost.example.org", false),
        ] {
            assert_eq!(is_loopback(server), here, "{server}");
        }
    }

    #[test]
    fn a_failed_command_tells_what_it_said() {
        let failed = output(Command::new("sh").args(["-c", "echo no luck >&2; exit 3"]), "").expect_err("exit 3");
        assert!(failed.to_string().contains("no luck"), "{failed}");
    }
}
