//! What a client needs to show senders that it is a member of their room.

use std::sync::{Arc, Mutex};

use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::guard::ClientGuard;

use crate::address::Address;
use crate::clock;
use crate::lock::lock;

/// Addresses whose unconfirmed handshakes are remembered.
const ADDRESSES: usize = 256;

/// The core's client guard, with a host's capacity.
pub(crate) type HostClientGuard = ClientGuard<ADDRESSES>;

/// The room's password-related string, and the guard that limits how often a fake sender may test guesses of it on us.
pub(crate) struct Credentials {
    pub(crate) prs: Prs,
    pub(crate) guard: Mutex<HostClientGuard>,
    /// Cloned by each connection that a server may have parked.
    pub(crate) parked: Arc<()>,
}

impl Credentials {
    pub(crate) fn new(room: &RoomSecret) -> Self {
        Self { prs: room.prs(), guard: Mutex::new(ClientGuard::new(clock::now())), parked: Arc::default() }
    }

    /// Whether a server may have parked one of our connections.
    pub(crate) fn are_parked(&self) -> bool {
        Arc::strong_count(&self.parked) > 1
    }

    /// Whether a handshake with this address may be tried now (section 4.5).
    pub(crate) fn may_try(&self, address: Address) -> bool {
        lock(&self.guard).has(clock::now(), address.to_source())
    }
}
