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
/// Datagrams of each size, in bytes: the first that is answered will do.
const TRIES: usize = 2;
/// Sizes of packets, of Ethernet and of its jumbo frames. The system cuts what is larger than its own MTU, so that it
/// arrives.
const SIZES: [usize; 2] = [1_500, 9_000];

/// Whether small datagrams are answered there and large ones are not. False where nothing is known.
pub(super) async fn are_lost(route: Route) -> bool {
    if !matches!(is_answered(route, 1).await, Ok(true)) {
        return false;
    }
    let headers = if route.to.is_ipv4() { 28 } else { 48 };
    for size in SIZES {
        if matches!(is_answered(route, size - headers).await, Ok(false)) {
            // A machine answers only so many in a second, so a small one has to be answered again.
            return matches!(is_answered(route, 1).await, Ok(true));
        }
    }
    false
}

async fn is_answered(route: Route, bytes: usize) -> io::Result<bool> {
    let socket = Socket::new(open(route)?)?;
    for _ in 0..TRIES {
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
