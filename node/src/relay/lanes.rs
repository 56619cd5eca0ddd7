//! The lanes of a stream: links that have caught up get what was appended at once, from the task that appended it.
//!
//! What is new is serialised once for all of them and written to each socket without waking the link's own task. A link
//! whose socket is full, or that has not caught up yet, is left to that task, which reads the ring at its own pace.

use crate::net::outbox::{Batch, Outbox};
use crate::net::wire::Wire;
use bytes::Bytes;
use lectern_media::live::ring::{Content, Item, Seq};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The message stream id that edges give out, and every batch is written for.
const STREAM_ID: u32 = 1;

/// What the task of a link shares with those who append.
#[derive(Debug)]
pub struct Lane {
    socket: Arc<Wire>,
    waiting: Mutex<Waiting>,
    /// Where in the ring it stands.
    position: Arc<AtomicU64>,
    /// There is something for the link's task to do.
    woken: Notify,
}

/// What waits for the socket, and where it goes on after that.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Not written yet.
    pub outbox: Outbox,
    /// Where in the ring it continues; `None` before the stream said where it starts.
    pub position: Option<Seq>,
    stream_id: u32,
}

impl Lane {
    /// A lane that writes to this socket.
    #[must_use]
    pub fn new(socket: Arc<Wire>) -> Arc<Self> {
        Arc::new(Self { socket, waiting: Mutex::default(), position: Arc::default(), woken: Notify::new() })
    }

    /// What waits. Not to be held while something is awaited.
    pub fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic of another task leaves whole messages, or a link that its edge will close.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it gets what is appended from `from` on, as messages of the message stream `stream_id`.
    pub fn start(&self, from: Seq, stream_id: u32) {
        let mut waiting = self.lock();
        (waiting.position, waiting.stream_id) = (Some(from), stream_id);
        self.position.store(from, Relaxed);
    }

    /// The ring was read up to here.
    pub fn advanced(&self, position: Seq) {
        self.position.store(position, Relaxed);
    }

    /// Its position, for the status: kept up to date.
    #[must_use]
    pub fn shown_position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.position)
    }

    /// Resolves when its task has something to do: to fill the outbox, or to wait for the socket.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    fn give(&self, batch: &Appended<'_>) {
        let mut waiting = self.lock();
        let Some(position) = waiting.position else { return };
        if position >= batch.to || !waiting.outbox.is_empty() {
            return;
        }
        if position == batch.from && waiting.stream_id == STREAM_ID {
            waiting.position = Some(batch.to);
            self.position.store(batch.to, Relaxed);
            let written = self.socket.try_write(batch.wire).unwrap_or(0);
            if written == batch.wire.len() {
                return;
            }
            // What is wrong with the socket, if it is more than full, is found by the link's own next write.
            waiting.outbox.put(Bytes::copy_from_slice(&batch.wire[written..]));
        }
        self.woken.notify_one();
    }
}

/// Items of the ring as every lane writes them.
struct Appended<'a> {
    from: Seq,
    to: Seq,
    wire: &'a [u8],
}

/// The links of one stream that have caught up with its ring.
#[derive(Debug, Default)]
pub struct Lanes {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lanes: Vec<Arc<Lane>>,
    /// Up to here everything was given to the lanes.
    given: Seq,
    items: Vec<Arc<Item>>,
    /// Used again for each batch: it stays in the processor's cache.
    batch: Batch,
}

impl Lanes {
    /// One more.
    pub fn join(&self, lane: Arc<Lane>) {
        self.lock().lanes.push(lane);
    }

    /// One less; no other task holds it after this.
    pub fn leave(&self, lane: &Arc<Lane>) {
        self.lock().lanes.retain(|other| !Arc::ptr_eq(other, lane));
    }

