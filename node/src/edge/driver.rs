//! One task per stream: it alone holds the stream's machine, feeds it what comes from links and siblings, and does what
//! it says.

use super::siblings::Siblings;
use super::stream::hub::{Hub, Stream};
use super::stream::snapshot::Snapshot;
use bytes::Bytes;
use lectern_media::ledger::{Entry, Ledger, Life, SegmentName};
use lectern_media::live::edge::{LiveItem, Output};
use lectern_media::live::{Edge, LinkId, View};
use lectern_media::relay::RelayMessage;
use lectern_media::rendition::SegmentKey;
use lectern_media::track::Track;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Inputs that wait for the machine; beyond them links are read more slowly.
pub const INBOX: usize = 256;
/// Inputs taken at once.
const BATCH: usize = 64;

/// What happens to a stream.
#[derive(Debug)]
pub enum Input {
    /// An ingest with the right token published the stream; what it is to be told goes into `replies`.
    Opened {
        /// The link.
        link: LinkId,
        /// To the link's connection.
        replies: mpsc::Sender<Reply>,
    },
    /// A relay message of a link.
    Message(LinkId, RelayMessage),
    /// Audio or video of a link.
    Frame {
        /// The link.
        link: LinkId,
        /// Which.
        track: Track,
        /// RTMP time stamp.
        stamp: u32,
        /// FLV tag body.
        body: Bytes,
    },
    /// The link's connection is gone.
    Closed(LinkId),
    /// The other edges.
    Siblings(Arc<[SocketAddr]>),
    /// A sibling's answer.
    Ledger(SocketAddr, Option<(Ledger, Vec<Entry>)>),
    /// A sibling's answer.
    Fetched(SocketAddr, SegmentName, Option<Bytes>),
}

/// What a link's connection is to do.
#[derive(Debug)]
pub enum Reply {
    /// Send this.
    Message(Box<RelayMessage>),
    /// Close, with the reason for the log.
    Close(String),
}

/// The task of one stream at the edge.
pub struct Driver {
    hub: Arc<Hub>,
    stream: Arc<Stream>,
    siblings: Arc<Siblings>,
    machine: Edge,
    links: HashMap<LinkId, mpsc::Sender<Reply>>,
    /// Its own inbox, for answers of siblings.
    answers: mpsc::Sender<Input>,
    mismatches: u64,
}

