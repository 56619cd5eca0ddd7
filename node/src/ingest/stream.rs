//! One stream at the ingest: the pure [`live::Ingest`] under a short lock, and who waits for it.
//!
//! Publishers, links and forwards call in; the task that appends to the ring gives it to the links that have caught up (`lanes`)
//! and tells other readers that there is more. A driver task per stream moves its time on. No lock is held across an await.

use super::keys::KeyDigest;
use super::publish::publisher::{self, Dismissal, Newcomer};
use super::standby::Desk;
use crate::net::clock::Clock;
use crate::relay::source::{Followers, Opened, Source, Start};
use bytes::Bytes;
use lectern_api::node_config::IngestConfig;
use lectern_api::node_status::IngestStream;
use lectern_media::hls::cut::FIRST_SEGMENT_MS_MAX;
use lectern_media::live::ingest::{Cutting, Output, Settings};
use lectern_media::live::ring::{Behind, Item, Seq};
use lectern_media::live::{self, LinkId};
use lectern_media::relay::{IngestId, RelayMessage};
use lectern_media::track::Track;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// One message of a publisher.
#[derive(Debug)]
pub enum Message {
    /// Audio or video.
    Media {
        /// Which.
        track: Track,
        /// RTMP time stamp.
        stamp: u32,
        /// FLV tag body.
        body: Bytes,
    },
    /// `onMetaData`, AMF0.
    Metadata(Bytes),
}

/// Why a newcomer may not publish.
#[derive(Debug)]
pub struct Conflict;

/// One stream, as the tasks of the ingest share it.
pub struct Stream {
    name: String,
    clock: Clock,
    state: Mutex<State>,
    /// The time at which the driver has to move on is another.
    rescheduled: Notify,
    followers: Followers,
    removed: CancellationToken,
}

struct State {
    live: live::Ingest,
    opening: BTreeMap<LinkId, oneshot::Sender<Opened>>,
    desk: Desk,
    /// What the driver waits for.
    wake_ms: Option<u64>,
    /// Up to here readers of the ring were told.
    told: Seq,
    segment_ms: u64,
    max_bitrate: u64,
}

impl Stream {
    /// A stream of the ingest process `ingest`.
    #[must_use]
    pub fn new(name: &str, ingest: IngestId, config: &IngestConfig, clock: Clock) -> Arc<Self> {
        let (cutting, now_ms) = (cutting(config), clock.now_ms());
        let end_after_ms = config.hls.end_after_ms;
        let settings = Settings { ingest, cutting, end_after_ms, ring_bytes_max: ring_bytes_max(config) };
        let state = State {
            live: live::Ingest::new(settings, now_ms),
            opening: BTreeMap::new(),
            desk: Desk::new(name, now_ms),
            wake_ms: None,
            told: 0,
            segment_ms: config.hls.segment_ms,
            max_bitrate: config.max_bitrate,
        };
        Arc::new(Self {
            name: name.to_owned(),
            clock,
            state: Mutex::new(state),
            rescheduled: Notify::new(),
            followers: Followers::default(),
            removed: CancellationToken::new(),
        })
    }

    /// The configuration changed: what is said of segments holds from the next epoch on.
    pub fn configure(&self, config: &IngestConfig) {
        self.with(|state, _| {
            state.segment_ms = config.hls.segment_ms;
            state.max_bitrate = config.max_bitrate;
            state.live.configure(cutting(config), config.hls.end_after_ms);
        });
    }

    /// An encoder with a right key wants to publish.
    ///
    /// # Errors
    /// [`Conflict`] if the publisher that is there stays.
    pub fn publish(&self, newcomer: Newcomer<'_>) -> Result<publisher::Ticket, Conflict> {
        self.with(|state, now_ms| state.desk.publish(&mut state.live, now_ms, newcomer, state.segment_ms))
    }

    /// Messages of the publisher with this ticket, in order, and how many bytes came on its connection meanwhile, these
    /// and all others. Returns by how many milliseconds it is ahead of the clock; messages of one that was dismissed are
    /// ignored.
    pub fn messages(&self, id: publisher::Id, received: u64, messages: impl IntoIterator<Item = Message>) -> u64 {
        self.with(|state, now_ms| {
            let State { desk, live, max_bitrate, .. } = state;
            for message in messages {
                if desk.message(live, now_ms, id, message).is_err() {
                    return 0;
                }
            }
            desk.pace(live, now_ms, id, received, *max_bitrate)
        })
    }

