//! Announces a sender on its networks, and answers solicits.

use std::io;
use std::sync::Arc;

use deaddrop_core::discovery::Advertiser;
use deaddrop_core::time::Instant;
use smol::future;

use super::beacons::BeaconSockets;
use super::mdns::message::asks;
use super::mdns::responder::Responder;
use super::receiver::{BeaconReceiver, Received};
use crate::address::Address;
use crate::serve::server::Server;
use crate::{clock, random::system};

/// Sources of solicits that are remembered, so that none is answered too often.
const ANSWERED: usize = 256;

/// Drives the core's [`Advertiser`] over the beacon sockets.
pub(crate) struct Announcement {
    server: Arc<Server>,
    beacons: BeaconSockets,
    receiver: BeaconReceiver,
    advertiser: Box<Advertiser<ANSWERED>>,
    /// Says by multicast DNS what the advertiser says, where that was asked for.
    responder: Responder,
    /// The TCP port that the server serves on.
    port: u16,
}

impl Announcement {
    /// Nothing has been announced yet.
    pub(crate) fn new(server: Arc<Server>, beacons: BeaconSockets, port: u16) -> io::Result<Self> {
        let receiver = BeaconReceiver::of(&beacons)?;
        let advertiser = Box::new(Advertiser::new(server.instance()));
        Ok(Self { server, beacons, receiver, advertiser, responder: Responder::default(), port })
    }

    /// The addresses at which this machine can be reached, the best first.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        self.beacons.addresses()
    }

    /// Handles the server's timeouts and sends the beacons that are due; returns when something is due next.
    pub(crate) fn send_due(&mut self) -> Option<Instant> {
        let tick = self.server.tick();
        let now = clock::now();
        self.advertiser.set(now, self.server.live().map(|revision| (self.port, revision)), &mut system());
        while let Some(beacon) = self.advertiser.poll_transmit(now, &mut system()) {
            self.beacons.broadcast(&beacon);
            self.responder.handle_beacon(now, &beacon);
        }
        while let Some(transmit) = self.responder.poll_transmit(now) {
            self.beacons.send_by_mdns(&transmit);
        }
        let due = [tick, self.advertiser.poll_timeout(), self.responder.due(), self.beacons.due()];
        due.into_iter().fold(None, Instant::earliest)
    }

    /// Looks at the machine's interfaces if the system has told of a change: true if there is one.
    pub(crate) fn refresh(&mut self) -> bool {
        let now = clock::now();
        let changed = self.beacons.refresh_if_due(now);
        if changed {
            self.advertiser.reannounce(now);
            self.responder.announce(now);
            // Without handles to the new sockets, solicits go unanswered until the next change; the regular announcements
            // still go out.
            if let Ok(receiver) = BeaconReceiver::of(&self.beacons) {
                self.receiver = receiver;
            }
        }
        changed
    }

    /// Waits until a beacon may have arrived, or the machine's interfaces may have changed.
    pub(crate) async fn ready(&self) {
        future::or(self.receiver.ready(), self.beacons.told()).await;
    }

    /// Handles the beacons that have arrived: solicits are answered.
    pub(crate) fn receive(&mut self) {
        let Self { receiver, advertiser, responder, beacons, server, .. } = self;
        receiver.receive(|received| match received {
            Received::Beacon(arrival, beacon) => {
                if let Some(answer) = advertiser.handle_beacon(clock::now(), arrival, beacon) {
                    beacons.answer(&answer, arrival.from);
                }
            }
            // Another sender's are nothing to this one.
            Received::Records(..) => {}
            Received::Mdns(interface, message) => {
                if asks(message, server.instance()) {
                    responder.asked(clock::now(), interface, &mut system());
                }
            }
        });
    }
}
