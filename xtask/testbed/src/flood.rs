//! Floods of beacons and of connections, at one address.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::Duration;

use deaddrop_core::limits::{TCP_PORT_FIRST, UDP_PORT};
use deaddrop_core::token::Instance;
use deaddrop_core::wire::{Beacon, BeaconKind};

/// How long to wait for a connection that may not be answered.
const CONNECT: Duration = Duration::from_millis(100);

/// Sends `count` beacons of as many senders that do not exist. Every third is cut short.
pub fn beacons(to: Ipv4Addr, count: u32) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    for n in 0..count {
        let beacon = Beacon {
            kind: if n % 2 == 0 { BeaconKind::Announce } else { BeaconKind::Solicit },
            port: if n % 2 == 0 { 2_048 + u16::try_from(n % 60_000).unwrap_or_default() } else { 0 },
            instance: Instance::from_bytes((u64::from(n) << 8).to_be_bytes()),
            revision: n,
        };
        let bytes = beacon.emit();
        let length = if n % 3 == 0 { usize::try_from(n % 32).unwrap_or_default() } else { bytes.len() };
        socket.send_to(bytes.get(..length).unwrap_or(&bytes), (to, UDP_PORT))?;
    }
    Ok(())
}

/// Opens `count` connections one after another and closes each; every other one sends nonsense, the rest nothing.
/// Gives how many were accepted.
pub fn connections(to: Ipv4Addr, count: u32) -> u32 {
    let to = SocketAddrV4::new(to, TCP_PORT_FIRST).into();
    let open = |n: &u32| {
        let Ok(mut stream) = TcpStream::connect_timeout(&to, CONNECT) else { return false };
        // The server may have closed it already.
        let _ = if n.is_multiple_of(2) { stream.write_all(&[0x5A; 200]) } else { Ok(()) };
        true
    };
    u32::try_from((0..count).filter(open).count()).unwrap_or(u32::MAX)
}
