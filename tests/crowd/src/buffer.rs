//! The virtual buffer of a player: media adds, the clock takes, emptiness is a stall.

use crate::policy::STALL_MS;

/// A player's buffer. All times are milliseconds of one clock.
#[derive(Debug)]
pub struct Buffer {
    state: State,
    /// Media there must be before playback starts, and starts again after a stall.
    cushion_ms: f64,
    stalls: u64,
    stalled_ms: f64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Not playing: this much is buffered; empty since then, if it had played before.
    Filling { have_ms: f64, empty_since: Option<f64> },
    /// Playing: the buffer lasts until then.
    Playing { empty_at: f64 },
    /// The session is over: nothing counts any more.
    Over,
}

impl Buffer {
    /// A buffer that plays from `cushion_ms` on.
    pub fn new(cushion_ms: u64) -> Self {
        Self {
            state: State::Filling { have_ms: 0.0, empty_since: None },
            cushion_ms: cushion_ms as f64,
            stalls: 0,
            stalled_ms: 0.0,
        }
    }

    /// `media_ms` of media have arrived.
    pub fn add(&mut self, now: f64, media_ms: f64) {
        self.drain(now);
        self.state = match self.state {
            State::Filling { have_ms, empty_since } if have_ms + media_ms >= self.cushion_ms => {
                if let Some(since) = empty_since {
                    self.note_stall(now - since);
                }
                State::Playing { empty_at: now + have_ms + media_ms }
            }
            State::Filling { have_ms, empty_since } => State::Filling { have_ms: have_ms + media_ms, empty_since },
            State::Playing { empty_at } => State::Playing { empty_at: empty_at + media_ms },
            State::Over => State::Over,
        };
    }

    /// The session has ended in order: what is buffered is played, and then nothing is missing.
    pub fn end(&mut self, now: f64) {
        self.drain(now);
        if let State::Filling { empty_since: Some(since), .. } = self.state {
            self.note_stall(now - since);
        }
        self.state = State::Over;
    }

    /// A new session: as if the viewer had just come.
    pub fn restart(&mut self) {
        self.state = State::Filling { have_ms: 0.0, empty_since: None };
    }

    /// Stalls so far and the milliseconds they lasted, one that goes on included.
    pub fn stalls(&self, now: f64) -> (u64, f64) {
        let open = match self.state {
            State::Playing { empty_at } => now - empty_at,
            State::Filling { empty_since: Some(since), .. } => now - since,
            State::Filling { empty_since: None, .. } | State::Over => 0.0,
        };
        if open > STALL_MS as f64 { (self.stalls + 1, self.stalled_ms + open) } else { (self.stalls, self.stalled_ms) }
    }

    fn drain(&mut self, now: f64) {
        if let State::Playing { empty_at } = self.state
            && now > empty_at
        {
            self.state = State::Filling { have_ms: 0.0, empty_since: Some(empty_at) };
        }
    }

    fn note_stall(&mut self, empty_ms: f64) {
        if empty_ms > STALL_MS as f64 {
            self.stalls += 1;
            self.stalled_ms += empty_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_that_arrives_in_time_is_no_stall() {
        let mut buffer = Buffer::new(0);
        for n in 0..10 {
            buffer.add(f64::from(n) * 2_000.0, 2_000.0);
        }
        assert_eq!(buffer.stalls(20_000.0), (0, 0.0));
    }

    #[test]
    fn an_empty_buffer_is_one_stall_however_long() {
        let mut buffer = Buffer::new(0);
        buffer.add(0.0, 2_000.0);
        buffer.add(5_000.0, 2_000.0);
        assert_eq!(buffer.stalls(6_000.0), (1, 3_000.0));
        assert_eq!(buffer.stalls(8_000.0), (2, 4_000.0), "one that goes on counts too");
    }

    #[test]
    fn a_cushion_is_filled_before_playback_and_after_a_stall() {
        let mut buffer = Buffer::new(1_000);
        buffer.add(0.0, 500.0);
        assert_eq!(buffer.stalls(9_000.0), (0, 0.0), "it has not begun to play");
        buffer.add(9_000.0, 500.0);
        buffer.add(11_000.0, 500.0);
        buffer.add(11_500.0, 500.0);
        assert_eq!(buffer.stalls(11_500.0), (1, 1_500.0));
    }

    #[test]
    fn what_nobody_sees_and_what_comes_after_the_end_is_not_counted() {
        let mut buffer = Buffer::new(0);
        buffer.add(0.0, 1_000.0);
        buffer.add(1_080.0, 1_000.0);
        buffer.end(1_500.0);
        assert_eq!(buffer.stalls(60_000.0), (0, 0.0));
    }
}
