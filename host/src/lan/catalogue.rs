//! The senders heard and the offers they have listed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use deaddrop_core::discovery::{Arrival, Browser, Known, OfferEvent, Peer, Probe, ProbeError};
use deaddrop_core::limits::{PROBE_BUSY_MAX, PROBE_BUSY_MIN};
use deaddrop_core::session::{ClientError, HandshakeError};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::Beacon;

use crate::address::Address;
use crate::fetch::error::ConnectionError;
use crate::fetch::probe::Listing;
use crate::{clock, random::system};

/// Senders remembered.
const PEERS: usize = 1_024;
/// Senders that were heard once and are not remembered otherwise, four bytes each.
const SIGHTINGS: usize = 16_384;
/// Offers remembered.
const OFFERS: usize = 1_024;

/// The place of an address among those of one sender.
fn rank(address: &SocketAddr) -> u8 {
    Address::from(*address).rank()
}

/// The core's browser, with a host's capacities.
pub(super) struct Catalogue {
    browser: Box<Browser<PEERS, OFFERS, SIGHTINGS>>,
    /// Changes that a list has made.
    changes: VecDeque<OfferEvent>,
    /// Until when a sender that has no place for a connection wants to be asked again.
    put_off: Instant,
}

impl Catalogue {
    pub(super) fn new() -> Self {
        let own = Instance::random(&mut system());
        Self {
            browser: Box::new(Browser::new(clock::now(), own)),
            changes: VecDeque::new(),
            put_off: clock::now(),
        }
    }

    /// The offers known now.
    pub(super) fn offers(&self) -> impl Iterator<Item = &Known> {
        self.browser.offers()
    }

    /// Whether a sender has no place for a connection, and wants to be asked again.
    pub(super) fn is_put_off(&self) -> bool {
        clock::now() < self.put_off
    }

    /// Whether members offer more than there is room for.
    pub(super) fn is_crowded(&self) -> bool {
        self.browser.is_crowded()
    }

    /// How many senders wait for their first probe, which has been due for `span` or longer.
    pub(super) fn overdue(&self, now: Instant, span: Duration) -> usize {
        self.browser.overdue(now, span)
    }

    /// How many beacons found no room, modulo 2^32.
    pub(super) fn turned_away(&self) -> u32 {
        self.browser.turned_away()
    }

    /// The addresses at which the sender of an offer has answered, the best first.
    pub(super) fn addresses(&self, known: &Known) -> Vec<SocketAddr> {
        let answered =
            self.browser.peers().filter(|peer| peer.is_member() && peer.instance() == known.instance);
        let others = answered.map(Peer::address).filter(|address| *address != known.from);
        let mut addresses: Vec<SocketAddr> = [known.from].into_iter().chain(others).collect();
        addresses.sort_by_key(rank);
        addresses
    }

    /// The addresses at which a sender has answered: the process of this name, or the one that has this drop. None if it is
    /// not known.
    pub(super) fn sender(&self, instance: Option<Instance>, token: &Token) -> Vec<SocketAddr> {
        let of_drop = || self.offers().find(|known| known.offer.token == *token).map(|known| known.instance);
        let Some(instance) = instance.or_else(of_drop) else { return Vec::new() };
        let members = self.browser.peers().filter(|peer| peer.is_member() && peer.instance() == instance);
        let mut addresses: Vec<SocketAddr> = members.map(Peer::address).collect();
        addresses.sort_by_key(rank);
        addresses
    }

    /// When a sender that has answered at this address was last heard there.
    pub(super) fn heard(&self, instance: Instance, at: SocketAddr) -> Option<Instant> {
        let there = |peer: &&Peer| peer.instance() == instance && peer.address() == at;
        self.browser.peers().find(there).map(Peer::heard)
    }

    /// Whether the sender of an offer was heard at a better address than any at which it has answered. Beacons can be
    /// forged, so that it need not be the sender.
    pub(super) fn may_be_better(&self, known: &Known) -> bool {
        let best = self.addresses(known).first().map_or(0, rank);
        let mut heard =
            self.browser.peers().filter(|peer| !peer.is_member() && peer.instance() == known.instance);
        heard.any(|peer| rank(&peer.address()) < best)
    }

    /// The next change among the offers.
    pub(super) fn poll_event(&mut self) -> Option<OfferEvent> {
        self.changes.pop_front().or_else(|| self.browser.poll_event())
    }

    /// The next beacon to broadcast now.
    pub(super) fn poll_transmit(&mut self) -> Option<Beacon> {
        self.browser.poll_transmit(clock::now())
    }

    /// Solicits again: the interfaces have changed.
    pub(super) fn resolicit(&mut self) {
        self.browser.resolicit(clock::now());
    }

