//! Finds senders on the LAN: solicits, receives beacons, probes the senders that answer.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded, unbounded};
use deaddrop_core::discovery::{Known, OfferEvent, Probe};
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Instance, Token};
use deaddrop_core::wire::BeaconKind;
use smol::{Executor, future};

use super::beacons::{BeaconSockets, SkippedInterface};
use super::catalogue::Catalogue;
use super::interfaces::InterfaceError;
use super::mdns::querier::Querier;
use super::receiver::{BeaconReceiver, Received};
use super::shown::Shown;
use super::warnings::{BrowserWarnings, Watch};
use crate::address::Address;
use crate::fetch::contact::Contact;
use crate::fetch::credentials::Credentials;
use crate::fetch::error::ConnectionError;
use crate::fetch::probe::{Listing, probe_peer};
use crate::network::Network;
use crate::transport::socket::sleep_until;
use crate::{clock, random::system};

/// Follows what is offered on the LAN.
///
/// It solicits when it is opened, which takes no room: the answers arrive while the room's secret is derived, and wait
/// in the sockets. From [`Receiver::browse`](crate::Receiver::browse) on it probes the senders that answer, and its
/// events tell of their offers. It works while [`next_event`](Self::next_event) is polled.
///
/// ```
/// use deaddrop::{Browser, Network};
///
/// # fn main() -> Result<(), deaddrop::Error> {
/// // One interface, and a port of its own, so that nobody else is heard.
/// let network = Network { udp_port: 48_711, interfaces: vec!["lo".into()], mdns: false };
/// let browser = Browser::open(&network)?;
/// assert!(browser.addresses().iter().all(|address| address.is_loopback()));
/// assert_eq!(browser.offers().count(), 0);
/// # Ok(())
/// # }
/// ```
pub struct Browser {
    beacons: BeaconSockets,
    skipped: Vec<SkippedInterface>,
    receiver: BeaconReceiver,
    catalogue: Catalogue,
    /// Asks by multicast DNS too, where that was asked for.
    querier: Option<Querier>,
    watch: Watch,
    credentials: Option<Arc<Credentials>>,
    probes: Executor<'static>,
    ended: (Sender<EndedProbe>, Receiver<EndedProbe>),
    shown: Shown,
    /// How often the machine's interfaces have changed.
    changes: u32,
    /// The addresses of this machine that were told last, and those to tell.
    told: Vec<Address>,
    moves: (Sender<Vec<Address>>, Receiver<Vec<Address>>),
    /// Offers that have appeared and are not shown yet, with the time when they are shown in any case.
    held: Vec<(Instant, Known)>,
    /// What became of the last probe of each sender, of a few.
    contacts: Vec<(SocketAddr, Contact)>,
}

/// Senders whose last probe is remembered to say why nothing was found.
const CONTACTS: usize = 32;

/// How long an offer is held back while its sender was heard at a better address and has not answered there.
const BETTER_WITHIN: Duration = Duration::from_millis(250);

struct EndedProbe {
    probe: Probe,
    /// Whether it was a look at an address that was shown, which the catalogue does not know of.
    look: bool,
    result: Result<Listing, ConnectionError>,
}

/// The changes of the addresses of a [`Browser`]'s machine. May be awaited beside it, or in another task.
#[derive(Clone, Debug)]
pub struct AddressChanges(Receiver<Vec<Address>>);

impl AddressChanges {
    /// Waits until the machine has other addresses, and returns all of them, the best first. Never returns once the browser
    /// is gone.
    pub async fn next(&self) -> Vec<Address> {
        match self.0.recv().await {
            Ok(addresses) => addresses,
            Err(_) => pending().await,
        }
    }
}

impl Browser {
    /// Opens the sockets, and asks who is there.
    ///
    /// # Errors
    /// If an interface that was named is not there, or the system refuses the sockets.
    pub fn open(network: &Network) -> Result<Self, InterfaceError> {
        let (beacons, skipped) = BeaconSockets::open(network)?;
        let receiver = BeaconReceiver::of(&beacons).map_err(InterfaceError::Listen)?;
        let mut browser = Self {
            told: beacons.addresses(),
            moves: bounded(1),
            beacons,
            skipped,
            receiver,
            catalogue: Catalogue::new(),
            querier: network.mdns.then(|| Querier::new(clock::now(), &mut system())),
            watch: Watch::new(clock::now()),
            credentials: None,
            probes: Executor::new(),
            ended: unbounded(),
            shown: Shown::default(),
            changes: 0,
            held: Vec::new(),
            contacts: Vec::new(),
        };
        browser.solicit();
        Ok(browser)
    }

