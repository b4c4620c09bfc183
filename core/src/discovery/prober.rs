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
use super::peer::{Peer, Standing};
use super::probe_limiter::ProbeLimiter;
use super::solicit_schedule::SolicitSchedule;
use crate::limits::{
    LOST_AFTER, LOST_RETRY, PEERS_PER_ADDRESS, PROBE_BUSY_MAX, PROBE_BUSY_MIN, PROBE_JITTER_MAX,
    PROBE_JITTER_PER_PEER, PROBE_NO_BUDGET, PROBES_IN_FLIGHT, RELIST_EVERY,
};
use crate::limits::{STRANGER_MEMORY, STRANGER_MEMORY_MAX};
use crate::limits::{TCP_PORT_FIRST, TCP_PORT_LAST, TCP_PORT_MIN};
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

/// A prober with a table of `P` peers.
pub struct Prober<const P: usize> {
    own: Instance,
    solicits: SolicitSchedule,
    peers: Vec<Peer, P>,
    contacts: ProbeLimiter<P>,
}

impl<const P: usize> Prober<P> {
    /// A prober without peers, which solicits at once. Ignores beacons of `own`, the instance of this
    /// process.
    pub fn new(now: Instant, own: Instance) -> Self {
        Self { own, solicits: SolicitSchedule::new(now), peers: Vec::new(), contacts: ProbeLimiter::new() }
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
        let spread = u32::try_from(self.peers.len()).unwrap_or(u32::MAX).saturating_add(1);
        let jitter = up_to(rng, PROBE_JITTER_PER_PEER.saturating_mul(spread).min(PROBE_JITTER_MAX));
        let soon = if answer { now } else { now + jitter };

        if let Some(peer) = known.and_then(|at| self.peers.get_mut(at)) {
            peer.heard = peer.heard.max(now);
            let before = core::mem::replace(&mut peer.revision, beacon.revision);
            match (peer.standing, beacon.kind) {
                // A repetition. A farewell with another revision counts as a change, because the first may
                // have been forged to suppress the real one.
                (Standing::Member { .. }, BeaconKind::Farewell) if peer.left && before == beacon.revision => {
                }
                (Standing::Member { .. }, BeaconKind::Farewell) if !peer.left => {
                    peer.left = true;
                    peer.again = peer.in_flight;
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
        } else if self.make_room(now, address, rng) {
            decision!("discovery: new peer {}, to be probed in {} ms", address, now.until(soon).as_millis());
            let mut peer = Peer::new(now, address, beacon.instance, beacon.revision);
            peer.probe_at = Some(soon);
            // There is room: an entry was just freed.
            let _ = self.peers.push(peer);
        } else {
            decision!("discovery: no room for peer {}", address);
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
                && let Err(later) = self.contacts.connect(now, peer.address.ip(), peer.address.port())
            {
                decision!("discovery: probe of {} put off: too many connects", peer.address);
                peer.probe_at = Some(later);
                continue;
            }
            peer.probe_at = None;
            peer.probed = Some(now);
            peer.in_flight = true;
            peer.jitter = u8::try_from(below(rng, 256)).unwrap_or(0);
            return Some(Probe { peer: peer.address, instance: peer.instance });
        }
    }

    /// Handles the result of a probe.
    pub fn handle_probe(&mut self, now: Instant, probe: &Probe, outcome: ProbeResult) {
        let mine = |p: &Peer| p.in_flight && p.is(probe.peer, probe.instance);
        let Some(at) = self.peers.iter().position(mine) else { return };
        let Some(peer) = self.peers.get_mut(at) else { return };
        peer.in_flight = false;
        decision!("discovery: probe of {}: {:?}", peer.address, outcome);
        let again = core::mem::take(&mut peer.again);
        match outcome {
            ProbeResult::Listed { revision } => {
                let news = peer.is_member() && peer.revision != revision;
                peer.standing = Standing::Member { revision };
                self.contacts.proved(peer.address.ip(), peer.address.port());
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
        let probes = self.lanes_in_flight().and_then(|lanes| {
            // Most peers are not due soon, so only the next ones are checked against the lanes.
            self.peers.iter().fold(None, |first: Option<Instant>, p| match p.due() {
                Some(at) if first.is_none_or(|f| at < f) && !lanes.contains(&lane(p.address)) => Some(at),
                _ => first,
            })
        });
        Instant::earliest(self.solicits.next(), probes)
    }

    /// The known peers.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(|p| p.standing != Standing::Lost)
    }

    /// The ports of the known peers at an address, once per instance.
    pub fn ports_of(&self, ip: IpAddr) -> impl Iterator<Item = u16> {
        let ip = ip.to_canonical();
        self.peers().filter(move |p| p.address.ip() == ip).map(|p| p.address.port())
    }

    /// The lanes that are in use; `None` if no further probe may start.
    fn lanes_in_flight(&self) -> Option<Vec<SocketAddr, PROBES_IN_FLIGHT>> {
        let mut lanes = Vec::new();
        for peer in self.peers.iter().filter(|p| p.in_flight) {
            lanes.push(lane(peer.address)).ok()?;
        }
        (!lanes.is_full()).then_some(lanes)
    }

    /// Picks the peer to probe: the member that is due longest, else a random due one, uniformly, so that
    /// forged peers cannot starve a real one.
    fn choose(&self, now: Instant, rng: &mut impl CryptoRng) -> Option<usize> {
        let lanes = self.lanes_in_flight()?;
        let due = || {
            self.peers.iter().enumerate().filter_map(|(i, p)| {
                let at = p.due().filter(|at| *at <= now && !lanes.contains(&lane(p.address)))?;
                Some((i, p, at))
            })
        };
        let member = due().filter(|(_, p, _)| p.is_member()).min_by_key(|(_, _, at)| *at);
        member.map(|(i, _, _)| i).or_else(|| any(due().map(|(i, _, _)| i), rng))
    }

    /// Evicts a peer to make room for one at `address`, if possible.
    ///
    /// Eviction order: first within the address, so that a flood from one forged address evicts only itself;
    /// then strangers, then silent peers, then any that was not listed yet. A member that gives signs of life
    /// stays.
    fn make_room(&mut self, now: Instant, address: SocketAddr, rng: &mut impl CryptoRng) -> bool {
        let (ip, idle) = (host(address), |p: &Peer| !p.in_flight);
        let same = |p: &Peer| host(p.address) == ip && !p.is_member() && p.standing != Standing::Lost;
        let new = |p: &Peer| idle(p) && p.standing == Standing::New;
        let places = |keep: &dyn Fn(&Peer) -> bool, peers: &[Peer], rng: &mut _| {
            any(peers.iter().enumerate().filter(|(_, p)| keep(p)).map(|(i, _)| i), rng)
        };
        let victim = if self.peers.iter().filter(|p| same(p)).count() >= PEERS_PER_ADDRESS.min(P / 2) {
            places(&|p| same(p) && new(p), &self.peers, rng)
        } else if !self.peers.is_full() {
            return true;
        } else {
            let strangers = self.peers.iter().enumerate().filter(|(_, p)| p.standing == Standing::Stranger);
            let stranger = strangers.filter(|(_, p)| idle(p)).min_by_key(|(_, p)| p.heard).map(|(i, _)| i);
            stranger
                .or_else(|| places(&|p| new(p) && p.silent(now), &self.peers, rng))
                .or_else(|| places(&|p| idle(p) && p.is_member() && p.silent(now), &self.peers, rng))
                .or_else(|| places(&new, &self.peers, rng))
        };
        let Some(at) = victim else { return false };
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

/// A random one of them, uniformly.
fn any(all: impl Iterator<Item = usize>, rng: &mut impl CryptoRng) -> Option<usize> {
    let mut chosen = None;
    for (n, at) in (1_u32..).zip(all) {
        if below(rng, n) == 0 {
            chosen = Some(at);
        }
    }
    chosen
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

/// A lane has one probe at a time. Each address has two: its default ports, and all others. So a forged
/// beacon that names a silent service of a sender's host does not delay the probe of the sender (decision
/// 0012).
fn lane(address: SocketAddr) -> SocketAddr {
    let mut lane = host(address);
    lane.set_port((TCP_PORT_FIRST..=TCP_PORT_LAST).contains(&address.port()).into());
    lane
}

/// The address without its port.
fn host(mut address: SocketAddr) -> SocketAddr {
    address.set_port(0);
    address
}

#[cfg(test)]
mod tests;
