//! The shared cluster, made by the first test that needs it, and whose turn it is.

use anyhow::Context as _;
use lectern_testcluster::{Cluster, Options, install};
use std::ops::Deref;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// How the image is built: `make cluster` builds it the same way, so one build serves both.
const PROFILE: &str = "ci";

/// The cluster with Lectern in it. It ends with this process.
pub struct Stage {
    pub cluster: Cluster,
    /// How long `helm install --wait` took.
    pub install_took: Duration,
    /// What it said.
    pub install_said: String,
}

/// The right to use the cluster: with others, or alone.
pub struct Turn {
    pub stage: &'static Stage,
    _guard: Guard,
}

#[allow(dead_code, reason = "held, not read")]
enum Guard {
    Quiet(RwLockReadGuard<'static, ()>),
    Rough(RwLockWriteGuard<'static, ()>),
}

static PEACE: RwLock<()> = RwLock::new(());

/// A turn beside others who are quiet, too.
pub fn quiet() -> Turn {
    let guard = PEACE.read().unwrap_or_else(PoisonError::into_inner);
    Turn { stage: stage(), _guard: Guard::Quiet(guard) }
}

/// A turn alone.
pub fn rough() -> Turn {
    let guard = PEACE.write().unwrap_or_else(PoisonError::into_inner);
    Turn { stage: stage(), _guard: Guard::Rough(guard) }
}

impl Deref for Turn {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.stage.cluster
    }
}

/// A figure worth knowing; `--show-output` shows it.
pub fn figure(what: &str, value: impl std::fmt::Debug) {
    eprintln!("FIGURE {what}: {value:.2?}");
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Result<Stage, String>> = OnceLock::new();
    let made = STAGE.get_or_init(|| set_up().map_err(|error| format!("{error:#}")));
    made.as_ref().unwrap_or_else(|error| panic!("the cluster of the tests could not be set up: {error}"))
}

fn set_up() -> anyhow::Result<Stage> {
    let cluster = Cluster::connect(&Options { nodes: 2, ..Options::default() })?;
    if cluster.is_own() {
        install::import(&cluster, PROFILE)?;
    }
    let began = Instant::now();
    let install_said = install::helm_upgrade(&cluster, &[]).with_context(|| {
        let own = ["--namespace", install::NAMESPACE];
        let pods = cluster.kubectl(&[&own[..], &["get", "pods", "--output=wide"]].concat());
        let about = "--selector=app.kubernetes.io/name=lectern";
        let logs = cluster.kubectl(&[&own[..], &["logs", about, "--prefix", "--tail=10"]].concat());
        format!("{}\n{}", pods.unwrap_or_default(), logs.unwrap_or_default())
    })?;
    Ok(Stage { cluster, install_took: began.elapsed(), install_said })
}
