//! Where the bytes of a segment come from that the ledger lists and this edge does not hold.

use bytes::Bytes;
use futures::future::BoxFuture;
use lectern_media::ledger::Entry;

/// A place that segments can be fetched from.
pub trait SegmentSource: Send + Sync + std::fmt::Debug {
    /// Fetches the segment of `entry`. `None` if this source has no bytes that match the entry.
    fn fetch(&self, stream: String, entry: Entry) -> BoxFuture<'static, Option<Bytes>>;
}
