//! How far the receivers of a drop have come.

use std::sync::{Arc, Weak};

use deaddrop_core::token::Token;

use crate::address::Address;
use crate::serve::server::Server;

/// How far the receivers of a [`Sender`](super::Sender) have come. Can be read at any time, in any
/// thread.
#[derive(Clone)]
pub struct SenderProgress {
    /// Weak, so that a drop is wiped with its sender.
    server: Weak<Server>,
    token: Token,
}

/// How far a receiver has come that holds a claim on the drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiverProgress {
    /// The receiver's address.
    pub by: Address,
    /// Tells its connection from those of other receivers at that address.
    pub connection: u32,
    /// How many bytes of the drop it says are stored, counted from the drop's start. It says so every 3 seconds; 0
    /// until it has on this connection.
    pub stored: u64,
}

impl SenderProgress {
    pub(super) fn new(server: &Arc<Server>, token: Token) -> Self {
        Self { server: Arc::downgrade(server), token }
    }

    /// The receivers that hold a claim now, the oldest connection first; none once the sender is gone.
    pub fn receivers(&self) -> Vec<ReceiverProgress> {
        let Some(server) = self.server.upgrade() else { return Vec::new() };
        let mut receivers: Vec<_> = server
            .receivers(&self.token)
            .into_iter()
            .map(|(conn, by, stored)| ReceiverProgress { by, connection: conn.0, stored })
            .collect();
        receivers.sort_by_key(|receiver| receiver.connection);
        receivers
    }
}

impl std::fmt::Debug for SenderProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SenderProgress").field("token", &self.token).finish_non_exhaustive()
    }
}
