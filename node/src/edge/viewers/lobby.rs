//! Connections that have not yet said what they want. There is room for a number of them; then the oldest goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Connections that are let sit here (design section 9).
pub const SEATS: usize = 2_000;

/// See the module.
#[derive(Debug)]
pub struct Lobby {
    seats: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

impl Lobby {
    /// A lobby with [`SEATS`].
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with_seats(SEATS)
    }

    fn with_seats(seats: usize) -> Arc<Self> {
        Arc::new(Self { seats, inner: Mutex::default() })
    }

    /// Takes a seat. If all are taken, whoever sat longest is shown out.
    pub fn enter(self: &Arc<Self>) -> Seat {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.waiting.len() >= self.seats
            && let Some((_, oldest)) = inner.waiting.pop_first()
        {
            oldest.cancel();
        }
        let number = inner.next;
        inner.next += 1;
        let shown_out = CancellationToken::new();
        inner.waiting.insert(number, shown_out.clone());
        Seat { lobby: Arc::clone(self), number, shown_out }
    }

    /// How many sit there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).waiting.len()
    }

    /// Nobody sits there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A seat, free again when dropped.
#[derive(Debug)]
pub struct Seat {
    lobby: Arc<Lobby>,
    number: u64,
    /// Cancelled when the seat is needed for somebody else.
    pub shown_out: CancellationToken,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lobby.inner.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::Lobby;

    #[test]
    fn the_oldest_goes_when_all_seats_are_taken() {
        let lobby = Lobby::with_seats(3);
        let mut seats: Vec<_> = (0..5).map(|_| lobby.enter()).collect();
        assert_eq!(lobby.len(), 3);
        let out: Vec<_> = seats.iter().map(|seat| seat.shown_out.is_cancelled()).collect();
        assert_eq!(out, [true, true, false, false, false]);
        seats.truncate(3);
        assert_eq!(lobby.len(), 1);
        let again = lobby.enter();
        assert!(!seats[2].shown_out.is_cancelled() && !again.shown_out.is_cancelled());
    }
}
