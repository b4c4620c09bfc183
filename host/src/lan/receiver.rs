//! Receives the beacons of every socket.

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
use crate::clock;
use crate::platform;
use crate::transport::socket::{Socket, sleep_until};

/// Datagrams of one socket that are received in a row before the next socket has its turn.
const IN_A_ROW: usize = 64;
/// How long not to receive after an error, as an interface that goes down gives at every call.
const PAUSE: Duration = Duration::from_millis(100);

/// One socket that beacons arrive on.
struct BeaconSocket {
    socket: Socket<UdpSocket>,
    interface: Interface,
}

/// The sockets of every interface.
pub(crate) struct BeaconReceiver {
    sockets: Vec<BeaconSocket>,
    paused_until: Option<Instant>,
}

impl BeaconReceiver {
    /// Receives on the sockets that are open now.
    pub(crate) fn of(beacons: &BeaconSockets) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for (socket, interface) in beacons.handles()? {
            sockets.push(BeaconSocket { socket: Socket::new(socket)?, interface });
        }
        Ok(Self { sockets, paused_until: None })
    }

    /// Waits until a datagram may have arrived.
    pub(crate) async fn ready(&self) {
        if let Some(until) = self.paused_until {
            return sleep_until(until).await;
        }
        let mut waits: Vec<Pin<Box<_>>> =
            self.sockets.iter().map(|socket| Box::pin(socket.socket.ready(true, false))).collect();
        poll_fn(|context| {
            let ready = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Receives the datagrams that have arrived.
    pub(crate) fn receive(&mut self, mut received: impl FnMut(&Arrival, &Beacon)) {
        if self.paused_until.is_some_and(|until| clock::now() < until) {
            return;
        }
        self.paused_until = None;
        for socket in &self.sockets {
            for _ in 0..IN_A_ROW {
                match socket.receive() {
                    Ok(Some((arrival, beacon))) => received(&arrival, &beacon),
                    Ok(None) => {}
                    Err(error) => {
                        let transient =
                            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
                        if !transient {
                            self.paused_until = Some(clock::now() + PAUSE);
                        }
                        break;
                    }
                }
            }
        }
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
