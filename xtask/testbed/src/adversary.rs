//! An adversary's tools: beacons of any kind, and handshakes that stop at any message.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::Duration;

use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_core::guard::ClientGuard;
use deaddrop_core::limits::CONTROL_RECORD;
use deaddrop_core::limits::TCP_PORT_FIRST;
use deaddrop_core::session::{ClientEvent, ClientSession};
use deaddrop_core::time::Instant;
use deaddrop_core::wire::{BEACON_LEN, ClientHello, GREETING_LEN, Greeting, SERVER_HELLO_LEN, ServerHello};
pub use deaddrop_core::wire::{Beacon, BeaconKind};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use socket2::{Domain, Protocol, Socket, Type};

/// The system's random number generator.
pub fn random() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// A socket for beacons, bound to the shared port or, with 0, to an ephemeral one.
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

/// The key of a random room.
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

/// Runs the client's side of a handshake, up to this message.
pub fn shake_hands(stream: &mut TcpStream, prs: &Prs, until: Until) -> io::Result<()> {
    let now = Instant::from_millis(0);
    let address = stream.peer_addr()?.ip();
    // A new guard each time: an adversary does not limit its own guesses.
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
            // The server closes after a refused guess.
            let guessed = until == Until::Guess && e.kind() == io::ErrorKind::UnexpectedEof;
            return if guessed { Ok(()) } else { Err(e) };
        }
        let event = session.handle_message(now, prs, &mut guard, &mut random(), &mut buffer[..len]);
        match event.map_err(io::Error::other)? {
            Some(ClientEvent::Ready) if until == Until::Share => return Ok(()),
            Some(ClientEvent::Ready) => session.list(now, None).map_err(io::Error::other)?,
            _ => {}
        }
    }
}

/// The random values of a server's first two messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerDraws {
    /// Its instance.
    pub instance: [u8; 8],
    /// The nonce of its greeting.
    pub nonce: [u8; 16],
    /// Its CPace share.
    pub share: [u8; 32],
}

/// Runs a handshake up to message 3, always with the same message 2, and gives the server's random values.
pub fn server_draws(to: Ipv4Addr) -> io::Result<ServerDraws> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let mut stream = TcpStream::connect_timeout(&SocketAddrV4::new(to, TCP_PORT_FIRST).into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = [0; GREETING_LEN];
    stream.read_exact(&mut greeting)?;
    let greeting = Greeting::parse(&greeting).map_err(io::Error::other)?;
    let suite = greeting.suites.choose().ok_or_else(|| io::Error::other("no suite"))?;
    stream.write_all(&ClientHello { suite, nonce: [1; 16], share: BASE_POINT }.emit())?;
    let mut message3 = [0; SERVER_HELLO_LEN];
    stream.read_exact(&mut message3)?;
    let share = ServerHello::parse(&message3).map_err(io::Error::other)?.share;
    Ok(ServerDraws { instance: *greeting.instance.as_bytes(), nonce: greeting.nonce, share })
}

/// The base point of ristretto255, as RFC 9496 encodes it: a valid share.
const BASE_POINT: [u8; 32] = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f, 0x58,
    0xe3, 0x0b, 0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];