    /// Handles what is due; returns the probes to start now, and when something is due again.
    pub(super) fn handle_timeout(&mut self) -> (Vec<Probe>, Option<Instant>) {
        let now = clock::now();
        self.browser.handle_timeout(now);
        let probes = std::iter::from_fn(|| self.browser.poll_probe(now, &mut system())).collect();
        (probes, self.browser.poll_timeout())
    }

    /// A beacon has arrived.
    pub(super) fn handle_beacon(&mut self, arrival: &Arrival, beacon: &Beacon) {
        self.browser.handle_beacon(clock::now(), arrival, beacon, &mut system());
    }

    /// A probe has ended.
    pub(super) fn handle_probe(&mut self, probe: &Probe, result: Result<Listing, ConnectionError>) {
        let now = clock::now();
        let end = match result {
            Ok(listing) => {
                for line in &listing.lines {
                    self.browser.handle_line(now, probe, line);
                    // One line displaces at most one offer, so that each is told.
                    self.changes.extend(std::iter::from_fn(|| self.browser.poll_event()));
                }
                Ok(listing.revision)
            }
            Err(ConnectionError::Session(error)) => {
                if let ClientError::Handshake(HandshakeError::Busy { retry_after }) = error {
                    // It is asked again after that time, plus jitter of up to as much.
                    let wait = retry_after.clamp(PROBE_BUSY_MIN, PROBE_BUSY_MAX) * 2;
                    self.put_off = self.put_off.max(now + wait);
                }
                Err(ProbeError::Session(error))
            }
            Err(ConnectionError::Stopped) => Err(ProbeError::Interrupted),
            Err(ConnectionError::Io(_) | ConnectionError::Save(_)) => Err(ProbeError::Unreachable),
        };
        self.browser.handle_probe(now, probe, end);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use deaddrop_core::session::ClientError;
    use deaddrop_core::wire::BeaconKind;

    use super::*;

    pub(in crate::lan) const SENDER: Instance = Instance::from_bytes([7; 8]);
    /// Another program that claims to be that sender.
    const FORGED: &str = "10.0.0.99:48556";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Hears a beacon of the sender from there, and returns the probe that it causes.
    pub(in crate::lan) fn heard(catalogue: &mut Catalogue, from: &str) -> Probe {
        // An answer to our solicit is probed at once.
        let beacon =
            Beacon { kind: BeaconKind::Answer, port: at(from).port(), instance: SENDER, revision: 1 };
        catalogue.handle_beacon(&Arrival { from: at(from), attached: true, loopback: false }, &beacon);
        let (probes, _) = catalogue.handle_timeout();
        probes[0]
    }

    /// Hears it again from there.
    pub(in crate::lan) fn still_heard(catalogue: &mut Catalogue, from: SocketAddr) {
        let beacon = Beacon { kind: BeaconKind::Announce, port: from.port(), instance: SENDER, revision: 1 };
        catalogue.handle_beacon(&Arrival { from, attached: true, loopback: false }, &beacon);
    }

    pub(in crate::lan) fn listed() -> Result<Listing, ConnectionError> {
        let offer = deaddrop_core::offer::Offer {
            token: Token::from_bytes([1; 16]),
            kind: deaddrop_core::offer::Kind::Message,
            name: deaddrop_core::offer::Name::default(),
            size: 1,
            ttl_left: Duration::from_secs(60),
            fetches_left: 1,
        };
        Ok(Listing {
            revision: 1,
            instance: None,
            lines: vec![deaddrop_core::exchange::ListEvent::Offer(offer)],
        })
    }

    #[test]
    fn a_sender_at_several_addresses_is_one_with_the_best_of_them() {
        let mut catalogue = Catalogue::new();
        while catalogue.poll_transmit().is_some() {}
        let link_local = heard(&mut catalogue, "[fe80::7%2]:48556");
        catalogue.handle_probe(&link_local, listed());
        let Some(OfferEvent::Appeared { offer }) = catalogue.poll_event() else { panic!() };
        assert!(!catalogue.may_be_better(&offer));

        let v4 = heard(&mut catalogue, "10.0.0.7:48556");
        assert!(catalogue.may_be_better(&offer), "it was heard there, and has not answered");
        assert_eq!(catalogue.addresses(&offer), [link_local.peer], "what was only heard is not believed");
        catalogue.handle_probe(&v4, listed());
        let global = heard(&mut catalogue, "[2001:db8::7]:48556");
        assert!(!catalogue.may_be_better(&offer));
        catalogue.handle_probe(&global, listed());
        assert_eq!(catalogue.addresses(&offer), [v4.peer, global.peer, link_local.peer]);
        assert_eq!(catalogue.poll_event(), None, "shown once");
        assert_eq!(catalogue.offers().count(), 1);

        let forged = heard(&mut catalogue, FORGED);
        catalogue.handle_probe(&forged, Err(ClientError::NotMember.into()));
        assert!(!catalogue.addresses(&offer).contains(&at(FORGED)));
    }
}
