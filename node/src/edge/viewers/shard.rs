//! Shards: each is one task that visits its viewers once per merge window.

use super::viewer::{Tally, Viewer, Visit};
use crate::edge::counting::Protocol;
use crate::edge::stream::hub::{Hub, Stream};
use crate::edge::stream::ring::RingCopy;
use crate::edge::stream::wire::Form;
use crate::net::socket;
use crate::net::wire::Wire;
use bytes::Bytes;
use lectern_media::rtmp::server::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// While a viewer has not taken everything, the shard looks again after this: a newcomer's first picture does not wait
/// for merge windows.
const CATCH_UP_MS: u64 = 10;
/// Newcomers that wait for their shard; more wait at the door.
const INBOX: usize = 1_024;
/// Viewers visited in one go: after them other tasks of the same thread get their turn.
const VISITS_IN_A_ROW: usize = 64;
/// What a peer says is read into this and dropped.
const SCRATCH_BYTES: usize = 4_096;

/// A viewer that is about to join a shard.
#[derive(Debug)]
pub struct NewViewer {
    /// The socket, already set up with [`super::tune`].
    pub wire: Wire,
    /// What is played.
    pub stream: Arc<Stream>,
    /// How.
    pub form: Form,
    /// What goes first.
    pub opening: Bytes,
    /// The session of a viewer of RTMP.
    pub session: Option<Box<Session>>,
}

/// How viewers are let go while the edge drains: evenly from `from_ms` to `until_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Unix milliseconds.
    pub from_ms: u64,
    /// Unix milliseconds.
    pub until_ms: u64,
}

impl Pace {
    /// How many of `initial` viewers may still be there at `now_ms`.
    #[must_use]
    pub fn may_stay(&self, initial: usize, now_ms: u64) -> usize {
        let total = self.until_ms.saturating_sub(self.from_ms).max(1);
        let left = self.until_ms.saturating_sub(now_ms.max(self.from_ms));
        usize::try_from(initial as u64 * left / total).unwrap_or(initial)
    }
}

/// All shards of a node.
#[derive(Debug)]
pub struct Shards {
    inboxes: Vec<mpsc::Sender<NewViewer>>,
    next: AtomicUsize,
    drain: watch::Sender<Option<Pace>>,
}

impl Shards {
    /// Starts `count` shards. A merge window of zero writes every frame when it comes.
    #[must_use]
    pub fn start(hub: &Arc<Hub>, count: usize, merge_window: Duration) -> Arc<Self> {
        let drain = watch::Sender::new(None);
        let inboxes = (0..count.max(1)).map(|_| {
            let (sender, inbox) = mpsc::channel(INBOX);
            let shard = Shard {
                hub: Arc::clone(hub),
                groups: Vec::new(),
                scratch: Box::new([0; SCRATCH_BYTES]),
                drain: drain.subscribe(),
                initial: None,
            };
            tokio::spawn(shard.run(inbox, merge_window));
            sender
        });
        let inboxes = inboxes.collect();
        Arc::new(Self { inboxes, next: AtomicUsize::new(0), drain })
    }

    /// Gives a viewer to a shard.
    pub async fn join(&self, viewer: NewViewer) {
        let shard = self.next.fetch_add(1, Relaxed) % self.inboxes.len();
        // A shard ends with the node only; then the socket is dropped, as it should be.
        let _ = self.inboxes[shard].send(viewer).await;
    }

    /// From now on viewers are let go at this pace.
    pub fn drain(&self, pace: Pace) {
        self.drain.send_replace(Some(pace));
    }
}

struct Shard {
    hub: Arc<Hub>,
    groups: Vec<Group>,
    scratch: Box<[u8]>,
    drain: watch::Receiver<Option<Pace>>,
    /// Viewers there were when draining began.
    initial: Option<usize>,
}

/// The viewers of one stream in one form.
struct Group {
    stream: Arc<Stream>,
    form: Form,
    mirror: RingCopy,
    appended: watch::Receiver<()>,
    viewers: Vec<Viewer>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// All viewers of the shard.
    Full,
    /// Those who have not taken everything.
    CatchUp,
}

