//! The links between ingests and edges: they keep the order, take their time, break and are dialled again.

use super::world::{Down, Event, Link, World};
use lectern_media::live::LinkId;
use lectern_media::live::ring::Content;
use lectern_media::relay::{Greeting, RelayMessage};

/// What a link takes out of the ring at once.
const READ_ITEMS: usize = 64;

impl World {
    pub(crate) fn dial(&mut self, ingest: usize, edge: usize) {
        let open = self.links.values().any(|l| (l.ingest, l.edge) == (ingest, edge));
        let alive = self.ingests[ingest].machine.is_some();
        if open || !alive {
            return;
        }
        let reachable = !self.cut.contains(&(ingest, edge)) && self.edges[edge].backlog.is_none();
        if let Some(machine) = self.edges[edge].machine.as_mut().filter(|_| reachable) {
            self.next_link += 1;
            let link = LinkId(self.next_link);
            self.links.insert(link, Link { ingest, edge, cursor: None, probe: None, free_ms: (0, 0) });
            machine.link_opened(self.now_ms, link);
            let siblings = self.siblings(edge);
            if let Some(machine) = &mut self.edges[edge].machine {
                machine.siblings(self.now_ms, &siblings);
                let greeting: Greeting = machine.greeting(self.now_ms);
                self.send_up(link, RelayMessage::Greeting(greeting));
            }
            self.drain_edge(edge);
        } else {
            self.schedule(200, Event::Dial { ingest, edge });
        }
    }

    /// One link at a time copies what is new out of the ring.
    pub(crate) fn read(&mut self, link: LinkId) {
        let Some(state) = self.links.get(&link) else { return };
        let Some(cursor) = state.cursor else { return };
        let Some(machine) = &self.ingests[state.ingest].machine else { return };
        let Ok(items) = machine.ring().read(cursor, READ_ITEMS).map(|items| items.cloned().collect::<Vec<_>>()) else {
            self.close_links_where(|id, _| *id == link);
            return;
        };
        let next = items.last().map_or(cursor, |last| last.seq + 1);
        let mut probe = None;
        if let Some(state) = self.links.get_mut(&link) {
            state.cursor = Some(next);
            probe = state.probe.take_if(|_| items.len() < READ_ITEMS);
        }
        for item in &items {
            let down = match &item.content {
                Content::Message(message) => Down::Message(message.clone()),
                // What the wire carries: the low 32 bits of the corrected time.
                Content::Frame(frame) => Down::Media(frame.track, frame.t_ms as u32, frame.body.clone()),
            };
            self.send_down(link, down);
        }
        if let Some(probe) = probe {
            self.send_down(link, Down::Message(RelayMessage::Probe(probe)));
        }
        if !items.is_empty() {
            self.schedule(1, Event::Read { link });
        }
    }

    pub(crate) fn send_down(&mut self, link: LinkId, down: Down) {
        let delay = self.delay();
        let now = self.now_ms;
        let Some(state) = self.links.get_mut(&link) else { return };
        if self.cut.contains(&(state.ingest, state.edge)) {
            return self.stall(link);
        }
        let at = (now + delay).max(state.free_ms.0);
        state.free_ms.0 = at;
        let (ingest, edge) = (state.ingest, state.edge);
        let down = match down {
            Down::Message(message) => Down::Message(self.carried(ingest, edge, message)),
            media @ Down::Media(..) => media,
        };
        self.schedule(at - now, Event::Down { link, down });
    }

    pub(crate) fn send_up(&mut self, link: LinkId, message: RelayMessage) {
        let delay = self.delay();
        let now = self.now_ms;
        let Some(state) = self.links.get_mut(&link) else { return };
        if self.cut.contains(&(state.ingest, state.edge)) {
            return;
        }
        let at = (now + delay).max(state.free_ms.1);
        state.free_ms.1 = at;
        let (ingest, edge) = (state.ingest, state.edge);
        let message = self.carried(ingest, edge, message);
        self.schedule(at - now, Event::Up { link, message });
    }

    /// A connection over a cut path loses what it was given: it is dead at both ends, and each end finds out by itself.
    fn stall(&mut self, link: LinkId) {
        if let Some(state) = self.links.remove(&link) {
            let (ingest, edge, now) = (state.ingest, state.edge, self.now_ms);
            if let Some(machine) = &mut self.ingests[ingest].machine {
                machine.link_closed(now, link);
            }
            self.schedule(500, Event::Dial { ingest, edge });
        }
    }

    pub(crate) fn close_links(&mut self, which: impl Fn(&Link) -> bool) {
        self.close_links_where(|_, link| which(link));
    }

    pub(crate) fn close_links_where(&mut self, which: impl Fn(&LinkId, &Link) -> bool) {
        let closed: Vec<_> = self.links.iter().filter(|(id, l)| which(id, l)).map(|(id, _)| *id).collect();
        for link in closed {
            // What is on its way to the edge dies with the connection, as after a reset.
            let Some(state) = self.links.remove(&link) else { continue };
            let now = self.now_ms;
            if let Some(machine) = &mut self.ingests[state.ingest].machine {
                machine.link_closed(now, link);
            }
            let node = &mut self.edges[state.edge];
            if let Some(backlog) = &mut node.backlog {
                backlog.push(Event::Hangup { edge: state.edge, boot: node.boot, link });
            } else if let Some(machine) = &mut node.machine {
                machine.link_closed(now, link);
            }
            self.drain_edge(state.edge);
            self.schedule(100, Event::Dial { ingest: state.ingest, edge: state.edge });
        }
    }
}
