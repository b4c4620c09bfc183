//! Beacons over UDP: what the board says of itself, and what it hears of others.
//!
//! One socket has the shared port and hears broadcasts; the other, on a port of its own, sends, and hears the answers
//! to solicits.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::Poll;
use core::time::Duration;

use deaddrop_core::discovery::Arrival;
use deaddrop_core::limits::UDP_PORT;
use deaddrop_core::time::Instant;
use deaddrop_core::wire::{BEACON_LEN, Beacon};
use embassy_futures::poll_once;
use embassy_futures::select::select4;
use embassy_net::udp::UdpSocket;
use embassy_net::{IpEndpoint, Ipv4Cidr};

use super::clock;
use super::member::{Member, PORT};
use super::rounds::{Part, ROUND};

/// The least time between two looks at the clock, whatever the tables say: a look that is due waits for the one
/// under way.
const LULL: Duration = Duration::from_millis(50);

/// Speaks and hears for ever.
pub(super) async fn beacons(member: &Member, shared: &mut UdpSocket<'static>, own: &mut UdpSocket<'static>) {
    // The ports are free: these are the first sockets.
    let _ = (shared.bind(UDP_PORT), own.bind(0));
    loop {
        let now = clock::now();
        member.rounds.made(Part::Beacons, now);
        let rung = member.bell.count();
        let next = speak(member, own, now);
        let mut heard = hear(member, shared, own);
        heard |= hear(member, own, own);
        if heard {
            // There may be somebody to look at.
            member.bell.ring();
            continue;
        }
        let until = next.min(now + ROUND).max(now + LULL);
        select4(shared.wait_recv_ready(), own.wait_recv_ready(), clock::at(until), member.bell.since(rung))
            .await;
    }
}

/// Says what is due, and does what else is due in the tables; gives the next such moment.
fn speak(member: &Member, socket: &UdpSocket<'static>, now: Instant) -> Instant {
    member.with(|state| {
        state.serving.drops.handle_timeout(now, &mut state.rng);
        state.offers.handle_timeout(now);
        let live = (state.serving.drops.live() > 0).then(|| (PORT, state.serving.drops.revision()));
        state.announcer.set(now, live, &mut state.rng);
        if let Some(network) = member.online.get().network {
            while let Some(beacon) = state.announcer.poll_transmit(now, &mut state.rng) {
                broadcast(socket, network, &beacon);
            }
            while let Some(beacon) = state.listener.poll_transmit(now) {
                broadcast(socket, network, &beacon);
            }
        }
        [
            state.serving.drops.poll_timeout(),
            state.serving.guard.poll_timeout(),
            state.announcer.poll_timeout(),
            state.listener.poll_timeout(),
            state.offers.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .fold(now + ROUND, Instant::min)
    })
}

/// Takes what has come in by one socket. True if anything has.
fn hear(member: &Member, socket: &UdpSocket<'static>, own: &UdpSocket<'static>) -> bool {
    let mut heard = false;
    // One byte more than a beacon has, so that a longer datagram is seen to be longer.
    let mut bytes = [0; BEACON_LEN + 1];
    while let Poll::Ready(received) = poll_once(socket.recv_from(&mut bytes)) {
        heard = true;
        let Ok((len, from)) = received else { continue };
        let Some(Ok(beacon)) = bytes.get(..len).map(Beacon::parse) else { continue };
        let Some(network) = member.online.get().network else { continue };
        let IpAddr::V4(address) = IpAddr::from(from.endpoint.addr) else { continue };
        let from = SocketAddr::new(address.into(), from.endpoint.port);
        let arrival = Arrival { from, attached: is_attached(network, address), loopback: false };
        let answer = member.with(|state| {
            let now = clock::now();
            state.listener.handle_beacon(now, &arrival, &beacon, &mut state.rng);
            arrival.attached.then(|| state.announcer.handle_beacon(now, from, &beacon)).flatten()
        });
        if let Some(answer) = answer {
            send(own, &answer, IpEndpoint::new(address.into(), from.port()));
        }
    }
    heard
}

/// Whether an address is a host's on this network, and not this board's own or everybody's.
fn is_attached(network: Ipv4Cidr, address: Ipv4Addr) -> bool {
    network.contains_addr(&address) && address != network.address() && Some(address) != network.broadcast()
}

/// Sends a beacon to everybody. Some networks pass only the one kind of broadcast, some only the other.
fn broadcast(socket: &UdpSocket<'static>, network: Ipv4Cidr, beacon: &Beacon) {
    for to in network.broadcast().into_iter().chain([Ipv4Addr::BROADCAST]) {
        send(socket, beacon, IpEndpoint::new(to.into(), UDP_PORT));
    }
}

/// Sends a beacon, unless too many are on their way already: the next one may pass.
fn send(socket: &UdpSocket<'static>, beacon: &Beacon, to: IpEndpoint) {
    let _ = poll_once(socket.send_to(&beacon.emit(), to));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_hosts_of_the_network_are_attached() {
        let network = Ipv4Cidr::new(Ipv4Addr::new(10, 1, 2, 3), 24);
        for (address, attached) in [
            ([10, 1, 2, 1], true),
            ([10, 1, 2, 3], false),
            ([10, 1, 2, 255], false),
            ([10, 1, 3, 1], false),
            ([255, 255, 255, 255], false),
            ([127, 0, 0, 1], false),
        ] {
            assert_eq!(is_attached(network, address.into()), attached, "{address:?}");
        }
    }
}
