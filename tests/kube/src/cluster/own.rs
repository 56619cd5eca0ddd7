//! A cluster that was started here: its machines and what runs on them.

use crate::certs::Certificates;
use crate::components::{CONTAINERD_SOCKET, Component, ControlPlane, Layout, Options, node_name};
use crate::machine::Machine;
use crate::network::{self, API_PORT, node_address};
use crate::work::{self, WorkFolder};
use crate::{forward, image, wait};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take to start: ten times what it takes on two idle cores, for machines that are busy.
const START_LIMIT: Duration = Duration::from_secs(180);
/// After so long without a node it is looked whether everything still runs.
const NODE_LOOK: Duration = Duration::from_secs(30);
/// How long a component may take to stop in order before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How long the API server may take to answer one question of ours.
const QUESTION_LIMIT: &str = "--request-timeout=5s";
/// Names the binary of this crate where it does not lie beside the test.
const RUNNER: &str = "LECTERN_TESTCLUSTER";

/// Processes, machines and work folder of a cluster that this process started.
#[derive(Debug)]
pub(super) struct Own {
    // Dropped in this order: what runs, what it runs on, what it wrote.
    running: BTreeMap<Component, Child>,
    machines: BTreeMap<u8, Machine>,
    work: WorkFolder,
    layout: Layout,
    options: Options,
    components: PathBuf,
    runner: PathBuf,
    kubeconfig: PathBuf,
    logs: PathBuf,
}

impl Own {
    pub(super) fn start(options: &Options, components: &Path) -> Result<Self> {
        ensure!((1..=2).contains(&options.nodes), "a cluster has one node or two, not {}", options.nodes);
        let began = Instant::now();
        work::sweep()?;
        let mut own = Self::prepare(options, components)?;
        own.boot(1)?;
        own.start_all(&[Component::Etcd, Component::ApiServer])?;
        let api = SocketAddr::from((node_address(1), API_PORT));
        let outside = own.forward(options.api_port, api)?;
        own.write_kubeconfig("admin", &format!("https://{outside}"))?;
        if options.control_plane == ControlPlane::Full {
            own.start_full_control_plane()?;
        } else {
            own.wait_for_api_server()?;
        }
        eprintln!("testcluster: ready after {:.1} s, logs in {}", began.elapsed().as_secs_f32(), own.logs.display());
        Ok(own)
    }

    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub(super) fn command(&self, program: &str) -> Command {
        self.machines.get(&1).map_or_else(|| Command::new(program), |first| first.command(program))
    }

    pub(super) fn command_on(&self, node: u8, program: &str) -> Result<Command> {
        Ok(self.machine(node)?.command(program))
    }

    pub(super) fn forward(&self, port: u16, target: SocketAddr) -> Result<SocketAddr> {
        let namespace = format!("/proc/{}/ns/net", self.machine(1)?.init());
        forward::open(Path::new(&namespace), port, target)
    }

    pub(super) fn import_image(&self, tar: &Path) -> Result<()> {
        self.machines.keys().try_for_each(|node| self.import_image_on(*node, tar))
    }

