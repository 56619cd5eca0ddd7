//! Lectern in a cluster that was started here: image built and given to the nodes, chart installed.

use crate::cluster::Cluster;
use crate::image::{self, LECTERN_IMAGE};
use anyhow::{Context as _, Result};
use std::path::Path;

/// The namespace that Lectern is installed in.
pub const NAMESPACE: &str = "lectern-system";
/// The name of the release.
pub const RELEASE: &str = "lectern";

/// What to do next, for the developer who ran `make cluster`.
pub const FIRST_STEPS: &str = "
Lectern is installed. The smallest event, and how far it is:

  kubectl apply -f examples/smallest.yaml
  kubectl get liveevents --watch

Its ports, on this machine:

  kubectl port-forward service/hello-ingest 1935 &
  kubectl port-forward service/hello-edge 8080:http &
";

/// Names an image that was written before (`lectern-testcluster image`): then none is built.
const IMAGE: &str = "LECTERN_TEST_IMAGE";

/// Gives every node the image: the one that `LECTERN_TEST_IMAGE` names, else one that is built with a cargo profile.
///
/// # Errors
/// When the build or the import fails.
pub fn import(cluster: &Cluster, profile: &str) -> Result<()> {
    if let Some(written) = std::env::var_os(IMAGE) {
        return cluster.import_image(Path::new(&written));
    }
    let tar = tempfile::Builder::new().suffix(".tar").tempfile().context("failed to make a file for the image")?;
    image::lectern(&image::build_lectern(profile)?).write(tar.path())?;
    cluster.import_image(tar.path())
}

/// Installs or upgrades the chart with the imported image and `more` arguments, and waits until it is ready.
///
/// # Errors
/// When Helm fails, with what it said.
pub fn helm_upgrade(cluster: &Cluster, more: &[&str]) -> Result<String> {
    let chart = image::root().join("charts/lectern");
    let chart = chart.to_string_lossy();
    let (repository, tag) = LECTERN_IMAGE.rsplit_once(':').unwrap_or((LECTERN_IMAGE, "latest"));
    let (repository, tag) = (format!("image.repository={repository}"), format!("image.tag={tag}"));
    let mut arguments = vec!["upgrade", "--install", RELEASE, &chart, "--namespace", NAMESPACE, "--create-namespace"];
    arguments.extend(["--set", &repository, "--set", &tag, "--wait", "--timeout", "5m"]);
    arguments.extend(more);
    cluster.helm(&arguments)
}
