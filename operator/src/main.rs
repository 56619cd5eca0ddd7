//! `lectern`: reads its arguments and runs one command.

use clap::Parser;
use lectern::args::{Args, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Operator(options) => lectern::backend::cluster::main(&options),
        Command::MetricsApi(options) => lectern::metrics_api::main(&options),
        Command::Local(options) => lectern::backend::local::main(&options),
        Command::Plan(options) => lectern::show::main(&options),
        Command::Crd => lectern::crd::main(),
        Command::Check(options) => lectern::check::main(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lectern: {error:#}");
            ExitCode::FAILURE
        }
    }
}