    pub(super) fn start_component(&mut self, component: Component) -> Result<()> {
        ensure!(!self.running.contains_key(&component), "{component} runs already");
        let machine = self.machine(component.node())?;
        let path = self.logs.join(format!("{component}.log"));
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("failed to open {}", path.display()))?;
        let mut command = match component {
            Component::Containerd(_) => machine.command("containerd"),
            _ => {
                let mut command = machine.command(&self.components);
                command.arg(component.program());
                command
            }
        };
        command.args(self.layout.arguments(component, &self.options)).current_dir(self.work.path()).process_group(0);
        let both = log.try_clone().context("failed to share a log")?;
        command.stdin(Stdio::null()).stdout(both).stderr(log);
        let child = command.spawn().with_context(|| format!("failed to start {component}"))?;
        self.running.insert(component, child);
        Ok(())
    }

    pub(super) fn stop(&mut self, component: Component) -> Result<()> {
        let mut child = self.running.remove(&component).with_context(|| format!("{component} does not run"))?;
        signal(&child, Signal::SIGTERM);
        let ended = wait::until("its end", STOP_LIMIT, || Ok(child.try_wait()?));
        if ended.is_err() {
            signal(&child, Signal::SIGKILL);
            child.wait().with_context(|| format!("failed to wait for {component}"))?;
        }
        Ok(())
    }

    pub(super) fn kill(&mut self, component: Component) -> Result<()> {
        let mut child = self.running.remove(&component).with_context(|| format!("{component} does not run"))?;
        signal(&child, Signal::SIGKILL);
        child.wait().with_context(|| format!("failed to wait for {component}"))?;
        Ok(())
    }

    pub(super) fn restart_controllers(&mut self, options: &Options) -> Result<()> {
        let Options { hpa_period, hpa_downscale_stabilization, node_monitor_grace_period, .. } = *options;
        let now = self.options.clone();
        self.options = Options { hpa_period, hpa_downscale_stabilization, node_monitor_grace_period, ..now };
        self.stop(Component::ControllerManager)?;
        self.start_component(Component::ControllerManager)
    }

    pub(super) fn wait_for_api_server(&self) -> Result<()> {
        let port = SocketAddr::from((node_address(1), API_PORT));
        let answers = || {
            self.still_runs(&[Component::Etcd, Component::ApiServer])?;
            Ok(self.kubectl(&["get", "--raw=/readyz", QUESTION_LIMIT]).is_ok().then_some(()))
        };
        wait::until(&format!("the API server at {port}"), START_LIMIT, answers)
    }

    pub(super) fn kill_node(&mut self, node: u8) -> Result<()> {
        ensure!(node == 2, "only the second node can be lost: node {node} is the cluster");
        let machine = self.machines.remove(&node).context("the second node does not run")?;
        network::unplug_second(self.machine(1)?)?;
        machine.power_off()?;
        self.forget_components_of(node);
        Ok(())
    }

    pub(super) fn start_node(&mut self, node: u8) -> Result<()> {
        ensure!(!self.machines.contains_key(&node), "node {node} runs already");
        ensure!(node == 2, "there is no node {node}");
        self.boot(node)?;
        self.start_component(Component::Containerd(node))?;
        self.start_node_components(node)?;
        self.wait_for_node(node)
    }

    pub(super) fn remove(mut self) -> Result<()> {
        let machines = std::mem::take(&mut self.machines);
        // The second one's cable hangs on the first.
        for (_, machine) in machines.into_iter().rev() {
            machine.power_off()?;
        }
        self.forget_components_of(1);
        self.forget_components_of(2);
        self.work.leave()
    }

    fn prepare(options: &Options, components: &Path) -> Result<Self> {
        let runner = runner()?;
        let work = WorkFolder::create()?;
        let certificates = Certificates::create(&work.path().join("certificates"))?;
        let layout = Layout { work: work.path().to_owned(), certificates };
        let chosen = options.logs.clone().or_else(|| std::env::var_os("LECTERN_CLUSTER_LOGS").map(PathBuf::from));
        let logs = chosen.unwrap_or_else(|| work.path().join("logs"));
        std::fs::create_dir_all(&logs).with_context(|| format!("failed to make {}", logs.display()))?;
        let kubeconfig = PathBuf::from(layout.kubeconfig("admin"));
        let (running, machines) = (BTreeMap::new(), BTreeMap::new());
        let (options, components) = (options.clone(), components.to_owned());
        let own = Self { running, machines, work, layout, options, components, runner, kubeconfig, logs };
        let inside = format!("https://{}:{API_PORT}", node_address(1));
        for client in ["kube-controller-manager", "kube-scheduler", "kube-proxy", "node-1", "node-2"] {
            own.write_kubeconfig(client, &inside)?;
        }
        Ok(own)
    }

    /// Boots a machine, plugs it in and puts its files on it.
    fn boot(&mut self, node: u8) -> Result<()> {
        for (path, text) in self.layout.node_files(node, &self.options) {
            let folder = path.parent().unwrap_or(self.work.path());
            std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
            std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        }
        let machine = Machine::boot(&self.runner, self.work.path(), &node_name(node))?;
        match self.machines.get(&1) {
            None => network::set_up_first(&machine)?,
            Some(first) => network::set_up_second(first, &machine)?,
        }
        self.machines.insert(node, machine);
        Ok(())
    }

    fn start_full_control_plane(&mut self) -> Result<()> {
        let nodes = 1..=self.options.nodes;
        for node in nodes.clone() {
            if node > 1 {
                self.boot(node)?;
            }
            self.start_component(Component::Containerd(node))?;
        }
        let pause = self.work.path().join("pause.tar");
        image::pause()?.write(&pause)?;
        for node in nodes.clone() {
            self.import_image_on(node, &pause)?;
        }
        self.wait_for_api_server()?;
        self.start_all(&[Component::ControllerManager, Component::Scheduler])?;
        nodes.clone().try_for_each(|node| self.start_node_components(node))?;
        nodes.clone().try_for_each(|node| self.wait_for_node(node))
    }

    fn start_node_components(&mut self, node: u8) -> Result<()> {
        self.start_all(&[Component::Kubelet(node), Component::KubeProxy(node)])
    }

    fn start_all(&mut self, components: &[Component]) -> Result<()> {
        components.iter().try_for_each(|component| self.start_component(*component))
    }

    fn wait_for_node(&mut self, node: u8) -> Result<()> {
        let name = format!("node/{}", node_name(node));
        let began = Instant::now();
        let part = format!("--timeout={}s", NODE_LOOK.as_secs());
        while let Err(error) = self.kubectl(&["wait", "--for=create", &name, &part]) {
            if began.elapsed() >= START_LIMIT {
                return Err(error.context(format!("{name} does not appear: see {}", self.logs.display())));
            }
            self.revive()?;
        }
        let limit = format!("--timeout={}s", START_LIMIT.as_secs());
        let waited = self.kubectl(&["wait", "--for=condition=Ready", &name, &limit]);
        waited.with_context(|| format!("{name} does not become Ready: see {}", self.logs.display()))?;
        self.revive()
    }

    /// Starts again what ended by itself: a kubelet that finds no containerd yet and controllers that find no API server
    /// give up, and on a real machine a service manager would start them again.
    pub(super) fn revive(&mut self) -> Result<()> {
        let ended = |child: &mut Child| child.try_wait().ok().flatten();
        let ended: Vec<_> = self.running.iter_mut().filter_map(|(c, child)| Some((*c, ended(child)?))).collect();
        for (component, status) in ended {
            eprintln!("testcluster: {component} ended ({status}); it is started again");
            self.running.remove(&component);
            self.start_component(component)?;
        }
        Ok(())
    }

    fn import_image_on(&self, node: u8, tar: &Path) -> Result<()> {
        let machine = self.machine(node)?;
        let import = || {
            let mut ctr = machine.command("ctr");
            ctr.args(["--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images", "import"]).arg(tar);
            super::output(&mut ctr, "").map(Some)
        };
        wait::until(&format!("containerd of node {node} to take {}", tar.display()), START_LIMIT, import)?;
        Ok(())
    }

    /// Says which component ended by itself, instead of waiting for what will not come.
    fn still_runs(&self, components: &[Component]) -> Result<()> {
        for component in components {
            let child = self.running.get(component).with_context(|| format!("{component} was never started"))?;
            if !Path::new(&format!("/proc/{}/exe", child.id())).exists() {
                bail!("{component} ended: see {}", self.logs.join(format!("{component}.log")).display());
            }
        }
        Ok(())
    }

    fn forget_components_of(&mut self, node: u8) {
        let gone: Vec<_> = self.running.keys().copied().filter(|c| c.node() == node).collect();
        for component in gone {
            // It ended with its machine.
            let _ = self.kill(component);
        }
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut kubectl = Command::new(&self.components);
        super::output(kubectl.arg("kubectl").env("KUBECONFIG", &self.kubeconfig).args(arguments), "")
    }

    fn machine(&self, node: u8) -> Result<&Machine> {
        self.machines.get(&node).with_context(|| format!("node {node} does not run"))
    }

    fn write_kubeconfig(&self, client: &str, server: &str) -> Result<()> {
        let path = self.layout.kubeconfig(client);
        std::fs::write(&path, self.layout.kubeconfig_text(client, server))
            .with_context(|| format!("failed to write {path}"))
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// The binary of this crate: this program itself, or beside the test (`target/debug/deps/test` → `target/debug`).
fn runner() -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os(RUNNER) {
        return Ok(chosen.into());
    }
    let this = std::env::current_exe().context("failed to find this program")?;
    let found = this.ancestors().skip(1).take(2).map(|folder| folder.join("lectern-testcluster")).find(|p| p.exists());
    found.with_context(|| {
        format!("lectern-testcluster is not beside {}: run `cargo build --workspace` first", this.display())
    })
}
