//! What HTTP-FLV and RTMP viewers make of the frames they get: first picture, buffer, times that jump or go back.

use crate::buffer::Buffer;
use crate::crowd::Shared;
use crate::policy::{CUSHION_MS, JUMP_MS};
use crate::target::Kind;
use std::fmt::Display;
use std::rc::Rc;

/// One audio or video message, as far as a viewer here looks at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// Video; audio otherwise.
    pub video: bool,
    /// RTMP or FLV timestamp.
    pub t_ms: u32,
    /// A key frame.
    pub key: bool,
    /// A codec configuration.
    pub header: bool,
}

impl Sight {
    /// From the first two bytes of a body (FLV specification v10.1, annex E.4.2 and E.4.3).
    pub fn of(video: bool, t_ms: u32, body: &[u8]) -> Self {
        let (first, second) = (body.first().copied().unwrap_or(0), body.get(1).copied());
        let header = second == Some(0) && (if video { first & 0x0f == 7 } else { first >> 4 == 10 });
        Self { video, t_ms, key: video && first >> 4 == 1, header }
    }
}

/// One viewer's view of a stream over all its connections.
#[derive(Debug)]
pub struct Timeline {
    viewer: usize,
    kind: Kind,
    shared: Rc<Shared>,
    joined: f64,
    frames: u64,
    had_picture: bool,
    headers: u64,
    /// Video seen on this connection: audio before it is not played.
    begun: bool,
    last: [Option<u32>; 2],
    buffer: Buffer,
}

impl Timeline {
    /// Of the viewer of that number.
    pub fn new(viewer: usize, kind: Kind, shared: Rc<Shared>) -> Self {
        let joined = shared.now_ms();
        Self {
            viewer,
            kind,
            shared,
            joined,
            frames: 0,
            had_picture: false,
            headers: 0,
            begun: false,
            last: [None; 2],
            buffer: Buffer::new(CUSHION_MS),
        }
    }

    /// Frames so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// A new connection: it begins with headers and a key frame, wherever the last one was.
    pub fn connected(&mut self) {
        self.last = [None; 2];
        self.headers = 0;
        self.begun = false;
    }

    /// Bytes of a body.
    pub fn bytes(&self, count: usize) {
        self.shared.tally(self.kind).bytes += count as u64;
    }

    /// The server asked to come back later: it is full, or nothing is live.
    pub fn asked_to_wait(&self, full: bool) {
        let mut tally = self.shared.tally(self.kind);
        if full { tally.refusals += 1 } else { tally.not_live += 1 }
    }

    /// A connection was lost; `twice` if the one before was too.
    pub fn lost(&self, twice: bool, what: &dyn Display) {
        let mut tally = self.shared.tally(self.kind);
        if twice {
            tally.errors += 1
        } else {
            tally.retried += 1
        }
        tally.problem(self.shared.now_ms(), self.viewer, what);
    }

    /// A message.
    pub fn sight(&mut self, sight: Sight) {
        let now = self.shared.now_ms();
        let mut tally = self.shared.tally(self.kind);
        if sight.header {
            self.headers += u64::from(sight.video);
            tally.discontinuities += u64::from(sight.video && self.headers > 1);
            return;
        }
        self.frames += 1;
        tally.media += 1;
        if sight.video && !self.begun && !sight.key {
            tally.errors += 1;
            tally.problem(now, self.viewer, "does not begin with a key frame");
        }
        self.begun |= sight.video;
        if sight.key && !std::mem::replace(&mut self.had_picture, true) {
            tally.pictures += 1;
            tally.first_picture_ms.add(now - self.joined);
        }
        let step =
            self.last[usize::from(sight.video)].replace(sight.t_ms).map_or(0, |last| sight.t_ms.wrapping_sub(last));
        if step > u32::MAX / 2 {
            tally.back += 1;
            tally.problem(now, self.viewer, format_args!("time went back by {} ms", step.wrapping_neg()));
        } else if sight.video {
            if step > JUMP_MS {
                tally.gaps += 1;
                tally.problem(now, self.viewer, format_args!("time jumped by {step} ms"));
            }
            self.buffer.add(now, f64::from(step.min(JUMP_MS)));
        }
    }

    /// The run is over: stalls are counted.
    pub fn settle(&self) {
        let (stalls, stalled_ms) = self.buffer.stalls(self.shared.now_ms());
        let mut tally = self.shared.tally(self.kind);
        tally.stalls += stalls;
        tally.stalled_ms += stalled_ms as u64;
        tally.stalled_viewers += u64::from(stalls > 0);
    }
}
