//! What the stages of one pass over one event share, and why a pass fails.

use super::context::Context;
use crate::audience::EventAudience;
use crate::backend::cluster::key::EventKey;
use crate::backend::cluster::requests::{self, Target};
use crate::backend::cluster::watch::children::Children;
use crate::render::Identity;
use crate::validate::Event;
use jiff::Timestamp;
use lectern_api::keys;
use lectern_api::live_event::{LiveEvent, LiveEventStatus};
use std::time::Duration;

/// Longest pass: an API server that does not answer is asked again later.
pub const LONGEST: Duration = Duration::from_secs(30);
/// A pass that waits for a moment in time begins at least this long after the one before: two passes at the same instant
/// see the same.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// One event at one moment. What a stage decides or does is handed to the next one, not kept here.
pub struct EventPass<'a> {
    /// The event as the API server has it.
    pub raw: &'a LiveEvent,
    /// The event as it was validated.
    pub event: &'a Event,
    /// Its namespace and name.
    pub key: &'a EventKey,
    /// What lives longer than a pass.
    pub context: &'a Context,
    /// Its objects and pods.
    pub children: Children,
    /// Its viewers. None while they are not counted.
    pub audience: Option<EventAudience>,
    /// The status before this pass.
    pub previous: Option<&'a LiveEventStatus>,
    /// Its uid and seed.
    pub identity: Identity,
    /// The time.
    pub now: Timestamp,
}

impl<'a> EventPass<'a> {
    /// What is known of `event` now.
    #[must_use]
    pub fn begin(
        raw: &'a LiveEvent,
        event: &'a Event,
        key: &'a EventKey,
        context: &'a Context,
        previous: Option<&'a LiveEventStatus>,
    ) -> Self {
        Self {
            raw,
            event,
            key,
            context,
            children: context.cache.children(key),
            audience: context.rounds.borrow().events.get(&event.id()).cloned(),
            previous,
            identity: Identity { uid: raw.metadata.uid.clone(), seed: keys::seed(&context.root, &event.id()) },
            now: Timestamp::now(),
        }
    }

    /// When the event was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.raw.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0)
    }

    /// How long from now to `next`.
    #[must_use]
    pub fn until(&self, next: Timestamp) -> Duration {
        Duration::try_from(next.duration_since(self.now)).unwrap_or_default().max(PAUSE_MIN)
    }

    /// The event as an owner of objects, under its `uid`.
    #[must_use]
    pub fn target<'t>(&'t self, uid: &'t str) -> Target<'t> {
        Target { client: &self.context.client, namespace: &self.key.namespace, event: &self.key.name, uid }
    }
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server gave an event without a field that every object has.
    #[error("the event has no {0}")]
    Incomplete(&'static str),
    /// An object could not be written as JSON.
    #[error("failed to write an object as JSON: {0}")]
    Json(serde_json::Error),
    /// A request failed.
    #[error(transparent)]
    Request(requests::Error),
    /// The API server did not answer in time.
    #[error("no answer from the API server within {} s", LONGEST.as_secs())]
    Late,
}
