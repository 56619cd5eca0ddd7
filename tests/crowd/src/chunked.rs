//! Chunked transfer coding (RFC 9112, 7.1), as a machine that is fed pieces of any size.

/// Longest line of a chunk's size with its extensions, in bytes: more is an attack.
const LINE_BYTES_MAX: usize = 128;

/// Where in the coding the next byte stands.
#[derive(Debug, Default)]
pub struct Chunked {
    state: State,
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Size,
    Data(usize),
    /// The line break after a chunk's data.
    Break,
    /// Trailer lines after the last chunk.
    Trailer,
    Done,
}

impl Chunked {
    /// Takes `input` and hands the data in it to `sink`. True once the last chunk was read.
    pub fn push(&mut self, mut input: &[u8], mut sink: impl FnMut(&[u8])) -> Result<bool, &'static str> {
        while !input.is_empty() && self.state != State::Done {
            if let State::Data(left) = self.state {
                let (data, rest) = input.split_at(left.min(input.len()));
                sink(data);
                input = rest;
                self.state = if left == data.len() { State::Break } else { State::Data(left - data.len()) };
                continue;
            }
            let (line, rest) = match input.iter().position(|b| *b == b'\n') {
                Some(end) => (&input[..end], &input[end + 1..]),
                None => (input, &[][..]),
            };
            if self.line.len() + line.len() > LINE_BYTES_MAX {
                return Err("chunk size line too long");
            }
            self.line.extend_from_slice(line);
            let complete = line.len() < input.len();
            input = rest;
            if complete {
                self.line_end()?;
            }
        }
        Ok(self.state == State::Done)
    }

    fn line_end(&mut self) -> Result<(), &'static str> {
        let line = std::mem::take(&mut self.line);
        let text = line.strip_suffix(b"\r").unwrap_or(&line);
        self.state = match self.state {
            State::Size => {
                let digits = text.split(|b| *b == b';').next().unwrap_or_default();
                let digits = std::str::from_utf8(digits).map_err(|_| "chunk size is no text")?.trim();
                match usize::from_str_radix(digits, 16).map_err(|_| "chunk size is no number")? {
                    0 => State::Trailer,
                    size => State::Data(size),
                }
            }
            State::Break if text.is_empty() => State::Size,
            State::Break => return Err("no line break after a chunk"),
            State::Trailer if text.is_empty() => State::Done,
            same @ (State::Trailer | State::Data(_) | State::Done) => same,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_gives_the_same_body() {
        let whole = b"5\r\nhello\r\n1;x=y\r\n \r\n6\r\nworld!\r\n0\r\nA: b\r\n\r\n";
        for size in 1..whole.len() {
            let (mut coding, mut body, mut done) = (Chunked::default(), Vec::new(), false);
            for piece in whole.chunks(size) {
                assert!(!done);
                done = coding.push(piece, |data| body.extend_from_slice(data)).expect("reads");
            }
            assert!(done, "pieces of {size}");
            assert_eq!(body, b"hello world!");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Chunked::default().push(b"zz\r\n", |_| ()), Err("chunk size is no number"));
        assert_eq!(Chunked::default().push(b"1\r\nab\r\n", |_| ()), Err("no line break after a chunk"));
        assert_eq!(Chunked::default().push(&[b'1'; 200], |_| ()), Err("chunk size line too long"));
    }
}
