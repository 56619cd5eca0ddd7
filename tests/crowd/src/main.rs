//! `lectern-crowd`: viewers in numbers. HLS, HTTP-FLV and RTMP players that behave as written in [`policy`], on one
//! thread, and a JSON report of what they saw. Exit status 1 when what `--expect` names did not hold, 2 when the
//! arguments make no sense.

mod args;
mod buffer;
mod chunked;
mod crowd;
mod expect;
mod flv;
mod hls;
mod http;
mod lines;
mod live;
mod player;
mod playlist;
mod policy;
mod report;
mod rtmp;
mod scratch;
mod tally;
mod target;
mod timeline;
mod truth;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| tokio::task::LocalSet::new().block_on(&runtime, crowd::run(&args)));
    match done {
        Ok(report) => match report::deliver(&report, &args) {
            Ok(()) if report.holds() => ExitCode::SUCCESS,
            Ok(()) => ExitCode::from(1),
            Err(error) => failed(&error),
        },
        Err(error) => failed(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the one place where this program says why it could not run")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("lectern-crowd: {error:#}");
    ExitCode::from(2)
}
