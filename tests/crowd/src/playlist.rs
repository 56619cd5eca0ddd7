//! Reading playlists (RFC 8216, section 4): as much of them as a player acts on.

use std::fmt;

/// A media playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaPlaylist {
    /// EXT-X-TARGETDURATION in seconds.
    pub target_s: u32,
    /// EXT-X-ENDLIST is there.
    pub ended: bool,
    /// What is listed, oldest first; never empty in a playlist that was read.
    pub segments: Vec<Listed>,
}

/// One listed segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// Media sequence number.
    pub msn: u64,
    /// Discontinuity sequence number.
    pub dseq: u64,
    /// EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// EXT-X-GAP: not to be fetched.
    pub gap: bool,
    /// EXTINF in milliseconds.
    pub duration_ms: f64,
    /// EXT-X-PROGRAM-DATE-TIME as unix milliseconds, if it stands before this segment.
    pub time_ms: Option<u64>,
    /// URI as written.
    pub uri: String,
}

/// Why a text is no playlist.
#[derive(Debug, PartialEq)]
pub struct Invalid {
    line: usize,
    problem: &'static str,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// The URI of the first variant, if `text` is a multivariant playlist.
pub fn first_variant(text: &str) -> Option<&str> {
    let mut lines = text.lines().skip_while(|l| !l.starts_with("#EXT-X-STREAM-INF:")).skip(1);
    lines.find(|l| !l.is_empty() && !l.starts_with('#'))
}

/// Reads a media playlist.
pub fn media(text: &str) -> Result<MediaPlaylist, Invalid> {
    let mut list = MediaPlaylist::default();
    let (mut msn, mut dseq) = (0, 0);
    let mut next = Listed::default();
    let mut duration = None;
    for (number, line) in text.lines().enumerate() {
        let invalid = |problem| Invalid { line: number + 1, problem };
        if number == 0 && line != "#EXTM3U" {
            return Err(invalid("does not begin with #EXTM3U"));
        }
        if let Some(tag) = line.strip_prefix("#EXT") {
            let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
            match name {
                "-X-TARGETDURATION" => list.target_s = value.parse().map_err(|_| invalid("bad target duration"))?,
                "-X-MEDIA-SEQUENCE" => msn = value.parse().map_err(|_| invalid("bad media sequence"))?,
                "-X-DISCONTINUITY-SEQUENCE" => {
                    dseq = value.parse().map_err(|_| invalid("bad discontinuity sequence"))?
                }
                "-X-DISCONTINUITY" => next.discontinuity = true,
                "-X-GAP" => next.gap = true,
                "-X-ENDLIST" => list.ended = true,
                "-X-PROGRAM-DATE-TIME" => {
                    next.time_ms = Some(unix_ms(value).ok_or_else(|| invalid("bad program date time"))?);
                }
                "INF" => {
                    let seconds = value.split(',').next().unwrap_or_default();
                    duration = Some(seconds.parse::<f64>().map_err(|_| invalid("bad duration"))?);
                }
                _ => {}
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            let seconds = duration.take().ok_or_else(|| invalid("a segment without EXTINF"))?;
            if seconds.round() > f64::from(list.target_s) {
                return Err(invalid("a segment is longer than the target duration"));
            }
            dseq += u64::from(next.discontinuity);
            let listed =
                Listed { msn, dseq, duration_ms: seconds * 1_000.0, uri: line.to_owned(), ..std::mem::take(&mut next) };
            list.segments.push(listed);
            msn += 1;
        }
    }
    if list.target_s == 0 || list.segments.is_empty() {
        return Err(Invalid { line: text.lines().count(), problem: "no target duration or no segment" });
    }
    Ok(list)
}

/// Milliseconds since 1970 of `2026-12-01T09:00:00.120Z` (also `+08:00`).
fn unix_ms(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let rest = text.get(19..)?;
    let digits = rest.strip_prefix('.').map_or("", |r| r.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
    let millis = format!("{digits:0<3}").get(..3)?.parse::<i64>().ok()?;
    let zone = rest.trim_start_matches('.').trim_start_matches(|c: char| c.is_ascii_digit());
    let offset_min = match zone.as_bytes().first()? {
        b'Z' => 0,
        sign @ (b'+' | b'-') => {
            let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
            let minutes = digits.get(..2)?.parse::<i64>().ok()? * 60 + digits.get(2..4)?.parse::<i64>().ok()?;
            if *sign == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    // Days since 1970 in the proleptic Gregorian calendar, years counted from March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 719_469;
    u64::try_from((((days * 24 + hour) * 60 + minute - offset_min) * 60 + second) * 1_000 + millis).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:70\n\
        #EXT-X-DISCONTINUITY-SEQUENCE:4\n#EXT-X-PROGRAM-DATE-TIME:2026-12-01T01:00:00.120Z\n#EXTINF:2.000000,\n1-9-70.ts\n\
        #EXT-X-DISCONTINUITY\n#EXT-X-GAP\n#EXTINF:1.5,\n1-10-71.ts\n#EXT-X-ENDLIST\n";

    #[test]
    fn numbers_run_on_and_tags_belong_to_the_segment_after_them() {
        let list = media(LIST).expect("reads");
        assert_eq!((list.target_s, list.ended, list.segments.len()), (2, true, 2));
        let first = &list.segments[0];
        assert_eq!((first.msn, first.dseq, first.discontinuity, first.gap), (70, 4, false, false));
        assert_eq!(first.time_ms, Some(1_796_086_800_120));
        let second = &list.segments[1];
        assert_eq!((second.msn, second.dseq, second.discontinuity, second.gap), (71, 5, true, true));
        assert_eq!((second.duration_ms, second.uri.as_str()), (1_500.0, "1-10-71.ts"));
    }

    #[test]
    fn what_no_player_could_follow_is_refused_with_its_line() {
        for (text, problem) in [
            ("hello", "line 1: does not begin with #EXTM3U"),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:2\na.ts", "line 3: a segment without EXTINF"),
            (
                "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.6,\na.ts",
                "line 4: a segment is longer than the target duration",
            ),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:2\n", "line 2: no target duration or no segment"),
        ] {
            assert_eq!(media(text).expect_err(text).to_string(), problem);
        }
    }

    #[test]
    fn times_of_any_zone_are_read() {
        assert_eq!(unix_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_ms("2026-12-01T09:00:00.5+08:00"), Some(1_796_086_800_500));
        assert_eq!(unix_ms("2028-02-29T23:59:59.999Z"), Some(1_835_481_599_999));
        assert_eq!(unix_ms("yesterday"), None);
    }

    #[test]
    fn the_first_variant_is_found() {
        assert_eq!(first_variant("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n\nmedia.m3u8\n"), Some("media.m3u8"));
        assert_eq!(first_variant(LIST), None);
    }
}
