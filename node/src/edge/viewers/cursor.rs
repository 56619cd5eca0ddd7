//! Where a viewer is in the ring, and what it gets next. No socket here: the same for every way of writing.

use crate::edge::stream::ring::{Headers, Item, LAG_MS_MAX, RingCopy};
use crate::edge::stream::wire::Form;
use bytes::Bytes;
use std::sync::Arc;

/// Position of one viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Nothing was sent yet: waits for a place to start.
    Waiting,
    /// In the middle of it.
    Playing {
        /// The next item.
        next: u64,
        /// The epoch whose headers were sent.
        epoch: u64,
        /// Which metadata of that epoch were sent.
        metadata: u64,
        /// The track set that the viewer began with.
        generation: u64,
        /// It skips to the next key frame: what follows before it cannot be decoded.
        skipping: bool,
    },
}

/// What a viewer gets next.
#[derive(Debug)]
pub enum Next<'a> {
    /// Nothing at the moment.
    Nothing,
    /// These bytes, then ask again.
    Headers(Bytes),
    /// This frame, then call [`Cursor::sent`].
    Frame(&'a Arc<Item>),
    /// Nothing ever more: the track set changed, or the presentation is over.
    Over,
}

impl Cursor {
    /// What comes next. `may_skip` is false while more frames of one write are gathered.
    ///
    /// The second value says that frames were skipped to get here.
    pub fn next<'a>(&mut self, mirror: &'a RingCopy, form: Form) -> (Next<'a>, bool) {
        let (next, seen, generation, skipping) = match *self {
            Self::Waiting if !mirror.is_live() => return (Next::Over, false),
            Self::Waiting => return (self.start(mirror, form), false),
            Self::Playing { next, epoch, metadata, generation, skipping } => {
                (next, (epoch, metadata), generation, skipping)
            }
        };
        if generation != mirror.generation {
            return (Next::Over, false);
        }
        let (at, skipped) = match position(mirror, next, skipping) {
            Position::At(seq) => (seq, seq != next && !skipping),
            Position::Lost => {
                *self = Self::Playing { next, epoch: seen.0, metadata: seen.1, generation, skipping: true };
                return (Next::Nothing, !skipping);
            }
        };
        let Some(item) = mirror.get(at) else { return (Next::Nothing, false) };
        let Headers { epoch, metadata, ref tracks, .. } = *item.headers;
        *self = Self::Playing { next: at, epoch, metadata, generation, skipping: false };
        if epoch != seen.0 {
            return (Next::Headers(item.wire_headers(form).clone()), skipped);
        }
        if metadata != seen.1 {
            return (Next::Headers(form.metadata(tracks)), skipped);
        }
        (Next::Frame(item), skipped)
    }

    /// The frame that [`Cursor::next`] gave was taken.
    pub fn sent(&mut self) {
        if let Self::Playing { next, .. } = self {
            *next += 1;
        }
    }

    /// The same, with `seq` as the next item.
    #[must_use]
    pub fn at(self, seq: u64) -> Self {
        match self {
            Self::Waiting => self,
            Self::Playing { epoch, metadata, generation, skipping, .. } => {
                Self::Playing { next: seq, epoch, metadata, generation, skipping }
            }
        }
    }

    fn start<'a>(&mut self, mirror: &'a RingCopy, form: Form) -> Next<'a> {
        let Some(item) = mirror.newest_start.and_then(|start| mirror.get(start)) else { return Next::Nothing };
        let Headers { epoch, metadata, generation, ref tracks } = *item.headers;
        *self = Self::Playing { next: item.seq, epoch, metadata, generation, skipping: false };
        let opening = form.opening(tracks);
        Next::Headers([opening.as_ref(), item.wire_headers(form)].concat().into())
    }
}

enum Position {
    At(u64),
    /// Overtaken, and there is no later key frame yet.
    Lost,
}

/// Where to go on from `next`: there, or at a newer place to start if that is too far behind or gone.
fn position(mirror: &RingCopy, next: u64, skipping: bool) -> Position {
    let newest = mirror.items.back();
    let lagging = skipping
        || match mirror.get(next) {
            Some(item) => newest.is_some_and(|newest| newest.t_ms.saturating_sub(item.t_ms) > LAG_MS_MAX),
            None => mirror.items.front().is_some_and(|oldest| oldest.seq > next),
        };
    if !lagging {
        return Position::At(next);
    }
    match mirror.newest_start {
        Some(start) if start > next || (skipping && start == next) => Position::At(start),
        _ if mirror.get(next).is_some() && !skipping => Position::At(next),
        _ => Position::Lost,
    }
}