    /// Gives what was appended since the last time to all lanes. `read` copies items out of the ring from a position
    /// on, and says where the ring ends.
    pub fn give(&self, read: impl FnOnce(Seq, &mut Vec<Arc<Item>>) -> Seq) {
        let mut inner = self.lock();
        let Inner { lanes, given, items, batch } = &mut *inner;
        let from = *given;
        let to = if lanes.is_empty() { read(Seq::MAX, items) } else { read(from, items) };
        *given = to.max(from);
        if lanes.is_empty() || *given == from {
            items.clear();
            return;
        }
        // Items that are missing at the front have left the ring: lanes find that out when they read it.
        let from = items.first().map_or(*given, |item| item.seq);
        batch.clear();
        serialise(items, batch);
        items.clear();
        let appended = Appended { from, to: *given, wire: batch.as_slice() };
        for lane in lanes.iter() {
            lane.give(&appended);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serialise(items: &[Arc<Item>], batch: &mut Batch) {
    for item in items {
        match &item.content {
            Content::Message(message) => batch.put_relay(STREAM_ID, message),
            Content::Frame(frame) => batch.put_media(STREAM_ID, frame.track, frame.t_ms, &frame.body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lectern_media::relay::{LifeMark, RelayMessage};
    use lectern_media::track::{Message, Track};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    fn items(range: std::ops::Range<Seq>, bytes: usize) -> Vec<Arc<Item>> {
        let frame = |seq| Message::read(Track::Video, Bytes::from(vec![7; bytes])).at(seq * 40);
        range.map(|seq| Arc::new(Item { seq, content: Content::Frame(frame(seq)) })).collect()
    }

    /// A lane at `from`, and the other end of its socket.
    async fn lane(from: Seq, stream_id: u32) -> (Arc<Lane>, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (peer, _) = listener.accept().await.unwrap();
        socket.writable().await.unwrap();
        let lane = Lane::new(Arc::new(Wire::plain(socket)));
        lane.start(from, stream_id);
        (lane, peer)
    }

    fn wire(items: &[Arc<Item>]) -> Vec<u8> {
        let mut batch = Batch::default();
        serialise(items, &mut batch);
        batch.as_slice().to_vec()
    }

    fn append(lanes: &Lanes, all: &[Arc<Item>]) {
        lanes.give(|from, out| {
            out.extend(all.iter().filter(|item| item.seq >= from).cloned());
            all.last().map_or(0, |item| item.seq + 1)
        });
    }

    #[tokio::test]
    async fn a_lane_that_has_caught_up_gets_what_is_appended() {
        let lanes = Lanes::default();
        let (lane, mut peer) = lane(0, 1).await;
        lanes.join(lane.clone());
        let all = items(0..3, 100);
        append(&lanes, &all[..2]);
        append(&lanes, &all);
        let wanted = wire(&all);
        let mut got = vec![0; wanted.len()];
        peer.read_exact(&mut got).await.unwrap();
        assert_eq!(got, wanted);
        assert_eq!(lane.lock().position, Some(3));
        assert_eq!(lane.shown_position().load(Relaxed), 3);
    }

    #[tokio::test]
    async fn what_a_full_socket_does_not_take_waits_for_the_link() {
        let lanes = Lanes::default();
        let (lane, mut peer) = lane(0, 1).await;
        lanes.join(lane.clone());
        let all = items(0..64, 1 << 20);
        append(&lanes, &all);
        lane.woken().await;
        // While it is blocked nothing more is given.
        let more = items(0..65, 10);
        append(&lanes, &more);
        assert_eq!(lane.lock().position, Some(64));
        let wanted = wire(&all);
        let total = wanted.len();
        let read = tokio::spawn(async move {
            let mut got = vec![0; total];
            peer.read_exact(&mut got).await.unwrap();
            got
        });
        while !lane.lock().outbox.is_empty() {
            lane.socket.writable().await.unwrap();
            lane.lock().outbox.try_flush(&lane.socket).unwrap();
        }
        assert!(read.await.unwrap() == wanted);
    }

    #[tokio::test]
    async fn a_lane_elsewhere_in_the_ring_is_left_to_its_link() {
        for (from, stream_id) in [(1, 1), (0, 2)] {
            let lanes = Lanes::default();
            let (lane, _peer) = lane(from, stream_id).await;
            lanes.join(lane.clone());
            append(&lanes, &items(0..3, 100));
            lane.woken().await;
            assert_eq!(lane.lock().position, Some(from));
        }
    }

    #[test]
    fn a_batch_is_what_an_outbox_would_write() {
        let mut all = items(0..2, 300);
        let life = LifeMark { presentation: 5, life: lectern_media::ledger::Life::Ended };
        all.push(Arc::new(Item { seq: 2, content: Content::Message(RelayMessage::Life(life)) }));
        let mut outbox = Outbox::default();
        for item in &all {
            match &item.content {
                Content::Message(message) => outbox.put_relay(1, message),
                Content::Frame(frame) => outbox.put_media(1, frame.track, frame.t_ms, frame.body.clone()),
            }
        }
        assert_eq!(outbox.gathered(), wire(&all));
    }
}
