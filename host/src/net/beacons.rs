//! Beacons over UDP: two sockets on every usable interface, loopback among them.
//!
//! One is bound to the shared port and hears broadcasts; the other, on a port of its own, sends, and hears
//! the answers to solicits. Each is tied to its interface, so that a beacon's way in is known.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::num::NonZeroU32;
use std::time::Duration;

use deaddrop_core::discovery::Arrival;
use deaddrop_core::time::Instant;
use deaddrop_core::wire::{BEACON_LEN, Beacon};
use socket2::{Domain, Protocol, Socket, Type};

use super::interfaces::{Interface, interfaces};
use crate::clock;
use crate::exit::Failure;

/// How often to look whether the machine's interfaces have changed.
const REFRESH: Duration = Duration::from_secs(2);

/// The beacon sockets of one process.
pub(crate) struct Beacons {
    port: u16,
    /// The interfaces to use; empty means all.
    chosen: Vec<String>,
    ports: Vec<Port>,
    refresh_at: Instant,
}

/// The sockets of one interface.
struct Port {
    interface: Interface,
    shared: Option<UdpSocket>,
    own: UdpSocket,
}

/// An interface that beacons cannot use, or not fully, and why.
#[derive(Debug)]
pub(crate) struct Skipped {
    /// Its name.
    pub(crate) interface: String,
    /// Beacons go out on it, but none is heard on this port, the shared one.
    pub(crate) deaf: Option<u16>,
    /// What went wrong.
    pub(crate) error: io::Error,
}

impl Beacons {
    /// Opens what can be opened, and says what cannot. Fails if an interface that was chosen is not there.
    pub(crate) fn open(port: u16, chosen: &[String]) -> Result<(Self, Vec<Skipped>), Failure> {
        let refresh_at = clock::now() + REFRESH;
        let mut beacons = Self { port, chosen: chosen.to_vec(), ports: Vec::new(), refresh_at };
        let (_, skipped) = beacons
            .refresh()
            .map_err(|e| Failure::failed(format!("cannot read this machine's network interfaces: {e}")))?;
        if let Some(name) = chosen.iter().find(|name| !beacons.has(name)) {
            let up = interfaces().unwrap_or_default();
            let names = up.iter().map(|interface| interface.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Failure::usage(format!(
                "there is no interface {name} that is up and has an IPv4 address; there is {names}"
            )));
        }
        Ok((beacons, skipped))
    }

    /// Looks at the machine's interfaces again if it is time: true if the sockets are others now.
    pub(crate) fn keep_up(&mut self, now: Instant) -> bool {
        if now < self.refresh_at {
            return false;
        }
        self.refresh_at = now + REFRESH;
        // An interface list that cannot be read now may be readable in two seconds.
        matches!(self.refresh(), Ok((true, _)))
    }

    /// When to look again.
    pub(crate) fn due(&self) -> Instant {
        self.refresh_at
    }

    /// Looks at the machine's interfaces: true if they have changed.
    fn refresh(&mut self) -> io::Result<(bool, Vec<Skipped>)> {
        let mut found = interfaces()?;
        found.retain(|interface| self.chosen.is_empty() || self.chosen.contains(&interface.name));
        let before = self.ports.len();
        self.ports.retain(|port| found.contains(&port.interface));
        let mut changed = self.ports.len() != before;
        let mut skipped = Vec::new();
        for port in self.ports.iter_mut().filter(|port| port.shared.is_none()) {
            changed |= port.share(self.port).is_ok();
        }
        for interface in found {
            if self.ports.iter().any(|port| port.interface == interface) {
                continue;
            }
            match Port::open(&interface) {
                Ok(mut port) => {
                    if let Err(error) = port.share(self.port) {
                        let deaf = Some(self.port);
                        skipped.push(Skipped { interface: interface.name, deaf, error });
                    }
                    self.ports.push(port);
                    changed = true;
                }
                Err(error) => skipped.push(Skipped { interface: interface.name, deaf: None, error }),
            }
        }
        Ok((changed, skipped))
    }

