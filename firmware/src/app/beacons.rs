//! The beacon task: sends and receives beacons over UDP.
//!
//! The socket on the shared port receives broadcasts and sends announcements. The socket on a port of its own sends
//! solicits, receives the answers, and answers others. smoltcp holds a datagram until ARP resolves, and everything
//! queued behind it, and a solicit may carry a forged source address that never resolves. So answers go out on the
//! second socket, where they cannot block announcements, and one that is stuck is dropped with its queue.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::Poll;
use core::time::Duration;

use deaddrop_core::discovery::{Arrival, Ipv4Network};
use deaddrop_core::limits::UDP_PORT;
use deaddrop_core::time::Instant;
use deaddrop_core::wire::{BEACON_LEN, Beacon};
use embassy_futures::poll_once;
use embassy_futures::select::select4;
use embassy_net::udp::UdpSocket;
use embassy_net::{IpEndpoint, Ipv4Cidr};

use super::clock;
use super::liveness::{CHECK_IN_EVERY, Task};
use super::state::{AppState, PORT};

/// The least time between two rounds of the loop: while a probe runs, the browser's timeout for the next one has passed.
const IDLE_MIN: Duration = Duration::from_millis(50);

/// The port of the discard service, RFC 863.
const DISCARD: u16 = 9;

/// How long an answer may wait for ARP.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs for ever.
pub(super) async fn beacon_task(
    app: &AppState,
    shared: &mut UdpSocket<'static>,
    own: &mut UdpSocket<'static>,
) {
    // Cannot fail: no other socket is bound yet.
    let _ = (shared.bind(UDP_PORT), own.bind(0));
    let mut stuck_since = None;
    loop {
        let now = clock::now();
        app.context.liveness.check_in(Task::Beacons, now);
        let seen = app.context.notify.generation();
        stuck_since = drop_stuck(own, stuck_since, now);
        let next = send_due(app, shared, own, now);
        if app.context.ask_gateway.take()
            && let Some(gateway) = app.stack.config_v4().and_then(|config| config.gateway)
        {
            // ARP alone makes the gateway answer, and the discard port does no harm. A failure shows as silence.
            send(own, &[], IpEndpoint::new(gateway.into(), DISCARD));
        }
        let mut received = receive(app, shared, own);
        received |= receive(app, own, own);
        if received {
            // A probe may be due.
            app.context.notify.notify();
            continue;
        }
        let next = stuck_since.map_or(next, |since| next.min(since + ANSWER_TIMEOUT));
        let until = next.min(now + CHECK_IN_EVERY).max(now + IDLE_MIN);
        select4(
            shared.wait_recv_ready(),
            own.wait_recv_ready(),
            clock::at(until),
            app.context.notify.changed_since(seen),
        )
        .await;
    }
}

/// Drops the transmit queue of a socket that has been stuck for [`ANSWER_TIMEOUT`]; returns since when it is stuck.
fn drop_stuck(socket: &mut UdpSocket<'static>, since: Option<Instant>, now: Instant) -> Option<Instant> {
    if poll_once(socket.flush()).is_ready() {
        return None;
    }
    let since = since.unwrap_or(now);
    if now.since(since) < ANSWER_TIMEOUT {
        return Some(since);
    }
    socket.close();
    // This picks another port. Later solicits name it, as they are sent from it.
    let _ = socket.bind(0);
    None
}

/// Sends the beacons that are due, and drives the timeouts of all tables; returns the next one.
fn send_due(app: &AppState, shared: &UdpSocket<'static>, own: &UdpSocket<'static>, now: Instant) -> Instant {
    app.with(|tables| {
        tables.server.handle_timeout(now, &mut tables.rng);
        tables.browser.handle_timeout(now);
        let live = (tables.server.drops.live() > 0).then(|| (PORT, tables.server.drops.revision()));
        tables.advertiser.set(now, live, &mut tables.rng);
        if let Some(network) = app.context.online.get().network {
            while let Some(beacon) = tables.advertiser.poll_transmit(now, &mut tables.rng) {
                broadcast(shared, network, &beacon);
            }
            while let Some(beacon) = tables.browser.poll_transmit(now) {
                broadcast(own, network, &beacon);
            }
        }
        [tables.server.poll_timeout(), tables.advertiser.poll_timeout(), tables.browser.poll_timeout()]
            .into_iter()
            .flatten()
            .fold(now + CHECK_IN_EVERY, Instant::min)
    })
}

/// Handles all datagrams that wait on one socket. True if there was any.
fn receive(app: &AppState, socket: &UdpSocket<'static>, own: &UdpSocket<'static>) -> bool {
    let mut any = false;
    // One byte longer than a beacon, so that a longer datagram does not parse.
    let mut bytes = [0; BEACON_LEN + 1];
    while let Poll::Ready(datagram) = poll_once(socket.recv_from(&mut bytes)) {
        any = true;
        let Ok((len, from)) = datagram else { continue };
        let Some(Ok(beacon)) = bytes.get(..len).map(Beacon::parse) else { continue };
        let Some(network) = app.context.online.get().network else { continue };
        let IpAddr::V4(address) = IpAddr::from(from.endpoint.addr) else { continue };
        let from = SocketAddr::new(address.into(), from.endpoint.port);
        let arrival = Arrival { from, attached: is_of_other(network, address), loopback: false };
        let answer = app.with(|tables| {
            let now = clock::now();
            tables.browser.handle_beacon(now, &arrival, &beacon, &mut tables.rng);
            tables.advertiser.handle_beacon(now, &arrival, &beacon)
        });
        if let Some(answer) = answer {
            send(own, &answer.emit(), IpEndpoint::new(address.into(), from.port()));
        }
    }
    any
}

/// Whether `address` belongs to another host on this network.
fn is_of_other(network: Ipv4Cidr, address: Ipv4Addr) -> bool {
    let attached = Ipv4Network::new(network.address(), network.prefix_len());
    address != network.address() && attached.is_attached(address)
}

/// Sends a beacon to the directed and to the limited broadcast address: some networks pass only one of them.
fn broadcast(socket: &UdpSocket<'static>, network: Ipv4Cidr, beacon: &Beacon) {
    for to in network.broadcast().into_iter().chain([Ipv4Addr::BROADCAST]) {
        send(socket, &beacon.emit(), IpEndpoint::new(to.into(), UDP_PORT));
    }
}

/// Sends a datagram, or drops it if the transmit queue is full: beacons are repeated.
fn send(socket: &UdpSocket<'static>, bytes: &[u8], to: IpEndpoint) {
    let _ = poll_once(socket.send_to(bytes, to));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_hosts_of_the_network_count() {
        let network = Ipv4Cidr::new(Ipv4Addr::new(10, 1, 2, 3), 24);
        for (address, attached) in [
            ([10, 1, 2, 1], true),
            ([10, 1, 2, 3], false),
            ([10, 1, 2, 255], false),
            ([10, 1, 2, 0], false),
            ([10, 1, 3, 1], false),
            ([255, 255, 255, 255], false),
            ([127, 0, 0, 1], false),
        ] {
            assert_eq!(is_of_other(network, address.into()), attached, "{address:?}");
        }
    }
}
