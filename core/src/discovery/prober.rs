//! Solicits senders and schedules probes of peers (protocol.md, section 3.4).
//!
//! The caller passes in every beacon, sends what [`Prober::poll_transmit`] returns, and for each [`Probe`]
//! connects, shakes hands and lists. It reports the result of every probe exactly once, with
//! [`Prober::handle_probe`]. After every call: drain `poll_event`, then `poll_transmit`, then `poll_probe`,
//! then sleep until `poll_timeout`.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use heapless::Vec;
use rand_core::CryptoRng;

use super::Arrival;
use super::peer::{Peer, Standing, same_host};
use super::probe_limiter::{ProbeLimiter, is_default};
use super::sightings::Sightings;
use super::solicit_schedule::SolicitSchedule;
use crate::limits::{
    HEARD_AGAIN_AFTER, LOST_AFTER, LOST_RETRY, PEERS_PER_ADDRESS, PROBE_BUSY_MAX, PROBE_BUSY_MIN,
    PROBE_JITTER_MAX, PROBE_JITTER_PER_PEER, PROBE_NO_BUDGET, PROBES_IN_FLIGHT, RELIST_EVERY,
    STRANGER_MEMORY, STRANGER_MEMORY_MAX, TCP_PORT_MIN,
};
use crate::random::{below, up_to};
use crate::time::Instant;
use crate::token::Instance;
use crate::trace::{decision, detail};
use crate::wire::{Beacon, BeaconKind};

/// A probe to make: connect, shake hands, list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The address to connect to.
    pub peer: SocketAddr,
    /// The instance to expect in the greeting.
    pub instance: Instance,
    /// Deadline for the connect.
    pub connect_by: Instant,
}

/// The result of a probe (protocol.md, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ProbeResult {
    /// Listed: it is a member.
    Listed {
        /// The revision of the list.
        revision: u32,
    },
    /// It did not accept message 4: "not a member".
    NotMember,
    /// It is busy.
    Busy {
        /// Its retry-after.
        retry_after: Duration,
    },
    /// No connection, a reset, or another instance.
    Failed,
    /// Our own guess budget is spent.
    NoBudget,
}

/// A change of a known member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// A member is lost at every address.
    Lost {
        /// The member.
        instance: Instance,
    },
    /// A member is lost at one address, but was listed at another.
    Moved {
        /// The member.
        instance: Instance,
        /// The lost address.
        from: SocketAddr,
        /// The other address.
        to: SocketAddr,
    },
}

/// While a probe has to wait for a limit, its turn is looked for again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A prober with a table of `P` peers, and a memory of `S` unknown ones.
pub struct Prober<const P: usize, const S: usize> {
    own: Instance,
    solicits: SolicitSchedule,
    peers: Vec<Peer, P>,
    contacts: ProbeLimiter<P>,
    sightings: Sightings<S>,
    /// A limit holds probes back until then.
    held: Option<Instant>,
    /// Beacons of unknown peers for which there was no room.
    turned_away: u32,
}

impl<const P: usize, const S: usize> Prober<P, S> {
    /// A prober without peers, which solicits at once. Ignores beacons of `own`, the instance of this
    /// process.
    pub fn new(now: Instant, own: Instance) -> Self {
        Self {
            own,
            solicits: SolicitSchedule::new(now),
            peers: Vec::new(),
            contacts: ProbeLimiter::new(now),
            sightings: Sightings::new(),
            held: None,
            turned_away: 0,
        }
    }

