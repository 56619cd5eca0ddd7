//! What an HLS player decides from a playlist: which segments to fetch, when to look again. No clock, no socket.

use crate::playlist::MediaPlaylist;
use crate::policy::START_TARGETS;
use std::ops::Range;

/// One viewer's place in a stream.
#[derive(Debug, Default)]
pub struct Player {
    /// The number it wants next; `None` before the first playlist.
    next: Option<u64>,
    seen: Option<Seen>,
}

/// The last playlist that was looked at.
#[derive(Clone, Copy, Debug)]
struct Seen {
    connection: u64,
    first: u64,
    last: u64,
    ended: bool,
}

/// What a playlist means to a viewer.
#[derive(Debug, Default, PartialEq)]
pub struct Step {
    /// The segments to fetch, as indices of the list.
    pub fetch: Range<usize>,
    /// It differs from the last one: reload after a whole target duration.
    pub changed: bool,
    /// Numbers went back: on one connection at all, or on different ones by more than a segment.
    pub back: bool,
    /// One segment behind what another connection showed.
    pub behind: bool,
    /// Segments that were wanted and are no longer listed.
    pub skipped: u64,
}

impl Player {
    /// A playlist came over the connection of that number.
    pub fn playlist(&mut self, connection: u64, list: &MediaPlaylist) -> Step {
        let (Some(first), Some(last)) = (list.segments.first(), list.segments.last()) else { return Step::default() };
        let now = Seen { connection, first: first.msn, last: last.msn, ended: list.ended };
        let mut step = Step { changed: true, ..Step::default() };
        if let Some(seen) = self.seen {
            let lower =
                now.last < seen.last || now.first < seen.first || (seen.ended && !now.ended && now.last <= seen.last);
            let far = now.last + 1 < seen.last || now.first + 1 < seen.first;
            step.back = lower && (far || connection == seen.connection);
            step.behind = lower && !step.back;
            step.changed = now.last != seen.last || now.ended != seen.ended;
        }
        if !step.behind {
            self.seen = Some(now);
        }
        let next = *self.next.get_or_insert_with(|| start(list));
        step.skipped = first.msn.saturating_sub(next);
        let from = list.segments.partition_point(|s| s.msn < next);
        step.fetch = from..list.segments.len();
        self.next = Some(next.max(first.msn));
        step
    }

    /// The segment `msn` was fetched (or is a gap and was passed over).
    pub fn done(&mut self, msn: u64) {
        self.next = Some(msn + 1);
    }
}

/// Milliseconds from the beginning of one load to that of the next (RFC 8216, 6.3.4).
pub fn reload_ms(list: &MediaPlaylist, changed: bool) -> f64 {
    let target_ms = f64::from(list.target_s) * 1_000.0;
    if changed { target_ms } else { target_ms / 2.0 }
}

/// Where playback starts (RFC 8216, 6.3.3): at the last segment that begins at least three target durations before the
/// end, at the oldest if there is none, at the oldest too of a list that has ended.
fn start(list: &MediaPlaylist) -> u64 {
    let keep_ms = f64::from(list.target_s * START_TARGETS) * 1_000.0;
    let mut behind_ms = 0.0;
    let oldest = list.segments.first().map_or(0, |s| s.msn);
    if list.ended {
        return oldest;
    }
    let enough = |s: &&crate::playlist::Listed| {
        behind_ms += s.duration_ms;
        behind_ms >= keep_ms
    };
    list.segments.iter().rev().find(enough).map_or(oldest, |s| s.msn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playlist::Listed;

    fn list(msns: Range<u64>) -> MediaPlaylist {
        let segments = msns.map(|msn| Listed { msn, duration_ms: 2_000.0, ..Listed::default() }).collect();
        MediaPlaylist { target_s: 2, ended: false, segments }
    }

    #[test]
    fn a_viewer_starts_three_target_durations_before_the_end() {
        assert_eq!(Player::default().playlist(1, &list(10..18)).fetch, 5..8);
        assert_eq!(Player::default().playlist(1, &list(10..12)).fetch, 0..2, "a short list is played from its start");
        let ended = MediaPlaylist { ended: true, ..list(10..18) };
        assert_eq!(Player::default().playlist(1, &ended).fetch, 0..8);
    }

    #[test]
    fn every_segment_is_fetched_once_and_lost_ones_are_counted() {
        let mut player = Player::default();
        for msn in 15..18 {
            player.playlist(1, &list(10..18));
            player.done(msn);
        }
        let step = player.playlist(1, &list(10..18));
        assert_eq!((step.fetch, step.changed), (8..8, false));
        let step = player.playlist(1, &list(20..28));
        assert_eq!((step.fetch, step.skipped, step.changed), (0..8, 2, true));
        assert_eq!(player.playlist(1, &list(20..28)).skipped, 0, "counted once");
    }

    #[test]
    fn going_back_is_told_from_an_edge_that_is_a_moment_behind() {
        let fresh = || {
            let mut player = Player::default();
            player.playlist(1, &list(10..18));
            player
        };
        let seen = |connection, now: MediaPlaylist| {
            let step = fresh().playlist(connection, &now);
            (step.back, step.behind)
        };
        assert_eq!(seen(1, list(11..19)), (false, false));
        assert_eq!(seen(2, list(9..17)), (false, true));
        assert_eq!(seen(1, list(9..17)), (true, false), "one connection is one edge");
        assert_eq!(seen(2, list(8..16)), (true, false));
    }

    #[test]
    fn a_list_that_did_not_change_is_looked_at_sooner() {
        assert_eq!((reload_ms(&list(0..3), true), reload_ms(&list(0..3), false)), (2_000.0, 1_000.0));
    }
}
