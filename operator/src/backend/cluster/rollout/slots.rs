//! Who may get a new node image now: a few events at a time, so that a bad image does not reach all of them.

use crate::backend::cluster::key::EventKey;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Events that roll at the same time: a bad image reaches no more of them, and five are still quick for a fleet of events.
const AT_A_TIME: usize = 5;

/// Whose turn it is.
#[derive(Default)]
pub struct RolloutSlots(Mutex<HashSet<EventKey>>);

impl RolloutSlots {
    /// Whether it is the turn of `event`, from now until it is given back.
    pub fn take(&self, event: &EventKey) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains(event) || (all.len() < AT_A_TIME && all.insert(event.clone()))
    }

    /// It has rolled, or is gone.
    pub fn give_back(&self, event: &EventKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_image_reaches_five_events() {
        let slots = RolloutSlots::default();
        let event = |number: usize| EventKey { namespace: "n".into(), name: format!("e{number}") };
        let taken = (0..9).filter(|number| slots.take(&event(*number))).count();
        assert_eq!(taken, AT_A_TIME);
        assert!(slots.take(&event(0)), "its turn lasts");
        slots.give_back(&event(0));
        assert!(slots.take(&event(8)));
    }
}
