//! Pods that Kubernetes would leave in the way too long, and when the operator deletes them. Pure:
//! what was seen, what is remembered and the time come in.
//!
//! Two cases. An edge on a node that is gone keeps its endpoint for 20 to 50 s; deleted, it leaves every node's rules at
//! once. A container that crashed twice waits 10, 20, 40 s in the kubelet's back-off; a deleted pod is replaced in under
//! a second. Both are bounded, so that a wrong view of the world costs little, and what is not known deletes nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An edge that neither ingest nor metrics API has reached for so long is lost.
pub const LOST_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// An edge that has not answered the scrape for so long may be out of reach, in milliseconds: the scrape comes
/// every 2 s.
pub const SILENT_MS: u64 = 3_000;
/// So long after it was last heard of the ingest calls a link dead (the relay's TCP user time-out).
pub const LINK_DEAD: SignedDuration = SignedDuration::from_secs(3);
/// An edge out of reach for so long counts among those that may be lost: edges that went together are not lost
/// at one and the same moment, and the first must not be deleted before it is seen that most went.
pub const DOUBT_AFTER: SignedDuration = SignedDuration::from_secs(3);
/// At most one lost edge is deleted in this time.
pub const LOST_PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// At most this part of the edges, in per cent, is deleted as lost in [`LOST_WINDOW`]; one in any case.
pub const LOST_PERCENT: usize = 25;
/// See [`LOST_PERCENT`]: by then a replacement is Ready, or Kubernetes has seen for itself that the node is gone.
pub const LOST_WINDOW: SignedDuration = SignedDuration::from_secs(20);
/// A container that ran shorter than this has a fault that a new pod would have as well.
pub const CRASH_RAN_MIN: SignedDuration = SignedDuration::from_secs(10);
/// At most so many crashed pods of an event are deleted in [`CRASH_WINDOW`].
pub const CRASHES_MAX: usize = 3;
/// See [`CRASHES_MAX`].
pub const CRASH_WINDOW: SignedDuration = SignedDuration::from_secs(600);

/// One edge, and who reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge<'a> {
    /// The uid of its pod: what a deletion names.
    pub uid: &'a str,
    /// It is ending.
    pub ending: bool,
    /// The ingest has a live link to it; None if the ingest did not say.
    pub linked: Option<bool>,
    /// For how long it has not answered the scrape; None if the metrics API does not say.
    pub silent: Option<SignedDuration>,
}

/// One pod, and what the kubelet says of its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash<'a> {
    /// The uid of the pod.
    pub uid: &'a str,
    /// The pod is ending.
    pub ending: bool,
    /// It waits in back-off (`CrashLoopBackOff`).
    pub backs_off: bool,
    /// How long its container ran the last time; None if the kubelet does not say.
    pub ran: Option<SignedDuration>,
}

/// What is remembered of one event. A lost one is an empty one: every edge then has the whole time again to be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// By uid: unix milliseconds at which an edge was last reached, or when that was last not known.
    reached: BTreeMap<String, i64>,
    /// Unix milliseconds of the last look.
    looked: i64,
    /// Unix milliseconds at which lost edges were deleted.
    lost: Vec<i64>,
    /// Unix milliseconds at which crashed pods were deleted.
    crashed: Vec<i64>,
}

