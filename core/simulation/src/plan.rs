//! The plan of a run: hosts, rooms, network and schedule.

use crate::network::Net;
use crate::queue::{MILLI, Micros, SECOND};

/// One run. The same plan gives the same run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Hosts, each with a listener.
    pub(crate) hosts: usize,
    /// Rooms side by side; every host is in one.
    pub(crate) rooms: usize,
    /// The network model.
    pub(crate) net: Net,
    /// The seed of all randomness.
    pub(crate) seed: u64,
    /// Hosts that also send, in percent; at least one of every room.
    pub(crate) senders: usize,
    /// Messages that every host sends in an hour in steady state: each is a process of its own that ends
    /// after [`MESSAGE_LIVES`].
    pub(crate) messages: usize,
    /// Time after the start before the steady state is measured.
    pub(crate) settle: Micros,
    /// Length of the steady-state measurement.
    pub(crate) calm: Micros,
}

/// Within this, all listeners and senders start.
pub(crate) const START_WITHIN: Micros = SECOND;
/// New offers in steady state, one after another.
pub(crate) const FRESH: usize = 5;
/// Listeners that join late, one after another.
pub(crate) const LATE: usize = 5;
/// Time between two of those.
pub(crate) const STEP: Micros = 7 * SECOND + 130 * MILLI;
/// Lifetime of a short-lived message, until it is fetched.
pub(crate) const MESSAGE_LIVES: Micros = 20 * SECOND;

impl Plan {
    /// A plan with the usual times. A room has at least two hosts, so there may be fewer rooms than asked
    /// for.
    pub(crate) fn new(hosts: usize, rooms: usize, net: Net, seed: u64) -> Self {
        let rooms = rooms.clamp(1, (hosts / 2).max(1));
        Self { hosts, rooms, net, seed, senders: 10, messages: 0, settle: 60 * SECOND, calm: 60 * SECOND }
    }

    /// Hosts that send from the start.
    pub(crate) fn first_senders(&self) -> usize {
        (self.hosts * self.senders / 100).max(self.rooms).min(self.hosts)
    }

    /// Hosts in all, those that join late among them.
    pub(crate) fn all_hosts(&self) -> usize {
        self.hosts + LATE
    }

    /// The room of a host.
    pub(crate) fn room(&self, host: usize) -> usize {
        host % self.rooms
    }

    /// End of the steady-state measurement.
    pub(crate) fn calm_end(&self) -> Micros {
        self.settle + self.calm
    }

    /// Start of the new offer number `n`.
    pub(crate) fn fresh_at(&self, n: usize) -> Micros {
        self.calm_end() + STEP * u64::try_from(n).unwrap_or(0)
    }

    /// Start of the late listener number `n`.
    pub(crate) fn late_at(&self, n: usize) -> Micros {
        self.fresh_at(FRESH + n)
    }

    /// End of the run.
    pub(crate) fn end(&self) -> Micros {
        self.late_at(LATE) + 5 * SECOND
    }
}
