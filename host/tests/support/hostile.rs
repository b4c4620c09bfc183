//! What somebody needs who means harm: beacons of any kind, and handshakes as far as one likes.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};

use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::CONTROL_RECORD;
use deaddrop_core::session::{ClientEvent, ClientSession};
use deaddrop_core::time::Instant;
use deaddrop_core::wire::BEACON_LEN;
pub use deaddrop_core::wire::{Beacon, BeaconKind};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use socket2::{Domain, Protocol, Socket, Type};

/// The system's randomness.
pub fn random() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// A socket for beacons, on the shared port or, with 0, on one of its own.
pub fn beacon_socket(port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
    socket.set_broadcast(true).expect("an option");
    socket.set_reuse_address(true).expect("an option");
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into()).expect("a port");
    socket.into()
}

/// The next beacon.
pub fn hear(socket: &UdpSocket) -> Beacon {
    let mut bytes = [0; BEACON_LEN];
    loop {
        let (len, _) = socket.recv_from(&mut bytes).expect("a datagram");
        if let Ok(beacon) = Beacon::parse(&bytes[..len]) {
            return beacon;
        }
    }
}

/// The beacon of the next sender that announces itself.
pub fn hear_sender(socket: &UdpSocket) -> Beacon {
    loop {
        let beacon = hear(socket);
        if beacon.kind == BeaconKind::Announce {
            return beacon;
        }
    }
}

/// The key of a room that nobody else is in.
pub fn wrong_room() -> Prs {
    use getrandom::rand_core::Rng;
    RoomSecret::fill_with(|bytes| random().fill_bytes(bytes)).prs()
}

/// How far to go with a handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Message 2 is sent.
    Half,
    /// Message 3 has come.
    Share,
    /// Message 4 is sent, and the server has closed.
    Guess,
}

/// Shakes hands with whoever serves at the other end.
pub fn shake_hands(stream: &mut TcpStream, prs: &Prs, until: Until) -> io::Result<()> {
    let now = Instant::from_millis(0);
    let address = stream.peer_addr()?.ip();
    // A guard of its own each time: whoever means harm has no budget.
    let mut guard = ClientGuard::<1>::new(now);
    let mut session = ClientSession::new(now, address, None, None);
    let mut buffer = vec![0; CONTROL_RECORD];
    loop {
        while let Some(len) = session.poll_transmit(&mut buffer).expect("room for a message") {
            stream.write_all(&buffer[..len])?;
            if until == Until::Half {
                return Ok(());
            }
        }
        let Some(len) = session.wants() else { return Ok(()) };
        if let Err(e) = stream.read_exact(&mut buffer[..len]) {
            // Which is how a refused guess ends.
            let guessed = until == Until::Guess && e.kind() == io::ErrorKind::UnexpectedEof;
            return if guessed { Ok(()) } else { Err(e) };
        }
        let input = session.handle_message(now, prs, &mut guard, &mut random(), &mut buffer[..len]);
        match input.map_err(io::Error::other)? {
            ClientEvent::Ready if until == Until::Share => return Ok(()),
            ClientEvent::Ready => session.list(now, None).map_err(io::Error::other)?,
            _ => {}
        }
    }
}
