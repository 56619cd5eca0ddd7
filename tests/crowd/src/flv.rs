//! An HTTP-FLV viewer, and the scanner of FLV files (FLV specification v10.1, annex E) that it looks through.

use crate::crowd::Viewer;
use crate::http::{Connection, Endless, Head, ReadError};
use crate::live::{self, Left};
use crate::policy::{REQUEST_MS, RETRY_AFTER_S_MAX};
use crate::target::{Host, Kind};
use crate::timeline::{Sight, Timeline};
use std::time::Duration;
use tokio::time::timeout;

/// Watches until the run is over.
pub async fn watch(viewer: Viewer) {
    live::watch(&viewer, Kind::Flv, async |host, lines, timeline| {
        let request = lines.request(host, &viewer.stream.path);
        connection(host, &request, timeline).await
    })
    .await;
}

async fn connection(host: &Host, request: &str, timeline: &mut Timeline) -> Left {
    let begin = async {
        let mut connection = Connection::open(host.address).await?;
        let head = connection.begin(request.as_bytes()).await?;
        Ok::<_, ReadError>((connection, head))
    };
    let begun = timeout(Duration::from_millis(REQUEST_MS), begin).await.unwrap_or(Err(ReadError::Slow(REQUEST_MS)));
    match begun {
        Ok((connection, head)) if head.status == 200 => {
            Left::Failed(stream(connection, &head, timeline).await.to_string())
        }
        // A refusal (503), or a stream that is not live (404).
        Ok((_, head)) if matches!(head.status, 404 | 503) => {
            let seconds = head.retry_after_s.unwrap_or(1).clamp(1, RETRY_AFTER_S_MAX);
            Left::Asked { full: head.status == 503, pause: Duration::from_secs(seconds) }
        }
        Ok((_, head)) => Left::Failed(ReadError::Status(head.status).to_string()),
        Err(error) => Left::Failed(error.to_string()),
    }
}

async fn stream(mut connection: Connection, head: &Head, timeline: &mut Timeline) -> ReadError {
    let mut body = Endless::of(head);
    let mut scanner = Scanner::default();
    timeline.connected();
    loop {
        let mut scanned = Ok(());
        let take = |piece: &[u8]| {
            timeline.bytes(piece.len());
            if scanned.is_ok() {
                scanned = scanner.push(piece, |tag| timeline.sight(tag));
            }
        };
        let more = timeout(Duration::from_millis(REQUEST_MS), connection.more(&mut body, take)).await;
        match (more, scanned) {
            (_, Err(problem)) => return ReadError::Malformed(problem),
            (Err(_), _) => return ReadError::Slow(REQUEST_MS),
            (Ok(Err(error)), _) => return error,
            (Ok(Ok(false)), _) => return ReadError::Closed { what: "the end of the run" },
            (Ok(Ok(true)), Ok(())) => {}
        }
    }
}

/// Bytes of a file header and of a tag's header.
const FILE_HEADER_BYTES: usize = 9;
const TAG_HEADER_BYTES: usize = 11;
/// Bytes of a tag's body that tell what it is.
const PEEK_BYTES: usize = 2;

/// Finds the tags of an FLV file that comes in pieces of any size; keeps no body.
#[derive(Debug, Default)]
pub struct Scanner {
    state: State,
    head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    File,
    /// The size of the tag before, then the header of the next.
    Between { last: u32 },
    /// The first bytes of a body.
    Peek { kind: u8, t_ms: u32, size: u32 },
    /// The rest of it.
    Body { left: usize, last: u32 },
}

