//! Labels and annotations that operator, people and scripts share.

/// Who made an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`] on everything of ours.
pub const MANAGED_BY_LECTERN: &str = "lectern";
/// The name of the product.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// The event that an object belongs to.
pub const EVENT: &str = "lectern.dev/event";
/// What it does for the event: `ingest`, `edge`, …
pub const ROLE: &str = "lectern.dev/role";
/// The value of [`ROLE`] on everything of the ingest.
pub const ROLE_INGEST: &str = "ingest";
/// The value of [`ROLE`] on everything of the edges.
pub const ROLE_EDGE: &str = "edge";
/// The stream that a key Secret is for.
pub const STREAM: &str = "lectern.dev/stream";

/// On a LiveEvent: `true` makes the operator leave its children alone.
pub const PAUSED: &str = "lectern.dev/paused";
/// On the ingest's pods: hash of the node configuration. Changing it makes the kubelet sync the volume at once.
pub const CONFIG_HASH: &str = "lectern.dev/config-hash";
/// On the autoscaler: the burst floor and when it expires.
pub const BURST: &str = "lectern.dev/burst";
