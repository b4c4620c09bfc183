//! The discovery beacon.

use crate::token::Instance;

/// What a beacon says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeaconKind {
    /// A sender has live drops.
    Announce,
    /// A listener asks who is there.
    Solicit,
    /// A sender answers a listener.
    Answer,
    /// A sender's last drop has ended.
    Farewell,
}

/// One datagram of discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// What it says.
    pub kind: BeaconKind,
    /// The sender's TCP port; 0 in a solicit.
    pub port: u16,
    /// The process that sent it.
    pub instance: Instance,
    /// Redrawn whenever the sender's set of drops changes.
    pub revision: u32,
}
