//! What a server and its sessions report.

use crate::drops::DropEvent;
use crate::guard::Warning;
use crate::token::{ConnId, Token};

/// An event of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// This connection goes on or is to be closed: call its [`handle_wake`](super::ServerSession::handle_wake).
    Wake(ConnId),
    /// The passphrase seems to be under a guessing attack.
    Warning(Warning),
    /// An event of a drop.
    Drop(DropEvent),
}

/// The result of a message of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The peer has proved that it is a member.
    Member,
    /// The peer has committed: it holds the whole drop.
    Fetched {
        /// The drop.
        token: Token,
    },
}
