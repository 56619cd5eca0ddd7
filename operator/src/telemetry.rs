//! Logs of the long-running commands in a cluster: on standard error, for people or for collectors.

use clap::ValueEnum;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// How logs are written.
#[derive(Clone, Debug, clap::Args)]
pub struct Logs {
    /// What is logged: error, warn, info, debug, trace, also by module (info,lectern=debug).
    #[arg(long = "log", value_name = "FILTER", env = "LECTERN_LOG", default_value = "info")]
    pub filter: String,
    /// human: a line for people; json: one object a line.
    #[arg(long = "log-format", value_enum, env = "LECTERN_LOG_FORMAT", default_value = "human")]
    pub format: LogFormat,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// For collectors.
    Json,
}

/// Starts logging. A filter that cannot be read is reported, and info is logged.
pub fn init(logs: &Logs) {
    let (filter, problem) = match EnvFilter::try_new(&logs.filter) {
        Ok(filter) => (filter, None),
        Err(problem) => (EnvFilter::new("info"), Some(problem)),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match logs.format {
        LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if let Some(problem) = problem {
        tracing::warn!(filter = logs.filter, %problem, "failed to read the log filter, logging at info");
    }
}
