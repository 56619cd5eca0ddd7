//! Who may stay connected. A newcomer is never refused: when a stage is full, the connection of that stage that has been
//! idle longest ends. So idle connections, however many, keep neither API server nor operator out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its TLS handshake is not finished.
    Handshake,
    /// It showed no certificate: the operator, a probe, or a stranger.
    Anonymous,
    /// It showed a certificate of the front proxy's authority: an API server.
    Certified,
}

impl Stage {
    /// Connections of this stage at a time. API servers keep a handful each and the operator one; a handshake takes
    /// milliseconds.
    pub const fn most(self) -> usize {
        match self {
            Self::Handshake | Self::Anonymous => 128,
            Self::Certified => 64,
        }
    }
}

/// All connections.
#[derive(Debug, Default)]
pub struct Room(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    seats: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    stage: Stage,
    used: Instant,
    evicted: CancellationToken,
}

/// One connection's place, given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    room: Arc<Room>,
    id: u64,
    evicted: CancellationToken,
}

impl Room {
    /// A connection was accepted.
    pub fn enter(self: &Arc<Self>) -> Seat {
        let evicted = CancellationToken::new();
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.make_room(Stage::Handshake);
        state.seats.insert(id, Entry { stage: Stage::Handshake, used: Instant::now(), evicted: evicted.clone() });
        Seat { room: Arc::clone(self), id, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here leaves half a change behind when it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn make_room(&mut self, stage: Stage) {
        let of_stage = self.seats.iter().filter(|(_, entry)| entry.stage == stage);
        if of_stage.clone().count() < stage.most() {
            return;
        }
        // Of two that were used in the same instant the older one goes.
        let idlest = of_stage.min_by_key(|(id, entry)| (entry.used, **id)).map(|(id, _)| *id);
        if let Some(entry) = idlest.and_then(|id| self.seats.remove(&id)) {
            entry.evicted.cancel();
        }
    }
}

impl Seat {
    /// The handshake is finished: it counts as `stage` from now on.
    pub fn advance(&self, stage: Stage) {
        let mut state = self.room.lock();
        if !state.seats.contains_key(&self.id) {
            return;
        }
        state.make_room(stage);
        if let Some(entry) = state.seats.get_mut(&self.id) {
            (entry.stage, entry.used) = (stage, Instant::now());
        }
    }

    /// A request came.
    pub fn touch(&self) {
        if let Some(entry) = self.room.lock().seats.get_mut(&self.id) {
            entry.used = Instant::now();
        }
    }

    /// Waits until the place is given to a newcomer.
    pub async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.lock().seats.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::time::Duration;

    fn is_evicted(seat: &Seat) -> bool {
        seat.evicted().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_idle_strangers_keep_neither_the_api_server_nor_the_operator_out() {
        let room = Arc::new(Room::default());
        let (api_server, operator) = (room.enter(), room.enter());
        api_server.advance(Stage::Certified);
        operator.advance(Stage::Anonymous);
        let mut strangers = Vec::new();
        for _ in 0..10_000 {
            tokio::time::advance(Duration::from_millis(10)).await;
            let stranger = room.enter();
            stranger.advance(Stage::Anonymous);
            strangers.push(stranger);
            // It asks once a second; a hundred strangers come in between.
            if strangers.len() % 100 == 0 {
                operator.touch();
            }
        }
        assert!(!is_evicted(&api_server) && !is_evicted(&operator));
        let left = strangers.iter().filter(|stranger| !is_evicted(stranger)).count();
        assert_eq!(left, Stage::Anonymous.most() - 1, "with the operator they fill their share");
        drop(strangers);
        assert_eq!(room.lock().seats.len(), 2, "places are given back");
    }

    #[tokio::test(start_paused = true)]
    async fn handshakes_that_never_end_give_way_to_the_next_one() {
        let room = Arc::new(Room::default());
        let silent: Vec<Seat> = (0..1_000).map(|_| room.enter()).collect();
        let newcomer = room.enter();
        assert!(!is_evicted(&newcomer));
        assert_eq!(silent.iter().filter(|seat| !is_evicted(seat)).count(), Stage::Handshake.most() - 1);
        assert!(is_evicted(&silent[0]), "the oldest went first");
    }
}
