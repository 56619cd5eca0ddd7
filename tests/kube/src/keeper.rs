//! A cluster that a developer keeps for a while: `up` leaves a process behind that holds it, `down` ends that.

use crate::cluster::Cluster;
use crate::components::{ControlPlane, Options};
use crate::{install, tools, wait};
use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long `up` waits: a first build of Kubernetes, Helm and the image on a small machine.
const UP_LIMIT: Duration = Duration::from_secs(45 * 60);
/// How long `down` waits.
const DOWN_LIMIT: Duration = Duration::from_secs(60);

/// The cluster that is wanted.
#[derive(Clone, Debug, clap::Args)]
pub struct Wanted {
    /// How many nodes: 1 or 2.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub nodes: u8,
    /// Only etcd and API server, without nodes and without Lectern.
    #[arg(long)]
    pub api_only: bool,
    /// Do not install Lectern.
    #[arg(long)]
    pub bare: bool,
    /// Lectern's image, as `image` writes it; built if this is left out.
    #[arg(long)]
    pub image: Option<PathBuf>,
    /// Port of 127.0.0.1 for the API server; 0 is any.
    #[arg(long, default_value_t = 0)]
    pub api_port: u16,
}

/// Starts a cluster in a process of its own, waits until it is ready and prints how to reach it.
///
/// # Errors
/// When one is running, or it cannot be started.
pub fn up(wanted: &Wanted) -> Result<()> {
    let place = Place::find()?;
    if let Some(pid) = place.holder() {
        bail!("a cluster is running (process {pid}); `make cluster-down` removes it");
    }
    // Built here, where the developer sees what takes so long.
    tools::components()?;
    place.forget()?;
    let log = File::create(place.log()).with_context(|| format!("failed to make {}", place.log().display()))?;
    let mut holder = Command::new(std::env::current_exe().context("failed to find this program")?)
        .arg("serve")
        .args(arguments(wanted))
        .env(REMEMBER, "yes")
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("failed to share a log")?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("failed to start the process that holds the cluster")?;
    println!("Starting a cluster; the log is {}", place.log().display());
    wait::until("the cluster", UP_LIMIT, || {
        if let Some(status) = holder.try_wait()? {
            // Said at once: waiting on would not help.
            return Ok(Some(Err(status)));
        }
        Ok(place.state().is_some().then_some(Ok(())))
    })?
    .map_err(|status| anyhow::anyhow!("it did not start ({status}):\n{}", place.end_of_log()))?;
    println!("{}", how_to_reach(&place, wanted));
    Ok(())
}

/// Starts a cluster and holds it until SIGINT, SIGTERM or SIGHUP. However this process ends, the cluster ends with it.
///
/// # Errors
/// When it cannot be started, or something of it cannot be removed.
pub fn serve(wanted: &Wanted) -> Result<()> {
    let mut ends = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].iter().for_each(|signal| ends.add(*signal));
    // Before any thread starts, so that all of them leave these signals to the `wait` below.
    ends.thread_block().context("failed to block signals")?;
    let control_plane = if wanted.api_only { ControlPlane::StoreAndApi } else { ControlPlane::Full };
    let options = Options { nodes: wanted.nodes, control_plane, api_port: wanted.api_port, ..Options::default() };
    // The defaults that a user meets, not those that keep tests short.
    let cluster = Cluster::start(&options.with_kubernetes_periods())?;
    if !wanted.bare && !wanted.api_only {
        match &wanted.image {
            Some(tar) => cluster.import_image(tar)?,
            None => install::import(&cluster, "ci")?,
        }
        install::helm_upgrade(&cluster, &[])?;
    }
    println!("KUBECONFIG={}", cluster.kubeconfig().display());
    let place = Place::find()?;
    let remembered = std::env::var_os(REMEMBER).is_some();
    if remembered {
        place.remember(&cluster)?;
    }
    ends.wait().context("failed to wait for a signal")?;
    if remembered {
        place.forget()?;
    }
    cluster.remove()
}

/// Removes the cluster that [`up`] left running; does nothing when there is none.
///
/// # Errors
/// When it does not go.
pub fn down() -> Result<()> {
    let place = Place::find()?;
    let Some(pid) = place.holder() else {
        println!("No cluster is running.");
        return place.forget();
    };
    kill(pid, Signal::SIGTERM).with_context(|| format!("failed to end process {pid}"))?;
    wait::until_true("the cluster to be gone", DOWN_LIMIT, || !is_alive(pid))?;
    place.forget()?;
    println!("The cluster is gone.");
    Ok(())
}

