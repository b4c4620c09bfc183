//! A listener process, with the table sizes of the host's program.

use deaddrop_core::discovery::{Arrival, Browser};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::token::Instance;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::queue::{Micros, instant, micros};
use crate::sender::{Part, Sender};

/// Senders remembered.
pub(crate) const PEERS: usize = 1_024;
/// Senders that were heard once and are not remembered otherwise.
pub(crate) const SIGHTINGS: usize = 16_384;
/// Offers remembered.
pub(crate) const OFFERS: usize = 1_024;
/// Addresses whose unconfirmed handshakes are remembered.
pub(crate) const ADDRESSES: usize = 256;

/// One process.
pub(crate) struct Listener {
    pub(crate) host: usize,
    pub(crate) room: usize,
    pub(crate) part: Part,
    pub(crate) browser: Box<Browser<PEERS, OFFERS, SIGHTINGS>>,
    pub(crate) guard: Box<ClientGuard<ADDRESSES>>,
    /// When it started.
    pub(crate) since: Micros,
    /// The latest timer; earlier ones are ignored.
    pub(crate) wake: Micros,
    /// Offers it has shown.
    pub(crate) shown: usize,
    /// One bit for each sender whose offer it has shown.
    seen: Vec<u64>,
    pub(crate) counts: Counts,
}

/// Results of probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Probes started.
    pub(crate) probes: u64,
    /// Of those: a member, and listed.
    pub(crate) listed: u64,
    /// Of those: not a member.
    pub(crate) strangers: u64,
    /// Of those: the sender was busy.
    pub(crate) busy: u64,
    /// Of those: no connection, or a reset.
    pub(crate) failed: u64,
    /// Of those: the guess budget was spent.
    pub(crate) no_budget: u64,
}

impl Listener {
    /// Starts now.
    pub(crate) fn start(now: Micros, (host, room): (usize, usize), part: Part, rng: &mut ChaCha8Rng) -> Self {
        let mut name = [0xff; 8];
        let (_, low) = name.split_at_mut(4);
        low.copy_from_slice(&rng.next_u32().to_be_bytes());
        Self {
            host,
            room,
            part,
            browser: Box::new(Browser::new(instant(now), Instance::from_bytes(name))),
            guard: Box::new(ClientGuard::new(instant(now))),
            since: now,
            wake: Micros::MAX,
            shown: 0,
            seen: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Its next deadline.
    pub(crate) fn due(&self) -> Option<Micros> {
        self.browser.poll_timeout().map(micros)
    }

    /// Marks the offer of a sender as shown; false if it was already.
    pub(crate) fn see(&mut self, sender: usize) -> bool {
        let (word, bit) = (sender / 64, 1_u64 << (sender % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let before = self.seen[word];
        self.seen[word] |= bit;
        before & bit == 0
    }

    /// Whether two processes share a room.
    pub(crate) fn is_member_of(&self, sender: &Sender) -> bool {
        self.room == sender.room
    }
}

/// How a beacon of another host arrives.
pub(crate) fn arrival(from: std::net::SocketAddr) -> Arrival {
    Arrival { from, attached: true, loopback: false }
}
