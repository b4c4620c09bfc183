//! What a listener does on the LAN: ask who is there, probe those who answer, and know what they offer.
//!
//! # Use
//!
//! Pass every beacon to [`Browser::handle_beacon`]. After every call, and at [`Browser::poll_timeout`] after
//! [`Browser::handle_timeout`]:
//!
//! 1. [`poll_event`](Browser::poll_event) until `None`, showing what it gives;
//! 2. [`poll_transmit`](Browser::poll_transmit) until `None`, sending each beacon on every interface;
//! 3. [`poll_probe`](Browser::poll_probe) until `None`. For each probe connect, shake hands and read the whole
//!    [`List`](crate::exchange::List), within the profile's time for a probe; hand over each of its lines with
//!    [`handle_line`](Browser::handle_line), and once, at the end, what came of it with
//!    [`handle_probe`](Browser::handle_probe).

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use rand_core::CryptoRng;

use super::offers::{Find, Known, OfferEvent, Offers};
use super::peer::Peer;
use super::prober::{Arrival, PeerEvent, Probe, ProbeResult, Prober};
use crate::exchange::ListEvent;
use crate::session::{ClientError, HandshakeError};
use crate::time::Instant;
use crate::token::{Instance, TokenPrefix};
use crate::wire::Beacon;

/// When to probe a busy sender again that named no time.
pub const BUSY_RETRY: Duration = Duration::from_millis(500);

/// How a probe ended without a whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// No connection could be opened.
    Unreachable,
    /// The connection ended before the list was whole.
    Session(ClientError),
    /// This side broke it off, because it has something else to do or has lost its network. It says nothing of the
    /// sender.
    Interrupted,
}

impl From<ClientError> for ProbeError {
    fn from(error: ClientError) -> Self {
        Self::Session(error)
    }
}

/// Up to `P` peers heard of, and up to `O` offers that they have listed.
pub struct Browser<const P: usize, const O: usize> {
    prober: Prober<P>,
    offers: Offers<O>,
    /// A list had an offer for which there was no room, and none has become free since.
    crowded: bool,
}

impl<const P: usize, const O: usize> Browser<P, O> {
    /// Knows nobody, and asks at once. Beacons of `own`, the instance of this process, are ignored.
    pub fn new(now: Instant, own: Instance) -> Self {
        Self { prober: Prober::new(now, own), offers: Offers::new(), crowded: false }
    }

    /// A beacon has arrived.
    pub fn handle_beacon(&mut self, now: Instant, via: &Arrival, beacon: &Beacon, rng: &mut impl CryptoRng) {
        self.prober.handle_beacon(now, via, beacon, rng);
    }

    /// Asks again from the start: an interface has come up.
    pub fn resolicit(&mut self, now: Instant) {
        self.prober.resolicit(now);
    }

    /// What to send on every interface now. Call until `None`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Beacon> {
        self.prober.poll_transmit(now)
    }

    /// Whom to probe now. Call until `None`.
    pub fn poll_probe(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<Probe> {
        let probe = self.prober.poll_probe(now, rng)?;
        self.offers.begin_list(probe.instance);
        Some(probe)
    }

    /// A line of the list that a probe reads.
    #[inline(never)]
    pub fn handle_line(&mut self, now: Instant, probe: &Probe, line: &ListEvent) {
        match line {
            ListEvent::Offer(offer) => {
                // The sender still has what there is no room for here.
                self.crowded |= self.offers.offer(now, probe.instance, probe.peer, offer).is_err();
            }
            ListEvent::Ending(ending) => {
                self.offers.ending(now, probe.instance, ending.token, ending.reason);
            }
            ListEvent::End { .. } => {}
        }
    }

    /// A probe has ended: with the revision of a whole list, or early.
    #[inline(never)]
    pub fn handle_probe(&mut self, now: Instant, probe: &Probe, end: Result<u32, ProbeError>) {
        let result = result(end);
        if let ProbeResult::Listed { .. } = result {
            self.offers.complete(now, probe.instance);
        } else {
            self.offers.abort_list(probe.instance);
        }
        self.prober.handle_probe(now, probe, result);
        // The first list of a sender may have broken off half-way. Nobody would ever say that what it had is gone.
        let mut known = self.prober.peers().filter(|peer| peer.instance() == probe.instance);
        let lost = match result {
            ProbeResult::NotMember => !known.any(Peer::is_member),
            // It is probed again, until it is forgotten.
            ProbeResult::Failed => known.next().is_none(),
            _ => false,
        };
        if lost {
            self.offers.lost(probe.instance);
        }
    }

    /// Ends what has outlived its TTL.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.offers.handle_timeout(now);
    }

    /// When to poll again, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        Instant::earliest(self.prober.poll_timeout(), self.offers.poll_timeout())
    }

    /// What has changed among the offers, each once. Call until `None`.
    pub fn poll_event(&mut self) -> Option<OfferEvent> {
        while let Some(event) = self.prober.poll_event() {
            match event {
                PeerEvent::Lost { instance } => self.offers.lost(instance),
                PeerEvent::Moved { instance, from, to } => self.offers.moved(instance, from, to),
            }
        }
        let event = self.offers.poll_event();
        if matches!(event, Some(OfferEvent::Gone { .. })) {
            self.crowded = false;
        }
        event
    }

    /// The offers that can be fetched.
    pub fn offers(&self) -> impl Iterator<Item = &Known> {
        self.offers.iter()
    }

    /// The offer a token prefix names.
    pub fn find(&self, prefix: &TokenPrefix) -> Find<'_> {
        self.offers.find(prefix)
    }

    /// Whether there are offers for which there is no room.
    pub const fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// The peers heard of.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.prober.peers()
    }

    /// The ports heard from an address, each as often as there are instances at it.
    pub fn ports_of(&self, ip: IpAddr) -> impl Iterator<Item = u16> {
        self.prober.ports_of(ip)
    }

    /// Where a member was listed, other than at `peer`: it may have another address by now.
    pub fn elsewhere(&self, instance: Instance, peer: SocketAddr) -> Option<SocketAddr> {
        let mut members = self.peers().filter(|known| known.is_member() && known.instance() == instance);
        members.find(|known| known.address() != peer).map(Peer::address)
    }
}

/// What the end of a probe says of the sender (protocol.md, sections 3.4 and 4.3).
fn result(end: Result<u32, ProbeError>) -> ProbeResult {
    match end {
        Ok(revision) => ProbeResult::Listed { revision },
        Err(ProbeError::Session(ClientError::NotMember)) => ProbeResult::NotMember,
        Err(ProbeError::Session(ClientError::NoBudget)) => ProbeResult::NoBudget,
        Err(ProbeError::Session(ClientError::Handshake(HandshakeError::Busy { retry_after }))) => {
            ProbeResult::Busy { retry_after }
        }
        Err(ProbeError::Session(ClientError::Busy) | ProbeError::Interrupted) => {
            ProbeResult::Busy { retry_after: BUSY_RETRY }
        }
        // Another instance, another program, another version, a broken message: nobody of ours is there.
        Err(ProbeError::Unreachable | ProbeError::Session(_)) => ProbeResult::Failed,
    }
}

#[cfg(test)]
mod tests;
