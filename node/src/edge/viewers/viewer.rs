//! One viewer of RTMP or HTTP-FLV: a socket, a cursor into the ring, and what did not fit into the last write.

use super::cursor::{Cursor, Next};
use crate::edge::stream::ring::{Item, RingCopy};
use crate::edge::stream::wire::Form;
use crate::net::wire::Wire;
use bytes::Bytes;
use lectern_media::machine::Output;
use lectern_media::rtmp::limits;
use lectern_media::rtmp::server::{Event, Session};
use std::io::{self, IoSlice};
use std::sync::Arc;

/// Send buffer of a play socket: the kernel's memory of a slow viewer.
pub const SEND_BUFFER_BYTES: usize = 256 << 10;
/// A viewer that takes no byte for this long while there are some is gone.
pub const WRITE_STALL_MS_MAX: u64 = 10_000;
/// A player of RTMP that is sent nothing for this long is asked whether it is there: rtmpdump takes 30 s without a byte for a
/// broken connection, and a session ends up to a minute after its publisher.
const PING_EVERY_MS: u64 = 10_000;
/// A player that pauses for longer than this plays again with a new connection: each holds a place at this edge.
pub const PAUSE_MS_MAX: u64 = 600_000;
/// What may have to go first: the longest message that an encoder may send, and answers to some talk.
const REST_BYTES_MAX: usize = limits::AFTER_PUBLISH.message_bytes + (1 << 20);
/// What players are told at the end.
const OVER: &str = "the stream is over";
/// Frames in one vectored write: a merge window holds a dozen; after a pause of the socket several writes follow.
const FRAMES_PER_WRITE: usize = 64;
/// Writes per visit and viewer, so that one that catches up does not hold up the others.
const WRITES_PER_VISIT: usize = 4;

/// Sets up the socket of a viewer.
///
/// # Errors
/// If the kernel does not take the options.
pub fn tune(socket: &Wire) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket2::SockRef::from(socket).set_send_buffer_size(SEND_BUFFER_BYTES)
}

/// State of one viewer of RTMP or HTTP-FLV.
#[derive(Debug)]
pub struct Viewer {
    socket: Wire,
    cursor: Cursor,
    /// What has to go first: headers, or the rest of a message in flight.
    rest: Bytes,
    /// When the socket last took something, or there was nothing to give.
    moved_ms: u64,
    /// There is something that the socket did not take.
    pub behind: bool,
    /// When it was last sent something.
    sent_ms: u64,
    /// Answers what a player of RTMP says, and has the last word.
    session: Option<Box<Session>>,
    /// The player wants nothing, since then.
    paused_ms: Option<u64>,
}

/// How a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// It is still there.
    Stays,
    /// The peer closed or broke the connection.
    Gone,
    /// There is nothing more for it, and it was told so: what is written has to arrive.
    Over,
    /// It took nothing for [`WRITE_STALL_MS_MAX`].
    Stalled,
}

/// What visits add up to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Bytes written.
    pub bytes: u64,
    /// Times a viewer skipped frames.
    pub skips: u64,
}

impl Viewer {
    /// A viewer whose first bytes are `opening` (the head of an HTTP answer, for instance). A viewer of RTMP comes with
    /// its session.
    #[must_use]
    pub fn new(socket: Wire, opening: Bytes, session: Option<Box<Session>>, now_ms: u64) -> Self {
        let cursor = Cursor::Waiting;
        let (moved_ms, sent_ms) = (now_ms, now_ms);
        Self { socket, cursor, rest: opening, moved_ms, behind: false, sent_ms, session, paused_ms: None }
    }