impl Memory {
    /// The uid of the lost edge to delete at `now`, if there is one; from here on it counts as deleted.
    ///
    /// Nothing is deleted while more than half of several edges may be lost: then it is more likely that those who look
    /// have lost the network.
    pub fn lost(&mut self, edges: &[Edge<'_>], now: Timestamp) -> Option<String> {
        self.see(edges, now);
        self.lost.retain(|at| !past(*at, LOST_WINDOW, now));
        let serving = serving(edges);
        let lost = self.last_reached(&serving).filter(|(_, at)| past(*at, LOST_AFTER, now));
        // The one that is gone longest; of equals the first by name, so that two lookers agree.
        let (uid, _) = lost.min_by_key(|(uid, at)| (*at, *uid))?;
        if self.most_may_be_lost(&serving, now) || now.as_millisecond() < self.rests_until(serving.len()) {
            return None;
        }
        let uid = uid.to_owned();
        self.reached.remove(&uid);
        self.lost.push(now.as_millisecond());
        Some(uid)
    }

    /// When to look at these edges again if nothing about them changes: another is lost by then, or one that is lost may
    /// be deleted by then. To be asked after [`Memory::lost`]; edges that answer the scrape are left out, as their falling
    /// silent is a change.
    #[must_use]
    pub fn look_again(&self, edges: &[Edge<'_>], now: Timestamp) -> Option<Timestamp> {
        let serving = serving(edges);
        if self.most_may_be_lost(&serving, now) {
            return None;
        }
        let silent: Vec<&Edge<'_>> = serving.iter().copied().filter(|edge| edge.is_silent()).collect();
        let lost = self.last_reached(&silent).map(|(_, at)| at + millis(LOST_AFTER)).min()?;
        let at = lost.max(self.rests_until(serving.len()));
        Timestamp::from_millisecond(at).ok().filter(|at| *at > now)
    }

    /// Who serves, and when it was last reached.
    fn last_reached<'a>(&self, serving: &[&Edge<'a>]) -> impl Iterator<Item = (&'a str, i64)> {
        serving.iter().filter_map(|edge| Some((edge.uid, *self.reached.get(edge.uid)?)))
    }

    fn most_may_be_lost(&self, serving: &[&Edge<'_>], now: Timestamp) -> bool {
        let may_be = self.last_reached(serving).filter(|(_, at)| past(*at, DOUBT_AFTER, now)).count();
        may_be > 1 && may_be * 2 > serving.len()
    }

    /// Until when no other lost edge may be deleted where so many serve: unix milliseconds.
    fn rests_until(&self, serving: usize) -> i64 {
        let most = (serving * LOST_PERCENT / 100).max(1);
        let pause = self.lost.last().map_or(0, |at| at + millis(LOST_PAUSE));
        let oldest = self.lost.len().checked_sub(most).and_then(|too_many| self.lost.get(too_many));
        pause.max(oldest.map_or(0, |at| at + millis(LOST_WINDOW)))
    }

    /// The uids of the crashed pods to delete at `now`; from here on they count as deleted.
    pub fn crashed(&mut self, pods: &[Crash<'_>], now: Timestamp) -> Vec<String> {
        self.crashed.retain(|at| !past(*at, CRASH_WINDOW, now));
        let left = CRASHES_MAX.saturating_sub(self.crashed.len());
        let crashed =
            pods.iter().filter(|pod| !pod.ending && pod.backs_off && pod.ran.is_some_and(|ran| ran >= CRASH_RAN_MIN));
        let uids: Vec<String> = crashed.take(left).map(|pod| pod.uid.to_owned()).collect();
        self.crashed.extend(uids.iter().map(|_| now.as_millisecond()));
        uids
    }

    /// Ingest or metrics API reaches the edge, or one of them does not know: then it counts as reached.
    fn see(&mut self, edges: &[Edge<'_>], now: Timestamp) {
        let now_ms = now.as_millisecond();
        self.reached.retain(|uid, _| edges.iter().any(|edge| edge.uid == uid));
        for edge in edges {
            let at = match (edge.linked, edge.silent) {
                (Some(false), Some(silent)) => {
                    let known = self.reached.get(edge.uid).copied().unwrap_or(now_ms);
                    // What was reached at the last look, however long ago, was so until its link was lost: at that moment
                    // there is a look.
                    let lately = if known == self.looked { before(LINK_DEAD, now) } else { known };
                    known.max(lately).max(before(silent, now))
                }
                (Some(true) | None, _) | (_, None) => now_ms,
            };
            self.reached.insert(edge.uid.to_owned(), at);
        }
        self.looked = now_ms;
    }
}

impl Edge<'_> {
    fn is_silent(&self) -> bool {
        self.linked == Some(false) && self.silent.is_some_and(|silent| silent.as_millis() >= i128::from(SILENT_MS))
    }
}

fn serving<'e, 'a>(edges: &'e [Edge<'a>]) -> Vec<&'e Edge<'a>> {
    edges.iter().filter(|edge| !edge.ending).collect()
}

fn millis(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn before(duration: SignedDuration, now: Timestamp) -> i64 {
    now.as_millisecond().saturating_sub(millis(duration))
}

/// Whether `at` is at least `duration` ago.
fn past(at: i64, duration: SignedDuration, now: Timestamp) -> bool {
    at <= before(duration, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_796_000_000_000 + ms).unwrap()
    }

    fn uids(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("{number:03}")).collect()
    }