    /// The publisher with this ticket is gone.
    pub fn unpublish(&self, id: publisher::Id) {
        self.with(|state, now_ms| state.desk.unpublish(&mut state.live, now_ms, id));
    }

    /// The event no longer has this stream.
    pub fn remove(&self) {
        self.dismiss("this event no longer has the stream");
        self.removed.cancel();
    }

    /// Closes the encoders, with the reason for them to read; the epoch is closed with a mark.
    pub fn dismiss(&self, words: &str) {
        let dismissal = Dismissal::Replaced(words.to_owned());
        self.with(|state, now_ms| state.desk.close_all(&mut state.live, now_ms, &dismissal));
    }

    /// Keys of the encoders that publish it.
    #[must_use]
    pub fn keys_shown(&self) -> Vec<KeyDigest> {
        self.lock().desk.keys_shown()
    }

    /// Closes the encoders that showed this key.
    pub fn close_key(&self, key: &KeyDigest, dismissal: &Dismissal) {
        self.with(|state, now_ms| state.desk.close_key(&mut state.live, now_ms, key, dismissal));
    }

    /// Bytes in the ring.
    #[must_use]
    pub fn ring_bytes(&self) -> usize {
        self.lock().live.ring().bytes()
    }

    /// Bytes of audio and video that publishers sent.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.lock().desk.received_bytes()
    }

    /// What was muxed of all encoders.
    #[cfg(test)]
    pub fn written(&self) -> lectern_media::live::ingest::Written {
        self.lock().live.written()
    }

    /// How often the other encoder of the two went on air.
    #[must_use]
    pub fn switches(&self) -> u64 {
        self.lock().desk.switches()
    }

    /// Segments of the open epoch that ended without a key frame.
    #[must_use]
    pub fn forced_cuts(&self) -> u64 {
        self.lock().live.forced_cuts()
    }

    /// What `/status` says of it.
    #[must_use]
    pub fn status(&self) -> IngestStream {
        let now_ms = self.clock.now_ms();
        let state = self.lock();
        let mut status = IngestStream {
            epoch: state.live.open_epoch(),
            last_msn: state.live.ledger().last().map(|e| e.msn),
            ..IngestStream::default()
        };
        state.desk.status(&state.live, now_ms, &mut status);
        status
    }

    /// Moves the stream's time on until `shutdown`.
    pub async fn drive(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let wake_ms = self.with(|state, _| {
                state.wake_ms = state.live.next_wake();
                state.wake_ms
            });
            tokio::select! {
                () = self.rescheduled.notified() => {}
                () = self.clock.until(wake_ms) => self.with(|state, now_ms| state.live.tick(now_ms)),
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// One change under the lock, then what it asks for.
    fn with<R>(&self, change: impl FnOnce(&mut State, u64) -> R) -> R {
        let now_ms = self.clock.now_ms();
        let mut state = self.lock();
        let result = change(&mut state, now_ms);
        while let Some(output) = state.live.poll() {
            match output {
                Output::Open { link, preamble, from } => {
                    // A link that is gone by now has dropped its receiver.
                    let _ = state.opening.remove(&link).map(|sender| sender.send(Opened { preamble, from }));
                }
                Output::Yield { reason } => {
                    let State { desk, live, .. } = &mut *state;
                    desk.close_all(live, now_ms, &Dismissal::Replaced(reason));
                }
                Output::ClosePublisher { reason } => {
                    let State { desk, live, .. } = &mut *state;
                    desk.close_on_air(live, now_ms, Dismissal::Replaced(reason));
                }
                Output::Note(note) => tracing::info!(stream = self.name, "{note}"),
            }
        }
        let end = state.live.ring().end();
        let grown = std::mem::replace(&mut state.told, end) != end;
        let rescheduled = state.live.next_wake() != state.wake_ms;
        drop(state);
        if rescheduled {
            self.rescheduled.notify_one();
        }
        if grown {
            self.tell();
        }
        result
    }

    /// Gives what was appended to all who follow the ring.
    fn tell(&self) {
        self.followers.tell(|from, items| {
            let state = self.lock();
            let ring = state.live.ring();
            // A position that has left the ring is one that no lane stands at either.
            if let Ok(found) = ring.read(from, usize::MAX) {
                items.extend(found.cloned());
            }
            ring.end()
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another task must not take the stream with it; the state is whole between calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Stream {
    fn name(&self) -> &str {
        &self.name
    }

    fn removed(&self) -> CancellationToken {
        self.removed.clone()
    }

    fn expect_greetings(&self, edges: usize) {
        self.with(|state, now_ms| state.live.expect_greetings(now_ms, edges));
    }

    fn edge_message(&self, link: LinkId, message: RelayMessage) -> Option<oneshot::Receiver<Opened>> {
        self.with(|state, now_ms| match message {
            RelayMessage::Greeting(greeting) => {
                let (sender, opened) = oneshot::channel();
                state.opening.insert(link, sender);
                state.live.greeting(now_ms, link, greeting);
                Some(opened)
            }
            RelayMessage::Outranked(outranked) => {
                state.live.outranked(now_ms, &outranked);
                None
            }
            RelayMessage::Missing(missing) => {
                state.live.missing(link, &missing);
                None
            }
            // The link answers it.
            RelayMessage::Probe(_)
            | RelayMessage::Heartbeat(_)
            | RelayMessage::Announcement(_)
            | RelayMessage::Event(_)
            | RelayMessage::Epoch(_)
            | RelayMessage::Mark(_)
            | RelayMessage::End(_)
            | RelayMessage::Metadata(_)
            | RelayMessage::Life(_) => None,
        })
    }

    fn link_closed(&self, link: LinkId) {
        self.with(|state, now_ms| {
            state.opening.remove(&link);
            state.live.link_closed(now_ms, link);
        });
    }

    fn read(&self, from: Seq, items_max: usize, items: &mut Vec<Arc<Item>>) -> Result<(), Behind> {
        let state = self.lock();
        items.extend(state.live.ring().read(from, items_max)?.cloned());
        Ok(())
    }

    fn end(&self) -> Seq {
        self.lock().live.ring().end()
    }

    fn lag_ms(&self, from: Seq) -> u64 {
        self.lock().live.ring().lag_ms(from)
    }

    fn start(&self) -> Option<Start> {
        let state = self.lock();
        let (epoch, tracks) = (state.live.open_epoch()?, state.live.tracks()?.clone());
        Some(Start { position: state.live.ring().end(), epoch, tracks })
    }

    fn followers(&self) -> &Followers {
        &self.followers
    }
}

fn cutting(config: &IngestConfig) -> Cutting {
    Cutting { segment_ms: config.hls.segment_ms, window: config.hls.window }
}

/// The ring has to cover the longest list that the settings allow, and two segments more, at the highest accepted bit
/// rate. It is a cap: what lies before the list is forgotten anyway.
fn ring_bytes_max(config: &IngestConfig) -> usize {
    let list_ms = (config.hls.segment_ms * u64::from(config.hls.window)).max(4 * FIRST_SEGMENT_MS_MAX);
    usize::try_from(config.max_bitrate / 8 * (list_ms + 2 * FIRST_SEGMENT_MS_MAX) / 1_000).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its stream must fail")]

    use super::*;
    use crate::ingest::keys::RightKey;
    use lectern_media::live::standby::Role;
    use lectern_media::relay::{Greeting, LiveLink};

    const INGEST: IngestId = 7;
    const OTHER: IngestId = 8;

    #[tokio::test(start_paused = true)]
    async fn an_ingest_that_yields_to_another_sends_both_encoders_there() {
        let config = r#"{"event": "default/gala", "streams": [{"name": "hall-a"}], "seedFile": "seed",
            "discovery": {"type": "static", "peers": []}}"#;
        let clock = Clock::start();
        let stream = Stream::new("hall-a", INGEST, &serde_json::from_str(config).unwrap(), clock);
        stream.expect_greetings(1);
        let address = "192.0.2.1:40000".parse().unwrap();
        let newcomer = |role| Newcomer { key: RightKey { role, digest: [0; 32] }, address, flash_ver: "test" };
        let mut main = stream.publish(newcomer(Role::Main)).unwrap();
        let mut backup = stream.publish(newcomer(Role::Backup)).unwrap();
        let live_link = Some(LiveLink { ingest: OTHER, epoch: clock.now_ms() + 60_000 });
        let greeting = Greeting { live_link, ..Greeting::default() };
        assert!(stream.edge_message(LinkId(1), RelayMessage::Greeting(greeting)).is_some());
        for ticket in [&mut main, &mut backup] {
            let Ok(Dismissal::Replaced(words)) = ticket.dismissed.try_recv() else { panic!("it is still there") };
            assert!(words.contains("another ingest"), "{words}");
        }
        assert!(stream.status().publisher.is_none());
    }
}
