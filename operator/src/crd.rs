//! `lectern crd`: the resource definition as text. `crds/liveevents.yaml` is this text; a test holds it there.

use anyhow::{Context, Result};
use std::io::Write;

/// Prints the definition.
///
/// # Errors
/// When it cannot be made or written.
pub fn main() -> Result<()> {
    std::io::stdout().write_all(text()?.as_bytes()).context("failed to write to standard output")
}

/// The CustomResourceDefinition as YAML, with a word on where it comes from.
///
/// # Errors
/// When it cannot be written as YAML.
pub fn text() -> Result<String> {
    let yaml = serde_yaml::to_string(&lectern_api::live_event::definition()).context("failed to write the CRD")?;
    Ok(format!("# Written by `lectern crd`; do not edit. After a change: UPDATE=1 cargo test -p lectern crd\n{yaml}"))
}
