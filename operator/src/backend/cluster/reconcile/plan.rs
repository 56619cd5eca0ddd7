//! Stage 2, plan: what there should be. Pure, but for the rollout slot that a new image takes. Asks the API server nothing.

use super::conflicts::blocks;
use super::pass::EventPass;
use crate::plan::{self, Observed, Plan};

/// The plan, with a new image only if the event has a rollout slot; `observed` then says so.
pub fn plan(pass: &EventPass<'_>, observed: &mut Observed) -> Plan {
    let slots = &pass.context.slots;
    let plan = plan::plan(pass.event, observed, pass.now);
    let Some(images) = &mut observed.images else { return plan };
    if images.in_use.as_ref().is_none_or(|in_use| *in_use == images.wanted) {
        if !pass.children.are_rolling_out(&pass.event.name) {
            slots.give_back(pass.key);
        }
        return plan;
    }
    if plan.rollout.image.as_ref() != Some(&images.wanted) {
        return plan;
    }
    // What is not applied needs no slot, and must not be reported as if it were.
    if pass.event.paused || observed.objections.iter().flatten().any(blocks) {
        slots.give_back(pass.key);
    } else if slots.take(pass.key) {
        return plan;
    }
    images.turn = false;
    plan::plan(pass.event, observed, pass.now)
}
