//! Beacon sockets: two UDP sockets for each family on every usable interface, loopback included.
//!
//! One is bound to the shared port and receives broadcasts, of IPv6 what is sent to the group. The other, on an ephemeral port, sends, and receives the
//! answers to solicits, which come from the shared port of others. Each is bound to its interface, so that the interface a beacon came in by is known.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

use deaddrop_core::time::Instant;
use deaddrop_core::wire::Beacon;
use log::{debug, trace};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::interfaces::{GROUP, Interface, InterfaceError, interfaces};
use super::mdns::responder::Transmit;
use super::mdns::sockets::MdnsSockets;
use super::unused::not_usable;
use super::watch::InterfaceWatch;
use crate::address::Address;
use crate::clock;
use crate::network::Network;
use crate::platform;

/// The hop limit of what is sent over IPv6: the highest, which no router leaves as it is.
pub(super) const HOPS: u32 = 255;

/// The beacon sockets of one process.
pub(crate) struct BeaconSockets {
    network: Network,
    sockets: Vec<InterfaceSockets>,
    /// Where it was asked for.
    mdns: Option<MdnsSockets>,
    watch: InterfaceWatch,
}

/// The sockets of one interface.
struct InterfaceSockets {
    interface: Interface,
    shared: Option<UdpSocket>,
    own: UdpSocket,
    /// A beacon could not be sent, and that was traced.
    failed: AtomicBool,
}

/// An interface that beacons cannot use, or not fully.
#[derive(Debug)]
#[non_exhaustive]
pub struct SkippedInterface {
    /// The system's name for it.
    pub interface: String,
    /// The shared UDP port, if only that could not be bound: beacons are sent on this interface, but none is received
    /// except answers to our own solicits; of multicast DNS, 5353, nothing is sent either. `None` if the interface is not
    /// used at all.
    pub receive_unavailable: Option<u16>,
    /// What the system says.
    pub error: io::Error,
}

impl BeaconSockets {
    /// Opens the sockets of every interface of the network that has them, and returns the interfaces that do not.
    pub(crate) fn open(network: &Network) -> Result<(Self, Vec<SkippedInterface>), InterfaceError> {
        // Before the first look, so that no change is between the two.
        let watch = InterfaceWatch::new(clock::now());
        let mdns = network.mdns.then(MdnsSockets::default);
        let mut beacons = Self { network: network.clone(), sockets: Vec::new(), mdns, watch };
        let (_, skipped) = beacons.refresh().map_err(InterfaceError::Unreadable)?;
        for SkippedInterface { interface, error, .. } in
            skipped.iter().filter(|it| it.receive_unavailable.is_none())
        {
            debug!("lan: {interface} is skipped: {error}");
        }
        if let Some(name) = network.interfaces.iter().find(|name| !beacons.has(name)) {
            return Err(not_usable(name));
        }
        Ok((beacons, skipped))
    }

    /// Looks at the machine's interfaces if they have changed: true if the sockets are others now.
    pub(crate) fn refresh_if_due(&mut self, now: Instant) -> bool {
        if !self.watch.is_due(now) {
            return false;
        }
        match self.refresh() {
            Ok((changed, _)) => changed,
            // A list of interfaces that cannot be read now may be readable later.
            Err(_) => {
                self.watch.looked(now, false);
                false
            }
        }
    }

