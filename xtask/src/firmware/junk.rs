//! `firmware junk`: what the tests throw at a board, from a host of their own network.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::Duration;

use argh::FromArgs;
use deaddrop_core::limits::{TCP_PORT_FIRST, UDP_PORT};
use deaddrop_core::token::Instance;
use deaddrop_core::wire::{
    Beacon, BeaconKind, ClientHello, GREETING_LEN, Greeting, SERVER_HELLO_LEN, ServerHello,
};

use crate::repo::Failure;

/// For the tests of the emulated board: throw beacons of senders that are not there, or connections that say
/// nothing.
#[derive(FromArgs)]
#[argh(subcommand, name = "junk")]
pub(crate) struct Junk {
    /// the board
    #[argh(option, arg_name = "ip")]
    to: Ipv4Addr,
    /// beacons to send it, of as many senders
    #[argh(option, default = "0", arg_name = "n")]
    beacons: u32,
    /// connections to open to it
    #[argh(option, default = "0", arg_name = "n")]
    connections: u32,
    /// shake hands with it as far as its share, and print what it drew
    #[argh(switch)]
    hello: bool,
}

/// How long a connection that is not answered is waited for.
const SYN: Duration = Duration::from_millis(100);
/// How long one that is to be answered.
const PATIENCE: Duration = Duration::from_secs(20);

/// Throws it.
pub(crate) fn run(junk: &Junk) -> Result<(), Failure> {
    beacons(junk).map_err(Failure::at("beacons"))?;
    if junk.hello {
        return hello(junk.to).map_err(Failure::at("a handshake"));
    }
    let opened = connections(junk);
    println!("{} beacons sent, {opened} of {} connections opened", junk.beacons, junk.connections);
    Ok(())
}

/// Sends one and the same message 2 every time.
fn hello(to: Ipv4Addr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&SocketAddrV4::new(to, TCP_PORT_FIRST).into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = [0; GREETING_LEN];
    stream.read_exact(&mut greeting)?;
    let greeting = Greeting::parse(&greeting).map_err(std::io::Error::other)?;
    let suite = greeting.suites.choose().ok_or_else(|| std::io::Error::other("no suite"))?;
    stream.write_all(&ClientHello { suite, nonce: [1; 16], share: BASE_POINT }.emit())?;
    let mut message3 = [0; SERVER_HELLO_LEN];
    stream.read_exact(&mut message3)?;
    let share = ServerHello::parse(&message3).map_err(std::io::Error::other)?.share;
    println!(
        "instance {}\nnonce {}\nshare {}",
        hex(greeting.instance.as_bytes()),
        hex(&greeting.nonce),
        hex(&share)
    );
    Ok(())
}

/// A point of the group: its base, as RFC 9496 encodes it.
const BASE_POINT: [u8; 32] = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f, 0x58,
    0xe3, 0x0b, 0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Well-formed beacons, each of another sender; every third is cut short.
fn beacons(junk: &Junk) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    for n in 0..junk.beacons {
        let beacon = Beacon {
            kind: if n % 2 == 0 { BeaconKind::Announce } else { BeaconKind::Solicit },
            port: if n % 2 == 0 { 2_048 + u16::try_from(n % 60_000).unwrap_or_default() } else { 0 },
            instance: Instance::from_bytes((u64::from(n) << 8).to_be_bytes()),
            revision: n,
        };
        let bytes = beacon.emit();
        let length = if n % 3 == 0 { usize::try_from(n % 32).unwrap_or_default() } else { bytes.len() };
        socket.send_to(bytes.get(..length).unwrap_or(&bytes), (junk.to, UDP_PORT))?;
    }
    Ok(())
}

/// Connections that say nothing, or nonsense, and are dropped.
fn connections(junk: &Junk) -> u32 {
    let to = SocketAddrV4::new(junk.to, TCP_PORT_FIRST).into();
    let open = |n: &u32| {
        let Ok(mut stream) = TcpStream::connect_timeout(&to, SYN) else { return false };
        // Whether it takes them is its own affair.
        let _ = if n.is_multiple_of(2) { stream.write_all(&[0x5A; 200]) } else { Ok(()) };
        true
    };
    u32::try_from((0..junk.connections).filter(open).count()).unwrap_or(u32::MAX)
}
