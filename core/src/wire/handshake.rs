//! Messages 2 and 3: the public shares of the key exchange (protocol.md, section 4.1).
//!
//! ```text
//! 2, client to server:  suite u8 · nonce 16 · share 32
//! 3, server to client:  share 32
//! ```
//!
//! The key exchange checks whether a share is a valid point.

use core::fmt;

use super::{Suite, Suites};

/// Bytes of message 2.
pub const CLIENT_HELLO_LEN: usize = 49;
/// Bytes of message 3.
pub const SERVER_HELLO_LEN: usize = 32;

/// Message 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The suite that the client chose.
    pub suite: Suite,
    /// The client's half of the session id.
    pub nonce: [u8; 16],
    /// Its public share, Ya.
    pub share: [u8; 32],
}

impl ClientHello {
    /// Encodes it.
    pub fn emit(&self) -> [u8; CLIENT_HELLO_LEN] {
        let fields = [self.suite.code()].into_iter().chain(self.nonce).chain(self.share);
        let mut out = [0; CLIENT_HELLO_LEN];
        for (to, from) in out.iter_mut().zip(fields) {
            *to = from;
        }
        out
    }

    /// Decodes the message of a client that was offered these suites.
    ///
    /// # Errors
    /// Also if the suite is known and was not offered: a server that no longer trusts a suite must not take it.
    pub fn parse(bytes: &[u8], offered: Suites) -> Result<Self, HelloError> {
        let bytes: &[u8; CLIENT_HELLO_LEN] = bytes.try_into().map_err(|_| HelloError::Length)?;
        let (&[suite], rest) = bytes.split_first_chunk().ok_or(HelloError::Length)?;
        let (nonce, share) = rest.split_first_chunk().ok_or(HelloError::Length)?;
        let suite = Suite::from_code(suite)
            .filter(|suite| offered.contains(*suite))
            .ok_or(HelloError::Suite(suite))?;
        Ok(Self { suite, nonce: *nonce, share: share.try_into().map_err(|_| HelloError::Length)? })
    }
}

/// Message 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The server's public share, Yb.
    pub share: [u8; 32],
}

impl ServerHello {
    /// Encodes it.
    pub const fn emit(&self) -> [u8; SERVER_HELLO_LEN] {
        self.share
    }

    /// Decodes the message.
    pub fn parse(bytes: &[u8]) -> Result<Self, HelloError> {
        bytes.try_into().map(|share| Self { share }).map_err(|_| HelloError::Length)
    }
}

/// Why bytes are not message 2 or 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HelloError {
    /// They have not the length of the message.
    Length,
    /// A suite that was not offered.
    Suite(u8),
}

impl fmt::Display for HelloError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("a handshake message of the wrong length"),
            Self::Suite(s) => write!(f, "the client chose suite {s}, which was not offered"),
        }
    }
}

impl core::error::Error for HelloError {}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientHello = ClientHello {
        suite: Suite::Ristretto255Sha512ChaCha20Poly1305,
        nonce: *b"0123456789abcdef",
        share: *b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345",
    };

    #[test]
    fn known_answers() {
        let bytes = *b"\x010123456789abcdefABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
        assert_eq!(CLIENT.emit(), bytes);
        assert_eq!(ClientHello::parse(&bytes, Suites::SUPPORTED), Ok(CLIENT));

        let server = ServerHello { share: CLIENT.share };
        assert_eq!(server.emit(), *b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345");
        assert_eq!(ServerHello::parse(&server.emit()), Ok(server));
    }

    #[test]
    fn every_wrong_length_is_refused() {
        let mut bytes = [0; CLIENT_HELLO_LEN + 1];
        bytes[..CLIENT_HELLO_LEN].copy_from_slice(&CLIENT.emit());
        for n in 0..=bytes.len() {
            let hello = ClientHello::parse(&bytes[..n], Suites::SUPPORTED);
            assert_eq!(hello.is_ok(), n == CLIENT_HELLO_LEN);
            assert_eq!(ServerHello::parse(&bytes[..n]).is_ok(), n == SERVER_HELLO_LEN);
        }
    }

    #[test]
    fn unknown_suites_are_reported_by_their_number() {
        let mut bytes = CLIENT.emit();
        for suite in (0..=255).filter(|s| *s != 1) {
            bytes[0] = suite;
            assert_eq!(ClientHello::parse(&bytes, Suites::SUPPORTED), Err(HelloError::Suite(suite)));
        }
    }

    #[test]
    fn a_known_suite_that_was_not_offered_is_refused() {
        let others = Suites::from_bits(!Suites::SUPPORTED.bits());
        for offered in [Suites::from_bits(0), others] {
            assert_eq!(ClientHello::parse(&CLIENT.emit(), offered), Err(HelloError::Suite(1)));
        }
    }
}
