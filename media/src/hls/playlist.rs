//! The text of the two playlists. A function of the listing alone: no clock, no address, no state of an edge.

use super::listing::{Kind, Listing};
use super::time::Utc;
use crate::ledger::{Entry, ListProfile, Presentation};
use bytes::Bytes;
use std::fmt::{self, Write};

/// The name by which `index.m3u8` refers to the media playlist in the same folder.
pub const MEDIA_PLAYLIST_NAME: &str = "media.m3u8";

/// Fractional EXTINF needs 3 (RFC 8216, section 7); nothing but gaps needs more.
const VERSION: u32 = 3;
/// EXT-X-GAP needs 8 (draft-pantos-hls-rfc8216bis, section 8). Lists of profile 1 do not say so.
const GAP_VERSION: u32 = 8;

/// Room for the text of one entry, so that a playlist is one allocation.
const ENTRY_BYTES: usize = 160;

/// The media playlist.
#[must_use]
pub fn media_playlist(listing: &Listing<'_>) -> Bytes {
    let mut text = String::with_capacity((listing.entries.len() + 2) * ENTRY_BYTES);
    // Writing into a string cannot fail.
    let _ = write_media(&mut text, listing);
    Bytes::from(text)
}

/// The multivariant playlist with its one variant.
#[must_use]
pub fn multivariant_playlist(listing: &Listing<'_>) -> Bytes {
    let mut text = String::new();
    let _ = write_multivariant(&mut text, listing.presentation);
    Bytes::from(text)
}

fn write_multivariant(text: &mut String, presentation: &Presentation) -> fmt::Result {
    let Presentation { variant, list_profile, .. } = presentation;
    let (average, frame_rate_milli) =
        if *list_profile >= ListProfile::TWO { (variant.average, variant.frame_rate_milli) } else { (None, None) };
    // Codecs come over the wire: a quotation mark or a line break in them must not add attributes or lines.
    let codecs: String = variant.codecs.chars().filter(|c| !c.is_control() && *c != '"').collect();
    write!(text, "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-STREAM-INF:BANDWIDTH={}", variant.bandwidth)?;
    if let Some(average) = average {
        write!(text, ",AVERAGE-BANDWIDTH={average}")?;
    }
    if !codecs.is_empty() {
        write!(text, ",CODECS=\"{codecs}\"")?;
    }
    if let Some((width, height)) = variant.resolution {
        write!(text, ",RESOLUTION={width}x{height}")?;
    }
    if let Some(milli) = frame_rate_milli {
        write!(text, ",FRAME-RATE={}.{:03}", milli / 1_000, milli % 1_000)?;
    }
    writeln!(text, "\n{MEDIA_PLAYLIST_NAME}")
}

fn write_media(text: &mut String, listing: &Listing<'_>) -> fmt::Result {
    let Listing { presentation, entries, kind, ended } = *listing;
    let Some(first) = entries.first() else { return Ok(()) };
    let gaps = presentation.list_profile >= ListProfile::TWO && entries.iter().any(|entry| entry.gap);
    let version = if gaps { GAP_VERSION } else { VERSION };
    writeln!(text, "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{}", presentation.target_s)?;
    match kind {
        Kind::Live => {}
        Kind::Event => text.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n"),
        Kind::Vod => text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
    }
    writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{}", first.msn)?;
    // A first segment with the tag still has its discontinuity before it, so the header counts one less (RFC 8216,
    // 6.2.2); with the segment the tag goes, and the header takes its number.
    let ahead = u64::from(is_discontinuity(presentation, first));
    writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", first.dseq.saturating_sub(ahead))?;
    for entry in entries {
        if is_discontinuity(presentation, entry) {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", Utc(entry.epoch.saturating_add(entry.t_ms)))?;
        if entry.gap {
            text.push_str("#EXT-X-GAP\n");
        }
        writeln!(text, "#EXTINF:{},\n{}", Seconds(entry.duration_us), entry.name())?;
    }
    if ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    Ok(())
}

/// The first segment of an epoch carries the tag, unless it opens the presentation.
fn is_discontinuity(presentation: &Presentation, entry: &Entry) -> bool {
    entry.opens_epoch && entry.epoch != presentation.first_epoch
}

/// Microseconds as seconds, with three digits behind the point where they are enough and six where not.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, us) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if us % 1000 == 0 { write!(f, "{seconds}.{:03}", us / 1000) } else { write!(f, "{seconds}.{us:06}") }
    }
}
