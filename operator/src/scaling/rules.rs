//! The rules of scaling, as data: how fast the number of edges moves, and what is too little to act on.

use jiff::SignedDuration;

/// How the number of edges moves in one direction. Of several steps the largest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Over how many seconds the most cautious wish counts.
    pub window_s: u32,
    /// What is too little to act on, in thousandths.
    pub tolerance_permille: u32,
    /// How fast.
    pub steps: [Step; 2],
}

/// So many edges in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many.
    pub amount: Amount,
    /// In how many seconds.
    pub period_s: u32,
}

/// How many edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Edges(u32),
    /// This part of those that there were, in per cent.
    Percent(u32),
}

/// How the number of edges moves. The default everywhere but in a local run that was told not to wait so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// More edges.
    pub up: Direction,
    /// Fewer edges.
    pub down: Direction,
}

impl Default for Rules {
    fn default() -> Self {
        Self { up: UP, down: DOWN }
    }
}

impl Rules {
    /// The same, but edges go when an audience has been smaller for `window_s`, and faster in the same measure.
    #[must_use]
    pub fn down_after(window_s: u32) -> Self {
        let mut rules = Self::default();
        rules.down.window_s = window_s;
        let paced = |period_s: u32| u64::from(period_s) * u64::from(window_s) / u64::from(DOWN.window_s);
        for step in &mut rules.down.steps {
            step.period_s = u32::try_from(paced(step.period_s)).unwrap_or(u32::MAX).max(1);
        }
        rules
    }

    pub(super) fn longest_period(&self) -> SignedDuration {
        seconds(self.up.steps.iter().chain(&self.down.steps).map(|step| step.period_s).max().unwrap_or(0))
    }
}

/// One period of the autoscaler with its default settings, in seconds.
const UP_PERIOD_S: u32 = 15;
const DOWN_PERIOD_S: u32 = 60;

/// More edges: at once, and up to four times as many in one period of the autoscaler. The tolerance that Kubernetes
/// has by default, a tenth, would use up a third of the room that the target leaves.
pub const UP: Direction = Direction {
    window_s: 0,
    tolerance_permille: 20,
    steps: [
        Step { amount: Amount::Percent(300), period_s: UP_PERIOD_S },
        Step { amount: Amount::Edges(10), period_s: UP_PERIOD_S },
    ],
};

/// Fewer edges: what was wished for in the last five minutes still counts (an encoder that reconnects, or a break
/// between two talks, must not cost the edges), and then a tenth of them in a minute; a tenth of a small event is none.
pub const DOWN: Direction = Direction {
    window_s: 300,
    tolerance_permille: 150,
    steps: [
        Step { amount: Amount::Percent(10), period_s: DOWN_PERIOD_S },
        Step { amount: Amount::Edges(1), period_s: DOWN_PERIOD_S },
    ],
};

pub(super) fn seconds(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}