    /// Handles a beacon.
    pub fn handle_beacon(&mut self, now: Instant, via: &Arrival, beacon: &Beacon, rng: &mut impl CryptoRng) {
        if beacon.kind == BeaconKind::Solicit || beacon.instance == self.own {
            return;
        }
        if beacon.port < TCP_PORT_MIN || !via.counts() {
            decision!(
                "discovery: beacon from {} ignored: attached {}, loopback {}, port {}",
                via.from,
                via.attached,
                via.loopback,
                beacon.port
            );
            return;
        }
        detail!("discovery: {:?} from {}, revision {}", beacon.kind, via.from, beacon.revision);
        let address = address_of(via.from, beacon.port);
        let answer = beacon.kind == BeaconKind::Answer && self.solicits.asked(now);
        let known = self.peers.iter().position(|p| p.is(address, beacon.instance));
        // Forged peers do not count: they would delay a real one.
        let senders = self.peers.iter().filter(|p| p.standing != Standing::New).count();
        let spread = u32::try_from(senders).unwrap_or(u32::MAX).saturating_add(1);
        let jitter = up_to(rng, PROBE_JITTER_PER_PEER.saturating_mul(spread).min(PROBE_JITTER_MAX));
        let soon = if answer { now } else { now + jitter };

        if let Some(peer) = known.and_then(|at| self.peers.get_mut(at)) {
            // Sooner it is not noted at all: copies that follow each other closely would hide a repetition.
            if now.since(peer.heard) >= HEARD_AGAIN_AFTER {
                peer.again = true;
                peer.heard = now;
            }
            let before = core::mem::replace(&mut peer.revision, beacon.revision);
            match (peer.standing, beacon.kind) {
                // A repetition. A farewell with another revision counts as a change, because the first may
                // have been forged to suppress the real one.
                (Standing::Member { .. }, BeaconKind::Farewell) if peer.left && before == beacon.revision => {
                }
                (Standing::Member { .. }, BeaconKind::Farewell) if !peer.left => {
                    peer.left = true;
                    peer.left_again = peer.in_flight;
                    peer.probe_at = Some(now);
                }
                (Standing::Member { revision }, _) if revision != beacon.revision => {
                    let earliest = peer.probed.map_or(now, |at| at + RELIST_EVERY);
                    peer.sooner(soon.max(earliest));
                }
                (Standing::New, BeaconKind::Answer) if answer && peer.probed.is_none() => peer.sooner(now),
                _ => {}
            }
        } else if beacon.kind == BeaconKind::Farewell {
            // A farewell of an unknown peer.
        } else {
            let again = self.sightings.again(now, address, beacon.instance, rng);
            if !self.make_room(now, address, again, rng) {
                decision!("discovery: no room for peer {}", address);
                self.turned_away = self.turned_away.wrapping_add(1);
                return;
            }
            decision!("discovery: new peer {}, to be probed in {} ms", address, now.until(soon).as_millis());
            let mut peer = Peer::new(now, address, beacon.instance, beacon.revision);
            peer.probe_at = Some(soon);
            peer.again = again;
            peer.tried = self.contacts.tried(address.ip());
            peer.blocked = self.peers.iter().any(|p| p.in_flight && same_lane(&p.address, &address));
            // There is room: an entry was just freed.
            let _ = self.peers.push(peer);
        }
    }

