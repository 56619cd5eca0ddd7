//! A real Kubernetes cluster on one Linux machine: control plane, kubelet, kube-proxy and containerd in namespaces of
//! their own, with nothing pulled and nothing left behind. For the end-to-end tests, and for trying Lectern out
//! (`make cluster`).
//!
//! ```no_run
//! use lectern_testcluster::{Cluster, Options};
//! let cluster = Cluster::start(&Options { nodes: 2, ..Options::default() })?;
//! println!("{}", cluster.kubectl(&["get", "nodes"])?);
//! # anyhow::Ok(())
//! ```
//!
//! Every node is a [`machine`]: a process that is number one of its own PID namespace, with a network and a mount
//! namespace. All that a node runs, pods included, lives below it, so the kernel ends all of it with that one process;
//! and that process ends when the pipe that [`Cluster`] holds is closed, which the kernel does however a test ends.
//! What no namespace takes away, empty cgroups and the work folder, the machine's parent removes; should that be killed
//! too, the next start sweeps them up.
//!
//! Needs Linux, root, and the packages of `scripts/setup cluster`. Where `KUBECONFIG` is set, [`Cluster::connect`]
//! takes that cluster instead.

pub mod certs;
pub mod cgroup;
pub mod cluster;
pub mod components;
pub mod forward;
pub mod image;
pub mod install;
pub mod keeper;
pub mod machine;
pub mod network;
pub mod tools;
pub mod wait;
pub mod work;

pub use cluster::Cluster;
pub use components::{Component, ControlPlane, Options};
