//! The conditions of a LiveEvent and their reasons. Positive polarity; all of them are always present.

use std::fmt;

/// One condition type, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// The spec can work and everything it names is there. False freezes changes; it never stops anything.
    Accepted,
    /// The ingest takes publishers.
    IngestReady,
    /// As many edges as wanted are Ready.
    EdgesReady,
    /// The ingest has a live link to every edge that serves.
    RelaysConverged,
    /// The edges follow the audience.
    AutoscalingActive,
    /// At least one stream has a publisher.
    Live,
    /// A change of image or pod template waits for the event to be idle.
    UpgradePending,
    /// Encoders can publish and viewers can watch.
    Ready,
}

impl ConditionType {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::IngestReady,
        Self::EdgesReady,
        Self::RelaysConverged,
        Self::AutoscalingActive,
        Self::Live,
        Self::UpgradePending,
        Self::Ready,
    ];

    /// As it is written in `status.conditions[].type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::IngestReady => "IngestReady",
            Self::EdgesReady => "EdgesReady",
            Self::RelaysConverged => "RelaysConverged",
            Self::AutoscalingActive => "AutoscalingActive",
            Self::Live => "Live",
            Self::UpgradePending => "UpgradePending",
            Self::Ready => "Ready",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What `status.conditions[].reason` can say: one word for scripts; the message beside it says what to do.
pub mod reason {
    /// Nothing is known yet.
    pub const PENDING: &str = "Pending";
    /// What would tell did not answer.
    pub const NOT_OBSERVED: &str = "NotObserved";

    /// Accepted: everything is right.
    pub const VALID: &str = "Valid";
    /// Accepted: the spec cannot work.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// Accepted: a Secret that the spec names is not there or lacks what is needed.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// Accepted: children of another event have the names that this one's would have.
    pub const NAME_TAKEN: &str = "NameTaken";
    /// Accepted: an object of the name exists and is not ours.
    pub const NOT_OURS: &str = "NotOurs";
    /// Accepted: the installation's policy forbids it.
    pub const FORBIDDEN_BY_POLICY: &str = "ForbiddenByPolicy";
    /// Accepted: a node loaded other key material than the event's.
    pub const KEY_MATERIAL_MISMATCH: &str = "KeyMaterialMismatch";

    /// IngestReady: it takes publishers.
    pub const ACCEPTING_PUBLISHERS: &str = "AcceptingPublishers";
    /// IngestReady, EdgesReady: it is being started.
    pub const STARTING: &str = "Starting";
    /// IngestReady: it runs and says itself that it is not ready.
    pub const NOT_READY: &str = "NotReady";

    /// EdgesReady: all that are wanted are Ready.
    pub const ALL_READY: &str = "AllReady";
    /// EdgesReady: fewer than wanted are Ready.
    pub const TOO_FEW_READY: &str = "TooFewReady";

    /// RelaysConverged: every edge that serves is linked.
    pub const ALL_LINKED: &str = "AllLinked";
    /// RelaysConverged: some edge has no live link.
    pub const LINKS_MISSING: &str = "LinksMissing";

    /// AutoscalingActive: it follows the audience.
    pub const FOLLOWING: &str = "Following";
    /// AutoscalingActive: `min` equals `max`.
    pub const FIXED_SIZE: &str = "FixedSize";
    /// AutoscalingActive: more is wanted than `edges.max` allows.
    pub const AT_MAXIMUM: &str = "AtMaximum";
    /// AutoscalingActive: no number to scale by.
    pub const NO_METRICS: &str = "NoMetrics";

    /// Live: a publisher is connected.
    pub const PUBLISHING: &str = "Publishing";
    /// Live: no encoder publishes.
    pub const NO_PUBLISHER: &str = "NoPublisher";

    /// UpgradePending: it waits for the event to be idle.
    pub const WAITING_FOR_IDLE: &str = "WaitingForIdle";
    /// UpgradePending: everything is as wanted.
    pub const UP_TO_DATE: &str = "UpToDate";

    /// Ready: publish and watch.
    pub const PLAYABLE: &str = "Playable";
    /// Ready: the named condition stands in the way.
    pub const NOT_ACCEPTED: &str = "NotAccepted";
    /// Ready: the ingest is not.
    pub const INGEST_NOT_READY: &str = "IngestNotReady";
    /// Ready: the edges are not.
    pub const EDGES_NOT_READY: &str = "EdgesNotReady";
    /// The pause annotation is set.
    pub const PAUSED: &str = "Paused";
}
