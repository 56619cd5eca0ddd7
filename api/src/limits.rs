//! Limits that more than one program holds, each once.

/// Most streams of one event. Each costs the ingest a ring and every edge a snapshot; names, keys and URLs of more would
/// fit no list that people read: a timetable with more sessions at once is several events.
pub const STREAMS_MAX: u32 = 64;

/// Most windows of a schedule: `repeat` makes one window serve many days.
pub const WINDOWS_MAX: u32 = 64;

/// Longest name of an event or stream in bytes. Both prefix the names of children, which Kubernetes bounds at
/// [`LABEL_BYTES_MAX`].
pub const NAME_BYTES_MAX: usize = 40;

/// Longest DNS label in bytes (RFC 1123, 2.1): names of namespaces and Services.
pub const LABEL_BYTES_MAX: usize = 63;

/// Longest name of a Secret in bytes (DNS subdomain, RFC 1123 as Kubernetes reads it).
pub const OBJECT_NAME_BYTES_MAX: usize = 253;

/// Milliseconds over which frames for RTMP and HTTP-FLV viewers are merged into one write, unless configured.
pub const MERGE_WINDOW_MS: u64 = 100;

/// Longest merge window in milliseconds: viewers would feel more as latency.
pub const MERGE_WINDOW_MS_MAX: u64 = 350;
