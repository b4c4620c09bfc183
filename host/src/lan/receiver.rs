//! Receives the beacons of every socket, and the messages of multicast DNS where that was asked for.

use std::future::poll_fn;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use deaddrop_core::discovery::Arrival;
use deaddrop_core::time::Instant;
use deaddrop_core::wire::{BEACON_LEN, Beacon};

use super::beacons::BeaconSockets;
use super::interfaces::Interface;
use super::mdns::MESSAGE_MAX;
use super::mdns::sockets::MdnsLink;
use crate::clock;
use crate::platform;
use crate::transport::socket::{Socket, sleep_until};

/// Datagrams of one socket that are received in a row before the next socket has its turn.
const IN_A_ROW: usize = 64;
/// How long not to receive after an error, as an interface that goes down gives at every call.
const PAUSE: Duration = Duration::from_millis(100);

/// What has arrived.
pub(crate) enum Received<'a> {
    /// A beacon.
    Beacon(&'a Arrival, &'a Beacon),
    /// What was heard by multicast DNS and amounts to a beacon.
    Records(&'a Arrival, &'a Beacon),
    /// A message of multicast DNS, and the number of the interface where it arrived. It may be a question.
    Mdns(u32, &'a [u8]),
}

/// One socket that beacons arrive on.
struct BeaconSocket {
    socket: Socket<UdpSocket>,
    interface: Interface,
}

/// One socket that messages of multicast DNS arrive on.
struct MdnsSocket {
    socket: Socket<UdpSocket>,
    link: MdnsLink,
}

/// The sockets of every interface.
pub(crate) struct BeaconReceiver {
    sockets: Vec<BeaconSocket>,
    mdns: Vec<MdnsSocket>,
    paused_until: Option<Instant>,
}

impl BeaconReceiver {
    /// Receives on the sockets that are open now.
    pub(crate) fn of(beacons: &BeaconSockets) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for (socket, interface) in beacons.handles()? {
            sockets.push(BeaconSocket { socket: Socket::new(socket)?, interface });
        }
        let mut mdns = Vec::new();
        if let Some(open) = beacons.mdns() {
            for (socket, link) in open.handles()? {
                mdns.push(MdnsSocket { socket: Socket::new(socket)?, link });
            }
        }
        Ok(Self { sockets, mdns, paused_until: None })
    }

    /// Waits until a datagram may have arrived.
    pub(crate) async fn ready(&self) {
        if let Some(until) = self.paused_until {
            return sleep_until(until).await;
        }
        let sockets = self.sockets.iter().map(|socket| &socket.socket);
        let sockets = sockets.chain(self.mdns.iter().map(|socket| &socket.socket));
        let mut waits: Vec<Pin<Box<_>>> = sockets.map(|socket| Box::pin(socket.ready(true, false))).collect();
        poll_fn(|context| {
            let ready = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Receives the datagrams that have arrived.
    pub(crate) fn receive(&mut self, mut received: impl FnMut(Received<'_>)) {
        if self.paused_until.is_some_and(|until| clock::now() < until) {
            return;
        }
        self.paused_until = None;
        for socket in &self.sockets {
            let error = in_a_row(|| {
                if let Some((arrival, beacon)) = socket.receive()? {
                    received(Received::Beacon(&arrival, &beacon));
                }
                Ok(())
            });
            if error {
                self.paused_until = Some(clock::now() + PAUSE);
            }
        }
        for socket in &self.mdns {
            let error = in_a_row(|| socket.receive(&mut received));
            if error {
                self.paused_until = Some(clock::now() + PAUSE);
            }
        }
    }
}

/// Receives some datagrams of one socket: true after an error other than that there are no more.
fn in_a_row(mut receive: impl FnMut() -> io::Result<()>) -> bool {
    for _ in 0..IN_A_ROW {
        if let Err(error) = receive() {
            return !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
        }
    }
    false
}

impl MdnsSocket {
    /// Passes on the next message, and what was heard by it.
    fn receive(&self, received: &mut impl FnMut(Received<'_>)) -> io::Result<()> {
        // One byte more than is read of a message, so that a longer one shows.
        let mut bytes = [0; MESSAGE_MAX + 1];
        let (len, from) = self.socket.get_ref().recv_from(&mut bytes)?;
        let Some(message) = bytes.get(..len).filter(|_| self.link.counts(from)) else { return Ok(()) };
        for (arrival, beacon) in self.link.heard(message) {
            received(Received::Records(&arrival, &beacon));
        }
        received(Received::Mdns(self.link.index(), message));
        Ok(())
    }
}

impl BeaconSocket {
    /// The next beacon; `None` for a datagram that is none.
    fn receive(&self) -> io::Result<Option<(Arrival, Beacon)>> {
        // One byte more than a beacon has, so that a longer datagram shows.
        let mut bytes = [0; BEACON_LEN + 1];
        let (len, from) = match self.socket.get_ref().recv_from(&mut bytes) {
            Err(error) if platform::is_of_a_datagram(&error) => return Ok(None),
            received => received?,
        };
        let Some(Ok(beacon)) = bytes.get(..len).map(Beacon::parse) else { return Ok(None) };
        let arrival =
            Arrival { from, attached: self.interface.attached(from), loopback: self.interface.is_loopback() };
        Ok(Some((arrival, beacon)))
    }
}
