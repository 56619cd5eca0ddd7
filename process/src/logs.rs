//! Logs: for people on a terminal, one JSON object a line where a collector reads them. Always on standard error.

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people; in colour on a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Options of logging, for every command that runs for long. Each is also an environment variable.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Logs, on standard error")]
pub struct LogOptions {
    /// What is logged: a level (error, warn, info, debug, trace) or a filter such as `info,lectern_node::ingest=debug`.
    #[arg(long = "log", value_name = "FILTER", env = "LECTERN_LOG", default_value = "info", global = true)]
    pub filter: String,
    /// Format of log lines.
    #[arg(
        long = "log-format",
        value_name = "FORMAT",
        env = "LECTERN_LOG_FORMAT",
        default_value = "human",
        global = true
    )]
    pub format: LogFormat,
}

/// Installs the subscriber of this process. A filter that cannot be read is reported and replaced by `info`.
pub fn init(options: &LogOptions) {
    let (filter, format) = (options.filter.as_str(), options.format);
    let (read, problem) = match EnvFilter::try_new(filter) {
        Ok(read) => (read, None),
        Err(problem) => (EnvFilter::new("info"), Some(problem)),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(read).with_writer(std::io::stderr);
    // A process that embeds a program may have its own subscriber already: then that one stays.
    let _ = match format {
        LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if let Some(problem) = problem {
        tracing::warn!(filter, %problem, "failed to read the log filter, logging at info");
    }
}
