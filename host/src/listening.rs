//! What is known of the senders on the LAN, and what is to be done to know more. How beacons are heard and
//! how looks are taken is the front end's part.

use std::net::SocketAddr;
use std::time::Duration;

use deaddrop_core::discovery::{Arrival, Offers, PeerEvent, Probe, ProbeResult, Prober};
use deaddrop_core::session::ClientError;
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::Beacon;

use crate::look::Listing;
use crate::net::beacons::Beacons;
use crate::pump::PumpError;
use crate::{clock, random::system};

/// Senders remembered.
const PEERS: usize = 1_024;
/// Offers remembered.
const OFFERS: usize = 1_024;
/// When to ask a busy sender again that named no time.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// The offers a host remembers.
pub(crate) type HostOffers = Offers<OFFERS>;

/// The senders heard and the offers they have listed.
pub(crate) struct Listening {
    /// The sockets.
    pub(crate) beacons: Beacons,
    listener: Box<Prober<PEERS>>,
    /// The offers known now.
    pub(crate) offers: Box<HostOffers>,
}

impl Listening {
    /// Has heard nothing yet. `own` is the name of this process, if it serves too.
    pub(crate) fn new(beacons: Beacons, own: Option<Instance>) -> Self {
        let now = clock::now();
        let own = own.unwrap_or_else(|| Instance::random(&mut system()));
        Self { beacons, listener: Box::new(Prober::new(now, own)), offers: Box::new(Offers::new()) }
    }

    /// Looks at the machine's interfaces again if it is time: true if the sockets are others now.
    pub(crate) fn refresh(&mut self) -> bool {
        let now = clock::now();
        let changed = self.beacons.keep_up(now);
        if changed {
            self.listener.resolicit(now);
        }
        changed
    }

    /// Asks who is there, if it is time to.
    pub(crate) fn solicit(&mut self) {
        while let Some(beacon) = self.listener.poll_transmit(clock::now()) {
            self.beacons.broadcast(&beacon);
        }
    }

    /// Does what is due; gives the looks to take at once, and when something is due again.
    pub(crate) fn step(&mut self) -> (Vec<Probe>, Instant) {
        self.solicit();
        let now = clock::now();
        let mut looks = Vec::new();
        while let Some(look) = self.listener.poll_probe(now, &mut system()) {
            looks.push(look);
        }
        while let Some(event) = self.listener.poll_event() {
            match event {
                PeerEvent::Lost { instance } => self.offers.lost(instance),
                PeerEvent::Moved { instance, from, to } => self.offers.moved(instance, from, to),
            }
        }
        self.offers.handle_timeout(now);
        let due = [self.listener.poll_timeout(), self.offers.poll_timeout()];
        (looks, due.into_iter().flatten().fold(self.beacons.due(), Instant::min))
    }

    /// A beacon was heard.
    pub(crate) fn handle_beacon(&mut self, arrival: &Arrival, beacon: &Beacon) {
        self.listener.handle_beacon(clock::now(), arrival, beacon, &mut system());
    }

    /// A look has been taken.
    pub(crate) fn handle_looked(&mut self, look: &Probe, result: Result<Listing, PumpError>) {
        let now = clock::now();
        let outcome = match result {
            Ok(listing) => {
                self.keep(now, look.instance, look.peer, &listing);
                ProbeResult::Listed { revision: listing.revision }
            }
            Err(PumpError::Session(ClientError::NotMember)) => ProbeResult::NotMember,
            Err(PumpError::Session(ClientError::NoBudget)) => ProbeResult::NoBudget,
            Err(PumpError::Session(e @ (ClientError::Busy | ClientError::Handshake(_)))) => {
                ProbeResult::Busy { retry_after: e.retry_after().unwrap_or(BUSY_RETRY) }
            }
            Err(_) => ProbeResult::Failed,
        };
        self.listener.handle_probe(now, look, outcome);
    }

    /// Brings the offers of one sender up to date.
    fn keep(&mut self, now: Instant, instance: Instance, from: SocketAddr, listing: &Listing) {
        self.offers.begin_list(instance);
        for ending in &listing.endings {
            self.offers.ending(now, instance, ending.token, ending.reason);
        }
        for offer in &listing.offers {
            // What there is no room for cannot be shown; the sender itself still has it.
            let _ = self.offers.offer(now, instance, from, offer);
        }
        self.offers.complete(now, instance);
    }
}