    /// The next beacon to send on every interface.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Beacon> {
        self.solicits.poll(now).then_some(Beacon {
            kind: BeaconKind::Solicit,
            port: 0,
            instance: self.own,
            revision: 0,
        })
    }

    /// Restarts the solicits, after an interface has come up.
    pub fn resolicit(&mut self, now: Instant) {
        self.solicits.restart(now);
    }

    /// The next probe to make. Call until `None`.
    pub fn poll_probe(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<Probe> {
        // Forgets peers that never were members and have fallen silent.
        self.peers.retain(|p| {
            p.is_member()
                || p.standing == Standing::Lost
                || !p.silent(now)
                || p.due().is_none_or(|at| at > now)
        });
        loop {
            let at = self.choose(now, rng)?;
            let peer = self.peers.get_mut(at)?;
            if !peer.is_member()
                && let Err(later) = self.contacts.connect(now, peer.address, peer.rank() < 2)
            {
                decision!("discovery: probe of {} put off: too many connects", peer.address);
                peer.probe_at = Some(later);
                continue;
            }
            peer.probe_at = None;
            peer.probed = Some(now);
            peer.in_flight = true;
            peer.jitter = u8::try_from(below(rng, 256)).unwrap_or(0);
            let Peer { address, instance, .. } = *peer;
            let connect_by = peer.connect_by(now);
            self.mark(&address, true, true);
            return Some(Probe { peer: address, instance, connect_by });
        }
    }

    /// Notes whether the lane of this address is in use, and whether a connect there is in vain so far.
    fn mark(&mut self, address: &SocketAddr, in_use: bool, tried: bool) {
        for peer in self.peers.iter_mut().filter(|p| same_host(&p.address, address)) {
            peer.tried = tried;
            if same_lane(&peer.address, address) {
                peer.blocked = in_use;
            }
        }
    }

    /// Handles the result of a probe.
    pub fn handle_probe(&mut self, now: Instant, probe: &Probe, outcome: ProbeResult) {
        let mine = |p: &Peer| p.in_flight && p.is(probe.peer, probe.instance);
        let Some(at) = self.peers.iter().position(mine) else { return };
        let Some(peer) = self.peers.get_mut(at) else { return };
        peer.in_flight = false;
        decision!("discovery: probe of {}: {:?}", peer.address, outcome);
        let again = core::mem::take(&mut peer.left_again);
        if !peer.is_member() && outcome != ProbeResult::Failed {
            self.contacts.answered(now, peer.address);
        }
        match outcome {
            ProbeResult::Listed { revision } => {
                let news = peer.is_member() && peer.revision != revision;
                peer.standing = Standing::Member { revision };
                peer.heard = now;
                peer.failures = 0;
                // A probe that became due meanwhile stays due, unless this list has the news.
                peer.probe_at = peer.probe_at.filter(|_| again || news);
            }
            ProbeResult::NotMember if !peer.is_member() => {
                peer.standing = Standing::Stranger;
                peer.failures = 0;
                let doubled = STRANGER_MEMORY.saturating_mul(1 << peer.refusals.min(16));
                let wait = doubled.min(STRANGER_MEMORY_MAX);
                peer.refusals = peer.refusals.saturating_add(1);
                // Jitter, because listeners that met a server together would retry together (thundering
                // herd).
                peer.probe_at = Some(now + wait + peer.part_of(wait / 4));
            }
            // From a member this proves nothing: an attacker on the path can close a connection.
            ProbeResult::Failed | ProbeResult::NotMember => {
                peer.failures = peer.failures.saturating_add(1);
                if peer.failures < LOST_AFTER {
                    let jitter = if peer.is_member() { Duration::ZERO } else { peer.part_of(LOST_RETRY) };
                    peer.probe_at = Some(now + LOST_RETRY + jitter);
                } else if peer.is_member() {
                    peer.standing = Standing::Lost;
                } else {
                    self.peers.swap_remove(at);
                }
            }
            ProbeResult::Busy { retry_after } => {
                let wait = retry_after.clamp(PROBE_BUSY_MIN, PROBE_BUSY_MAX);
                peer.probe_at = Some(now + wait + peer.part_of(wait));
            }
            ProbeResult::NoBudget => {
                peer.probe_at = Some(now + PROBE_NO_BUDGET + peer.part_of(PROBE_NO_BUDGET));
            }
        }
        self.mark(&probe.peer, false, outcome == ProbeResult::Failed);
    }

    /// The next change of a member. Call until `None`.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        let at = self.peers.iter().position(|p| p.standing == Standing::Lost)?;
        let Peer { instance, address: from, .. } = self.peers.swap_remove(at);
        let other = self.peers.iter().find(|p| p.instance == instance && p.is_member());
        Some(match other {
            Some(other) => PeerEvent::Moved { instance, from, to: other.address },
            None => PeerEvent::Lost { instance },
        })
    }

    /// When to poll again, unless something happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let probes = self.peers.iter().filter_map(Peer::due).min();
        Instant::earliest(self.solicits.next(), probes.map(|at| self.held.map_or(at, |held| at.max(held))))
    }

    /// The known peers.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(|p| p.standing != Standing::Lost)
    }

    /// How many peers were not probed yet although their probe has been due for `span` or longer.
    pub fn overdue(&self, now: Instant, span: Duration) -> usize {
        let late = |p: &&Peer| p.probe_at.is_some_and(|at| at + span <= now);
        self.peers.iter().filter(|p| p.standing == Standing::New && p.probed.is_none()).filter(late).count()
    }

    /// How many beacons of unknown peers found no room in the table, modulo 2^32.
    pub const fn turned_away(&self) -> u32 {
        self.turned_away
    }

    /// The ports of the known peers at an address, once per instance.
    pub fn ports_of(&self, ip: IpAddr) -> impl Iterator<Item = u16> {
        let ip = ip.to_canonical();
        self.peers().filter(move |p| p.address.ip() == ip).map(|p| p.address.port())
    }

    /// Picks the peer to probe: the member that is due longest, else a random one of the lowest rank. A rank
    /// above 0 leaves a share of the connects and of the places to those below it.
    fn choose(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<usize> {
        let free = PROBES_IN_FLIGHT.saturating_sub(self.peers.iter().filter(|p| p.in_flight).count());
        let free = u32::try_from((free * 4).div_ceil(PROBES_IN_FLIGHT)).unwrap_or(0);
        let quarters = self.contacts.quarters(now).min(free);
        let mut draw = Draw::default();
        let mut held = false;
        for (at, peer) in self.peers.iter().enumerate() {
            let Some(due) = peer.due().filter(|due| *due <= now) else { continue };
            if peer.is_member() && free > 0 {
                draw.add(at, u64::MAX - due.as_millis(), rng);
            } else if peer.rank() < quarters {
                draw.add(at, u64::from(4 - peer.rank()), rng);
            } else {
                held = true;
            }
        }
        self.held = held.then(|| now + LOOK_AGAIN);
        draw.chosen
    }

    /// Evicts a peer to make room for one at `address`, if possible and if that was heard `again`.
    ///
    /// Eviction order: first within the address, so that a flood from one forged address evicts only itself;
    /// then peers that were not listed yet, those heard once before others; then strangers, then silent
    /// members. A member that gives signs of life stays.
    fn make_room(
        &mut self,
        now: Instant,
        address: SocketAddr,
        again: bool,
        rng: &mut impl CryptoRng,
    ) -> bool {
        let same =
            |p: &Peer| same_host(&p.address, &address) && !p.is_member() && p.standing != Standing::Lost;
        // A full table needs no count.
        let crowd = (again || !self.peers.is_full())
            && self.peers.iter().filter(|p| same(p)).count() >= PEERS_PER_ADDRESS.min(P / 2);
        if !crowd && !self.peers.is_full() {
            return true;
        }
        if !again {
            return false;
        }
        let mut draw = Draw::default();
        for (at, peer) in self.peers.iter().enumerate().filter(|(_, p)| !p.in_flight && (!crowd || same(p))) {
            let silent = peer.silent(now);
            match peer.standing {
                Standing::New if silent => draw.add(at, 8, rng),
                Standing::New => draw.add(at, u64::from(3 + peer.rank()), rng),
                Standing::Stranger => draw.add(at, 2, rng),
                Standing::Member { .. } if silent => draw.add(at, 1, rng),
                _ => {}
            }
        }
        let Some(at) = draw.chosen else { return false };
        match self.peers.get_mut(at) {
            // Its loss is reported first; the new peer will announce itself again.
            Some(peer) if peer.is_member() => {
                peer.standing = Standing::Lost;
                false
            }
            _ => {
                self.peers.swap_remove(at);
                true
            }
        }
    }
}