    /// Interfaces that beacons cannot use, or not fully, when the browser was opened.
    pub fn skipped(&self) -> &[SkippedInterface] {
        &self.skipped
    }

    /// The addresses of this machine, the best first.
    pub fn addresses(&self) -> Vec<Address> {
        self.beacons.addresses()
    }

    /// The offers known now, each with all addresses at which its sender has answered, the best first.
    pub(crate) fn found(&self) -> impl Iterator<Item = (&Known, Vec<SocketAddr>)> {
        self.offers().map(|known| (known, self.addresses_of(known)))
    }

    /// The changes of this machine's addresses. They come while [`next_event`](Self::next_event) is polled.
    pub fn address_changes(&self) -> AddressChanges {
        AddressChanges(self.moves.1.clone())
    }

    /// The addresses at which the sender of an offer has answered, the best first.
    fn addresses_of(&self, known: &Known) -> Vec<SocketAddr> {
        let mut addresses = self.catalogue.addresses(known);
        self.shown.sort(known.instance, &mut addresses);
        addresses
    }

    /// The offers known now, each with the address at which it was listed first.
    pub fn offers(&self) -> impl Iterator<Item = &Known> {
        self.catalogue.offers()
    }

    /// The warnings of what keeps offers from being shown. They come while [`next_event`](Self::next_event) is polled.
    pub fn warnings(&self) -> BrowserWarnings {
        self.watch.warnings()
    }

    /// Whether a sender was heard that has no place for a connection and has named a time to come back. It is asked again
    /// then, and may be of any room.
    pub fn is_put_off(&self) -> bool {
        self.catalogue.is_put_off()
    }

    /// What became of the last probe of each sender, of the first few.
    pub(crate) fn contacts(&self) -> impl Iterator<Item = &(SocketAddr, Contact)> {
        self.contacts.iter()
    }

    /// Probes senders as a member of a room from now on.
    pub(crate) fn join(&mut self, credentials: Arc<Credentials>) {
        self.credentials = Some(credentials);
    }

    /// The next change among the offers. Dropping the future loses nothing.
    ///
    /// An offer names the best address at which its sender has answered: IPv4 before IPv6, and link-local IPv6 last. It
    /// appears again, with another address, when its sender no longer answers at that one.
    pub async fn next_event(&mut self) -> OfferEvent {
        loop {
            if let Some(event) = self.poll_event() {
                return event;
            }
            self.step().await;
        }
    }

    fn poll_event(&mut self) -> Option<OfferEvent> {
        let now = clock::now();
        while let Some(event) = self.catalogue.poll_event() {
            match event {
                OfferEvent::Appeared { offer } => self.held.push((now + BETTER_WITHIN, offer)),
                OfferEvent::Gone { token, instance, .. } => {
                    let shown = self.held.len();
                    self.held.retain(|(_, held)| (held.instance, held.offer.token) != (instance, token));
                    self.shown.remove(instance, token);
                    // One that was never shown goes without a word.
                    if self.held.len() == shown {
                        return Some(event);
                    }
                }
            }
        }
        let due = |(until, held): &(Instant, Known)| *until <= now || !self.catalogue.may_be_better(held);
        if let Some(place) = self.held.iter().position(due) {
            let (_, mut offer) = self.held.remove(place);
            offer.from = self.addresses_of(&offer).first().copied().unwrap_or(offer.from);
            self.shown.show(offer.instance, offer.offer.token, offer.from);
            return Some(OfferEvent::Appeared { offer });
        }
        self.shown.poll_moved(&self.catalogue).map(|offer| OfferEvent::Appeared { offer })
    }

    fn note(&mut self, at: SocketAddr, contact: Contact) {
        if let Some((_, known)) = self.contacts.iter_mut().find(|(known, _)| *known == at) {
            *known = contact;
        } else if self.contacts.len() < CONTACTS {
            self.contacts.push((at, contact));
        }
    }

