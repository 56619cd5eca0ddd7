//! The command line.

use crate::expect::Expectation;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

const AFTER_HELP: &str = "\
Exit status: 0 what --expect names held; 1 it did not; 2 the arguments make no sense, or it could not run.";

/// Viewers in numbers: HLS, HTTP-FLV and RTMP players that report what they saw as JSON.
///
/// URLs that differ only in the host are one stream at several edges. How a player behaves is written in
/// tests/crowd/src/policy.rs.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true, after_help = AFTER_HELP)]
pub struct Args {
    /// What to watch: http://HOST/…/index.m3u8, http://HOST/….flv, rtmp://HOST/APP/STREAM
    #[arg(value_name = "URL", required = true)]
    pub urls: Vec<String>,
    /// HLS viewers (1 if there is an HLS URL and no number)
    #[arg(long, value_name = "N")]
    pub hls: Option<usize>,
    /// HTTP-FLV viewers (likewise)
    #[arg(long, value_name = "N")]
    pub flv: Option<usize>,
    /// RTMP viewers (likewise)
    #[arg(long, value_name = "N")]
    pub rtmp: Option<usize>,
    /// Time over which viewers join, evenly
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub ramp: Duration,
    /// Time from the start to the end; an interrupt ends it sooner
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// How requests are spread over the hosts of a stream
    #[arg(long, value_enum, default_value = "connection")]
    pub spread: Spread,
    /// Which bodies of segments are hashed and compared
    #[arg(long, value_enum, default_value = "once")]
    pub hash: Hash,
    /// What must hold, several separated by commas; exit status 1 if it does not
    #[arg(long, value_enum, value_delimiter = ',')]
    pub expect: Vec<Expectation>,
    /// HLS viewers whose session has ended wait for the next one
    #[arg(long)]
    pub rejoin: bool,
    /// File for the report (standard output otherwise)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// No progress on standard error
    #[arg(long)]
    pub quiet: bool,
}

/// How requests are spread over the hosts of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    /// Each viewer keeps to one host
    Viewer,
    /// Each new connection goes to the next host
    Connection,
    /// Each request goes to the next host
    Request,
}

/// Which bodies of segments are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Hash {
    /// Each (host, URL) once; all others are dropped inside the kernel
    Once,
    /// Every one
    Always,
    /// None
    Never,
}

fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no duration such as 90s or 2m"))?;
    let seconds = match unit {
        "ms" => number / 1_000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(format!("{text:?} needs a unit: ms, s, m or h")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text:?} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("10").is_err() && duration("fast").is_err());
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
        let args =
            Args::try_parse_from(["crowd", "http://h/a.m3u8", "--expect", "no-errors,no-stalls"]).expect("parses");
        assert_eq!(args.expect, [Expectation::NoErrors, Expectation::NoStalls]);
    }
}
