//! Whether large packets are lost on the way to a machine: a black hole of the path MTU (RFC 2923, section 2.1).
//!
//! Handshakes are small, so that they pass where the records of a file do not. No request of the protocol fills a whole
//! packet. A datagram to a UDP port that nobody has does: the machine then says that the port is closed (RFC 1122,
//! section 3.2.2.1), which the system gives as "connection refused". A machine that says so of small datagrams and not
//! of large ones does not get the large ones.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use smol::future;
use socket2::{Domain, Protocol, Type};

use crate::clock;
use crate::platform;
use crate::transport::link::Route;
use crate::transport::socket::{Socket, sleep_until};

/// A port that no program has: the first that traceroute uses.
const PORT: u16 = 33_434;
/// How long the answer may take.
const WITHIN: Duration = Duration::from_millis(400);
/// Datagrams of the size that is asked first, in bytes: the first that is answered will do.
const TRIES: usize = 2;
/// Sizes of packets, of Ethernet and of its jumbo frames. The system cuts what is larger than its own MTU, so that it
/// arrives.
const SIZES: [usize; 2] = [1_500, 9_000];
/// How often a size has to be lost, each time after a pause and before a small one that is answered. Systems answer only so
/// many datagrams in a second: Linux one, after six at once, whoever asks (icmp(7), `icmp_ratelimit`).
const LOST: usize = 2;
/// After it a system answers again.
const PAUSE: Duration = Duration::from_millis(1_200);

/// Whether small datagrams are answered there and large ones are not. False where nothing is known.
pub(super) async fn are_lost(route: Route) -> bool {
    if !matches!(is_answered(route, 1, TRIES).await, Ok(true)) {
        return false;
    }
    let headers = if route.to.is_ipv4() { 28 } else { 48 };
    for size in SIZES {
        if is_lost(route, size - headers).await {
            return true;
        }
    }
    false
}

/// Whether datagrams of this size are not answered, and small ones are.
async fn is_lost(route: Route, bytes: usize) -> bool {
    if !matches!(is_answered(route, bytes, 1).await, Ok(false)) {
        return false;
    }
    for _ in 0..LOST {
        sleep_until(clock::now() + PAUSE).await;
        let large = is_answered(route, bytes, 1).await;
        // Without an answer to either, the machine has answered too many, or has gone.
        if !matches!(large, Ok(false)) || !matches!(is_answered(route, 1, 1).await, Ok(true)) {
            return false;
        }
    }
    true
}

async fn is_answered(route: Route, bytes: usize, tries: usize) -> io::Result<bool> {
    let socket = Socket::new(open(route)?)?;
    for _ in 0..tries {
        match socket.get_ref().send(&vec![0; bytes]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(true),
            Err(error) => return Err(error),
        }
        let by = clock::now() + WITHIN;
        while clock::now() < by {
            let late = async {
                sleep_until(by).await;
                Ok(())
            };
            future::or(socket.ready(true, false), late).await?;
            match socket.get_ref().recv(&mut [0]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // Refused, or answered by a program that has the port after all.
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(false)
}

fn open(route: Route) -> io::Result<UdpSocket> {
    let mut to = route.to;
    to.set_port(PORT);
    let socket = socket2::Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    match to {
        _ if route.via.is_none() => {}
        SocketAddr::V4(_) => platform::bind_to_interface_v4(&socket, route.via)?,
        SocketAddr::V6(_) => platform::bind_to_interface_v6(&socket, route.via)?,
    }
    socket.connect(&to.into())?;
    Ok(socket.into())
}
