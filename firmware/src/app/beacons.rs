//! Beacons over UDP: what the board says of itself, and what it hears of others.
//!
//! One socket has the shared port: it hears broadcasts, and announces. The other, on a port of its own, asks, hears the
//! answers, and answers others. The stack keeps what is for one host until it knows that host's hardware address, and
//! whatever was sent after it; a solicit may name a host that is not there. So announcements never wait behind an
//! answer, and an answer that does not get away is given up, with what waits behind it.

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

/// How long an answer may wait for the hardware address of whom it is for.
const ANSWER_WAITS: Duration = Duration::from_millis(500);

/// Speaks and hears for ever.
pub(super) async fn beacons(member: &Member, shared: &mut UdpSocket<'static>, own: &mut UdpSocket<'static>) {
    // The ports are free: these are the first sockets.
    let _ = (shared.bind(UDP_PORT), own.bind(0));
    let mut waiting = None;
    loop {
        let now = clock::now();
        member.rounds.made(Part::Beacons, now);
        let rung = member.bell.count();
        waiting = give_up(own, waiting, now);
        let next = speak(member, shared, own, now);
        let mut heard = hear(member, shared, own);
        heard |= hear(member, own, own);
        if heard {
            // There may be somebody to look at.
            member.bell.ring();
            continue;
        }
        let next = waiting.map_or(next, |since| next.min(since + ANSWER_WAITS));
        let until = next.min(now + ROUND).max(now + LULL);
        select4(shared.wait_recv_ready(), own.wait_recv_ready(), clock::at(until), member.bell.since(rung))
            .await;
    }
}

/// Gives up what has waited for too long to get away; says since when something waits.
fn give_up(socket: &mut UdpSocket<'static>, since: Option<Instant>, now: Instant) -> Option<Instant> {
    if poll_once(socket.flush()).is_ready() {
        return None;
    }
    let since = since.unwrap_or(now);
    if now.since(since) < ANSWER_WAITS {
        return Some(since);
    }
    socket.close();
    // Another port: who is asked next answers to that.
    let _ = socket.bind(0);
    None
}

/// Says what is due, and does what else is due in the tables; gives the next such moment.
fn speak(member: &Member, shared: &UdpSocket<'static>, own: &UdpSocket<'static>, now: Instant) -> Instant {
    member.with(|state| {
        state.serving.drops.handle_timeout(now, &mut state.rng);
        state.offers.handle_timeout(now);
        let live = (state.serving.drops.live() > 0).then(|| (PORT, state.serving.drops.revision()));
        state.announcer.set(now, live, &mut state.rng);
        if let Some(network) = member.online.get().network {
            while let Some(beacon) = state.announcer.poll_transmit(now, &mut state.rng) {
                broadcast(shared, network, &beacon);
            }
            while let Some(beacon) = state.listener.poll_transmit(now) {
                broadcast(own, network, &beacon);
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