/// It holds a key: for its owner alone.
const ACCESS_MODE: u32 = 0o600;

/// Set for the process that `up` leaves behind: it is the one to be remembered.
const REMEMBER: &str = "LECTERN_CLUSTER_REMEMBER";

/// Where is kept what people need to reach the cluster, and `down` to find it.
struct Place(PathBuf);

impl Place {
    fn find() -> Result<Self> {
        let folder = tools::cache()?.join("cluster");
        std::fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    fn programs(&self) -> PathBuf {
        self.0.join("bin")
    }

    fn state(&self) -> Option<Value> {
        serde_json::from_str(&std::fs::read_to_string(self.0.join("state.json")).ok()?).ok()
    }

    fn kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    /// The process that holds a cluster, if there is one.
    fn holder(&self) -> Option<Pid> {
        let pid = self.state()?.get("pid")?.as_i64()?;
        let pid = Pid::from_raw(i32::try_from(pid).ok()?);
        is_alive(pid).then_some(pid)
    }

    fn remember(&self, cluster: &Cluster) -> Result<()> {
        std::fs::create_dir_all(self.programs()).context("failed to make a folder for programs")?;
        for (name, program) in [("kubectl", tools::components()?), ("helm", tools::helm()?)] {
            let link = self.programs().join(name);
            let _ = std::fs::remove_file(&link);
            symlink(program, &link).with_context(|| format!("failed to link {}", link.display()))?;
        }
        self.share_access(cluster)?;
        let state = json!({"pid": std::process::id(), "kubeconfig": cluster.kubeconfig()}).to_string();
        // Written last and whole: it says that the rest is there.
        let unfinished = self.0.join("state.json.unfinished");
        std::fs::write(&unfinished, state).context("failed to write the state")?;
        std::fs::rename(unfinished, self.0.join("state.json")).context("failed to write the state")
    }

    /// Writes an access file that needs no other file, for the user that the cache belongs to: with `sudo`, not root.
    fn share_access(&self, cluster: &Cluster) -> Result<()> {
        let access = cluster.kubectl(&["config", "view", "--flatten", "--raw"])?;
        let path = self.kubeconfig();
        let _ = std::fs::remove_file(&path);
        let mut file = File::options().write(true).create_new(true).mode(ACCESS_MODE).open(&path);
        let file = file.as_mut().map_err(|e| anyhow::anyhow!("failed to make {}: {e}", path.display()))?;
        file.write_all(access.as_bytes()).with_context(|| format!("failed to write {}", path.display()))?;
        let owner = std::fs::metadata(&self.0).context("failed to ask who owns the cache")?;
        chown(&path, Some(owner.uid()), Some(owner.gid()))
            .with_context(|| format!("failed to hand over {}", path.display()))
    }

    fn forget(&self) -> Result<()> {
        match std::fs::remove_file(self.0.join("state.json")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("failed to remove the state")
            }
            _ => Ok(()),
        }
    }

    fn end_of_log(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// A process that is there, and is one of ours: numbers are used again.
fn is_alive(pid: Pid) -> bool {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lectern-testcluster"))
}

fn arguments(wanted: &Wanted) -> Vec<String> {
    let Wanted { nodes, api_only, bare, image, api_port } = wanted;
    let mut arguments = vec![format!("--nodes={nodes}"), format!("--api-port={api_port}")];
    arguments.extend(image.iter().map(|tar| format!("--image={}", tar.display())));
    arguments.extend(api_only.then(|| "--api-only".to_owned()));
    arguments.extend(bare.then(|| "--bare".to_owned()));
    arguments
}

fn how_to_reach(place: &Place, wanted: &Wanted) -> String {
    let (programs, kubeconfig) = (place.programs(), place.kubeconfig());
    let mut text = format!(
        "The cluster is ready. In a shell that should reach it:\n\n  \
         export KUBECONFIG={} PATH={}:$PATH\n  kubectl get nodes\n",
        kubeconfig.display(),
        programs.display()
    );
    if !wanted.bare && !wanted.api_only {
        text.push_str(install::FIRST_STEPS);
    }
    text.push_str("\n`make cluster-down` removes it, and everything in it.");
    text
}
