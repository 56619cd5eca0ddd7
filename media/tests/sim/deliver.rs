//! What arrives at a node, and what the node then wants done.

use crate::world::{BEGIN_MS, Down, Event, World};
use lectern_media::live::edge::Edge;
use lectern_media::live::ingest::{self, Ingest};
use lectern_media::live::{LinkId, edge};
use lectern_media::relay::RelayMessage;

impl World {
    pub(crate) fn deliver_down(&mut self, link: LinkId, down: Down) {
        // A closed link still delivers what was on its way.
        let Some(edge) = self.edge_of(link) else { return };
        let boot = self.edges[edge].boot;
        self.deliver_to(edge, boot, link, down);
    }

    pub(crate) fn deliver_to(&mut self, edge: usize, boot: u64, link: LinkId, down: Down) {
        self.with_edge(edge, boot, |m, now| match down {
            Down::Message(message) => m.message(now, link, message),
            Down::Media(track, stamp, body) => m.frame(now, link, track, stamp, body),
        });
    }

    fn edge_of(&self, link: LinkId) -> Option<usize> {
        self.links.get(&link).map(|l| l.edge)
    }

    pub(crate) fn deliver_up(&mut self, link: LinkId, message: RelayMessage) {
        let Some(index) = self.links.get(&link).map(|l| l.ingest) else { return };
        let now = self.now_ms;
        if let Some(machine) = &mut self.ingests[index].machine {
            match message {
                RelayMessage::Greeting(greeting) => machine.greeting(now, link, greeting),
                RelayMessage::Outranked(outranked) => machine.outranked(now, &outranked),
                RelayMessage::Missing(missing) => machine.missing(link, &missing),
                RelayMessage::Probe(probe) => {
                    if let Some(state) = self.links.get_mut(&link) {
                        state.probe = Some(probe);
                    }
                }
                _ => {}
            }
        }
        self.drain_ingest(index);
    }

    pub(crate) fn drain_ingest(&mut self, index: usize) {
        let now = self.now_ms;
        while let Some(output) = self.ingests[index].machine.as_mut().and_then(Ingest::poll) {
            match output {
                ingest::Output::Open { link, preamble, from } => {
                    for message in preamble {
                        self.send_down(link, Down::Message(message));
                    }
                    if let Some(state) = self.links.get_mut(&link) {
                        state.cursor = Some(from);
                    }
                }
                ingest::Output::ClosePublisher { reason } | ingest::Output::Yield { reason } => {
                    self.notes.push(format!("{:>7} ingest {index} closes its publisher: {reason}", now - BEGIN_MS));
                    if self.encoder.at == Some(index) {
                        self.encoder.refused(now);
                    }
                }
                ingest::Output::Note(note) => {
                    self.notes.push(format!("{:>7} ingest {index}: {note}", now - BEGIN_MS));
                }
            }
        }
        let links: Vec<_> = self.links.iter().filter(|(_, l)| l.ingest == index).map(|(id, _)| *id).collect();
        for link in links {
            self.read(link);
        }
    }

    pub(crate) fn with_edge(&mut self, index: usize, boot: u64, act: impl FnOnce(&mut Edge, u64)) {
        if self.edges[index].boot != boot {
            return;
        }
        let now = self.now_ms;
        if let Some(machine) = &mut self.edges[index].machine {
            act(machine, now);
        }
        self.drain_edge(index);
    }

    pub(crate) fn drain_edge(&mut self, index: usize) {
        while let Some(output) = self.edges[index].machine.as_mut().and_then(Edge::poll) {
            let boot = self.edges[index].boot;
            let delay = self.delay();
            match output {
                edge::Output::Send { link, message } => self.send_up(link, message),
                edge::Output::Close { link, .. } => self.close_links_where(|id, _| *id == link),
                edge::Output::AskLedger { sibling } => {
                    self.schedule(delay, Event::LedgerAsked { asker: index, boot, sibling });
                }
                edge::Output::Fetch { sibling, name } => {
                    self.schedule(delay, Event::SegmentAsked { asker: index, boot, sibling, name });
                }
                edge::Output::View(view) => {
                    self.checks.view(index, &view, &self.notes);
                    self.viewers.listed(self.now_ms, index, &view);
                    self.answer_requests(index);
                }
                edge::Output::Live(item) => self.edges[index].live.push(item),
            }
        }
    }
}
