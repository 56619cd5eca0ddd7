//! A lean HTTP/1.1 client: one request after the other on a connection, bodies hashed, kept or dropped.

use crate::chunked::Chunked;
use crate::scratch;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use xxhash_rust::xxh3::Xxh3;

/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header fields in an answer.
const HEADERS_MAX: usize = 64;

/// Why a request got no complete answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No connection.
    #[error("failed to connect: {0}")]
    Connect(std::io::Error),
    /// The connection broke.
    #[error("failed to {doing}: {error}")]
    Broken { doing: &'static str, error: std::io::Error },
    /// The connection ended early.
    #[error("closed before {what}")]
    Closed { what: &'static str },
    /// Not HTTP as we know it.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// It took longer than the policy allows.
    #[error("no complete answer in {0} ms")]
    Slow(u64),
    /// An answer that is no success and that the caller has no use for.
    #[error("status {0}")]
    Status(u16),
}

/// What to do with a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// Hand it over.
    Text,
    /// Only its hash.
    Hash,
    /// Nothing.
    Nothing,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// `Retry-After` in seconds.
    pub retry_after_s: Option<u64>,
    /// The server will close.
    pub close: bool,
    framing: Framing,
}

#[derive(Clone, Copy, Debug, Default)]
enum Framing {
    Length(usize),
    Chunked,
    #[default]
    UntilClose,
}

/// A whole answer.
#[derive(Debug, Default)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// Length of the body.
    pub bytes: u64,
    /// XXH3-128 of the body, with [`Keep::Hash`] and [`Keep::Text`].
    pub hash: u128,
    /// The body, with [`Keep::Text`].
    pub text: Vec<u8>,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Bytes of the body that came with the head.
    early: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self, ReadError> {
        let stream = TcpStream::connect(address).await.map_err(ReadError::Connect)?;
        stream.set_nodelay(true).map_err(ReadError::Connect)?;
        Ok(Self { stream, early: Vec::new() })
    }

    /// Sends `request` and reads the whole answer.
    pub async fn get(&mut self, request: &[u8], keep: Keep) -> Result<Answer, ReadError> {
        let head = self.begin(request).await?;
        let mut answer = Answer { head, ..Answer::default() };
        let mut hash = Xxh3::new();
        // What is no success is short and says why: worth keeping.
        let keep = if head.status == 200 { keep } else { Keep::Text };
        let early = std::mem::take(&mut self.early);
        let mut take = |piece: &[u8]| {
            answer.bytes += piece.len() as u64;
            if keep != Keep::Nothing {
                hash.update(piece);
            }
            if keep == Keep::Text {
                answer.text.extend_from_slice(piece);
            }
        };
        match head.framing {
            Framing::Length(length) => {
                take(early.get(..length.min(early.len())).unwrap_or_default());
                let mut left = length.saturating_sub(early.len());
                while left > 0 {
                    let read = match keep {
                        Keep::Nothing => scratch::discard(&self.stream, left).await,
                        Keep::Text | Keep::Hash => scratch::read(&self.stream, &mut take).await,
                    };
                    left = left.saturating_sub(some(read, "the end of the body")?);
                }
                answer.bytes = length as u64;
            }
            Framing::Chunked => {
                let mut coding = Chunked::default();
                let mut done = coding.push(&early, &mut take).map_err(ReadError::Malformed)?;
                while !done {
                    let mut pushed = Ok(false);
                    let read = scratch::read(&self.stream, |piece| pushed = coding.push(piece, &mut take)).await;
                    some(read, "the last chunk")?;
                    done = pushed.map_err(ReadError::Malformed)?;
                }
            }
            Framing::UntilClose => {
                take(&early);
                while scratch::read(&self.stream, &mut take).await.map_err(|e| broken("read", e))? > 0 {}
            }
        }
        answer.hash = hash.digest128();
        Ok(answer)
    }

    /// Sends `request` and reads the head of the answer; what follows is [`Connection::more`].
    pub async fn begin(&mut self, request: &[u8]) -> Result<Head, ReadError> {
        self.stream.write_all(request).await.map_err(|e| broken("send", e))?;
        let mut bytes = std::mem::take(&mut self.early);
        bytes.clear();
        loop {
            let read = scratch::read(&self.stream, |piece| bytes.extend_from_slice(piece)).await;
            some(read, "the end of the head")?;
            if let Some((head, length)) = parse(&bytes)? {
                bytes.drain(..length);
                self.early = bytes;
                return Ok(head);
            }
            if bytes.len() > HEAD_BYTES_MAX {
                return Err(ReadError::Malformed("the head is too long"));
            }
        }
    }

    /// The next piece of an endless body, decoded. False at its end.
    pub async fn more(&mut self, body: &mut Endless, mut sink: impl FnMut(&[u8])) -> Result<bool, ReadError> {
        let early = std::mem::take(&mut self.early);
        if !early.is_empty() {
            return body.push(&early, &mut sink);
        }
        let mut pushed = Ok(true);
        let read = scratch::read(&self.stream, |piece| pushed = body.push(piece, &mut sink)).await;
        if read.map_err(|e| broken("read", e))? == 0 {
            return Ok(false);
        }
        pushed
    }
}

