//! A sender process, with the table sizes of the host's program.

use deaddrop_core::discovery::Advertiser;
use deaddrop_core::drops::{DropSpec, Drops, Fetches};
use deaddrop_core::guard::Guard;
use deaddrop_core::limits::{FETCHES_MAX, HOST, TTL_MAX};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::token::{Instance, Token};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::queue::{Micros, instant};

/// Sources of solicits remembered.
pub(crate) const ANSWERED: usize = 256;
/// Drops of one process.
pub(crate) const DROPS: usize = 16;
/// Sources the guard remembers.
pub(crate) const SOURCES: usize = 1_024;
/// Connections that the guard tracks.
pub(crate) const CONNECTIONS: usize = HOST.unauthenticated + HOST.parked;
/// The port of every sender, each on its own host.
pub(crate) const PORT: u16 = deaddrop_core::limits::TCP_PORT_FIRST;

/// In which part of a run a process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The start of all hosts.
    Start,
    /// A new offer in steady state, or a late listener.
    Watched,
    /// A short-lived message.
    Passing,
}

/// Its state while it runs.
pub(crate) struct Running {
    pub(crate) advertiser: Box<Advertiser<ANSWERED>>,
    pub(crate) guard: Box<Guard<SOURCES, CONNECTIONS>>,
    pub(crate) drops: Box<Drops<DROPS, FETCHES_MAX>>,
    pub(crate) token: Token,
}

/// One process.
pub(crate) struct Sender {
    pub(crate) host: usize,
    pub(crate) room: usize,
    pub(crate) part: Part,
    /// Since when its offer is there.
    pub(crate) ready: Micros,
    /// `None` once it has exited.
    pub(crate) running: Option<Running>,
    /// The latest timer; earlier ones are ignored.
    pub(crate) wake: Micros,
    /// Connections that wait to be accepted.
    pub(crate) backlog: usize,
    /// Announcements since the last change.
    pub(crate) said: u32,
    pub(crate) counts: Counts,
}

/// Counts of a sender's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// SYNs dropped because the backlog was full.
    pub(crate) overflowed: u64,
    /// Greeted with busy.
    pub(crate) busy: u64,
    /// Evicted.
    pub(crate) evicted: u64,
    /// Guess tokens taken.
    pub(crate) taken: u64,
    /// Parked.
    pub(crate) parked: u64,
    /// Refused after message 2, or evicted while parked.
    pub(crate) refused: u64,
    /// Handshakes with members.
    pub(crate) confirmed: u64,
    /// Guess tokens spent.
    pub(crate) failed: u64,
    /// Connections that timed out: message 2 or 4 did not come.
    pub(crate) late: u64,
    /// The longest that a member was parked.
    pub(crate) longest: Micros,
}

impl Counts {
    /// Combines each count with another's.
    pub(crate) fn with(&self, other: &Self, join: fn(u64, u64) -> u64) -> Self {
        Self {
            overflowed: join(self.overflowed, other.overflowed),
            busy: join(self.busy, other.busy),
            evicted: join(self.evicted, other.evicted),
            taken: join(self.taken, other.taken),
            parked: join(self.parked, other.parked),
            refused: join(self.refused, other.refused),
            confirmed: join(self.confirmed, other.confirmed),
            failed: join(self.failed, other.failed),
            late: join(self.late, other.late),
            longest: join(self.longest, other.longest),
        }
    }
}

impl Sender {
    /// Has one drop, as of now.
    pub(crate) fn start(
        now: Micros,
        number: usize,
        (host, room): (usize, usize),
        part: Part,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        // The sender's number, as its instance.
        let mut name = [0; 8];
        let (low, high) = name.split_at_mut(4);
        low.copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
        high.copy_from_slice(&rng.next_u32().to_be_bytes());
        let instance = Instance::from_bytes(name);
        let mut drops = Box::new(Drops::new(rng));
        let spec = DropSpec {
            kind: Kind::Message,
            name: Name::default(),
            size: 11,
            ttl: TTL_MAX,
            fetches: Fetches::Counted(1),
        };
        let token = drops.put(instant(now), spec, rng).unwrap();
        let advertiser = Box::new(Advertiser::new(instance));
        let guard = Box::new(Guard::new(&HOST, instant(now)));
        let running = Some(Running { advertiser, guard, drops, token });
        let counts = Counts::default();
        Self { host, room, part, ready: now, running, wake: Micros::MAX, backlog: 0, said: 0, counts }
    }

    /// The sender with this instance.
    pub(crate) fn number(instance: Instance) -> usize {
        let [a, b, c, d, ..] = *instance.as_bytes();
        u32::from_be_bytes([a, b, c, d]) as usize
    }
}
