//! One ingest and what is published to it, message by message; everything that is listed is followed in its ring.

use bytes::Bytes;
use lectern_media::ledger::{Entry, Ledger};
use lectern_media::live::ingest::{Cutting, Ingest, Output, Settings};
use lectern_media::live::ring::{Content, Seq};
use lectern_media::relay::{Greeting, RelayMessage};
use lectern_media::track::{Frame, Message, Track};
use std::collections::{BTreeMap, VecDeque};

/// Virtual time begins here: some day in 2026.
pub const BEGIN_MS: u64 = 1_780_000_000_000;

/// FLV tag body with the AVCDecoderConfigurationRecord of a 320×180 baseline stream (made with x264).
pub const AVC_CONFIG: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x42, 0xc0, 0x0b, 0xff, 0xe1, 0x00, 0x17, 0x67, 0x42, 0xc0, 0x0b, 0xda, 0x05, 0x06, 0x7e,
    0x7c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x05, 0x03, 0xc5, 0x0a, 0xa8, 0x01, 0x00, 0x04, 0x68,
    0xce, 0x0f, 0xc8,
];
pub const AAC_CONFIG: &[u8] = &[0xaf, 0, 0x12, 0x10];

/// What happens to the machine.
#[derive(Clone, Debug)]
pub enum Send {
    Publish,
    Unpublish,
    Message(Track, u32, Bytes),
}

/// A picture; its number is in it.
pub fn picture(n: u32, key: bool) -> Bytes {
    let (first, nal) = if key { (0x17, 0x65) } else { (0x27, 0x41) };
    let mut body = vec![first, 1, 0, 0, 0, 0, 0, 0, 5, nal];
    body.extend_from_slice(&n.to_be_bytes());
    Bytes::from(body)
}

pub fn sound(n: u32) -> Bytes {
    let mut body = vec![0xaf, 1];
    body.extend_from_slice(&n.to_be_bytes());
    Bytes::from(body)
}

