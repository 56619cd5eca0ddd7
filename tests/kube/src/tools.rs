//! Programs that are built once and kept: Kubernetes from `tests/kube/components`, Helm, and the two small images'
//! contents. They lie under `LECTERN_CACHE` (`~/.cache/lectern` unless set) in folders named after what they are made of.

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Kubernetes that the Go module names.
pub const KUBERNETES_VERSION: &str = "1.36.3";
/// The Helm that installs in the tests.
const HELM: (&str, &str) = ("helm.sh/helm/v4/cmd/helm", "v4.3.1");

/// The multi-call binary of Kubernetes: it is the program that its first argument names. Built if it is not there,
/// which takes some ten minutes the first time.
///
/// # Errors
/// When Go is missing or the build fails.
pub fn components() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("components");
    let mut made_of = Sha256::new();
    made_of.update(KUBERNETES_VERSION);
    for file in ["go.mod", "go.sum", "main.go"] {
        made_of.update(read(&source.join(file))?);
    }
    cached("components", &hex(made_of), |target| {
        say("building Kubernetes from tests/kube/components: some ten minutes, once");
        go(&source, &["build", "-trimpath", "-ldflags", &version_flags(), "-o", &target.to_string_lossy(), "."])
    })
}

/// Helm; built if it is not there, which takes some three minutes the first time.
///
/// # Errors
/// When Go is missing or the build fails.
pub fn helm() -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os("LECTERN_HELM") {
        return Ok(chosen.into());
    }
    let (package, version) = HELM;
    cached("helm", version, |target| {
        say("building Helm: some three minutes, once");
        let folder = target.parent().context("the cache has a folder")?;
        let mut install = Command::new("go");
        install.env("GOBIN", folder).args(["install", "-trimpath", "-ldflags", "-s -w"]);
        run(static_go(&mut install).arg(format!("{package}@{version}")))
    })
}

/// A static program made of one Rust file.
///
/// # Errors
/// When the file cannot be read or compiled.
pub fn static_program(source: &Path) -> Result<PathBuf> {
    let name = source.file_stem().context("a source file has a name")?.to_string_lossy().into_owned();
    let mut made_of = Sha256::new();
    made_of.update(read(source)?);
    made_of.update(rust_target());
    cached(&name, &hex(made_of), |target| {
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "--target", &rust_target(), "-C", "target-feature=+crt-static"]);
        run(rustc.args(["-C", "opt-level=s", "-C", "panic=abort", "-C", "strip=symbols", "-o"]).args([target, source]))
    })
}

/// The target triple of a static build on this machine. Named explicitly, it keeps procedural macros dynamic.
#[must_use]
pub fn rust_target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// The folder for what is built once.
///
/// # Errors
/// When neither `LECTERN_CACHE`, `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache() -> Result<PathBuf> {
    let own = std::env::var_os("LECTERN_CACHE").map(PathBuf::from);
    let users = || std::env::var_os("XDG_CACHE_HOME").map(|c| PathBuf::from(c).join("lectern"));
    let homes = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/lectern"));
    own.or_else(users).or_else(homes).context("set LECTERN_CACHE: there is no HOME to keep built programs in")
}

/// The program `name` made of `key`. `build` writes it to the path it is given; two processes never build the same one.
fn cached(name: &str, key: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = cache()?.join(format!("{name}-{key}"));
    let program = folder.join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("failed to make a lock file in the cache")?;
    lock.lock().context("failed to lock the cache")?;
    if !program.exists() {
        let unfinished = folder.join("unfinished");
        std::fs::create_dir_all(&unfinished).context("failed to make a folder in the cache")?;
        build(&unfinished.join(name))?;
        std::fs::rename(unfinished.join(name), &program).with_context(|| format!("failed to keep {name}"))?;
    }
    Ok(program)
}

/// Without them the server calls itself v0.0.0 and no chart accepts it.
fn version_flags() -> String {
    let mut minor = KUBERNETES_VERSION.split('.');
    let (major, minor) = (minor.next().unwrap_or_default(), minor.next().unwrap_or_default());
    let base = "k8s.io/component-base/version";
    format!(
        "-s -w -X {base}.gitVersion=v{KUBERNETES_VERSION} -X {base}.gitMajor={major} -X {base}.gitMinor={minor} \
         -X k8s.io/client-go/pkg/version.gitVersion=v{KUBERNETES_VERSION}"
    )
}

fn go(folder: &Path, arguments: &[&str]) -> Result<()> {
    run(static_go(Command::new("go").current_dir(folder)).args(arguments))
}

fn static_go(command: &mut Command) -> &mut Command {
    command.env("CGO_ENABLED", "0")
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!("{program} is missing: install it first"),
        Err(error) => Err(error).with_context(|| format!("failed to start {program}")),
        Ok(status) => {
            ensure!(status.success(), "{program} failed ({status}): see above");
            Ok(())
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}

/// Enough of a hash to tell versions apart, and short enough to read.
const KEY_BYTES: usize = 8;

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().take(KEY_BYTES).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn say(what: &str) {
    eprintln!("testcluster: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_the_programs_state_is_the_one_of_the_module() {
        let module = include_str!("../components/go.mod");
        assert!(module.contains(&format!("k8s.io/kubernetes v{KUBERNETES_VERSION}")), "{module}");
    }
}
