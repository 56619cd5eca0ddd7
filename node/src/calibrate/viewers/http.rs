//! As much of HTTP/1.1 as viewers of an edge need: one GET after the other, bodies kept or dropped.

use super::{PATIENCE, Tally};
use anyhow::{Context, bail, ensure};
use bytes::{Bytes, BytesMut};
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest head of an answer in bytes: those of an edge have some 400.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Header lines of an answer.
const HEADER_LINES_MAX: usize = 32;
/// Longest body that is kept in bytes: a playlist of 60 segments has some 4 KiB.
const TEXT_BYTES_MAX: u64 = 64 << 10;
/// Dropped at once, in bytes: more than a socket holds.
const DROP_BYTES: usize = 1 << 20;

/// A connection to an edge.
#[derive(Debug)]
pub struct Line {
    peer: SocketAddr,
    socket: TcpStream,
    /// What came with the head.
    early: BytesMut,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Bytes of the body, unless it ends with the connection.
    pub length: Option<u64>,
    /// The edge closes the connection after this answer.
    pub close: bool,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// When the edge does not take the connection.
    pub async fn open(peer: SocketAddr) -> anyhow::Result<Self> {
        let socket = timeout(PATIENCE, TcpStream::connect(peer)).await.context("no connection in time")?;
        let socket = socket.context("failed to connect to the edge")?;
        socket.set_nodelay(true).context("failed to set TCP_NODELAY")?;
        Ok(Self { peer, socket, early: BytesMut::new() })
    }

    /// Asks for `path` and reads the head of the answer, whatever its status.
    ///
    /// # Errors
    /// When none comes.
    pub async fn begin(&mut self, path: &str, tally: &Tally) -> anyhow::Result<Head> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: lectern-calibrate\r\n\r\n", self.peer);
        let exchange = async {
            self.socket.write_all(request.as_bytes()).await.context("failed to ask")?;
            self.early.clear();
            loop {
                let read = self.socket.read_buf(&mut self.early).await.context("failed to read an answer")?;
                ensure!(read > 0, "the connection ended before an answer");
                tally.received(read);
                if let Some((head, length)) = parse(&self.early)? {
                    let _head = self.early.split_to(length);
                    return Ok(head);
                }
                ensure!(self.early.len() <= HEAD_BYTES_MAX, "the head of an answer is too long");
            }
        };
        timeout(PATIENCE, exchange).await.context("no answer in time")?.with_context(|| format!("GET {path}"))
    }

    /// Reads the body that `head` begins.
    ///
    /// # Errors
    /// When it does not come whole, or is none to keep.
    pub async fn text(&mut self, head: &Head, tally: &Tally) -> anyhow::Result<Bytes> {
        let length = head.length.context("an answer without a length")?;
        ensure!(length <= TEXT_BYTES_MAX, "a text of {length} bytes");
        let length = usize::try_from(length).context("a text too long")?;
        while self.early.len() < length {
            let read = timeout(PATIENCE, self.socket.read_buf(&mut self.early)).await.context("no body in time")?;
            let read = read.context("failed to read a body")?;
            ensure!(read > 0, "the connection ended inside a body");
            tally.received(read);
        }
        Ok(self.early.split_to(length).freeze())
    }

    /// Drops the body that `head` begins: up to its end, or to that of the connection.
    ///
    /// # Errors
    /// When it does not come whole.
    pub async fn drop_body(&mut self, head: &Head, tally: &Tally) -> anyhow::Result<()> {
        let early = self.early.len() as u64;
        self.early.clear();
        let mut left = head.length.map(|length| length.saturating_sub(early));
        while left != Some(0) {
            let most = left.map_or(DROP_BYTES, |left| usize::try_from(left).unwrap_or(DROP_BYTES).min(DROP_BYTES));
            let dropped = timeout(PATIENCE, drop_some(&self.socket, most)).await.context("no body in time")?;
            let dropped = dropped.context("failed to read a body")?;
            if dropped == 0 {
                bail!("the connection ended inside a body");
            }
            tally.received(dropped);
            left = left.map(|left| left.saturating_sub(dropped as u64));
        }
        Ok(())
    }
}

/// Waits for bytes and lets the kernel drop up to `most` of them (`MSG_TRUNC`, tcp(7)): no code looks at them, so none
/// need pay for a copy. How many there were; 0 at the end.
async fn drop_some(socket: &TcpStream, most: usize) -> io::Result<usize> {
    thread_local! {
        // Nothing is ever written here.
        static NOWHERE: std::cell::RefCell<Box<[MaybeUninit<u8>]>> =
            std::cell::RefCell::new(Box::new_uninit_slice(DROP_BYTES));
    }
    socket
        .async_io(Interest::READABLE, || {
            NOWHERE.with_borrow_mut(|nowhere| {
                let room = nowhere.get_mut(..most).unwrap_or_default();
                socket2::SockRef::from(socket).recv_with_flags(room, libc::MSG_TRUNC)
            })
        })
        .await
}

/// The head of an answer and its length in bytes, once it is whole.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Head, usize)>> {
    let mut lines = [httparse::EMPTY_HEADER; HEADER_LINES_MAX];
    let mut answer = httparse::Response::new(&mut lines);
    let httparse::Status::Complete(length) = answer.parse(bytes).context("an answer is no HTTP")? else {
        return Ok(None);
    };
    let mut head = Head { status: answer.code.unwrap_or(0), ..Head::default() };
    for line in answer.headers.iter() {
        let value = std::str::from_utf8(line.value).unwrap_or_default();
        if line.name.eq_ignore_ascii_case("content-length") {
            head.length = Some(value.parse().context("an answer has a length that is no number")?);
        } else if line.name.eq_ignore_ascii_case("connection") {
            head.close = value.eq_ignore_ascii_case("close");
        }
    }
    Ok(Some((head, length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        assert_eq!(parse(&whole[..30]).unwrap(), None);
        let head = Head { status: 200, length: Some(5), close: true };
        assert_eq!(parse(whole).unwrap(), Some((head, whole.len() - 5)));
        assert!(parse(b"RTMP says hello\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn bodies_are_kept_or_dropped_on_one_connection_and_all_bytes_count() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut line = Line::open(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        let answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext".to_vec(), {
            let mut long = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n".to_vec();
            long.resize(long.len() + 3_000_000, 7);
            long
        }];
        let total: usize = answers.iter().map(Vec::len).sum();
        let serve = tokio::spawn(async move {
            for answer in answers {
                let mut request = [0; 1_024];
                assert!(peer.read(&mut request).await.unwrap() > 0);
                peer.write_all(&answer).await.unwrap();
            }
        });
        let tally = Tally::default();
        let head = line.begin("/a", &tally).await.unwrap();
        assert_eq!(line.text(&head, &tally).await.unwrap(), "text");
        let head = line.begin("/b", &tally).await.unwrap();
        line.drop_body(&head, &tally).await.unwrap();
        serve.await.unwrap();
        assert_eq!(tally.bytes.load(Relaxed), total as u64);
        let error = line.begin("/c", &tally).await.unwrap_err();
        assert!(format!("{error:#}").starts_with("GET /c: "), "{error:#}");
    }
}
