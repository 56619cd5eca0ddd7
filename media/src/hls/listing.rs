//! What a playlist lists, apart from the ledger that nodes merge and forget from: a live list is a view of a ledger, a
//! list of a session is a view of all its entries. Both have one renderer.

use crate::ledger::{Entry, Ledger, Life, Presentation};

/// What a media playlist and the multivariant playlist above it are written from.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// The presentation that the entries belong to: target duration, variant, and where its first epoch begins.
    pub presentation: &'a Presentation,
    /// The listed segments, oldest first; at least one.
    pub entries: &'a [Entry],
    /// What may become of the list.
    pub kind: Kind,
    /// Nothing follows: EXT-X-ENDLIST is written.
    pub ended: bool,
}

/// What may become of a list (RFC 8216, 4.3.3.5): EXT-X-PLAYLIST-TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Segments are added at its end and removed at its start; it has no type.
    Live,
    /// Segments are only added.
    Event,
    /// It never changes.
    Vod,
}

impl<'a> Listing<'a> {
    /// What a ledger lists. `None` where there is nothing to list: before the first segment and once the presentation is
    /// gone.
    #[must_use]
    pub fn live(ledger: &'a Ledger) -> Option<Self> {
        let ended = match ledger.life {
            Life::Open => false,
            Life::Ended => true,
            Life::Gone => return None,
        };
        let entries = ledger.listed();
        let presentation = ledger.presentation.as_ref().filter(|_| !entries.is_empty())?;
        Some(Self { presentation, entries, kind: Kind::Live, ended })
    }
}
