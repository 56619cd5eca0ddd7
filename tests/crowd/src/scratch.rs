//! Reading from sockets without a buffer per viewer: one buffer for all of them, as there is one thread.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Read at most this much at once, in bytes.
const SCRATCH_BYTES: usize = 256 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
    // Never written: the kernel is told to drop what would go here.
    static NOWHERE: RefCell<Box<[MaybeUninit<u8>]>> = RefCell::new(Box::new_uninit_slice(4 * SCRATCH_BYTES));
}

/// Waits for bytes, hands them to `sink` and says how many there were; 0 at the end of the stream.
pub async fn read(stream: &TcpStream, mut sink: impl FnMut(&[u8])) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        let read = SCRATCH.with_borrow_mut(|buffer| {
            let read = stream.try_read(buffer)?;
            sink(buffer.get(..read).unwrap_or_default());
            Ok(read)
        });
        match read {
            Err(error) if is_not_yet(&error) => {}
            other => return other,
        }
    }
}

/// Waits for bytes and drops up to `most` of them inside the kernel (`MSG_TRUNC`, tcp(7)): a viewer that does not look
/// at them need not pay for a copy. Says how many there were; 0 at the end of the stream.
pub async fn discard(stream: &TcpStream, most: usize) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        let read = NOWHERE.with_borrow_mut(|buffer| {
            let most = most.min(buffer.len());
            let room = buffer.get_mut(..most).unwrap_or_default();
            stream.try_io(Interest::READABLE, || socket2::SockRef::from(stream).recv_with_flags(room, libc::MSG_TRUNC))
        });
        match read {
            Err(error) if is_not_yet(&error) => {}
            other => return other,
        }
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn dropped_bytes_are_gone_and_the_next_ones_are_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let stream = TcpStream::connect(listener.local_addr().expect("has an address")).await.expect("connects");
        let (mut peer, _) = listener.accept().await.expect("accepts");
        peer.write_all(&[1; 1_000_000]).await.expect("writes");
        peer.write_all(b"kept").await.expect("writes");
        drop(peer);
        let mut left = 1_000_000;
        while left > 0 {
            left -= discard(&stream, left).await.expect("reads");
        }
        let mut kept = Vec::new();
        while read(&stream, |bytes| kept.extend_from_slice(bytes)).await.expect("reads") > 0 {}
        assert_eq!(kept, b"kept");
    }
}
