//! The senders heard and the offers they have listed.

use std::net::SocketAddr;
use std::time::Duration;

use deaddrop_core::discovery::{Arrival, OfferEvent, Offers, PeerEvent, Probe, ProbeResult, Prober};
use deaddrop_core::session::ClientError;
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::Beacon;

use crate::fetch::error::ConnectionError;
use crate::fetch::probe::Listing;
use crate::{clock, random::system};

/// Senders remembered.
const PEERS: usize = 1_024;
/// Offers remembered.
const OFFERS: usize = 1_024;
/// When to ask a busy sender again that named no time.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// The core's prober and offers, with a host's capacities.
pub(super) struct Catalogue {
    prober: Box<Prober<PEERS>>,
    offers: Box<Offers<OFFERS>>,
}

impl Catalogue {
    pub(super) fn new() -> Self {
        let own = Instance::random(&mut system());
        Self { prober: Box::new(Prober::new(clock::now(), own)), offers: Box::new(Offers::new()) }
    }

    /// The offers known now.
    pub(super) fn offers(&self) -> &Offers<OFFERS> {
        &self.offers
    }

    /// The next change among the offers.
    pub(super) fn poll_event(&mut self) -> Option<OfferEvent> {
        self.offers.poll_event()
    }

    /// The next beacon to broadcast now.
    pub(super) fn poll_transmit(&mut self) -> Option<Beacon> {
        self.prober.poll_transmit(clock::now())
    }

    /// Solicits again: the interfaces have changed.
    pub(super) fn resolicit(&mut self) {
        self.prober.resolicit(clock::now());
    }

    /// Handles what is due; returns the probes to start now, and when something is due again.
    pub(super) fn handle_timeout(&mut self) -> (Vec<Probe>, Option<Instant>) {
        let now = clock::now();
        let mut probes = Vec::new();
        while let Some(probe) = self.prober.poll_probe(now, &mut system()) {
            probes.push(probe);
        }
        while let Some(event) = self.prober.poll_event() {
            match event {
                PeerEvent::Lost { instance } => self.offers.lost(instance),
                PeerEvent::Moved { instance, from, to } => self.offers.moved(instance, from, to),
            }
        }
        self.offers.handle_timeout(now);
        (probes, Instant::earliest(self.prober.poll_timeout(), self.offers.poll_timeout()))
    }

    /// A beacon has arrived.
    pub(super) fn handle_beacon(&mut self, arrival: &Arrival, beacon: &Beacon) {
        self.prober.handle_beacon(clock::now(), arrival, beacon, &mut system());
    }

    /// A probe has ended.
    pub(super) fn handle_probe(&mut self, probe: &Probe, result: Result<Listing, ConnectionError>) {
        let now = clock::now();
        let outcome = match result {
            Ok(listing) => {
                self.update(now, probe.instance, probe.peer, &listing);
                ProbeResult::Listed { revision: listing.revision }
            }
            Err(ConnectionError::Session(ClientError::NotMember)) => ProbeResult::NotMember,
            Err(ConnectionError::Session(ClientError::NoBudget)) => ProbeResult::NoBudget,
            Err(ConnectionError::Session(error @ (ClientError::Busy | ClientError::Handshake(_)))) => {
                ProbeResult::Busy { retry_after: error.retry_after().unwrap_or(BUSY_RETRY) }
            }
            Err(_) => ProbeResult::Failed,
        };
        self.prober.handle_probe(now, probe, outcome);
    }

    /// Replaces the offers of one sender by its list.
    fn update(&mut self, now: Instant, instance: Instance, from: SocketAddr, listing: &Listing) {
        self.offers.begin_list(instance);
        for ending in &listing.endings {
            self.offers.ending(now, instance, ending.token, ending.reason);
        }
        for offer in &listing.offers {
            // An offer that does not fit is not shown; it can still be fetched by its token.
            let _ = self.offers.offer(now, instance, from, offer);
        }
        self.offers.complete(now, instance);
    }
}