    /// When to look at the latest.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.watch.due()
    }

    /// Waits until the system tells of a change of the machine's interfaces. May return early.
    pub(crate) async fn told(&self) {
        self.watch.told().await;
    }

    /// Opens and closes sockets as the machine's interfaces have changed: true if they have.
    fn refresh(&mut self) -> io::Result<(bool, Vec<SkippedInterface>)> {
        let mut found = interfaces()?;
        let chosen = &self.network.interfaces;
        found.retain(|interface| match chosen.is_empty() {
            true => interface.port_of.is_none(),
            false => chosen.iter().any(|name| interface.is_meant_by(name)),
        });
        found.retain(Interface::has_beacons);
        let before = self.sockets.len();
        self.sockets.retain(|InterfaceSockets { interface, .. }| {
            let kept = found.contains(interface);
            if !kept {
                debug!("lan: {interface} is gone");
            }
            kept
        });
        let mut changed = self.sockets.len() != before;
        let mut skipped = Vec::new();
        let shared_port = self.network.udp_port;
        for sockets in self.sockets.iter_mut().filter(|sockets| sockets.shared.is_none()) {
            if sockets.bind_shared(shared_port).is_ok() {
                debug!("lan: {}: UDP port {shared_port} is bound now", sockets.interface);
                changed = true;
            }
        }
        for interface in found {
            if self.sockets.iter().any(|sockets| sockets.interface == interface) {
                continue;
            }
            match InterfaceSockets::open(&interface) {
                Ok(mut sockets) => {
                    debug!("lan: {interface} is used");
                    if let Err(error) = sockets.bind_shared(shared_port) {
                        debug!("lan: {interface}: UDP port {shared_port} is not bound: {error}");
                        let receive_unavailable = Some(shared_port);
                        let interface = interface.name;
                        skipped.push(SkippedInterface { interface, receive_unavailable, error });
                    }
                    self.sockets.push(sockets);
                    changed = true;
                }
                Err(error) => {
                    trace!("lan: {interface} is skipped: {error}");
                    let interface = interface.name;
                    skipped.push(SkippedInterface { interface, receive_unavailable: None, error });
                }
            }
        }
        if let Some(mdns) = &mut self.mdns {
            let (others, not_open) = mdns.refresh(self.sockets.iter().map(|sockets| &sockets.interface));
            changed |= others;
            skipped.extend(not_open);
        }
        let shared = self.sockets.iter().all(|sockets| sockets.shared.is_some());
        self.watch.looked(clock::now(), shared && skipped.is_empty());
        Ok((changed, skipped))
    }

    /// Whether this interface is in use.
    fn has(&self, name: &str) -> bool {
        self.sockets.iter().any(|sockets| sockets.interface.is_meant_by(name))
    }

    /// The addresses at which this machine can be reached, the best first.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let interfaces = self.sockets.iter().map(|sockets| &sockets.interface);
        let mut addresses: Vec<(bool, Address)> = interfaces
            .flat_map(|interface| {
                interface.own().map(|address| (interface.deprecated.contains(&address.ip()), address))
            })
            .collect();
        addresses.sort_by_key(|(deprecated, address)| (address.rank(), *deprecated));
        addresses.into_iter().map(|(_, address)| address).collect()
    }

    /// Sends a beacon to everybody on every interface. Errors are ignored: the next beacon may pass.
    pub(crate) fn broadcast(&self, beacon: &Beacon) {
        let bytes = beacon.emit();
        for sockets in &self.sockets {
            for to in sockets.interface.everybody() {
                let mut to = Address::from(to).at(self.network.udp_port);
                if let SocketAddr::V6(group) = &mut to {
                    group.set_scope_id(sockets.interface.index);
                }
                let sent = sockets.own.send_to(&bytes, to);
                trace!("lan: {:?} to {to} on {}: {}", beacon.kind, sockets.interface, outcome(&sent));
                if let Err(error) = sent
                    && !sockets.failed.swap(true, Ordering::Relaxed)
                {
                    debug!("lan: {}: nothing can be sent to {to}: {error}", sockets.interface);
                }
            }
        }
    }

    /// Sends a beacon to the source of a solicit.
    pub(crate) fn answer(&self, beacon: &Beacon, to: SocketAddr) {
        if let Some(sockets) = self.sockets.iter().find(|sockets| sockets.interface.attached(to)) {
            let bytes = beacon.emit();
            let from_shared_port = answering(&sockets.interface, self.network.udp_port)
                .and_then(|socket| socket.send_to(&bytes, to));
            if from_shared_port.is_err() {
                // Another program has the port alone. A solicit that is not answered is repeated.
                let _ = sockets.own.send_to(&bytes, to);
            }
        }
    }

    /// Asks for senders by multicast DNS, where that was asked for.
    pub(crate) fn ask_by_mdns(&self) {
        if let Some(mdns) = &self.mdns {
            mdns.ask();
        }
    }

    /// Sends by multicast DNS what a responder has to send, where that was asked for.
    pub(crate) fn send_by_mdns(&self, transmit: &Transmit) {
        if let Some(mdns) = &self.mdns {
            mdns.announce(&transmit.beacon, transmit.on);
        }
    }

    /// The sockets of multicast DNS, where it was asked for.
    pub(super) fn mdns(&self) -> Option<&MdnsSockets> {
        self.mdns.as_ref()
    }

    /// A second handle to every socket for beacons, with the interface that it is bound to.
    pub(crate) fn handles(&self) -> io::Result<Vec<(UdpSocket, Interface)>> {
        let mut handles = Vec::new();
        for sockets in &self.sockets {
            for socket in sockets.shared.iter().chain([&sockets.own]) {
                handles.push((socket.try_clone()?, sockets.interface.clone()));
            }
        }
        Ok(handles)
    }
}

