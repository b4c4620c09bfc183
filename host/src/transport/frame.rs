//! A buffer for one message on its way in or out.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use zeroize::Zeroizing;

/// The bytes of one message, or of a batch of records, and how far they have been read or written. Wiped when
/// dropped.
pub(crate) struct FrameBuf {
    pub(crate) buffer: Zeroizing<Vec<u8>>,
    /// How much has been read into the buffer, or written out of it.
    pub(crate) position: usize,
    /// Where the message to be written ends.
    pub(crate) end: usize,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is whole.
    Whole,
    /// The socket would block.
    Partial,
    /// The peer has closed the connection.
    Closed,
}

impl FrameBuf {
    pub(crate) fn new(len: usize) -> Self {
        Self { buffer: Zeroizing::new(vec![0; len]), position: 0, end: 0 }
    }

    /// Makes room for messages of `len` bytes.
    pub(crate) fn grow(&mut self, len: usize) {
        if self.buffer.len() < len {
            // A new allocation rather than `resize`, which would leave the old bytes unwiped where it moved from.
            let mut larger = Zeroizing::new(vec![0; len]);
            if let (Some(to), Some(from)) =
                (larger.get_mut(..self.position), self.buffer.get(..self.position))
            {
                to.copy_from_slice(from);
            }
            self.buffer = larger;
        }
    }

    /// Starts with the bytes that `from` holds after its first `used`.
    pub(crate) fn carry_over(&mut self, from: &Self, used: usize) {
        let rest = from.buffer.get(used..from.position).unwrap_or_default();
        (self.position, self.end) = (0, 0);
        self.grow(rest.len());
        if let Some(to) = self.buffer.get_mut(..rest.len()) {
            to.copy_from_slice(rest);
            self.position = rest.len();
        }
    }

    /// Writes the rest of the message, as far as the socket takes it.
    pub(crate) fn write(&mut self, mut stream: &TcpStream) -> io::Result<Progress> {
        while let Some(rest) = self.buffer.get(self.position..self.end).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(0) => return Ok(Progress::Closed),
                Ok(n) => self.position += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Progress::Partial),
                Err(e) => return Err(e),
            }
        }
        Ok(Progress::Whole)
    }

    /// Reads until the message has `len` bytes, or the socket would block.
    pub(crate) fn read(&mut self, mut stream: &TcpStream, len: usize) -> io::Result<Progress> {
        self.grow(len);
        while let Some(rest) = self.buffer.get_mut(self.position..len).filter(|rest| !rest.is_empty()) {
            match stream.read(rest) {
                Ok(0) => return Ok(Progress::Closed),
                Ok(n) => self.position += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Progress::Partial),
                Err(e) => return Err(e),
            }
        }
        Ok(Progress::Whole)
    }
}
