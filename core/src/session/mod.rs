//! One connection, seen from either end, as a state machine without a socket.
//!
//! Every message of the protocol has a size that both ends know before it arrives, so a front end
//! reads exactly [`wants`](ServerSession::wants) bytes into a buffer of its own and hands them over.
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
mod server;
mod serving;

pub use batch::{Batch, BatchOpener, BatchSealer, Content};
pub use client::{ClientEvent, ClientSession, FetchPlan};
pub use client_error::ClientError;
pub use handshake::{Channel, ClientHandshake, HandshakeError, ServerHandshake};
pub use server::{Read, ServerEvent, ServerSession};
pub use serving::{Opened, Serving};

use core::fmt;

use crate::limits::{Profile, RECORD_OVERHEAD};

/// The buffer a session with this profile needs for messages in one direction.
pub const fn buffer_len(profile: &Profile) -> usize {
    profile.record_max as usize + RECORD_OVERHEAD
}

/// How to close a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// In order: the peer reads all that was sent, then the end.
    Clean,
    /// By a reset, so that the peer draws no conclusion from the close.
    Reset,
}

/// The front end called something out of turn, or lent too small a buffer. Not the peer's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// How a drop's bytes from `offset` on are cut into records of `record` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RecordLayout {
    /// Where the final record begins; all before it are full data records.
    last_at: u64,
    /// Bytes in the final record: 1 to R, or 0 for an empty drop.
    last_len: u32,
}

impl RecordLayout {
    /// `offset` is below `size`, or both are 0; `record` is not 0.
    fn new(offset: u64, size: u64, record: u32) -> Self {
        let remaining = size.saturating_sub(offset);
        let record_len = u64::from(record.max(1));
        let full = remaining.saturating_sub(1) / record_len;
        let last_at = offset.saturating_add(full.saturating_mul(record_len));
        // What is left is at most `record`, which is a u32.
        Self { last_at, last_len: u32::try_from(size.saturating_sub(last_at)).unwrap_or(record) }
    }
}

/// The data record size for a drop: no larger than either side takes, no larger than it needs.
fn record_size(ours: u32, theirs: u32, size: u64) -> u32 {
    let needed = u32::try_from(size).ok().and_then(u32::checked_next_power_of_two).unwrap_or(u32::MAX);
    let most = ours.min(theirs).min(crate::limits::RECORD_MAX);
    // Theirs may be anything above the minimum: the greatest power of two within it.
    let most = 1_u32 << most.max(1).ilog2();
    most.min(needed.max(crate::limits::RECORD_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_record_holds_what_is_left_and_never_nothing() {
        for (offset, size, record, last_at, last_len) in [
            (0, 0, 512, 0, 0),
            (0, 1, 512, 0, 1),
            (0, 512, 512, 0, 512),
            (0, 513, 512, 512, 1),
            (0, 65_535, 65_536, 0, 65_535),
            (0, 65_536, 65_536, 0, 65_536),
            (0, 65_537, 65_536, 65_536, 1),
            (100, 700, 512, 612, 88),
            (0, u64::MAX, 65_536, u64::MAX - 65_535, 65_535),
        ] {
            assert_eq!(
                RecordLayout::new(offset, size, record),
                RecordLayout { last_at, last_len },
                "{offset} {size} {record}"
            );
        }
    }

    #[test]
    fn record_sizes_fit_both_sides_and_the_drop() {
        for (ours, theirs, size, record) in [
            (65_536, 65_536, 0, 512),
            (65_536, 65_536, 512, 512),
            (65_536, 65_536, 513, 1_024),
            (65_536, 65_536, u64::MAX, 65_536),
            (65_536, 1_024, 1 << 30, 1_024),
            (1_024, 65_536, 1 << 30, 1_024),
            (65_536, 1_500, 1 << 30, 1_024),
            (65_536, u32::MAX, 1 << 30, 65_536),
        ] {
            assert_eq!(record_size(ours, theirs, size), record, "{ours} {theirs} {size}");
        }
    }
}
