//! Logs of the long-running commands in a cluster: on standard error, for people or for collectors.

use lectern_process::logs::LogFormat;

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

/// Starts logging.
pub fn init(logs: &Logs) {
    lectern_process::logs::init(&logs.filter, logs.format);
}
