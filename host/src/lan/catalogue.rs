//! The senders heard and the offers they have listed.

use deaddrop_core::discovery::{Arrival, Browser, Known, OfferEvent, Probe, ProbeError};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::Beacon;

use crate::fetch::error::ConnectionError;
use crate::fetch::probe::Listing;
use crate::{clock, random::system};

/// Senders remembered.
const PEERS: usize = 1_024;
/// Senders that were heard once and are not remembered otherwise, four bytes each.
const SIGHTINGS: usize = 16_384;
/// Offers remembered.
const OFFERS: usize = 1_024;

/// The core's browser, with a host's capacities.
pub(super) struct Catalogue(Box<Browser<PEERS, OFFERS, SIGHTINGS>>);

impl Catalogue {
    pub(super) fn new() -> Self {
        let own = Instance::random(&mut system());
        Self(Box::new(Browser::new(clock::now(), own)))
    }

    /// The offers known now.
    pub(super) fn offers(&self) -> impl Iterator<Item = &Known> {
        self.0.offers()
    }

    /// The next change among the offers.
    pub(super) fn poll_event(&mut self) -> Option<OfferEvent> {
        self.0.poll_event()
    }

    /// The next beacon to broadcast now.
    pub(super) fn poll_transmit(&mut self) -> Option<Beacon> {
        self.0.poll_transmit(clock::now())
    }

    /// Solicits again: the interfaces have changed.
    pub(super) fn resolicit(&mut self) {
        self.0.resolicit(clock::now());
    }

    /// Handles what is due; returns the probes to start now, and when something is due again.
    pub(super) fn handle_timeout(&mut self) -> (Vec<Probe>, Option<Instant>) {
        let now = clock::now();
        self.0.handle_timeout(now);
        let probes = std::iter::from_fn(|| self.0.poll_probe(now, &mut system())).collect();
        (probes, self.0.poll_timeout())
    }

    /// A beacon has arrived.
    pub(super) fn handle_beacon(&mut self, arrival: &Arrival, beacon: &Beacon) {
        self.0.handle_beacon(clock::now(), arrival, beacon, &mut system());
    }

    /// A probe has ended.
    pub(super) fn handle_probe(&mut self, probe: &Probe, result: Result<Listing, ConnectionError>) {
        let now = clock::now();
        let end = match result {
            Ok(listing) => {
                listing.lines.iter().for_each(|line| self.0.handle_line(now, probe, line));
                Ok(listing.revision)
            }
            Err(ConnectionError::Session(error)) => Err(ProbeError::Session(error)),
            Err(ConnectionError::Stopped) => Err(ProbeError::Interrupted),
            Err(ConnectionError::Io(_) | ConnectionError::Save(_)) => Err(ProbeError::Unreachable),
        };
        self.0.handle_probe(now, probe, end);
    }
}