    /// Writes what is ready, and reads what the peer sends: a player of RTMP is answered, everything else is dropped.
    pub fn visit(
        &mut self,
        mirror: &RingCopy,
        form: Form,
        now_ms: u64,
        scratch: &mut [u8],
        tally: &mut Tally,
    ) -> Visit {
        if self.peer_left(now_ms, scratch) {
            return Visit::Gone;
        }
        let stall_ms = match self.paused_ms {
            Some(since_ms) if now_ms.saturating_sub(since_ms) >= PAUSE_MS_MAX => return Visit::Gone,
            // A player that pauses may leave what was under way to it unread.
            Some(_) => u64::MAX,
            None => WRITE_STALL_MS_MAX,
        };
        self.ping(now_ms);
        self.behind = true;
        for _ in 0..WRITES_PER_VISIT {
            match self.write(mirror, form, tally) {
                Wrote::Nothing => {
                    (self.behind, self.moved_ms) = (false, now_ms);
                    return Visit::Stays;
                }
                Wrote::All => (self.moved_ms, self.sent_ms) = (now_ms, now_ms),
                Wrote::Some => {
                    (self.moved_ms, self.sent_ms) = (now_ms, now_ms);
                    return Visit::Stays;
                }
                Wrote::Full if now_ms.saturating_sub(self.moved_ms) >= stall_ms => return Visit::Stalled,
                Wrote::Full => return Visit::Stays,
                Wrote::Over => return Visit::Over,
                Wrote::Broken => return Visit::Gone,
            }
        }
        Visit::Stays
    }