    /// Whether this interface is in use.
    fn has(&self, name: &str) -> bool {
        self.ports.iter().any(|port| port.interface.name == name)
    }

    /// The addresses under which this machine can be reached, loopback last.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let mut ports: Vec<&Port> = self.ports.iter().collect();
        ports.sort_by_key(|port| port.interface.is_loopback());
        ports.iter().map(|port| IpAddr::V4(port.interface.address)).collect()
    }

    /// Sends a beacon to everybody on every interface. Errors are not ours to mend: the next one may pass.
    pub(crate) fn broadcast(&self, beacon: &Beacon) {
        let bytes = beacon.emit();
        for port in &self.ports {
            for to in port.broadcasts() {
                let _ = port.own.send_to(&bytes, SocketAddrV4::new(to, self.port));
            }
        }
    }

    /// Sends a beacon to the one who asked.
    pub(crate) fn answer(&self, beacon: &Beacon, to: SocketAddr) {
        let IpAddr::V4(address) = to.ip() else { return };
        if let Some(port) = self.ports.iter().find(|port| port.interface.attached(address)) {
            let _ = port.own.send_to(&beacon.emit(), to);
        }
    }

    /// A second handle to every socket, with what is needed to judge what comes in by it.
    pub(crate) fn ears(&self) -> io::Result<Vec<Ear>> {
        let mut ears = Vec::new();
        for port in &self.ports {
            for socket in port.shared.iter().chain([&port.own]) {
                ears.push(Ear { socket: socket.try_clone()?, interface: port.interface.clone() });
            }
        }
        Ok(ears)
    }
}

/// Hears the beacons of one socket.
pub(crate) struct Ear {
    /// The socket, non-blocking.
    pub(crate) socket: UdpSocket,
    interface: Interface,
}

impl Ear {
    /// The next beacon that has come in; `None` for a datagram that is none.
    pub(crate) fn hear(&self) -> io::Result<Option<(Arrival, Beacon)>> {
        // One byte more than a beacon has, so that a longer datagram is seen to be longer.
        let mut bytes = [0; BEACON_LEN + 1];
        let (len, from) = self.socket.recv_from(&mut bytes)?;
        let Some(Ok(beacon)) = bytes.get(..len).map(Beacon::parse) else { return Ok(None) };
        let IpAddr::V4(address) = from.ip() else { return Ok(None) };
        let arrival = Arrival {
            from,
            attached: self.interface.attached(address),
            loopback: self.interface.is_loopback(),
        };
        Ok(Some((arrival, beacon)))
    }
}

impl Port {
    fn open(interface: &Interface) -> io::Result<Self> {
        let own = socket(interface, interface.address, 0)?;
        Ok(Self { interface: interface.clone(), shared: None, own })
    }

    /// Hears on the shared port too. Where it cannot be had, answers to our own solicits are still heard.
    fn share(&mut self, port: u16) -> io::Result<()> {
        self.shared = Some(socket(&self.interface, Ipv4Addr::UNSPECIFIED, port)?);
        Ok(())
    }

    /// Where everybody on this network hears us. Some networks pass only the one, some only the other.
    fn broadcasts(&self) -> impl Iterator<Item = Ipv4Addr> {
        // On loopback the limited broadcast would leave by another interface.
        let limited =
            (!self.interface.is_loopback() && !self.interface.point_to_point).then_some(Ipv4Addr::BROADCAST);
        self.interface.directed_broadcast().into_iter().chain(limited)
    }
}

fn socket(interface: &Interface, address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    if port != 0 {
        socket.set_reuse_address(true)?;
        // Elsewhere than on Linux, sharing a port takes this too.
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        socket.set_reuse_port(true)?;
        socket.bind_device_by_index_v4(NonZeroU32::new(interface.index))?;
    }
    socket.bind(&SocketAddrV4::new(address, port).into())?;
    Ok(socket.into())
}