impl Driver {
    /// Starts the task of `stream`; it ends with `removed`.
    pub fn start(
        hub: &Arc<Hub>,
        stream: &Arc<Stream>,
        siblings: &Arc<Siblings>,
        removed: CancellationToken,
    ) -> mpsc::Sender<Input> {
        let (sender, inbox) = mpsc::channel(INBOX);
        let driver = Self {
            machine: Edge::new(hub.clock.now_ms()),
            hub: Arc::clone(hub),
            stream: Arc::clone(stream),
            siblings: Arc::clone(siblings),
            links: HashMap::new(),
            answers: sender.clone(),
            mismatches: 0,
        };
        tokio::spawn(driver.run(inbox, removed));
        sender
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Input>, removed: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let wake = self.hub.clock.instant(self.machine.next_wake());
            tokio::select! {
                count = inbox.recv_many(&mut batch, BATCH) => if count == 0 { break },
                () = tokio::time::sleep_until(wake) => self.machine.tick(self.hub.clock.now_ms()),
                () = self.stream.inquiry.notified() => self.machine.inquire(self.hub.clock.now_ms()),
                () = removed.cancelled() => break,
            }
            self.run_outputs();
            for input in batch.drain(..) {
                self.accept(input);
                self.run_outputs();
            }
        }
        self.stream.ring.end();
        self.stream.publish(Snapshot::default());
    }

    fn accept(&mut self, input: Input) {
        let now_ms = self.hub.clock.now_ms();
        match input {
            Input::Opened { link, replies } => {
                self.links.insert(link, replies);
                self.machine.link_opened(now_ms, link);
                let greeting = RelayMessage::Greeting(self.machine.greeting(now_ms));
                self.reply(link, Reply::Message(Box::new(greeting)));
            }
            Input::Message(link, message) => self.machine.message(now_ms, link, message),
            Input::Frame { link, track, stamp, body } => self.machine.frame(now_ms, link, track, stamp, body),
            Input::Closed(link) => {
                // A link that the machine itself closed is forgotten there already.
                if self.links.remove(&link).is_some() {
                    self.machine.link_closed(now_ms, link);
                }
            }
            Input::Siblings(siblings) => self.machine.siblings(now_ms, &siblings),
            Input::Ledger(sibling, answer) => self.machine.sibling_ledger(now_ms, sibling, answer),
            Input::Fetched(sibling, name, bytes) => self.machine.fetched(now_ms, sibling, name, bytes),
        }
    }

    fn run_outputs(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Send { link, message } => self.reply(link, Reply::Message(Box::new(message))),
                Output::Close { link, reason } => {
                    self.reply(link, Reply::Close(reason));
                    self.links.remove(&link);
                }
                Output::AskLedger { sibling } => self.ask(sibling),
                Output::Fetch { sibling, name } => self.fetch(sibling, name),
                Output::View(view) => self.publish_view(view),
                Output::Live(LiveItem::Epoch { tracks, kinds_changed }) => {
                    self.stream.ring.epoch(tracks, kinds_changed);
                }
                Output::Live(LiveItem::Metadata(payload)) => self.stream.ring.metadata(payload),
                Output::Live(LiveItem::Frame(frame)) => self.stream.ring.frame(frame),
            }
        }
        let mismatches = self.machine.mismatches();
        if mismatches != self.mismatches {
            tracing::warn!(stream = self.stream.name, mismatches, "a segment did not come out as the ingest has it");
            self.hub.totals.mismatches.fetch_add(mismatches - self.mismatches, Relaxed);
            self.mismatches = mismatches;
        }
    }

    /// A link that does not take its messages is treated as dead: without this sender its connection ends.
    fn reply(&mut self, link: LinkId, reply: Reply) {
        if let Some(replies) = self.links.get(&link)
            && replies.try_send(reply).is_err()
        {
            self.links.remove(&link);
            self.machine.link_closed(self.hub.clock.now_ms(), link);
        }
    }

    fn publish_view(&mut self, view: Arc<View>) {
        let over = view.ledger.life != Life::Open && view.open.is_none();
        let now_ms = self.hub.clock.now_ms();
        let before = self.stream.snapshot.load_full();
        let snapshot = Snapshot::next(&before, view, now_ms);
        for (key, segment) in snapshot.segments.iter().filter(|(key, _)| !before.segments.contains_key(key)) {
            self.machine.moved(key.name, segment.data.bytes.clone());
        }
        self.stream.publish(snapshot);
        if over && self.stream.ring.is_live() {
            self.stream.ring.end();
        }
    }

    fn ask(&self, sibling: SocketAddr) {
        let (siblings, stream, answers) = (self.siblings.clone(), self.stream.clone(), self.answers.clone());
        tokio::spawn(async move {
            let answer = siblings.ledger(sibling, &stream.name).await.map(|answer| (answer.ledger, answer.others));
            let _ = answers.send(Input::Ledger(sibling, answer)).await;
        });
    }

    fn fetch(&self, sibling: SocketAddr, name: SegmentName) {
        let (siblings, stream, answers) = (self.siblings.clone(), self.stream.clone(), self.answers.clone());
        let hub = Arc::clone(&self.hub);
        tokio::spawn(async move {
            let bytes = siblings.segment(sibling, &stream.name, SegmentKey::source(name)).await;
            let count = if bytes.is_some() { &hub.totals.sibling_fetches } else { &hub.totals.sibling_failures };
            count.fetch_add(1, Relaxed);
            let _ = answers.send(Input::Fetched(sibling, name, bytes)).await;
        });
    }
}
