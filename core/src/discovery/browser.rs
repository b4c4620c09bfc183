//! Browses the LAN: solicits senders, probes those that answer, and merges their lists into offers
//! (protocol.md, section 3.4).
//!
//! # Use
//!
//! Pass every beacon to [`Browser::handle_beacon`]. After every call, and at [`Browser::poll_timeout`] after
//! [`Browser::handle_timeout`]:
//!
//! 1. [`poll_event`](Browser::poll_event) until `None`, showing each event;
//! 2. [`poll_transmit`](Browser::poll_transmit) until `None`, sending each beacon on every interface;
//! 3. [`poll_probe`](Browser::poll_probe) until `None`. For each probe connect, shake hands and read the
//!    whole [`List`](crate::exchange::List), within the profile's deadline for a probe; pass each of its
//!    lines to [`handle_line`](Browser::handle_line), and the result, exactly once, to
//!    [`handle_probe`](Browser::handle_probe).

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use rand_core::CryptoRng;

use super::Arrival;
use super::offers::{Find, Known, OfferEvent, Offers};
use super::peer::Peer;
use super::prober::{PeerEvent, Probe, ProbeResult, Prober};
use crate::exchange::ListEvent;
use crate::limits::PROBE_BUSY_DEFAULT;
use crate::session::{ClientError, HandshakeError};
use crate::time::Instant;
use crate::token::{Instance, TokenPrefix};
use crate::wire::Beacon;

/// Why a probe ended without a whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// No connection could be opened.
    Unreachable,
    /// The connection ended before the list was whole.
    Session(ClientError),
    /// This side aborted it, because it has other work or has lost its network. It proves nothing about the
    /// sender.
    Interrupted,
}

impl From<ClientError> for ProbeError {
    fn from(error: ClientError) -> Self {
        Self::Session(error)
    }
}

/// A browser with tables for `P` peers and `O` offers, and a memory of `S` peers that are not in the table.
pub struct Browser<const P: usize, const O: usize, const S: usize> {
    prober: Prober<P, S>,
    offers: Offers<O>,
}

impl<const P: usize, const O: usize, const S: usize> Browser<P, O, S> {
    /// A browser with empty tables, which solicits at once. Ignores beacons of `own`, the instance of this
    /// process.
    pub fn new(now: Instant, own: Instance) -> Self {
        Self { prober: Prober::new(now, own), offers: Offers::new() }
    }

    /// Handles a beacon.
    pub fn handle_beacon(&mut self, now: Instant, via: &Arrival, beacon: &Beacon, rng: &mut impl CryptoRng) {
        self.prober.handle_beacon(now, via, beacon, rng);
    }

    /// Restarts the solicits, after an interface has come up.
    pub fn resolicit(&mut self, now: Instant) {
        self.prober.resolicit(now);
    }