impl InterfaceSockets {
    fn open(interface: &Interface) -> io::Result<Self> {
        let own = match interface.address {
            IpAddr::V4(ip) => socket_v4(interface, ip, 0)?,
            IpAddr::V6(ip) => socket_v6(interface, ip, 0)?,
        };
        Ok(Self { interface: interface.clone(), shared: None, own, failed: AtomicBool::new(false) })
    }

    /// Receives on the shared port too. Without it, answers to our own solicits are still received.
    fn bind_shared(&mut self, port: u16) -> io::Result<()> {
        self.shared = Some(match self.interface.address {
            IpAddr::V4(own) => socket_v4(&self.interface, platform::broadcast_receiver(own), port)?,
            IpAddr::V6(own) => {
                let socket = socket_v6(&self.interface, platform::group_receiver(GROUP, own), port)?;
                SockRef::from(&socket).join_multicast_v6(&GROUP, self.interface.index)?;
                socket
            }
        });
        Ok(())
    }
}

/// A socket that sends from the shared port, by which a firewall knows an answer. What is sent to this machine alone goes
/// to other ports, so that this one takes nothing from those that receive.
fn answering(interface: &Interface, port: u16) -> io::Result<UdpSocket> {
    let from = Address::from(interface.address).behind(interface.index).at(port);
    let socket = Socket::new(Domain::for_address(from), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if from.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_unicast_hops_v6(HOPS)?;
    }
    platform::share_port(&socket)?;
    socket.bind(&from.into())?;
    Ok(socket.into())
}

/// A result in a line of the trace.
fn outcome<T>(result: &io::Result<T>) -> String {
    result.as_ref().map_or_else(ToString::to_string, |_| "sent".into())
}

pub(super) fn socket_v4(interface: &Interface, address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_broadcast(true)?;
    if port != 0 {
        platform::share_port(&socket)?;
    }
    // The address may be another interface's too where the link is point to point, and what is sent to everybody would go
    // out there.
    if port != 0 || interface.point_to_point {
        platform::bind_to_interface_v4(&socket, NonZeroU32::new(interface.index))?;
    }
    socket.bind(&SocketAddrV4::new(address, port).into())?;
    Ok(socket.into())
}

pub(super) fn socket_v6(interface: &Interface, address: Ipv6Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_only_v6(true)?;
    socket.set_multicast_if_v6(interface.index)?;
    // A receiver that looks at it can tell that no router was on the way (RFC 5082).
    socket.set_multicast_hops_v6(HOPS)?;
    socket.set_unicast_hops_v6(HOPS)?;
    if port != 0 {
        platform::share_port(&socket)?;
        platform::bind_to_interface_v6(&socket, NonZeroU32::new(interface.index))?;
    }
    // Of no meaning to an address that is valid on every link.
    let zone = if address.is_multicast() { interface.index } else { 0 };
    let zone = Address::from(address).behind(interface.index).zone().map_or(zone, NonZeroU32::get);
    socket.bind(&SocketAddrV6::new(address, port, 0, zone).into())?;
    Ok(socket.into())
}