    fn solicit(&mut self) {
        while let Some(beacon) = self.catalogue.poll_transmit() {
            self.beacons.broadcast(&beacon);
        }
        if self.querier.as_mut().is_some_and(|querier| querier.poll(clock::now())) {
            self.beacons.ask_by_mdns();
        }
    }

    /// How often the machine's interfaces have changed.
    pub(crate) fn changes(&self) -> u32 {
        self.changes
    }

    /// Waits until a sender has answered at addresses that are not among the `known` ones, and returns them; or until the
    /// machine's interfaces have changed more often than `changes` times, and returns none. The sender is the process of
    /// this name, or the one that has this drop. Dropping the future loses nothing.
    pub(crate) async fn elsewhere(
        &mut self,
        instance: Option<Instance>,
        token: &Token,
        known: &[SocketAddr],
        changes: u32,
    ) -> Vec<SocketAddr> {
        loop {
            // Nobody looks at them.
            while self.poll_event().is_some() {}
            let mut found = self.catalogue.sender(instance, token);
            found.retain(|at| !known.contains(at));
            if !found.is_empty() || self.changes != changes {
                return found;
            }
            self.step().await;
        }
    }

    /// Does what is due, then waits for one thing to happen.
    async fn step(&mut self) {
        if self.beacons.refresh_if_due(clock::now()) {
            self.catalogue.resolicit();
            if let Some(querier) = &mut self.querier {
                querier.restart(clock::now(), &mut system());
            }
            self.changes = self.changes.wrapping_add(1);
            if let Some(addresses) = Address::others(&mut self.told, self.beacons.addresses()) {
                // Those that were not read are old.
                let _ = self.moves.0.force_send(addresses);
            }
            // Without handles to the new sockets, only our own solicits still find senders.
            if let Ok(receiver) = BeaconReceiver::of(&self.beacons) {
                self.receiver = receiver;
            }
        }
        self.solicit();
        let held = self.held.iter().map(|(until, _)| *until);
        let asking = self.querier.as_ref().map(Querier::due);
        let mut due = held.map(Some).chain([asking]).fold(self.beacons.due(), Instant::earliest);
        if let Some(credentials) = &self.credentials {
            let (probes, next) = self.catalogue.handle_timeout();
            let looks = self.shown.look(clock::now(), &self.catalogue);
            due = [next, self.shown.due()].into_iter().fold(due, Instant::earliest);
            let looks = looks.into_iter().map(|look| (look, true));
            for (probe, look) in probes.into_iter().map(|probe| (probe, false)).chain(looks) {
                let (credentials, ended) = (credentials.clone(), self.ended.0.clone());
                let probing = async move {
                    let result = probe_peer(&probe, &credentials).await;
                    // Only a browser that is gone does not take it.
                    let _ = ended.try_send(EndedProbe { probe, look, result });
                };
                self.probes.spawn(probing).detach();
            }
        }

        let beacons = async {
            future::or(self.receiver.ready(), self.beacons.told()).await;
            None
        };
        let ended = async {
            match self.ended.1.recv().await {
                Ok(ended) => Some(ended),
                // Never: the browser holds a sender itself.
                Err(_) => pending().await,
            }
        };
        let late = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
            None
        };
        let happened = self.probes.run(future::or(ended, future::or(beacons, late))).await;
        match happened {
            Some(EndedProbe { probe, look: true, result }) => self.shown.looked(&probe, result.is_ok()),
            Some(EndedProbe { probe, look: false, result }) => {
                self.note(probe.peer, Contact::of(&result));
                let listed = result.is_ok();
                self.catalogue.handle_probe(&probe, result);
                self.shown.probed(clock::now(), &probe, listed);
            }
            None => {}
        }
        let Self { receiver, catalogue, shown, watch, .. } = self;
        receiver.receive(|received| {
            // Questions are for senders.
            let (Received::Beacon(arrival, beacon) | Received::Records(arrival, beacon)) = received else {
                return;
            };
            catalogue.handle_beacon(arrival, beacon);
            if beacon.kind != BeaconKind::Solicit {
                let at = Address::from(arrival.from).at(beacon.port);
                shown.heard(clock::now(), beacon.instance, at);
            }
        });
        watch.look(clock::now(), catalogue);
    }
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("offers", &self.offers().count()).finish_non_exhaustive()
    }
}
