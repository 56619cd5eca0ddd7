//! What the relay sends: the ring of a stream, as those who follow it see it, and the node that the stream belongs to.
//!
//! The relay knows neither what writes a ring nor what decides where a link starts: a node that serves streams implements
//! [`Source`] for each of them and [`Origin`] for itself.

use super::lanes::{Lane, Lanes};
use crate::net::clock::Clock;
use lectern_media::ledger::EpochId;
use lectern_media::live::LinkId;
use lectern_media::live::ring::{Behind, Item, Seq};
use lectern_media::relay::{EventInfo, RelayMessage};
use lectern_media::track::TrackSet;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// A link may start: what goes first, and where in the ring it continues.
#[derive(Debug)]
pub struct Opened {
    /// Announcement, and the epoch in force at `from`.
    pub preamble: Vec<RelayMessage>,
    /// Position in the ring.
    pub from: Seq,
}

/// Where a copy of a stream begins that needs no past.
#[derive(Debug)]
pub struct Start {
    /// Position in the ring.
    pub position: Seq,
    /// The open epoch.
    pub epoch: EpochId,
    /// Configurations in force.
    pub tracks: TrackSet,
}

/// A stream that can be followed.
pub trait Source: Send + Sync {
    /// The name of the stream.
    fn name(&self) -> &str;

    /// Cancelled when the event no longer has this stream.
    fn removed(&self) -> CancellationToken;

    /// How many edges are expected to greet, as far as known at the start.
    fn expect_greetings(&self, edges: usize);

    /// A message of an edge on `link`. A greeting is answered through the receiver that it returns.
    fn edge_message(&self, link: LinkId, message: RelayMessage) -> Option<oneshot::Receiver<Opened>>;

    /// The connection of `link` has ended.
    fn link_closed(&self, link: LinkId);

    /// Copies at most `items_max` items of the ring out, from `from` on.
    ///
    /// # Errors
    /// [`Behind`] if the ring no longer holds `from`.
    fn read(&self, from: Seq, items_max: usize, items: &mut Vec<Arc<Item>>) -> Result<(), Behind>;

    /// The position after the newest item.
    fn end(&self) -> Seq;

    /// Milliseconds of media between `from` and the end of the ring.
    fn lag_ms(&self, from: Seq) -> u64;

    /// Where a copy begins, if an epoch is open.
    fn start(&self) -> Option<Start>;

    /// Who follows the ring.
    fn followers(&self) -> &Followers;
}

/// The node whose streams are sent.
pub trait Origin: Send + Sync {
    /// The clock of this process.
    fn clock(&self) -> Clock;

    /// The token that edges demand.
    fn token(&self) -> String;

    /// What edges have to know of the event.
    fn info(&self) -> watch::Receiver<Arc<EventInfo>>;

    /// The streams of the event by name.
    fn sources(&self) -> BTreeMap<String, Arc<dyn Source>>;

    /// Changes when streams were added or removed.
    fn source_changes(&self) -> watch::Receiver<()>;

    /// Sets the admin addresses of all edges, which every edge has to know.
    fn set_siblings(&self, siblings: Vec<SocketAddr>);
}

/// The links and forwards that follow one ring.
#[derive(Debug, Default)]
pub struct Followers {
    lanes: Lanes,
    position: watch::Sender<Seq>,
}

impl Followers {
    /// From now on this link gets what is appended as soon as it has caught up.
    pub fn join(&self, lane: Arc<Lane>) {
        self.lanes.join(lane);
    }

    /// Undoes [`Followers::join`].
    pub fn leave(&self, lane: &Arc<Lane>) {
        self.lanes.leave(lane);
    }

    /// The end of the ring; changes that come while no task looks are merged.
    #[must_use]
    pub fn position(&self) -> watch::Receiver<Seq> {
        self.position.subscribe()
    }

    /// Gives what was appended to the links that have caught up, and wakes all other followers. `read` copies items out of the
    /// ring from a position on, and returns the position of its end.
    pub fn tell(&self, read: impl Fn(Seq, &mut Vec<Arc<Item>>) -> Seq) {
        self.lanes.give(&read);
        let end = read(Seq::MAX, &mut Vec::new());
        self.position.send_if_modified(|position| {
            let grown = end > *position;
            *position = end.max(*position);
            grown
        });
    }
}
