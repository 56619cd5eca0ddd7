//! `lectern-node`: arguments, configuration, run; errors with their whole chain, and an exit code.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    lectern_node::main(lectern_node::args::Args::parse())
}