    /// The next beacon to send on every interface. Call until `None`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Beacon> {
        self.prober.poll_transmit(now)
    }

    /// The next probe to start. Call until `None`.
    pub fn poll_probe(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<Probe> {
        let probe = self.prober.poll_probe(now, rng)?;
        self.offers.begin_list(probe.instance);
        Some(probe)
    }

    /// Handles a line of the list that a probe reads.
    #[inline(never)]
    pub fn handle_line(&mut self, now: Instant, probe: &Probe, line: &ListEvent) {
        match line {
            ListEvent::Offer(offer) => {
                // Without room for it the table is crowded, and says so.
                let _ = self.offers.offer(now, probe.instance, probe.peer, offer);
            }
            ListEvent::Ending(ending) => {
                self.offers.ending(now, probe.instance, ending.token, ending.reason);
            }
            ListEvent::More | ListEvent::End { .. } => {}
        }
    }

    /// Handles the end of a probe: with the revision of a whole list, or early.
    #[inline(never)]
    pub fn handle_probe(&mut self, now: Instant, probe: &Probe, end: Result<u32, ProbeError>) {
        let result = result(end);
        if let ProbeResult::Listed { .. } = result {
            self.offers.complete(now, probe.instance);
        } else {
            self.offers.abort_list(probe.instance);
        }
        self.prober.handle_probe(now, probe, result);
        // The first list of a sender may have broken off half-way. No later list would withdraw its offers.
        let mut known = self.prober.peers().filter(|peer| peer.instance() == probe.instance);
        let lost = match result {
            ProbeResult::NotMember => !known.any(Peer::is_member),
            // It is probed again until it is forgotten.
            ProbeResult::Failed => known.next().is_none(),
            _ => false,
        };
        if lost {
            self.offers.lost(probe.instance);
        }
    }

    /// Ends offers whose TTL has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.offers.handle_timeout(now);
    }

    /// When to poll again, unless something happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        Instant::earliest(self.prober.poll_timeout(), self.offers.poll_timeout())
    }

    /// The next change of the offers. Call until `None`.
    pub fn poll_event(&mut self) -> Option<OfferEvent> {
        while let Some(event) = self.prober.poll_event() {
            match event {
                PeerEvent::Lost { instance } => self.offers.lost(instance),
                PeerEvent::Moved { instance, from, to } => self.offers.moved(instance, from, to),
            }
        }
        self.offers.poll_event()
    }

    /// The offers that can be fetched.
    pub fn offers(&self) -> impl Iterator<Item = &Known> {
        self.offers.iter()
    }

    /// Looks up an offer by token prefix.
    pub fn find(&self, prefix: &TokenPrefix) -> Find<'_> {
        self.offers.find(prefix)
    }

    /// Whether senders have offers for which there is no room here.
    pub const fn is_crowded(&self) -> bool {
        self.offers.is_crowded()
    }

    /// How many peers were not probed yet although their probe has been due for `span` or longer. A flood of
    /// forged beacons makes it grow.
    pub fn overdue(&self, now: Instant, span: Duration) -> usize {
        self.prober.overdue(now, span)
    }

    /// How many beacons of unknown peers found no room, modulo 2^32. A flood makes it grow, too.
    pub const fn turned_away(&self) -> u32 {
        self.prober.turned_away()
    }

    /// The known peers.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.prober.peers()
    }

    /// The ports of the known peers at an address, once per instance.
    pub fn ports_of(&self, ip: IpAddr) -> impl Iterator<Item = u16> {
        self.prober.ports_of(ip)
    }

    /// Another address than `peer` at which the member was listed: it may have moved.
    pub fn elsewhere(&self, instance: Instance, peer: SocketAddr) -> Option<SocketAddr> {
        let mut members = self.peers().filter(|known| known.is_member() && known.instance() == instance);
        members.find(|known| known.address() != peer).map(Peer::address)
    }
}

/// What the end of a probe means for the peer (protocol.md, sections 3.4 and 4.3).
fn result(end: Result<u32, ProbeError>) -> ProbeResult {
    match end {
        Ok(revision) => ProbeResult::Listed { revision },
        // What broke the protocol will not be understood the next time either.
        Err(ProbeError::Session(ClientError::NotMember | ClientError::Protocol)) => ProbeResult::NotMember,
        Err(ProbeError::Session(ClientError::NoBudget)) => ProbeResult::NoBudget,
        Err(ProbeError::Session(ClientError::Handshake(HandshakeError::Busy { retry_after }))) => {
            ProbeResult::Busy { retry_after }
        }
        Err(ProbeError::Session(ClientError::Busy) | ProbeError::Interrupted) => {
            ProbeResult::Busy { retry_after: PROBE_BUSY_DEFAULT }
        }
        // Another instance, another program or another version: the peer is not there.
        Err(ProbeError::Unreachable | ProbeError::Session(_)) => ProbeResult::Failed,
    }
}

#[cfg(test)]
mod tests;
