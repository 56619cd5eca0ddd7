//! Where the bytes of a segment come from that the ledger lists: a chain of places that are asked in order.

use super::hub::Hub;
use bytes::Bytes;
use futures::future::BoxFuture;
use lectern_media::ledger::Entry;
use lectern_media::rendition::{Rendition, SegmentKey};
use std::sync::Arc;

/// A segment that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The name of its stream.
    pub stream: String,
    /// Of which picture.
    pub rendition: Rendition,
    /// What the ledger says of it.
    pub entry: Entry,
}

impl Wanted {
    /// What identifies its bytes within the stream.
    #[must_use]
    pub fn key(&self) -> SegmentKey {
        SegmentKey { rendition: self.rendition, name: self.entry.name() }
    }
}

/// A place that segments can be fetched from.
pub trait SegmentSource: Send + Sync + std::fmt::Debug {
    /// Fetches a segment. `None` if this source has no bytes that match the entry.
    fn fetch(&self, wanted: Wanted) -> BoxFuture<'static, Option<Bytes>>;
}

/// Sources in the order in which they are asked; the first that has the bytes ends the search.
#[derive(Clone, Debug)]
pub struct Chain(Vec<Arc<dyn SegmentSource>>);

impl Chain {
    /// Asks `sources` from the first to the last: the cheapest belongs first.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn SegmentSource>>) -> Self {
        Self(sources)
    }
}

impl SegmentSource for Chain {
    fn fetch(&self, wanted: Wanted) -> BoxFuture<'static, Option<Bytes>> {
        let sources = self.0.clone();
        Box::pin(async move {
            for source in sources {
                if let Some(bytes) = source.fetch(wanted.clone()).await {
                    return Some(bytes);
                }
            }
            None
        })
    }
}

/// The newest snapshot of this edge: it may hold by now what it did not hold when the request was looked at.
#[derive(Debug)]
pub struct Held(pub Arc<Hub>);

impl SegmentSource for Held {
    fn fetch(&self, wanted: Wanted) -> BoxFuture<'static, Option<Bytes>> {
        let held = self.0.stream(&wanted.stream).and_then(|stream| {
            let snapshot = stream.snapshot.load();
            let segment = snapshot.segments.get(&wanted.key())?;
            (segment.entry.hash == wanted.entry.hash).then(|| segment.data.bytes.clone())
        });
        Box::pin(std::future::ready(held))
    }
}