impl Shard {
    async fn run(mut self, mut inbox: mpsc::Receiver<NewViewer>, merge_window: Duration) {
        let every_frame = merge_window.is_zero();
        // Without a window the tick is only for the slow and the silent.
        let period = if every_frame { Duration::from_millis(100) } else { merge_window };
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let behind = self.groups.iter().any(|group| group.viewers.iter().any(|viewer| viewer.behind));
            let round = tokio::select! {
                viewer = inbox.recv() => match viewer {
                    Some(viewer) => {
                        self.admit(viewer);
                        continue;
                    }
                    None => return,
                },
                _ = ticks.tick() => Round::Full,
                () = any_appended(&mut self.groups), if every_frame => Round::Full,
                () = tokio::time::sleep(Duration::from_millis(CATCH_UP_MS)), if behind => Round::CatchUp,
            };
            self.round(round).await;
        }
    }

    /// A newcomer is served at once.
    fn admit(&mut self, viewer: NewViewer) {
        let NewViewer { wire, stream, form, opening, session } = viewer;
        let now_ms = self.hub.clock.now_ms();
        let known = |group: &Group| Arc::ptr_eq(&group.stream, &stream) && group.form == form;
        let at = self.groups.iter().position(known).unwrap_or_else(|| {
            let mirror = RingCopy::new(Arc::clone(&stream.ring));
            let appended = stream.ring.appended();
            self.groups.push(Group { stream: Arc::clone(&stream), form, mirror, appended, viewers: Vec::new() });
            self.groups.len() - 1
        });
        let group = &mut self.groups[at];
        if group.viewers.is_empty() {
            group.mirror.refresh();
        }
        let mut viewer = Viewer::new(wire, opening, session, now_ms);
        let mut tally = Tally::default();
        count(&group.stream, form).fetch_add(1, Relaxed);
        if viewer.visit(&group.mirror, form, now_ms, &mut self.scratch, &mut tally) == Visit::Stays {
            group.viewers.push(viewer);
        } else {
            count(&group.stream, form).fetch_sub(1, Relaxed);
        }
        settle(&self.hub, form, tally);
    }

    async fn round(&mut self, round: Round) {
        let now_ms = self.hub.clock.now_ms();
        for group in &mut self.groups {
            group.mirror.refresh();
            let mut tally = Tally::default();
            let mut at = 0;
            let mut visited = 0;
            while let Some(viewer) = group.viewers.get_mut(at) {
                if round == Round::CatchUp && !viewer.behind {
                    at += 1;
                    continue;
                }
                let visit = viewer.visit(&group.mirror, group.form, now_ms, &mut self.scratch, &mut tally);
                match visit {
                    Visit::Stays => at += 1,
                    Visit::Gone => drop(group.dismiss(at)),
                    Visit::Over => close(group.dismiss(at)),
                    Visit::Stalled => {
                        self.hub.totals.stalls.fetch_add(1, Relaxed);
                        group.dismiss(at).give_up();
                    }
                }
                visited += 1;
                if visited % VISITS_IN_A_ROW == 0 {
                    tokio::task::yield_now().await;
                }
            }
            settle(&self.hub, group.form, tally);
        }
        self.groups.retain(|group| !group.viewers.is_empty());
        self.let_go(now_ms);
    }

    /// Draining: lets go of as many as the pace asks for.
    fn let_go(&mut self, now_ms: u64) {
        let Some(pace) = *self.drain.borrow() else { return };
        let there = self.groups.iter().map(|group| group.viewers.len()).sum();
        let initial = *self.initial.get_or_insert(there);
        let mut surplus = there.saturating_sub(pace.may_stay(initial, now_ms));
        for group in &mut self.groups {
            while surplus > 0 && !group.viewers.is_empty() {
                let mut viewer = group.dismiss(group.viewers.len() - 1);
                viewer.say_goodbye("NetStream.Play.Stop", "this edge is going: play again");
                close(viewer);
                surplus -= 1;
            }
        }
    }
}

impl Group {
    fn dismiss(&mut self, at: usize) -> Viewer {
        count(&self.stream, self.form).fetch_sub(1, Relaxed);
        self.viewers.swap_remove(at)
    }
}

/// Closes in good order, so that the last words arrive.
fn close(viewer: Viewer) {
    let mut socket = viewer.into_socket();
    tokio::spawn(async move { socket::close(&mut socket).await });
}

fn count(stream: &Stream, form: Form) -> &AtomicU64 {
    match form {
        Form::Flv => &stream.flv_viewers,
        Form::Rtmp => &stream.rtmp_viewers,
    }
}

fn settle(hub: &Hub, form: Form, tally: Tally) {
    let protocol = match form {
        Form::Flv => Protocol::Flv,
        Form::Rtmp => Protocol::Rtmp,
    };
    if tally.bytes > 0 {
        hub.totals.wrote(protocol, tally.bytes);
    }
    if tally.skips > 0 {
        hub.totals.skips.fetch_add(tally.skips, Relaxed);
    }
}

/// Resolves when a frame was appended to any ring that is watched here.
async fn any_appended(groups: &mut [Group]) {
    if groups.is_empty() {
        return std::future::pending().await;
    }
    let waits = groups.iter_mut().map(|group| Box::pin(group.appended.changed()));
    // An error means that the ring is gone; its viewers are let go by the tick.
    if futures::future::select_all(waits).await.0.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn viewers_are_let_go_evenly() {
        let pace = Pace { from_ms: 1_000, until_ms: 11_000 };
        let stay: Vec<_> = [0, 1_000, 3_500, 6_000, 10_990, 11_000, 12_000].map(|t| pace.may_stay(1_000, t)).into();
        assert_eq!(stay, [1_000, 1_000, 750, 500, 1, 0, 0]);
    }
}
