//! The requests by which the status and the Events of an event are written, and what was written before.

use crate::backend::cluster::key::EventKey;
use crate::backend::cluster::news;
use crate::backend::cluster::requests::{Error, MANAGER};
use crate::plan::status::{Write, due};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client};
use lectern_api::live_event::{LiveEvent, LiveEventStatus};
use serde_json::json;

/// Longest note of an Event (events.k8s.io/v1).
const NOTE_BYTES_MAX: usize = 1_000;

/// What was reported by earlier passes.
#[derive(Debug, Default)]
pub struct Reported {
    status: Option<LiveEventStatus>,
    written: Option<Timestamp>,
}

impl Reported {
    /// The status that is there: what was written last, else what was found.
    #[must_use]
    pub fn previous(&self, found: Option<&LiveEventStatus>) -> Option<LiveEventStatus> {
        self.status.clone().or_else(|| found.cloned())
    }
}

/// Writes the status and the Events of one event.
pub struct Writer<'a> {
    client: &'a Client,
    recorder: &'a Recorder,
    key: &'a EventKey,
    uid: &'a str,
}

impl<'a> Writer<'a> {
    /// Of the event `key`, whose uid is `uid`.
    #[must_use]
    pub fn of(client: &'a Client, recorder: &'a Recorder, key: &'a EventKey, uid: &'a str) -> Self {
        Self { client, recorder, key, uid }
    }

    /// Writes `status` if it says something new over `previous`. Answers when to look again, if it only has to wait.
    ///
    /// # Errors
    /// When the API server refuses the status. Events that are refused are logged.
    pub async fn update(
        &self,
        status: &LiveEventStatus,
        previous: Option<&LiveEventStatus>,
        reported: &mut Reported,
    ) -> Result<Option<Timestamp>, Error> {
        let now = Timestamp::now();
        match due(previous, status, reported.written, now) {
            Write::No => return Ok(None),
            Write::At(later) => return Ok(Some(later)),
            Write::Now => {}
        }
        self.write(status).await?;
        // An Event goes out once for a change of status, also when writing it fails.
        let all = news::between(previous, status);
        *reported = Reported { status: Some(status.clone()), written: Some(now) };
        for one in all {
            tracing::info!(event = %self.key, reason = one.reason, note = one.note, warning = one.warning, "event");
            self.publish(&one).await;
        }
        Ok(None)
    }

    async fn write(&self, status: &LiveEventStatus) -> Result<(), Error> {
        let api: Api<LiveEvent> = Api::namespaced(self.client.clone(), &self.key.namespace);
        let body = json!({
            "apiVersion": "lectern.dev/v1alpha1", "kind": "LiveEvent",
            "metadata": {"name": self.key.name, "uid": self.uid}, "status": status,
        });
        let params = PatchParams::apply(MANAGER).force();
        let done = api.patch_status(&self.key.name, &params, &Patch::Apply(body)).await;
        done.map(drop).map_err(|error| Error::new(format!("write the status of {}", self.key), error))
    }

    /// Writes one Event. One that cannot be written is logged, and changes nothing else.
    pub async fn publish(&self, news: &news::News) {
        let mut note = news.note.clone();
        let end = (0..=NOTE_BYTES_MAX.min(note.len())).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
        note.truncate(end);
        let event = Event {
            type_: if news.warning { EventType::Warning } else { EventType::Normal },
            reason: news.reason.clone(),
            note: Some(note),
            action: "Reconcile".into(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some("lectern.dev/v1alpha1".into()),
            kind: Some("LiveEvent".into()),
            name: Some(self.key.name.clone()),
            namespace: Some(self.key.namespace.clone()),
            uid: Some(self.uid.to_owned()),
            ..ObjectReference::default()
        };
        if let Err(error) = self.recorder.publish(&event, &about).await {
            tracing::warn!(event = %self.key, reason = news.reason, %error, "failed to write an Event");
        }
    }
}