    /// The first `gone` of these are out of reach, for `silent_s` seconds already.
    fn edges(uids: &[String], gone: usize, silent_s: i64) -> Vec<Edge<'_>> {
        let one = |(number, uid)| {
            let lost = number < gone;
            let silent = SignedDuration::from_secs(if lost { silent_s } else { 0 });
            Edge { uid, ending: false, linked: Some(!lost), silent: Some(silent) }
        };
        uids.iter().map(String::as_str).enumerate().map(one).collect()
    }

    /// Looks every second for so long, at edges of which some are gone from the start; who was deleted, and when.
    fn look(count: usize, gone: usize, seconds: i64) -> Vec<(i64, String)> {
        let mut memory = Memory::default();
        let (mut deleted, mut names) = (Vec::new(), uids(count));
        memory.lost(&edges(&names, 0, 0), at(0));
        let mut gone = gone;
        for second in 1..=seconds {
            if let Some(uid) = memory.lost(&edges(&names, gone, second), at(second * 1_000)) {
                // A replacement comes; it is reached.
                names.retain(|name| *name != uid);
                names.push(format!("new-{second}"));
                gone -= 1;
                deleted.push((second, uid));
            }
        }
        deleted
    }

    #[test]
    fn an_edge_that_nobody_reaches_for_five_seconds_is_deleted() {
        assert_eq!(look(4, 1, 4), []);
        assert_eq!(look(4, 1, 60), [(5, "000".to_owned())]);
        assert_eq!(look(1, 1, 60), [(5, "000".to_owned())], "also if it is the only one");
    }

    #[test]
    fn one_in_ten_seconds_and_a_quarter_of_the_edges_in_twenty() {
        let deleted: Vec<i64> = look(12, 5, 200).into_iter().map(|(second, _)| second).collect();
        assert_eq!(deleted, [5, 15, 25, 35, 45]);
        let few: Vec<i64> = look(4, 2, 200).into_iter().map(|(second, _)| second).collect();
        assert_eq!(few, [5, 25], "of four, one at a time");
    }

    #[test]
    fn who_lost_most_edges_has_lost_the_network() {
        assert_eq!(look(4, 3, 600), []);
        assert_eq!(look(2, 2, 600), []);
        assert_eq!(look(2, 1, 600).len(), 1);
    }

    #[test]
    fn who_loses_most_edges_one_after_the_other_has_lost_the_network_too() {
        let mut memory = Memory::default();
        for ms in (0..60_000).step_by(500) {
            let edge = |uid, since_ms: i64| {
                let silent_ms = (ms - since_ms).max(0);
                let silent = Some(SignedDuration::from_millis(silent_ms));
                Edge { uid, ending: false, linked: Some(silent_ms == 0), silent }
            };
            assert_eq!(memory.lost(&[edge("a", 0), edge("b", 1_500)], at(ms)), None, "after {ms} ms");
        }
    }

    #[test]
    fn one_that_either_reaches_or_that_is_not_known_stays() {
        let alive =
            [(Some(true), Some(60)), (Some(false), Some(4)), (None, Some(60)), (Some(false), None), (None, None)];
        for (linked, silent) in alive {
            let mut memory = Memory::default();
            for second in 0..120 {
                let silent = silent.map(SignedDuration::from_secs);
                let edge = Edge { uid: "a", ending: false, linked, silent };
                assert_eq!(memory.lost(&[edge], at(second * 1_000)), None, "{linked:?} {silent:?}");
            }
        }
    }

    #[test]
    fn a_gap_in_what_is_known_starts_the_time_again() {
        let mut memory = Memory::default();
        let gone = Edge { uid: "a", ending: false, linked: Some(false), silent: Some(SignedDuration::from_secs(60)) };
        let unknown = Edge { linked: None, ..gone };
        memory.lost(&[gone], at(0));
        assert_eq!(memory.lost(&[unknown], at(4_000)), None);
        assert_eq!(memory.lost(&[gone], at(5_000)), None);
        assert_eq!(memory.lost(&[gone], at(8_999)), None);
        assert_eq!(memory.lost(&[gone], at(9_000)).as_deref(), Some("a"));
    }

    #[test]
    fn an_edge_that_only_the_ingest_reached_is_not_lost_at_the_moment_its_link_is() {
        let silent = Some(SignedDuration::from_secs(600));
        let edge = Edge { uid: "a", ending: false, linked: Some(true), silent };
        let unlinked = Edge { linked: Some(false), ..edge };
        let mut memory = Memory::default();
        assert_eq!((memory.lost(&[edge], at(0)), memory.look_again(&[edge], at(0))), (None, None));
        // Nothing changed for a minute, so no pass looked.
        assert_eq!(memory.lost(&[unlinked], at(60_000)), None);
        assert_eq!(memory.look_again(&[unlinked], at(60_000)), Some(at(62_000)), "dead links are called so after 3 s");
        assert_eq!(memory.lost(&[unlinked], at(62_000)).as_deref(), Some("a"));
    }

    #[test]
    fn looks_when_something_changes_or_is_due_delete_the_same_edges_as_one_each_second() {
        for (count, gone, looks_max) in [(4, 1, 5), (1, 1, 5), (12, 5, 20), (4, 2, 8), (4, 3, 5), (2, 2, 5)] {
            let (deleted, looks) = look_when_due(count, gone, 600);
            assert_eq!(deleted, look(count, gone, 600), "{gone} of {count}");
            assert!(looks <= looks_max, "{gone} of {count}: {looks} looks");
        }
    }

    /// As [`look`], but only when links are lost (2 s after the edges are), when edges fall silent, when pods came and went,
    /// and when a look is due. Answers the number of looks, too.
    fn look_when_due(count: usize, gone: usize, seconds: i64) -> (Vec<(i64, String)>, usize) {
        let mut memory = Memory::default();
        let (mut deleted, mut names) = (Vec::new(), uids(count));
        memory.lost(&edges(&names, 0, 0), at(0));
        let (mut gone, mut due, mut looks) = (gone, None, 0);
        for second in 1..=seconds {
            if ![2, 3].contains(&second) && due.is_none_or(|due| due > at(second * 1_000)) {
                continue;
            }
            looks += 1;
            let now = at(second * 1_000);
            let lost = memory.lost(&edges(&names, gone, second), now);
            due = memory.look_again(&edges(&names, gone, second), now);
            if let Some(uid) = lost {
                names.retain(|name| *name != uid);
                names.push(format!("new-{second}"));
                gone -= 1;
                deleted.push((second, uid));
                due = Some(at((second + 1) * 1_000));
            }
        }
        (deleted, looks)
    }

    #[test]
    fn one_that_is_ending_is_not_deleted_again() {
        let mut memory = Memory::default();
        let edge = Edge { uid: "a", ending: true, linked: Some(false), silent: Some(SignedDuration::from_secs(60)) };
        for second in 0..60 {
            assert_eq!(memory.lost(&[edge], at(second * 1_000)), None);
        }
    }

    fn crash(uid: &str, ran_s: i64) -> Crash<'_> {
        Crash { uid, ending: false, backs_off: true, ran: Some(SignedDuration::from_secs(ran_s)) }
    }

    #[test]
    fn a_pod_in_back_off_is_deleted_if_its_container_had_worked() {
        let table = [
            ("it ran for ten seconds", crash("a", 10), true),
            ("it never worked", crash("a", 9), false),
            ("it runs", Crash { backs_off: false, ..crash("a", 60) }, false),
            ("it is ending", Crash { ending: true, ..crash("a", 60) }, false),
            ("the time is unknown", Crash { ran: None, ..crash("a", 60) }, false),
        ];
        for (case, pod, deleted) in table {
            assert_eq!(!Memory::default().crashed(&[pod], at(0)).is_empty(), deleted, "{case}");
        }
    }

    #[test]
    fn at_most_three_crashed_pods_in_ten_minutes() {
        let mut memory = Memory::default();
        let pods = [crash("a", 60), crash("b", 60)];
        assert_eq!(memory.crashed(&pods, at(0)), ["a", "b"]);
        assert_eq!(memory.crashed(&pods, at(60_000)), ["a"]);
        assert!(memory.crashed(&pods, at(599_999)).is_empty());
        assert_eq!(memory.crashed(&pods, at(600_000)), ["a", "b"]);
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
    }
}
