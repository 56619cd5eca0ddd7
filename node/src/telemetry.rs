//! Logs: for people on a terminal, one JSON object a line where a collector reads them. Always on standard error.

use crate::args::{LogFormat, Logs};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Installs the subscriber of this process. A filter that cannot be read is reported and replaced by `info`.
pub fn init(logs: &Logs) {
    let (filter, problem) = match EnvFilter::try_new(&logs.filter) {
        Ok(filter) => (filter, None),
        Err(problem) => (EnvFilter::new("info"), Some(problem)),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A process that embeds a node may have its own subscriber already: then that one stays.
    let _ = match logs.format {
        LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if let Some(problem) = problem {
        tracing::warn!(filter = logs.filter, %problem, "failed to read the log filter, logging at info");
    }
}