    /// One read is enough: more would be a peer that talks all the time, and that can wait in its own buffer.
    fn peer_left(&mut self, now_ms: u64, scratch: &mut [u8]) -> bool {
        match self.socket.try_read(scratch) {
            Ok(0) => true,
            Ok(count) => self.talk(now_ms, &scratch[..count]),
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Answers what a player of RTMP says. Whether it wants to go.
    fn talk(&mut self, now_ms: u64, said: &[u8]) -> bool {
        let Some(session) = &mut self.session else { return false };
        if session.handle_bytes(now_ms, Bytes::copy_from_slice(said)).is_err() {
            return true;
        }
        let mut answers = Vec::new();
        loop {
            match session.poll() {
                Output::Send(bytes) => answers.push(bytes),
                Output::Wait(_) => break,
                Output::Event(Event::Pause { paused }) => self.paused_ms = paused.then_some(now_ms),
                Output::Event(Event::Ended | Event::Closed(_)) => return true,
                Output::Event(_) => {}
            }
        }
        // Between whole messages: the rest of the one in flight goes first.
        self.append(&answers);
        self.rest.len() > REST_BYTES_MAX
    }

    fn append(&mut self, bytes: &[Bytes]) {
        if !bytes.is_empty() {
            self.rest = [std::slice::from_ref(&self.rest), bytes].concat().concat().into();
        }
    }

    fn ping(&mut self, now_ms: u64) {
        let Some(session) = self.session.as_mut().filter(|_| now_ms >= self.sent_ms + PING_EVERY_MS) else { return };
        self.sent_ms = now_ms;
        session.ping(now_ms);
        let question = unsent(session);
        self.append(&question);
    }

    /// The last words for a player of RTMP: after them nothing comes any more. It takes them to be the end of what it
    /// plays; without them a player calls the connection broken.
    pub fn say_goodbye(&mut self, code: &str, words: &str) {
        let Some(mut session) = self.session.take() else { return };
        if session.close(code, words).is_err() {
            return;
        }
        self.append(&unsent(&mut session));
    }

    /// Writes what it can at once of what has to go first; the socket is then closed in good order.
    pub fn into_socket(self) -> Wire {
        // What does not fit into the socket of a viewer that is let go is lost.
        let _ = self.socket.try_write(&self.rest);
        self.socket
    }

    /// Gives up a viewer that takes nothing: the kernel forgets what it has not sent.
    pub fn give_up(self) {
        self.socket.forget_unsent();
    }

    fn write(&mut self, mirror: &RingCopy, form: Form, tally: &mut Tally) -> Wrote {
        let mut frames = Frames::default();
        let (ahead, over) = self.gather(mirror, form, &mut frames, tally);
        let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE + 1];
        let mut count = 0;
        let mut offered = self.rest.len();
        if !self.rest.is_empty() {
            slices[0] = IoSlice::new(&self.rest);
            count = 1;
        }
        for item in frames.items() {
            let bytes = item.wire(form);
            offered += bytes.len();
            slices[count] = IoSlice::new(bytes);
            count += 1;
        }
        if count == 0 {
            self.cursor = ahead;
            return if over { Wrote::Over } else { Wrote::Nothing };
        }
        match self.socket.try_write_vectored(&slices[..count]) {
            Ok(written) => {
                tally.bytes += written as u64;
                self.take(written, &frames, ahead, form);
                if written == offered { Wrote::All } else { Wrote::Some }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Wrote::Full,
            Err(_) => Wrote::Broken,
        }
    }

    /// Collects what can go out in one write. Headers become part of `rest`, and are taken only while no frame stands
    /// before them; what precedes the first frame is settled in `cursor` at once, frames only when they are written.
    ///
    /// Gives the cursor after all that was collected, and whether there is nothing more to come, ever.
    fn gather<'a>(
        &mut self,
        mirror: &'a RingCopy,
        form: Form,
        frames: &mut Frames<'a>,
        tally: &mut Tally,
    ) -> (Cursor, bool) {
        let mut ahead = self.cursor;
        if self.paused_ms.is_some() {
            return (ahead, false);
        }
        while frames.count < FRAMES_PER_WRITE {
            let before = ahead;
            let (next, skipped) = ahead.next(mirror, form);
            tally.skips += u64::from(skipped);
            if frames.count == 0 {
                self.cursor = ahead;
            }
            match next {
                Next::Nothing => break,
                Next::Over => {
                    let words = if mirror.is_live() { "the tracks of the stream changed: play again" } else { OVER };
                    self.say_goodbye("NetStream.Play.UnpublishNotify", words);
                    return (ahead, self.rest.is_empty() && frames.count == 0);
                }
                Next::Headers(headers) if frames.count == 0 => {
                    self.rest =
                        if self.rest.is_empty() { headers } else { [self.rest.as_ref(), &headers].concat().into() };
                }
                Next::Headers(_) => return (before, false),
                Next::Frame(item) => {
                    frames.push(item);
                    ahead.sent();
                }
            }
        }
        (ahead, false)
    }

    /// Moves on by `written` bytes. What was begun is kept to its end, whatever becomes of the ring.
    fn take(&mut self, written: usize, frames: &Frames<'_>, all_sent: Cursor, form: Form) {
        let from_rest = written.min(self.rest.len());
        let _ = self.rest.split_to(from_rest);
        if !self.rest.is_empty() {
            return;
        }
        self.rest = Bytes::new();
        let mut left = written - from_rest;
        for item in frames.items() {
            let bytes = item.wire(form);
            if left == 0 {
                self.cursor = all_sent.at(item.seq);
                return;
            }
            if left < bytes.len() {
                self.rest = bytes.slice(left..);
                self.cursor = all_sent.at(item.seq + 1);
                return;
            }
            left -= bytes.len();
        }
        self.cursor = all_sent;
    }
}

enum Wrote {
    /// There was nothing to write.
    Nothing,
    /// All that was offered.
    All,
    /// A part: the socket is full now.
    Some,
    /// The socket was full.
    Full,
    /// There is nothing more to write.
    Over,
    /// There is no peer to write to any more.
    Broken,
}

/// The frames of one write, all of one epoch.
struct Frames<'a> {
    items: [Option<&'a Arc<Item>>; FRAMES_PER_WRITE],
    count: usize,
}

impl Default for Frames<'_> {
    fn default() -> Self {
        Self { items: [None; FRAMES_PER_WRITE], count: 0 }
    }
}

impl<'a> Frames<'a> {
    fn push(&mut self, item: &'a Arc<Item>) {
        self.items[self.count] = Some(item);
        self.count += 1;
    }

    fn items(&self) -> impl Iterator<Item = &'a Arc<Item>> + '_ {
        self.items[..self.count].iter().flatten().copied()
    }
}

/// What a session wants sent now.
fn unsent(session: &mut Session) -> Vec<Bytes> {
    let mut all = Vec::new();
    while let Output::Send(bytes) = session.poll() {
        all.push(bytes);
    }
    all
}
