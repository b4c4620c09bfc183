//! This machine on the network while it is examined: it asks who is there, is a sender without drops for others that
//! are examined at the same time, and hears its own beacons and those of others.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deaddrop_core::discovery::Advertiser;
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::{Beacon, BeaconKind};
use smol::future;

use super::finding::{Echo, Finding};
use crate::address::Address;
use crate::lan::beacons::BeaconSockets;
use crate::lan::interfaces::Interface;
use crate::lan::mdns::message::asks;
use crate::lan::mdns::responder::{Responder, Transmit};
use crate::lan::neighbours::Neighbours;
use crate::lan::receiver::{BeaconReceiver, Received};
use crate::network::Network;
use crate::serve::accept::{Only, accept};
use crate::serve::server::Server;
use crate::transport::socket::sleep_until;
use crate::{clock, random::system};

/// When to ask who is there, after the start. The first may be lost while an address is resolved.
const ASK_AT: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3)];
/// Sources of solicits that are remembered, so that none is answered too often.
const ANSWERED: usize = 64;
/// Senders and listeners that are remembered: anybody can announce any number of them.
const HEARD: usize = 32;
/// Of a set of drops that is empty and stays so.
const REVISION: u32 = 1;

/// The beacons of one examination.
pub(super) struct Presence {
    beacons: BeaconSockets,
    receiver: BeaconReceiver,
    /// The sockets that send, each with its interface.
    senders: Vec<(UdpSocket, Interface)>,
    udp_port: u16,
    instance: Instance,
    /// Its own beacons, as they came in again: where from.
    own: BTreeSet<Address>,
    /// The last error of sending, by the address it was sent from; none once one went out.
    errors: Vec<(Address, Option<io::Error>)>,
    /// Where senders were heard, and which. One of both families is at two places.
    heard: Vec<(SocketAddr, Instance)>,
    /// The machines that look for senders.
    pub(super) listeners: BTreeSet<Address>,
    /// Says by multicast DNS what its beacons say, where that was asked for.
    responder: Responder,
}

/// A sender without drops.
pub(super) struct Service {
    server: Arc<Server>,
    listeners: Vec<TcpListener>,
    port: u16,
    only: Only,
}

impl Service {
    pub(super) fn new(server: Arc<Server>, listeners: Vec<TcpListener>, port: u16) -> Self {
        Self { server, listeners, port, only: Arc::new(Mutex::new(None)) }
    }
}

impl Presence {
    /// On these sockets, in the name of this process.
    pub(super) fn new(beacons: BeaconSockets, network: &Network, instance: Instance) -> io::Result<Self> {
        let receiver = BeaconReceiver::of(&beacons)?;
        let udp_port = network.udp_port;
        let mut senders = beacons.handles()?;
        senders.retain(|(socket, _)| socket.local_addr().is_ok_and(|address| address.port() != udp_port));
        let (own, errors) = (BTreeSet::new(), Vec::new());
        let (heard, listeners) = (Vec::new(), BTreeSet::new());
        let responder = Responder::default();
        Ok(Self { beacons, receiver, senders, udp_port, instance, own, errors, heard, listeners, responder })
    }

    /// Asks and listens for so long, and says of each place of a sender once that it was `found`. With a `service` it announces and
    /// serves meanwhile.
    pub(super) async fn listen(
        &mut self,
        span: Duration,
        service: Option<&Service>,
        mut found: impl FnMut(SocketAddr, Instance),
    ) -> io::Result<()> {
        let begun = clock::now();
        let serving = async {
            match service {
                Some(service) => {
                    let listeners =
                        service.listeners.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
                    let mut neighbours = Neighbours::default();
                    let source = move |from| neighbours.source(from);
                    accept(listeners, service.server.clone(), service.only.clone(), source).await
                }
                None => future::pending().await,
            }
        };
        let listening = async {
            let mut advertiser = Box::new(Advertiser::<ANSWERED>::new(self.instance));
            let mut asked = 0;
            while clock::now().since(begun) < span {
                let now = clock::now();
                if let Some(service) = service {
                    advertiser.set(now, Some((service.port, REVISION)), &mut system());
                    while let Some(beacon) = advertiser.poll_transmit(now, &mut system()) {
                        self.beacons.broadcast(&beacon);
                        self.responder.handle_beacon(now, &beacon);
                    }
                    while let Some(transmit) = self.responder.poll_transmit(now) {
                        self.beacons.send_by_mdns(&transmit);
                    }
                }
                while ASK_AT.get(asked).is_some_and(|at| begun + *at <= now) {
                    asked += 1;
                    self.ask();
                    self.beacons.ask_by_mdns();
                }
                let ask_at = ASK_AT.get(asked).map(|at| begun + *at);
                let due = [ask_at, advertiser.poll_timeout(), self.responder.due()];
                let due = due.into_iter().flatten().fold(begun + span, Instant::min);
                future::or(self.receiver.ready(), sleep_until(due)).await;
                let known = self.heard.len();
                self.receive(&mut advertiser);
                self.heard.iter().skip(known).for_each(|(at, instance)| found(*at, *instance));
            }
            Ok(())
        };
        future::or(listening, serving).await
    }

