//! The network interfaces that others can be reached through.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;

use deaddrop_core::discovery::Ipv4Network;
use if_addrs::{IfAddr, get_if_addrs};

use crate::address::index_of;

/// One IPv4 address of this machine and its network. An interface with several addresses has several of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Interface {
    /// The system's name for the interface, or the label of the address, such as `eth0:1`.
    pub(crate) name: String,
    /// The system's number for it.
    pub(crate) index: u32,
    /// This machine's address on it.
    pub(crate) address: Ipv4Addr,
    /// How many bits of the address are the network's.
    pub(crate) prefix: u8,
    /// Whether the link is point to point, so that nothing is broadcast on it.
    pub(crate) point_to_point: bool,
}

impl Interface {
    /// Whether it leads back to this machine only.
    pub(crate) fn is_loopback(&self) -> bool {
        self.address.is_loopback()
    }

    /// Whether a user who writes `name` means this: the interface whatever the label of its address, or the label itself.
    pub(crate) fn is_meant_by(&self, name: &str) -> bool {
        self.name == name || (!name.contains(':') && index_of(name) == Some(self.index))
    }

    /// Whether a machine with address `ip` can be on the network this interface is attached to.
    pub(crate) fn attached(&self, ip: Ipv4Addr) -> bool {
        self.network().is_attached(ip)
    }

    /// The address by which all machines on the network are reached. None where there is none: in
    /// networks of one or two addresses, and on links with one machine at the far end.
    pub(crate) fn directed_broadcast(&self) -> Option<Ipv4Addr> {
        self.network().directed_broadcast().filter(|_| !self.point_to_point)
    }

    fn network(&self) -> Ipv4Network {
        Ipv4Network::new(self.address, self.prefix)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}/{})", self.name, self.address, self.prefix)
    }
}

/// Why the machine's interfaces cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum InterfaceError {
    /// The system does not list its interfaces.
    Unreadable(io::Error),
    /// An interface that was named is not up, has no IPv4 address, or does not exist.
    Unknown {
        /// The name.
        name: String,
        /// The names of the interfaces that are up and have an IPv4 address.
        available: Vec<String>,
    },
    /// The system refuses to receive on the beacon sockets.
    Listen(io::Error),
}

impl fmt::Display for InterfaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot read this machine's network interfaces: {error}"),
            Self::Unknown { name, available } => write!(
                f,
                "there is no interface {name} that is up and has an IPv4 address; there is {}",
                available.join(", ")
            ),
            Self::Listen(error) => write!(f, "cannot listen for beacons: {error}"),
        }
    }
}

impl std::error::Error for InterfaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) | Self::Listen(error) => Some(error),
            Self::Unknown { .. } => None,
        }
    }
}

/// The interfaces that are up and have an IPv4 address, in the system's order.
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    Ok(get_if_addrs()?.into_iter().filter(if_addrs::Interface::is_oper_up).filter_map(from_system).collect())
}

fn from_system(interface: if_addrs::Interface) -> Option<Interface> {
    let IfAddr::V4(v4) = interface.addr else { return None };
    if v4.ip.is_unspecified() {
        return None;
    }
    Some(Interface {
        name: interface.name,
        index: interface.index?,
        address: v4.ip,
        prefix: v4.prefixlen,
        point_to_point: interface.is_p2p,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_meant_whatever_the_label_of_its_address() {
        let lo = |name: &str| Interface {
            name: name.into(),
            index: index_of("lo").unwrap(),
            address: [127, 0, 0, 1].into(),
            prefix: 8,
            point_to_point: false,
        };
        assert!(lo("lo").is_meant_by("lo") && lo("lo:1").is_meant_by("lo") && lo("lo:1").is_meant_by("lo:1"));
        assert!(!lo("lo").is_meant_by("lo:1") && !lo("lo:2").is_meant_by("lo:1"));
        assert!(!lo("lo").is_meant_by("eth9") && !lo("lo").is_meant_by(""));
    }

    #[test]
    fn nothing_is_broadcast_on_a_point_to_point_link() {
        let lan = Interface {
            name: "x".into(),
            index: 1,
            address: [10, 0, 0, 5].into(),
            prefix: 24,
            point_to_point: false,
        };
        assert_eq!(lan.directed_broadcast(), Some([10, 0, 0, 255].into()));
        let tunnel = Interface { point_to_point: true, ..lan };
        assert_eq!(tunnel.directed_broadcast(), None);
    }

    #[test]
    fn what_the_system_lists_is_usable() {
        for interface in interfaces().unwrap() {
            assert!(
                interface.index > 0 && !interface.name.is_empty() && interface.prefix <= 32,
                "{interface:?}"
            );
            assert!(!interface.address.is_unspecified(), "{interface:?}");
        }
    }
}
