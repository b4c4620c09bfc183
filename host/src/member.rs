//! A member of a room, as a client: what every connection to a sender needs.

use std::sync::Mutex;

use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::token::Instance;

use crate::clock;

/// Addresses whose unconfirmed handshakes are remembered.
const ADDRESSES: usize = 256;

/// The core's client guard, with a host's capacity.
pub(crate) type HostClientGuard = ClientGuard<ADDRESSES>;

/// What shows senders that we belong, and keeps fake ones from guessing much.
pub(crate) struct Member {
    /// From the passphrase.
    pub(crate) prs: Prs,
    /// Handshakes that went unconfirmed.
    pub(crate) guard: Mutex<HostClientGuard>,
    /// The name of this process, if it serves too.
    pub(crate) own: Option<Instance>,
}

impl Member {
    /// A member of this room.
    pub(crate) fn new(room: &RoomSecret, own: Option<Instance>) -> Self {
        Self { prs: room.prs(), guard: Mutex::new(ClientGuard::new(clock::now())), own }
    }
}
