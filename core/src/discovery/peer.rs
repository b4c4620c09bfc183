//! A peer: a sender known from beacons (protocol.md, section 3.4).

use core::net::SocketAddr;
use core::time::Duration;

use crate::limits::{CONNECT_TIMEOUT, FIRST_CONNECT_TIMEOUT, SILENCE};
use crate::time::Instant;
use crate::token::Instance;

/// Its membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has not been listed yet.
    New,
    /// It was listed: a member of our room.
    Member {
        /// The revision of its list.
        revision: u32,
    },
    /// A stranger: it does not know the passphrase.
    Stranger,
    /// It was a member and is lost; kept until that is reported.
    Lost,
}

/// A peer, identified by address, port and instance together: a forged beacon that differs in any of them is
/// of another peer and redirects no probe.
#[derive(Clone, Debug)]
pub struct Peer {
    pub(super) address: SocketAddr,
    pub(super) instance: Instance,
    pub(super) standing: Standing,
    /// The revision of its last beacon.
    pub(super) revision: u32,
    /// When it last gave a sign of life.
    pub(super) heard: Instant,
    /// When to probe it next.
    pub(super) probe_at: Option<Instant>,
    /// When it was last probed.
    pub(super) probed: Option<Instant>,
    pub(super) in_flight: bool,
    /// A peer of its lane is being probed.
    pub(super) blocked: bool,
    /// Connects to its address reached no sender.
    pub(super) tried: bool,
    /// It was heard again some time after the first time.
    pub(super) again: bool,
    /// Probes that failed in a row.
    pub(super) failures: u8,
    /// How often it was a stranger, for the backoff.
    pub(super) refusals: u8,
    /// A farewell has been acted on.
    pub(super) left: bool,
    /// A farewell came while it was being probed.
    pub(super) left_again: bool,
    /// Jitter of the next retry, in 1/256, drawn for each probe.
    pub(super) jitter: u8,
}

impl Peer {
    pub(super) fn new(now: Instant, address: SocketAddr, instance: Instance, revision: u32) -> Self {
        Self {
            address,
            instance,
            standing: Standing::New,
            revision,
            heard: now,
            probe_at: None,
            probed: None,
            in_flight: false,
            blocked: false,
            tried: false,
            again: false,
            failures: 0,
            refusals: 0,
            left: false,
            left_again: false,
            jitter: 0,
        }
    }

    /// Its address and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its instance.
    pub fn instance(&self) -> Instance {
        self.instance
    }

    /// When it last gave a sign of life: a beacon or a list.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// Whether it was listed and is not lost.
    pub fn is_member(&self) -> bool {
        matches!(self.standing, Standing::Member { .. })
    }

    pub(super) fn is(&self, address: SocketAddr, instance: Instance) -> bool {
        // Compares the instance first, in which most peers differ.
        self.instance == instance && self.address == address && self.standing != Standing::Lost
    }

    /// Its rank among those that wait for a probe, the lower the sooner, from 0 to 3: first what was heard
    /// again, since forged beacons seldom are; first addresses at which no connect was in vain.
    pub(super) fn rank(&self) -> u32 {
        let once = !self.again && self.standing == Standing::New;
        u32::from(once) * 2 + u32::from(self.tried)
    }

    /// Deadline of a connect to it that starts now.
    pub(super) fn connect_by(&self, now: Instant) -> Instant {
        match (self.standing, self.failures) {
            (Standing::New, 0) => now + FIRST_CONNECT_TIMEOUT,
            _ => now + CONNECT_TIMEOUT,
        }
    }

    /// When its next probe is due, unless limits delay it.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.standing {
            Standing::Lost => None,
            _ if self.blocked => None,
            Standing::Member { .. } => self.probe_at.or(Some(self.heard + SILENCE)),
            Standing::New | Standing::Stranger => self.probe_at,
        }
    }

    pub(super) fn silent(&self, now: Instant) -> bool {
        now.since(self.heard) >= SILENCE
    }

    pub(super) fn sooner(&mut self, at: Instant) {
        self.probe_at = Instant::earliest(self.probe_at, Some(at));
    }

    /// Jitter: the drawn share of `span`.
    pub(super) fn part_of(&self, span: Duration) -> Duration {
        span * u32::from(self.jitter) / 256
    }
}

/// Whether two addresses differ in their ports alone.
#[inline(never)]
pub(super) fn same_host(a: &SocketAddr, b: &SocketAddr) -> bool {
    a.ip() == b.ip()
}
