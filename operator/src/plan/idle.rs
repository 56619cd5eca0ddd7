//! Whether the ingest may be restarted without a viewer or an encoder noticing.

use super::observed::Observed;
use crate::validate::Event;
use jiff::{SignedDuration, Timestamp};

/// An ingest that is not Ready and does not answer for so long serves no encoder: pending, image, crash.
const SILENT: SignedDuration = SignedDuration::from_secs(30);

/// Whether the ingest is idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// No viewer and no encoder would notice.
    Yes,
    /// A viewer or an encoder would notice, or that is not known.
    No {
        /// For a condition: `hall-a is live`.
        because: String,
        /// When it may be idle, if nothing happens.
        look_again: Option<Timestamp>,
    },
}

impl Idle {
    /// Whether no viewer and no encoder would notice.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self, Self::Yes)
    }

    pub(super) fn look_again(&self) -> Option<Timestamp> {
        match self {
            Self::Yes => None,
            Self::No { look_again, .. } => *look_again,
        }
    }
}

pub(super) fn idle(event: &Event, seen: &Observed, window_open: bool, now: Timestamp) -> Idle {
    if window_open {
        return not("a schedule window is open".into(), None);
    }
    let Some(ingest) = &seen.ingest else { return not("the ingest has not been observed yet".into(), None) };
    let answer = ingest.status.as_ref().and_then(|status| status.ingest.as_ref());
    let Some(answer) = answer else {
        return match ingest.not_ready_since {
            None => not("the ingest is Ready but does not answer: it counts as live".into(), None),
            Some(since) if now.duration_since(since) >= SILENT => Idle::Yes,
            Some(since) => not("the ingest has just stopped answering".into(), Some(since + SILENT)),
        };
    };
    if let Some((name, _)) = answer.streams.iter().find(|(_, stream)| stream.live) {
        return not(format!("{name} is live"), None);
    }
    let rest = SignedDuration::from_millis(i64::try_from(event.hls.end_after_ms).unwrap_or(i64::MAX));
    let ended = answer.streams.values().filter_map(|stream| stream.idle_since_ms).max();
    let until = ended.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()).map(|at| at + rest);
    match until {
        Some(until) if now < until => {
            not("a disconnected encoder may return until hls.endAfter has passed".into(), Some(until))
        }
        Some(_) | None => Idle::Yes,
    }
}

fn not(because: String, look_again: Option<Timestamp>) -> Idle {
    Idle::No { because, look_again }
}
