//! One connection as a sans-IO state machine: the handshake, and the client's end.
//!
//! The server's end is [`ServerSession`](crate::exchange::server::ServerSession), which shares the table of
//! drops and the guard with all others of its [`Server`](crate::exchange::Server). Both are driven in the
//! same way.
//!
//! Every message has a size that both ends know before it arrives (decision 0002). So a front end reads
//! exactly [`wants`](ClientSession::wants) bytes into a buffer of its own and passes them in. The loop that
//! drives a session, at either end:
//!
//! 1. `poll_transmit` until `None`, writing out each message;
//! 2. on a server, `poll_read`: pass the bytes that it asks for to `handle_read`, and write out the result;
//! 3. `closing`: if it is `Some`, close the connection that way and call `closed`;
//! 4. wait for as many bytes as `wants` names (`handle_message`), for the peer's close (`handle_close`), or
//!    for the deadline of `poll_timeout` (`handle_timeout`); then continue at 1.
//!
//! Messages go to the peer whole and in that order. Secrets never leave a session, except the key of one
//! direction of a stream, which a front end with several cores may borrow to seal or open a [`Batch`] of
//! records.

mod batch;
mod client;
mod client_error;
mod handshake;
mod layout;

pub use batch::{Batch, BatchOpener, BatchSealer, Content};
pub use client::{ClientEvent, ClientSession, FetchPlan};
pub use client_error::ClientError;
pub use handshake::{Channel, ClientHandshake, HandshakeError, ServerHandshake, ServerShare};

use core::fmt;

pub(crate) use layout::{RecordLayout, record_size};

use crate::limits::{Profile, RECORD_OVERHEAD};

/// Length of the buffer that a session with this profile needs per direction.
pub const fn buffer_len(profile: &Profile) -> usize {
    profile.record_max as usize + RECORD_OVERHEAD
}

/// How to close a connection (protocol.md, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Close {
    /// Gracefully (FIN): the peer reads all that was sent, then the end.
    Clean,
    /// By a reset (RST), from which the peer concludes nothing about membership.
    Reset,
}

/// The front end broke the API: a call out of turn, or a buffer of the wrong size. Never caused by the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Misuse {
    /// The call is not legal in the state of the session.
    OutOfTurn,
    /// The buffer has not the size that the session asked for.
    Buffer,
    /// The plan is illegal: a record size below the minimum, or only one of offset and digest.
    Plan,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfTurn => "the session was called out of turn",
            Self::Buffer => "the buffer passed to the session has the wrong size",
            Self::Plan => "the plan of a fetch breaks the protocol's rules on record size, offset and digest",
        })
    }
}

impl core::error::Error for Misuse {}