    /// Takes the announcement of a service back.
    pub(super) fn farewell(&self, service: &Service) {
        let (port, instance) = (service.port, self.instance);
        let beacon = Beacon { kind: BeaconKind::Farewell, port, instance, revision: REVISION };
        self.beacons.broadcast(&beacon);
        self.beacons.send_by_mdns(&Transmit { beacon, on: None });
    }

    /// Sends a solicit to everybody on every interface, and notes how that went.
    fn ask(&mut self) {
        let beacon = Beacon { kind: BeaconKind::Solicit, port: 0, instance: self.instance, revision: 0 };
        let bytes = beacon.emit();
        for (socket, interface) in &self.senders {
            let source = Address::from(interface.address).behind(interface.index);
            for to in interface.everybody() {
                let mut to = Address::from(to).at(self.udp_port);
                if let SocketAddr::V6(group) = &mut to {
                    group.set_scope_id(interface.index);
                }
                let error = socket.send_to(&bytes, to).err();
                match self.errors.iter_mut().find(|(address, _)| *address == source) {
                    Some((_, None)) => {}
                    Some((_, known)) => *known = error,
                    None => self.errors.push((source, error)),
                }
            }
        }
    }

    fn receive(&mut self, advertiser: &mut Advertiser<ANSWERED>) {
        let Self { receiver, beacons, own, heard, listeners, senders, instance, responder, .. } = self;
        receiver.receive(|received| {
            let (arrival, beacon) = match received {
                Received::Beacon(arrival, beacon) => (arrival, beacon),
                // Its own records say nothing of its beacons.
                Received::Records(_, beacon) if beacon.instance == *instance => return,
                Received::Records(arrival, beacon) => (arrival, beacon),
                Received::Mdns(interface, message) => {
                    if asks(message, *instance) {
                        responder.asked(clock::now(), interface, &mut system());
                    }
                    return;
                }
            };
            let from = Address::from(arrival.from);
            if beacon.instance == *instance {
                own.insert(from);
                return;
            }
            if let Some(answer) = advertiser.handle_beacon(clock::now(), arrival, beacon) {
                beacons.answer(&answer, arrival.from);
            }
            if !arrival.attached {
                return;
            }
            // Another program of this machine says nothing about the network.
            if senders.iter().any(|(_, interface)| interface.has(from.ip())) {
                return;
            }
            match beacon.kind {
                BeaconKind::Announce | BeaconKind::Answer if heard.len() < HEARD => {
                    let at = from.at(beacon.port);
                    if !heard.iter().any(|(known, _)| *known == at) {
                        heard.push((at, beacon.instance));
                    }
                }
                BeaconKind::Solicit if listeners.len() < HEARD => {
                    listeners.insert(from);
                }
                _ => {}
            }
        });
    }

    /// What became of the own beacons on each interface.
    pub(super) fn echoes(&self, deaf: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (_, interface) in &self.senders {
            if interface.is_loopback() || interface.everybody().is_empty() {
                continue;
            }
            let address = interface.address;
            let source = Address::from(address).behind(interface.index);
            let error =
                self.errors.iter().find(|(of, _)| *of == source).and_then(|(_, error)| error.as_ref());
            let echo = match error {
                _ if self.own.contains(&source) => Echo::Heard,
                Some(error) if error.kind() == io::ErrorKind::PermissionDenied => Echo::Barred,
                Some(error) => Echo::Impossible(error.to_string()),
                None if deaf => Echo::Impossible("the port cannot be listened on".into()),
                None => Echo::Lost,
            };
            let (interface, port) = (interface.name.clone(), self.udp_port);
            findings.push(Finding::Echo { interface, address, port, echo });
        }
        findings
    }
}
