//! `lectern-testcluster`: a cluster to try Lectern on, its image without Docker, and the programs that machines are
//! made of (see `machine`).

use anyhow::Result;
use clap::{Parser, Subcommand};
use lectern_testcluster::keeper::{self, Wanted};
use lectern_testcluster::{image, machine, tools};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// A Kubernetes cluster on this machine for trying and testing Lectern.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster with Lectern installed, leave it running and tell how to reach it.
    Up(Wanted),
    /// Start a cluster and keep it until this process ends, however it ends.
    Serve(Wanted),
    /// Remove the cluster that `up` left running.
    Down,
    /// Write Lectern's image as a tar that `ctr images import`, `docker load` and `podman load` read.
    Image {
        /// The cargo profile to build the binaries with.
        #[arg(long, default_value = "release")]
        profile: String,
        /// Where to write it.
        #[arg(long, short, default_value = "lectern-image.tar")]
        output: PathBuf,
    },
    /// Build Kubernetes and Helm, if they are not there yet, and tell where they are.
    Tools,
    /// A machine's parent.
    #[command(hide = true)]
    Machine {
        /// Work folder of the cluster.
        work: PathBuf,
        /// Name of the node.
        node: String,
    },
    /// Process 1 of a machine.
    #[command(hide = true)]
    Init,
    /// Run a command in a machine.
    #[command(hide = true)]
    Enter {
        /// Process 1 of the machine.
        init: i32,
        /// The command.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Become a command that ends with its parent.
    #[command(hide = true)]
    Become {
        /// The command.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    run(Args::parse()).unwrap_or_else(|error| {
        eprintln!("lectern-testcluster: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Up(wanted) => keeper::up(&wanted)?,
        Command::Serve(wanted) => keeper::serve(&wanted)?,
        Command::Down => keeper::down()?,
        Command::Image { profile, output } => image::lectern(&image::build_lectern(&profile)?).write(&output)?,
        Command::Tools => {
            println!("{}\n{}", tools::components()?.display(), tools::helm()?.display());
        }
        Command::Machine { work, node } => machine::run_machine(&work, &node)?,
        Command::Init => machine::run_process_1()?,
        Command::Enter { init, command } => return machine::run_enter(init, &command),
        Command::Become { command } => machine::run_become(&command)?,
    }
    Ok(ExitCode::SUCCESS)
}