/// A body without an end that is known beforehand.
#[derive(Debug)]
pub struct Endless(Option<Chunked>);

impl Endless {
    /// The body that `head` begins.
    pub fn of(head: &Head) -> Self {
        Self(matches!(head.framing, Framing::Chunked).then(Chunked::default))
    }

    fn push(&mut self, piece: &[u8], mut sink: impl FnMut(&[u8])) -> Result<bool, ReadError> {
        match &mut self.0 {
            Some(coding) => coding.push(piece, sink).map(|done| !done).map_err(ReadError::Malformed),
            None => {
                sink(piece);
                Ok(true)
            }
        }
    }
}

fn broken(doing: &'static str, error: std::io::Error) -> ReadError {
    ReadError::Broken { doing, error }
}

fn some(read: std::io::Result<usize>, what: &'static str) -> Result<usize, ReadError> {
    match read {
        Ok(0) => Err(ReadError::Closed { what }),
        Ok(read) => Ok(read),
        Err(error) => Err(broken("read", error)),
    }
}

fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let length = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ReadError::Malformed("the head is no HTTP")),
    };
    let mut head = Head { status: answer.code.unwrap_or(0), close: answer.version == Some(0), ..Head::default() };
    for header in answer.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        if header.name.eq_ignore_ascii_case("content-length") {
            head.framing = Framing::Length(value.parse().map_err(|_| ReadError::Malformed("bad content length"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            head.framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            head.close = true;
        } else if header.name.eq_ignore_ascii_case("retry-after") {
            head.retry_after_s = value.parse().ok();
        }
    }
    if matches!(head.status, 204 | 304) {
        head.framing = Framing::Length(0);
    }
    head.close |= matches!(head.framing, Framing::UntilClose);
    Ok(Some((head, length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn answered(pieces: &'static [&'static str], keep: Keep) -> Result<Answer, ReadError> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let mut connection = Connection::open(listener.local_addr().expect("bound")).await.expect("connects");
        let (mut peer, _) = listener.accept().await.expect("accepts");
        let serve = async move {
            let mut request = [0; 64];
            let _ = peer.read(&mut request).await.expect("reads");
            for piece in pieces {
                peer.write_all(piece.as_bytes()).await.expect("writes");
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(connection.get(b"GET / HTTP/1.1\r\n\r\n", keep), serve).0
    }

    #[tokio::test]
    async fn all_three_framings_give_the_same_body() {
        for pieces in [
            &["HTTP/1.1 200 OK\r\nContent-", "Length: 5\r\n\r\nhe", "llo"][..],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nl", "o\r\n0\r\n\r\n"],
            &["HTTP/1.0 200 OK\r\n\r\nhel", "lo"],
        ] {
            let answer = answered(pieces, Keep::Text).await.expect("reads");
            assert_eq!((answer.text.as_slice(), answer.bytes), (&b"hello"[..], 5));
            assert_eq!(answer.hash, xxhash_rust::xxh3::xxh3_128(b"hello"));
        }
    }

    #[tokio::test]
    async fn a_body_nobody_looks_at_is_counted() {
        let answer =
            answered(&["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab", "cdef"], Keep::Nothing).await.expect("reads");
        assert_eq!((answer.bytes, answer.text.len()), (6, 0));
    }

    #[tokio::test]
    async fn a_body_cut_short_is_an_error_and_a_refusal_is_an_answer() {
        let cut = answered(&["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab"], Keep::Hash).await;
        assert!(matches!(cut, Err(ReadError::Closed { what: "the end of the body" })), "{cut:?}");
        let full = answered(
            &["HTTP/1.1 503 Full\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfull"],
            Keep::Nothing,
        );
        let full = full.await.expect("reads");
        assert_eq!((full.head.status, full.head.retry_after_s, full.head.close), (503, Some(1), true));
        assert_eq!(full.text, b"full");
    }
}