/// A random one of those with the highest weight, uniformly.
#[derive(Default)]
struct Draw {
    chosen: Option<usize>,
    weight: u64,
    among: u32,
}

impl Draw {
    fn add(&mut self, at: usize, weight: u64, rng: &mut impl CryptoRng) {
        if weight > self.weight {
            (self.weight, self.among) = (weight, 0);
        }
        if weight == self.weight {
            self.among = self.among.saturating_add(1);
            if below(rng, self.among) == 0 {
                self.chosen = Some(at);
            }
        }
    }
}

/// The address of a peer whose beacon came from `from`. Keeps the scope of a link-local address.
fn address_of(from: SocketAddr, port: u16) -> SocketAddr {
    match from {
        SocketAddr::V6(mut v6) if v6.ip().to_ipv4_mapped().is_none() => {
            v6.set_flowinfo(0);
            v6.set_port(port);
            SocketAddr::V6(v6)
        }
        _ => SocketAddr::new(from.ip().to_canonical(), port),
    }
}

/// Whether two addresses share a lane, which has one probe at a time. Each address has two: its default ports,
/// and all others. So a forged beacon that names a silent service of a sender's host does not delay the probe
/// of the sender (decision 0012).
fn same_lane(a: &SocketAddr, b: &SocketAddr) -> bool {
    is_default(a.port()) == is_default(b.port()) && same_host(a, b)
}

#[cfg(test)]
mod tests;