impl Scanner {
    /// Takes `input` and tells `sink` of each audio and video tag that begins in it.
    pub fn push(&mut self, mut input: &[u8], mut sink: impl FnMut(Sight)) -> Result<(), &'static str> {
        while !input.is_empty() {
            let wanted = match self.state {
                State::File => FILE_HEADER_BYTES,
                State::Between { .. } => 4 + TAG_HEADER_BYTES,
                State::Peek { size, .. } => PEEK_BYTES.min(size as usize),
                State::Body { left, last } => {
                    let passed = left.min(input.len());
                    input = input.get(passed..).unwrap_or_default();
                    self.state = if passed == left {
                        State::Between { last }
                    } else {
                        State::Body { left: left - passed, last }
                    };
                    continue;
                }
            };
            let (head, rest) = input.split_at((wanted - self.head.len()).min(input.len()));
            self.head.extend_from_slice(head);
            input = rest;
            if self.head.len() == wanted {
                self.complete(&mut sink)?;
                self.head.clear();
            }
        }
        Ok(())
    }

    fn complete(&mut self, sink: &mut impl FnMut(Sight)) -> Result<(), &'static str> {
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b));
        self.state = match (self.state, self.head.as_slice()) {
            (State::File, [b'F', b'L', b'V', 1, _, 0, 0, 0, 9]) => State::Between { last: 0 },
            (State::File, _) => return Err("no FLV header"),
            (State::Between { last }, [size @ .., kind, s0, s1, s2, t0, t1, t2, t3, _, _, _]) => {
                if number(size) != last {
                    return Err("the size of the tag before is wrong");
                }
                let (size, t_ms) = (number(&[*s0, *s1, *s2]), number(&[*t3, *t0, *t1, *t2]));
                match (kind, size) {
                    (8 | 9, 0) => State::Between { last: 11 },
                    (8 | 9, _) => State::Peek { kind: *kind, t_ms, size },
                    (18, _) => State::Body { left: size as usize, last: size + 11 },
                    _ => return Err("a tag of unknown kind"),
                }
            }
            (State::Peek { kind, t_ms, size }, peek) => {
                sink(Sight::of(kind == 9, t_ms, peek));
                State::Body { left: (size as usize).saturating_sub(peek.len()), last: size + 11 }
            }
            (same, _) => same,
        };
        if let State::Body { left: 0, last } = self.state {
            self.state = State::Between { last };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: u8, t_ms: u32, body: &[u8]) -> Vec<u8> {
        let (size, t) = ((body.len() as u32).to_be_bytes(), t_ms.to_be_bytes());
        let mut out = vec![kind, size[1], size[2], size[3], t[1], t[2], t[3], t[0], 0, 0, 0];
        out.extend_from_slice(body);
        out.extend_from_slice(&(body.len() as u32 + 11).to_be_bytes());
        out
    }

    fn file() -> Vec<u8> {
        let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        file.extend(tag(18, 0, b"metadata"));
        file.extend(tag(9, 0, &[0x17, 0, 0, 0, 0, 1]));
        file.extend(tag(9, 0x0102_0304, &[0x17, 1, 0, 0, 0, 9, 9]));
        file.extend(tag(8, 0x0102_0310, &[0xaf]));
        file
    }

    #[test]
    fn any_split_shows_the_same_tags() {
        let file = file();
        for size in 1..file.len() {
            let (mut scanner, mut seen) = (Scanner::default(), Vec::new());
            for piece in file.chunks(size) {
                scanner.push(piece, |sight| seen.push(sight)).expect("reads");
            }
            let times: Vec<_> = seen.iter().map(|s| (s.video, s.t_ms, s.key, s.header)).collect();
            let wanted = [(true, 0, true, true), (true, 0x0102_0304, true, false), (false, 0x0102_0310, false, false)];
            assert_eq!(times, wanted, "pieces of {size}");
        }
    }

    #[test]
    fn a_wrong_size_and_a_wrong_header_are_found() {
        let mut broken = file();
        let last = broken.len() - 1;
        broken[last] ^= 1;
        broken.extend(tag(8, 0, &[0xaf]));
        assert_eq!(Scanner::default().push(&broken, |_| ()), Err("the size of the tag before is wrong"));
        assert_eq!(Scanner::default().push(b"<html>404", |_| ()), Err("no FLV header"));
    }
}
