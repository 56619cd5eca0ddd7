//! Standard output: on a terminal notices scroll above a table that keeps itself up to date; otherwise plain lines, or
//! JSON.

use super::report::Notice;
use std::io::{IsTerminal, Write};

/// Where a run is shown.
pub(super) struct Screen {
    mode: Mode,
}

enum Mode {
    /// The lines of the table that stand at the bottom.
    Terminal {
        shown: Vec<String>,
    },
    Plain,
    Json,
}

/// Clears from the cursor to the end of the screen.
const CLEAR: &str = "\x1b[J";
/// Long lines are cut at the edge instead of wrapped: a wrapped table could not be drawn over.
const NO_WRAP: &str = "\x1b[?7l";
/// And back.
const WRAP: &str = "\x1b[?7h";

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        let mode = match (json, std::io::stdout().is_terminal()) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Terminal { shown: Vec::new() },
            (false, false) => Mode::Plain,
        };
        Self { mode }
    }

    /// Tells what happened.
    pub(super) fn say(&mut self, notice: &Notice) {
        match &self.mode {
            Mode::Json => put(&format!("{}\n", serde_json::to_string(notice).unwrap_or_default())),
            Mode::Plain => put(&format!("{notice}\n")),
            Mode::Terminal { shown } => put(&format!("{}{notice}\n{}", over(shown), table(shown))),
        }
    }

    /// Shows how things are.
    pub(super) fn draw(&mut self, lines: &[String]) {
        match &mut self.mode {
            Mode::Terminal { shown } if shown != lines => {
                put(&format!("{}{}", over(shown), table(lines)));
                *shown = lines.to_vec();
            }
            Mode::Terminal { .. } | Mode::Plain | Mode::Json => {}
        }
    }
}

/// Moves over the table that is shown, and clears it.
fn over(shown: &[String]) -> String {
    if shown.is_empty() { String::new() } else { format!("\x1b[{}A\r{CLEAR}", shown.len() + 1) }
}

/// The table with an empty line above it.
fn table(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("{NO_WRAP}\n{}\n{WRAP}", lines.join("\n")) }
}

fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    // The reader closed the other end; the event goes on all the same.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