fn number(body: &[u8]) -> u32 {
    body.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// A segment as it was closed: its entry, and the pictures in it with whether they are key frames.
#[derive(Clone, Debug)]
pub struct Closed {
    pub at_ms: u64,
    pub entry: Entry,
    pub pictures: Vec<(u32, bool)>,
}

pub struct Bench {
    pub ingest: Ingest,
    pub now_ms: u64,
    cursor: Seq,
    /// Frames of the open segment, and when they were published.
    open: VecDeque<(Frame, u64)>,
    arrivals: BTreeMap<(Track, u32), u64>,
    pub closed: Vec<Closed>,
    /// When epochs opened.
    pub epochs: Vec<u64>,
    pub notes: Vec<String>,
    pub refused: Option<String>,
    /// The longest that a message which was relayed waited to be listed.
    pub waited_ms: u64,
    pub pictures: u64,
}

impl Bench {
    pub fn new() -> Self {
        Self::after(&Ledger::default())
    }

    /// An ingest that learns `ledger` from an edge as it starts.
    pub fn after(ledger: &Ledger) -> Self {
        let cutting = Cutting { segment_ms: 2_000, window: 4 };
        let settings = Settings { ingest: 1, cutting, end_after_ms: 60_000, ring_bytes_max: 1 << 30 };
        let mut ingest = Ingest::new(settings, BEGIN_MS);
        ingest.expect_greetings(BEGIN_MS, 1);
        let greeting = Greeting { ledger: ledger.clone(), ..Greeting::default() };
        ingest.greeting(BEGIN_MS, lectern_media::live::LinkId(1), greeting);
        let mut bench = Self {
            ingest,
            now_ms: BEGIN_MS,
            cursor: 0,
            open: VecDeque::new(),
            arrivals: BTreeMap::new(),
            closed: Vec::new(),
            epochs: Vec::new(),
            notes: Vec::new(),
            refused: None,
            waited_ms: 0,
            pictures: 0,
        };
        bench.drain();
        bench
    }

    /// Time passes up to `at_ms` since the beginning.
    pub fn run_to(&mut self, at_ms: u64) {
        let until = BEGIN_MS + at_ms;
        while let Some(wake) = self.ingest.next_wake().filter(|wake| *wake <= until) {
            let moved = self.tick_at(wake);
            assert!(moved, "it wants to be woken at once for ever: {:#?}", self.notes);
        }
        self.now_ms = self.now_ms.max(until);
        self.look();
    }

    fn tick_at(&mut self, wake: u64) -> bool {
        self.now_ms = self.now_ms.max(wake);
        self.ingest.tick(self.now_ms);
        self.drain();
        self.ingest.next_wake() != Some(wake)
    }

    pub fn send(&mut self, at_ms: u64, what: Send) {
        self.run_to(at_ms);
        let now = self.now_ms;
        match what {
            Send::Publish => self.ingest.publish(now),
            Send::Unpublish => self.ingest.unpublish(now),
            Send::Message(track, stamp, body) => {
                if body.len() > 4 && body[1] == 1 {
                    self.arrivals.insert((track, number(&body)), now);
                }
                self.ingest.message(now, stamp, Message::read(track, body));
            }
        }
        self.drain();
    }

    pub fn config(&mut self, at_ms: u64, stamp: u32) {
        self.send(at_ms, Send::Message(Track::Video, stamp, Bytes::from_static(AVC_CONFIG)));
        self.send(at_ms, Send::Message(Track::Audio, stamp, Bytes::from_static(AAC_CONFIG)));
    }

    pub fn video(&mut self, at_ms: u64, stamp: u32, n: u32, key: bool) {
        self.send(at_ms, Send::Message(Track::Video, stamp, picture(n, key)));
    }

    pub fn audio(&mut self, at_ms: u64, stamp: u32, n: u32) {
        self.send(at_ms, Send::Message(Track::Audio, stamp, sound(n)));
    }

    pub fn warnings(&self) -> Vec<String> {
        self.ingest.warnings(self.now_ms).iter().map(ToString::to_string).collect()
    }

    fn look(&mut self) {
        if let Some((_, since)) = self.open.front() {
            self.waited_ms = self.waited_ms.max(self.now_ms - since);
        }
    }

    fn drain(&mut self) {
        self.look();
        while let Some(output) = self.ingest.poll() {
            match output {
                Output::Note(note) => self.notes.push(format!("{:>7} {note}", self.now_ms - BEGIN_MS)),
                Output::ClosePublisher { reason } | Output::Yield { reason } => self.refused = Some(reason),
                Output::Open { .. } => {}
            }
        }
        let items: Vec<_> = self.ingest.ring().read(self.cursor, usize::MAX).expect("in the ring").cloned().collect();
        for item in items {
            self.cursor = item.seq + 1;
            match &item.content {
                Content::Frame(frame) => {
                    let since = self.arrivals.remove(&(frame.track, number(&frame.body))).unwrap_or(self.now_ms);
                    self.pictures += u64::from(frame.track == Track::Video);
                    self.open.push_back((frame.clone(), since));
                }
                Content::Message(RelayMessage::Epoch(epoch)) => {
                    assert!(epoch.epoch <= self.now_ms + 60_000, "an epoch begins more than a minute ahead");
                    self.epochs.push(self.now_ms);
                }
                Content::Message(RelayMessage::Mark(mark)) => self.close(mark.closed.as_ref().map(|c| &c.entry)),
                Content::Message(RelayMessage::End(end)) => self.close(end.closed.as_ref().map(|c| &c.entry)),
                Content::Message(_) => {}
            }
        }
        self.look();
    }

    fn close(&mut self, entry: Option<&Entry>) {
        let frames = std::mem::take(&mut self.open);
        let Some(entry) = entry else { return };
        let target_s = self.ingest.ledger().presentation.as_ref().map_or(0, |p| p.target_s);
        assert!((entry.duration_us + 500_000) / 1_000_000 <= u64::from(target_s), "{entry:?}, target {target_s}");
        assert!(entry.messages > 0, "a segment without a message: {entry:?}");
        if let Some(last) = self.closed.last() {
            let end_ms = last.entry.epoch + last.entry.t_ms + last.entry.duration_us / 1_000;
            assert!(entry.epoch + entry.t_ms >= end_ms, "programme time overlaps: {:?} {entry:?}", last.entry);
        }
        let pictures = frames.iter().filter(|(frame, _)| frame.track == Track::Video);
        let pictures = pictures.map(|(frame, _)| (number(&frame.body), frame.key())).collect();
        self.closed.push(Closed { at_ms: self.now_ms - BEGIN_MS, entry: entry.clone(), pictures });
    }

    /// Segments that begin with a key frame, of all.
    pub fn starts_with_key(&self) -> (usize, usize) {
        let keys = self.closed.iter().filter(|closed| closed.pictures.first().is_some_and(|(_, key)| *key));
        (keys.count(), self.closed.len())
    }
}
