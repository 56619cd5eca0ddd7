//! An edge that stands still (a paused machine, a starved node) and one that is cut off, while viewers ask it for
//! segments that its siblings list.

use super::orderings::{agreed, goes_on, live};
use super::world::{Down, Event, World};
use lectern_media::live::LinkId;
use lectern_media::live::edge::Edge;
use lectern_media::relay::LINK_DEAD_MS;

impl World {
    /// An edge stands still: nothing of it runs, and what it is sent waits in its sockets.
    pub fn stand_still(&mut self, edge: usize) {
        if self.edges[edge].machine.is_none() || self.edges[edge].backlog.is_some() {
            return;
        }
        self.edges[edge].backlog = Some(Vec::new());
        let links: Vec<_> = self.links.iter().filter(|(_, l)| l.edge == edge).map(|(id, _)| *id).collect();
        for link in links {
            self.schedule(LINK_DEAD_MS, Event::Silent { link });
        }
    }

    /// It runs again. Requests are looked at first, with all that it knew when it stopped; whether its clock or its
    /// links come next is chance.
    pub fn wake(&mut self, edge: usize, clock_first: bool) {
        let Some(backlog) = self.edges[edge].backlog.take() else { return };
        self.answer_requests(edge);
        let (requests, rest): (Vec<_>, Vec<_>) =
            backlog.into_iter().partition(|event| matches!(event, Event::Request { .. }));
        for event in requests {
            if let Event::Request { edge, boot, name } = event {
                self.request(edge, boot, name);
            }
        }
        if clock_first {
            self.with_edge(edge, self.edges[edge].boot, Edge::tick);
        }
        for event in rest {
            self.handle(event);
        }
    }

    /// Keeps what comes for an edge that stands still.
    pub(crate) fn unless_standing_still(&mut self, event: Event) -> Option<Event> {
        let (edge, event) = match event {
            Event::Down { link, down } => {
                let Some(edge) = self.links.get(&link).map(|l| l.edge) else {
                    return Some(Event::Down { link, down });
                };
                if self.edges[edge].backlog.is_none() {
                    return Some(Event::Down { link, down });
                }
                (edge, Event::Late { edge, boot: self.edges[edge].boot, link, down })
            }
            Event::LedgerAnswer { asker, .. } | Event::SegmentAnswer { asker, .. } => (asker, event),
            Event::Hangup { edge, .. } | Event::Request { edge, .. } | Event::Late { edge, .. } => (edge, event),
            other => return Some(other),
        };
        match &mut self.edges[edge].backlog {
            Some(backlog) => {
                backlog.push(event);
                None
            }
            None => Some(event),
        }
    }

    /// The ingest closes the link to an edge that has said nothing for long.
    pub(crate) fn give_up_silent(&mut self, link: LinkId) {
        let Some((ingest, edge)) = self.links.get(&link).map(|l| (l.ingest, l.edge)) else { return };
        let boot = self.edges[edge].boot;
        let Some(backlog) = &mut self.edges[edge].backlog else { return };
        backlog.push(Event::Hangup { edge, boot, link });
        self.links.remove(&link);
        if let Some(machine) = &mut self.ingests[ingest].machine {
            machine.link_closed(self.now_ms, link);
        }
        self.schedule(500, Event::Dial { ingest, edge });
    }

    pub(crate) fn late(&mut self, edge: usize, boot: u64, link: LinkId, down: Down) {
        self.deliver_to(edge, boot, link, down);
    }
}

/// How long an edge stands still, and whether its clock comes before its links when it wakes.
const PAUSES: [(u64, bool); 8] = [
    (1_000, false),
    (1_000, true),
    (1_900, true),
    (2_500, false),
    (2_500, true),
    (4_300, false),
    (7_000, false),
    (7_000, true),
];

#[test]
fn an_edge_stands_still_while_requests_wait() {
    for (pause_ms, clock_first) in PAUSES {
        let mut world = live(1, 3, 12_000);
        let before = world.viewers.served;
        world.stand_still(1);
        world.run(pause_ms);
        world.wake(1, clock_first);
        goes_on(&mut world, 3);
        assert_eq!(world.checks.backwards, 0);
        assert!(world.viewers.served > before + 10, "{} served", world.viewers.served - before);
    }
}

#[test]
fn an_edge_stands_still_over_a_new_epoch() {
    for (pause_ms, clock_first) in PAUSES {
        let mut world = live(1, 3, 12_000);
        world.run(pause_ms % 700);
        world.stand_still(1);
        world.run(pause_ms / 2);
        let now = world.now_ms;
        world.encoder.restart(now);
        world.ingests[0].machine.as_mut().expect("runs").publish(now);
        world.run(pause_ms - pause_ms / 2);
        world.wake(1, clock_first);
        goes_on(&mut world, 3);
    }
}

#[test]
fn an_edge_stands_still_while_the_ingest_restarts() {
    for (pause_ms, clock_first) in PAUSES {
        let mut world = live(1, 3, 12_000);
        world.stand_still(1);
        world.run(pause_ms / 2);
        world.kill_ingest(0);
        world.start_ingest(0);
        world.run(pause_ms - pause_ms / 2);
        world.wake(1, clock_first);
        goes_on(&mut world, 3);
    }
}

#[test]
fn all_edges_but_one_stand_still() {
    let mut world = live(1, 3, 12_000);
    for edge in [0, 2] {
        world.stand_still(edge);
    }
    world.run(5_000);
    for edge in [0, 2] {
        world.wake(edge, edge == 0);
    }
    goes_on(&mut world, 3);
}

#[test]
fn an_edge_without_the_ingest_asks_its_siblings() {
    let mut world = live(1, 3, 12_000);
    world.set_cut(0, 1, true);
    world.run(3_000);
    let (served, unavailable) = (world.viewers.served, world.viewers.unavailable);
    world.run(20_000);
    let served = world.viewers.served - served;
    let told_to_come_again = world.viewers.unavailable - unavailable;
    assert!(served > 60 && told_to_come_again < 15, "{served} served, {told_to_come_again} told to come again");
    world.set_cut(0, 1, false);
    goes_on(&mut world, 2);
}

#[test]
fn an_edge_that_reaches_nobody_says_of_nothing_that_it_does_not_exist() {
    let mut world = live(1, 3, 12_000);
    world.set_cut(0, 1, true);
    world.cut_siblings.extend([(0, 1), (1, 2)]);
    world.run(40_000);
    assert!(world.viewers.unavailable > 0, "they are told to come again");
    world.set_cut(0, 1, false);
    world.cut_siblings.clear();
    agreed(&mut world);
    goes_on(&mut world, 2);
}

#[test]
fn a_name_that_never_was_is_known_to_be_nowhere_within_a_moment() {
    let mut world = live(1, 3, 12_000);
    world.run(20_000);
    let viewers = &world.viewers;
    assert!(viewers.not_found > 5, "{}", viewers.not_found);
    assert!(viewers.not_found_ms <= 300, "it took {} ms", viewers.not_found_ms);
    assert_eq!(viewers.unavailable, 0);
}
