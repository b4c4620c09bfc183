//! What every task needs beside the protocol tables: wake-ups, liveness, and the board's address.
//!
//! A connection takes this and not the whole [`AppState`](super::state::AppState), so that the code which moves bytes
//! does not depend on the code which decides what they mean.

use core::cell::Cell;
use core::time::Duration;

use deaddrop_core::time::Instant;
use embassy_net::Ipv4Cidr;

use super::liveness::Liveness;
use super::notify::Notify;

/// The board's address, and which one it is since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Online {
    /// `None` without a link or without an address.
    pub(super) network: Option<Ipv4Cidr>,
    /// Goes up with each change. A connection ends with the address it was opened on.
    pub(super) generation: u32,
}

/// Shared by all tasks of the app, which run on one executor task.
pub(super) struct TaskContext {
    /// Wakes the tasks that wait for a change of shared state.
    pub(super) notify: Notify,
    /// When each task last checked in.
    pub(super) liveness: Liveness,
    /// Written by the network task alone.
    pub(super) online: Cell<Online>,
    /// Set when the gateway is to be asked for an answer, see `silence`.
    pub(super) ask_gateway: Cell<bool>,
    /// Delay of handshake replies in milliseconds, see [`Settings::reply_delay`](super::Settings::reply_delay).
    pub(super) reply_delay: u64,
}

impl TaskContext {
    /// Offline, with every task checked in at `now`.
    pub(super) fn new(now: Instant, reply_delay: Duration) -> Self {
        Self {
            notify: Notify::new(),
            liveness: Liveness::new(now),
            online: Cell::new(Online { network: None, generation: 0 }),
            ask_gateway: Cell::new(false),
            reply_delay: u64::from(u32::try_from(reply_delay.as_millis()).unwrap_or(u32::MAX)),
        }
    }

    /// Whether the board has a link and an address.
    pub(super) const fn is_online(&self) -> bool {
        self.online.get().network.is_some()
    }
}
