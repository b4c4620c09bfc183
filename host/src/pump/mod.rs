//! Sessions of the core over real connections: bytes carried both ways, and nothing decided.

mod client;
mod crew;
mod opening;
mod sealing;
mod server;

pub(crate) use client::{ClientPump, PumpError};
pub(crate) use server::serve_connection;

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use zeroize::Zeroizing;

/// A message on its way in or out: a buffer, and how far it has been filled or written.
struct Carrier {
    buffer: Zeroizing<Vec<u8>>,
    at: usize,
    end: usize,
}

/// How a carrier stands.
#[derive(PartialEq, Eq)]
enum Carried {
    Whole,
    Partly,
    Closed,
}

impl Carrier {
    fn new(len: usize) -> Self {
        Self { buffer: Zeroizing::new(vec![0; len]), at: 0, end: 0 }
    }

    /// Makes room for messages of `len` bytes.
    fn grow(&mut self, len: usize) {
        if self.buffer.len() < len {
            // A fresh one, so that nothing stays behind where the old one was moved from.
            let mut larger = Zeroizing::new(vec![0; len]);
            if let (Some(to), Some(from)) = (larger.get_mut(..self.at), self.buffer.get(..self.at)) {
                to.copy_from_slice(from);
            }
            self.buffer = larger;
        }
    }

    /// Begins with what `from` holds behind its first `used` bytes.
    fn carry_over(&mut self, from: &Self, used: usize) {
        let rest = from.buffer.get(used..from.at).unwrap_or_default();
        (self.at, self.end) = (0, 0);
        self.grow(rest.len());
        if let Some(to) = self.buffer.get_mut(..rest.len()) {
            to.copy_from_slice(rest);
            self.at = rest.len();
        }
    }

    /// Writes what is left of the message.
    fn write(&mut self, mut stream: &TcpStream) -> io::Result<Carried> {
        while let Some(rest) = self.buffer.get(self.at..self.end).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(0) => return Ok(Carried::Closed),
                Ok(n) => self.at += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Carried::Partly),
                Err(e) => return Err(e),
            }
        }
        Ok(Carried::Whole)
    }

    /// Reads until the message has `len` bytes.
    fn read(&mut self, mut stream: &TcpStream, len: usize) -> io::Result<Carried> {
        self.grow(len);
        while let Some(rest) = self.buffer.get_mut(self.at..len).filter(|rest| !rest.is_empty()) {
            match stream.read(rest) {
                Ok(0) => return Ok(Carried::Closed),
                Ok(n) => self.at += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Carried::Partly),
                Err(e) => return Err(e),
            }
        }
        Ok(Carried::Whole)
    }
}
