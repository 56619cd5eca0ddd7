//! A segment's bytes in a sealed file in memory (memfd_create(2)): with sendfile(2) the kernel gives its pages to a socket
//! instead of copying them, which is most of what a segment costs.

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::sendfile::sendfile;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// One segment, held in memory as a file.
#[derive(Debug)]
pub struct Stored {
    file: OwnedFd,
    /// The file's pages, mapped.
    bytes: Bytes,
}

impl Stored {
    /// Copies `bytes` into a file of its own.
    ///
    /// # Errors
    /// What the system says: there may be no such files, or too many.
    pub fn new(bytes: &[u8]) -> io::Result<Arc<Self>> {
        let file = memfd_create(c"lectern-segment", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        #[allow(unsafe_code, reason = "the file is sealed: no process can change or shorten what is mapped here")]
        let mapped = unsafe { memmap2::Mmap::map(&file) }?;
        Ok(Arc::new(Self { file: file.into(), bytes: Bytes::from_owner(mapped) }))
    }

    /// All bytes, for those who cannot send a file. They take no memory beside the file's.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Where in the file `part` lies, if it is a part of [`Stored::bytes`] itself, not of a copy.
    #[must_use]
    pub fn position_of(&self, part: &[u8]) -> Option<usize> {
        let position = part.as_ptr().addr().checked_sub(self.bytes.as_ptr().addr())?;
        let end = position.checked_add(part.len())?;
        (end <= self.bytes.len() && !part.is_empty()).then_some(position)
    }

    /// Sends up to `length` bytes from `position` on.
    ///
    /// # Errors
    /// What the system says, [`io::ErrorKind::WouldBlock`] if the socket is full.
    pub fn send(&self, socket: impl AsFd, position: usize, length: usize) -> io::Result<usize> {
        let mut offset = i64::try_from(position).map_err(|_| Errno::EINVAL)?;
        Ok(sendfile(socket, &self.file, Some(&mut offset), length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_stored_segment_is_sent_from_any_position() {
        let content: Vec<u8> = (0..20_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let stored = Stored::new(&content).unwrap();
        assert_eq!(stored.bytes(), content);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(stored.send(&socket, 5_000, 15_000).unwrap(), 15_000);
        drop(socket);
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        assert!(got == content[5_000..]);
    }

    #[test]
    fn only_its_own_bytes_have_a_position() {
        let stored = Stored::new(&[1; 100]).unwrap();
        let bytes = stored.bytes();
        assert_eq!(stored.position_of(&bytes), Some(0));
        assert_eq!(stored.position_of(&bytes[40..]), Some(40));
        assert_eq!(stored.position_of(&bytes[100..]), None);
        assert_eq!(stored.position_of(&[1; 100]), None);
    }

    #[test]
    fn nobody_can_change_it() {
        let stored = Stored::new(&[1; 100]).unwrap();
        let mut file = File::from(stored.file.try_clone().unwrap());
        assert_eq!(file.write(&[2]).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(file.set_len(10).is_err());
    }
}
