//! Why a connection to a server ended early, and what that means (protocol.md, section 4.3).

use core::fmt;
use core::time::Duration;

use crate::session::Misuse;
use crate::session::handshake::HandshakeError;

/// Why a connection ended before its work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ClientError {
    /// The handshake failed.
    Handshake(HandshakeError),
    /// "Not a member": a clean close after message 4, or a message 5 that failed authentication.
    NotMember,
    /// The server is busy: silence or a close before message 3.
    Busy,
    /// The connection was reset or closed, which proves nothing.
    Reset,
    /// The server was silent for too long.
    Silent,
    /// Our guess budget is spent: too many unconfirmed handshakes, maybe with a fake server that guesses.
    NoBudget,
    /// The server sent less than 1 KiB a second.
    Slow,
    /// The server broke the protocol.
    Protocol,
    /// The caller broke the order of calls: a bug of this program, not of the server.
    Misuse(Misuse),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(e) => write!(f, "{e}"),
            Self::NotMember => f.write_str("the sender refused: the two have different passphrases"),
            Self::Busy => f.write_str("the sender is busy"),
            Self::Reset => f.write_str("the connection was reset or closed"),
            Self::Silent => f.write_str("the sender did not answer in time"),
            Self::NoBudget => f.write_str("the guess budget for that address is spent"),
            Self::Slow => f.write_str("the sender sends less than 1 KiB a second"),
            Self::Protocol => f.write_str("the sender broke the protocol"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl core::error::Error for ClientError {}

impl From<HandshakeError> for ClientError {
    fn from(e: HandshakeError) -> Self {
        Self::Handshake(e)
    }
}

impl From<Misuse> for ClientError {
    fn from(misuse: Misuse) -> Self {
        debug_assert!(false, "{misuse}");
        Self::Misuse(misuse)
    }
}

impl ClientError {
    /// The retry-after of the server, if it gave one.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Handshake(HandshakeError::Busy { retry_after }) => Some(*retry_after),
            _ => None,
        }
    }
}
