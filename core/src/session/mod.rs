//! One connection, as a state machine without a socket: the handshake, and its client's end.
//!
//! The server's end is [`ServerSession`](crate::exchange::server::ServerSession): it shares the table of drops and the
//! guard with all others of its [`Server`](crate::exchange::Server). Both are driven alike.
//!
//! Every message of the protocol has a size that both ends know before it arrives, so a front end
//! reads exactly [`wants`](ClientSession::wants) bytes into a buffer of its own and hands them over.
//! The order in which to turn a session, at either end:
//!
//! 1. `poll_transmit` until it gives nothing, writing out what it gives;
//! 2. on a server, `poll_read`, and its bytes to `handle_read`, writing out what that gives;
//! 3. `closing`: when it says so, close the connection that way and call `closed`;
//! 4. wait for the bytes that `wants` names (`handle_message`), for the peer's close (`handle_close`),
//!    or for the moment that `poll_timeout` names (`handle_timeout`); then again from 1.
//!
//! Everything a session gives out goes to the peer in that order, whole. Secrets never leave it, but for the
//! key of one direction of a stream, which a front end with several cores may borrow to seal or open a
//! [`Batch`] of records at once.

mod batch;
mod client;
mod client_error;
mod handshake;
mod layout;

pub use batch::{Batch, BatchOpener, BatchSealer, Content};
pub use client::{ClientEvent, ClientSession, FetchPlan};
pub use client_error::ClientError;
pub use handshake::{Channel, ClientHandshake, HandshakeError, ServerHandshake};

use core::fmt;

pub(crate) use layout::{RecordLayout, record_size};

use crate::limits::{Profile, RECORD_OVERHEAD};

/// The buffer a session with this profile needs for messages in one direction.
pub const fn buffer_len(profile: &Profile) -> usize {
    profile.record_max as usize + RECORD_OVERHEAD
}

/// How to close a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Close {
    /// In order: the peer reads all that was sent, then the end.
    Clean,
    /// By a reset, so that the peer draws no conclusion from the close.
    Reset,
}

/// The front end called something out of turn, or lent too small a buffer. Not the peer's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Misuse {
    /// The session is not in a state in which this may be called.
    OutOfTurn,
    /// The lent buffer has not the size that the session asked for.
    Buffer,
    /// No server takes such a plan: a record smaller than the least, or a digest without an offset, or the reverse.
    Plan,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfTurn => "the session was called out of turn",
            Self::Buffer => "the buffer lent to the session has the wrong size",
            Self::Plan => "the plan of a fetch breaks the protocol's rules on record size, offset and digest",
        })
    }
}

impl core::error::Error for Misuse {}
