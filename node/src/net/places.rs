//! The connections of a port whose peers stay: how many there may be, and which one is closed for a newcomer.
//!
//! A newcomer is never refused for a connection that does nothing. When all places are taken, the connection that has been
//! idle longest is closed; when none is idle, the one whose answer has taken longest. A busy connection only writes its own
//! standing, and takes no lock; the places are looked through when they are full, for a sixteenth of them at once. So while none was
//! idle at the last look, a few answers may be ended although a connection has become idle since.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// One look through all places finds this part of them, so that a flood of newcomers costs little for each.
const FOUND_PART: usize = 16;

/// What a connection is doing. Of two, the lesser one is closed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
enum Doing {
    Idle,
    Answering,
    /// Watches a stream without end, and is counted and bounded as a viewer.
    Watching,
    Closed,
}

/// What a connection does, and since when: in one number, so that both change at once.
type Standing = u64;

const DOING_BITS: u32 = 2;

const fn standing(doing: Doing, since_ms: u64) -> Standing {
    ((doing as u64) << (u64::BITS - DOING_BITS)) | (since_ms & (u64::MAX >> DOING_BITS))
}

const WATCHING: Standing = standing(Doing::Watching, 0);
const CLOSED: Standing = standing(Doing::Closed, 0);

/// What a connection says of itself.
#[derive(Debug)]
pub struct Seat {
    standing: AtomicU64,
    closed: Notify,
}

impl Seat {
    /// A seat that no port counts.
    #[must_use]
    pub fn new(now_ms: u64) -> Arc<Self> {
        Arc::new(Self { standing: AtomicU64::new(standing(Doing::Idle, now_ms)), closed: Notify::new() })
    }

    /// It waits for a request from now on.
    pub fn is_idle(&self, now_ms: u64) {
        self.change(standing(Doing::Idle, now_ms));
    }

    /// It answers from now on.
    pub fn answers(&self, now_ms: u64) {
        self.change(standing(Doing::Answering, now_ms));
    }

    /// It sends a stream without end from now on.
    pub fn watches(&self) {
        self.change(WATCHING);
    }

    /// Whether it has to close for another one.
    #[must_use]
    pub fn has_to_close(&self) -> bool {
        self.standing.load(Relaxed) == CLOSED
    }

    /// Waits until it has to close for another one.
    pub async fn closed(&self) {
        self.closed.notified().await;
    }

    fn change(&self, to: Standing) {
        let from = self.standing.load(Relaxed);
        // It fails only for a connection that was closed in between, and stays closed.
        if from != CLOSED {
            let _ = self.standing.compare_exchange(from, to, Relaxed, Relaxed);
        }
    }

    /// Closes it, if it still is what it was.
    fn close(&self, was: Standing) -> bool {
        let closes = self.standing.compare_exchange(was, CLOSED, Relaxed, Relaxed).is_ok();
        if closes {
            self.closed.notify_one();
        }
        closes
    }
}

/// The places of one port.
#[derive(Debug)]
pub struct Places {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
    /// Those that were first to go when all were looked through, the first one first. An idle connection that is what it was
    /// then is still the first: what became idle since has been so for less long.
    first_to_go: VecDeque<(Standing, u64)>,
}

/// A place, which is free again once this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    id: u64,
    /// What the connection in it does.
    pub seat: Arc<Seat>,
}

/// What became of a newcomer.
#[derive(Debug)]
pub enum Entered {
    /// There was room.
    Free(Place),
    /// Another connection was closed for it.
    Instead(Place),
    /// All places are held by viewers of streams without end.
    Full,
}

impl Places {
    /// `limit` free places.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, inner: Mutex::default() })
    }

    /// How many there are.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// A connection was accepted.
    pub fn enter(self: &Arc<Self>, now_ms: u64) -> Entered {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = inner.seats.len() >= self.limit;
        if is_full && !inner.close_one() {
            return Entered::Full;
        }
        inner.next += 1;
        let (id, seat) = (inner.next, Seat::new(now_ms));
        inner.seats.insert(id, Arc::clone(&seat));
        let place = Place { places: Arc::clone(self), id, seat };
        if is_full { Entered::Instead(place) } else { Entered::Free(place) }
    }
}

impl Inner {
    fn close_one(&mut self) -> bool {
        // What was found before may all have changed since; what is found now has not.
        self.close_found() || {
            self.look();
            self.close_found()
        }
    }

    fn close_found(&mut self) -> bool {
        while let Some((was, id)) = self.first_to_go.pop_front() {
            if self.seats.get(&id).is_some_and(|seat| seat.close(was)) {
                self.seats.remove(&id);
                return true;
            }
        }
        false
    }

    fn look(&mut self) {
        let standing = |(id, seat): (&u64, &Arc<Seat>)| (seat.standing.load(Relaxed), *id);
        let mut all: Vec<_> = self.seats.iter().map(standing).filter(|(standing, _)| *standing < WATCHING).collect();
        let found = (all.len() / FOUND_PART).max(1);
        if found < all.len() {
            all.select_nth_unstable(found);
            all.truncate(found);
        }
        all.sort_unstable();
        self.first_to_go = all.into();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.inner.lock().unwrap_or_else(PoisonError::into_inner).seats.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(places: &Arc<Places>, now_ms: u64) -> Place {
        match places.enter(now_ms) {
            Entered::Free(place) | Entered::Instead(place) => place,
            Entered::Full => panic!("there is no place at {now_ms}"),
        }
    }

    #[test]
    fn the_connection_that_is_idle_longest_is_closed_for_a_newcomer() {
        let places = Places::new(3);
        let held: Vec<_> = (0..3).map(|now_ms| enter(&places, now_ms)).collect();
        held[0].seat.answers(10);
        held[1].seat.is_idle(20);
        assert!(matches!(places.enter(30), Entered::Instead(_)));
        let closed: Vec<_> = held.iter().map(|place| place.seat.has_to_close()).collect();
        assert_eq!(closed, [false, false, true]);
    }

    #[test]
    fn when_none_is_idle_the_longest_answer_ends_and_a_viewer_is_never_closed() {
        let places = Places::new(3);
        let held: Vec<_> = (0..3).map(|now_ms| enter(&places, now_ms)).collect();
        held[0].seat.watches();
        held[1].seat.answers(12);
        held[2].seat.answers(11);
        let newcomer = enter(&places, 20);
        newcomer.seat.watches();
        assert!(held[2].seat.has_to_close() && !held[1].seat.has_to_close());
        enter(&places, 21).seat.watches();
        assert!(held[1].seat.has_to_close());
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends_and_viewers_can_take_all() {
        let places = Places::new(2);
        let (first, second) = (enter(&places, 0), enter(&places, 0));
        first.seat.watches();
        second.seat.watches();
        assert!(matches!(places.enter(1), Entered::Full));
        drop(first);
        assert!(matches!(places.enter(2), Entered::Free(_)));
    }

    #[test]
    fn a_flood_closes_the_idle_in_their_order() {
        let places = Places::new(64);
        let held: Vec<_> = (0..64).map(|now_ms| enter(&places, now_ms)).collect();
        // One that was found to be the second to go has a request before its turn comes.
        let mut newcomers = vec![enter(&places, 100)];
        held[1].seat.answers(101);
        newcomers.extend((0..10).map(|now_ms| enter(&places, 102 + now_ms)));
        let closed: Vec<_> = (0..64).filter(|at| held[*at].seat.has_to_close()).collect();
        assert_eq!(closed, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    }
}
