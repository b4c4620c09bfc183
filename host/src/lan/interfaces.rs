//! The network interfaces that others can be reached through.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;

use if_addrs::{IfAddr, get_if_addrs};

/// One IPv4 address of this machine and its network. An interface with several addresses has several of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Interface {
    /// The system's name for the interface.
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

    /// Whether a machine with address `ip` can be on the network this interface is attached to.
    /// Loopback addresses are on the loopback interface only.
    pub(crate) fn attached(&self, ip: Ipv4Addr) -> bool {
        if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() {
            return false;
        }
        if ip.is_loopback() || self.is_loopback() {
            return ip.is_loopback() && self.is_loopback();
        }
        let mask = self.mask();
        if ip.to_bits() & mask != self.address.to_bits() & mask {
            return false;
        }
        // In a network of four addresses or more the first and the last are no machine's.
        let host = ip.to_bits() & !mask;
        self.prefix > 30 || (host != 0 && host != !mask)
    }

    /// The address by which all machines on the network are reached. None where there is none: in
    /// networks of one or two addresses, and on links with one machine at the far end.
    pub(crate) fn directed_broadcast(&self) -> Option<Ipv4Addr> {
        if self.point_to_point || self.prefix > 30 || self.prefix == 0 {
            return None;
        }
        Some(Ipv4Addr::from_bits(self.address.to_bits() | !self.mask()))
    }

    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0)
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

    fn on(address: [u8; 4], prefix: u8) -> Interface {
        Interface { name: "x".into(), index: 1, address: address.into(), prefix, point_to_point: false }
    }

    fn attached(interface: &Interface, ip: [u8; 4]) -> bool {
        interface.attached(ip.into())
    }

    #[test]
    fn the_directed_broadcast_has_all_host_bits_set() {
        let table = [
            ([192, 168, 1, 7], 24, Some([192, 168, 1, 255])),
            ([10, 1, 2, 3], 8, Some([10, 255, 255, 255])),
            ([172, 16, 5, 9], 20, Some([172, 16, 15, 255])),
            ([10, 0, 0, 5], 30, Some([10, 0, 0, 7])),
            ([10, 0, 0, 4], 31, None),
            ([10, 0, 0, 4], 32, None),
            ([10, 0, 0, 4], 0, None),
            ([127, 0, 0, 1], 8, Some([127, 255, 255, 255])),
        ];
        for (address, prefix, expected) in table {
            assert_eq!(
                on(address, prefix).directed_broadcast(),
                expected.map(Ipv4Addr::from),
                "{address:?}/{prefix}"
            );
        }
        let tunnel = Interface { point_to_point: true, ..on([10, 0, 0, 5], 24) };
        assert_eq!(tunnel.directed_broadcast(), None);
    }

    #[test]
    fn a_machine_is_attached_if_it_shares_the_prefix() {
        let lan = on([192, 168, 1, 7], 24);
        assert!(attached(&lan, [192, 168, 1, 1]) && attached(&lan, [192, 168, 1, 7]));
        assert!(!attached(&lan, [192, 168, 2, 1]) && !attached(&lan, [8, 8, 8, 8]));
        assert!(!attached(&lan, [192, 168, 1, 0]) && !attached(&lan, [192, 168, 1, 255]));
        let wide = on([172, 16, 5, 9], 20);
        assert!(attached(&wide, [172, 16, 15, 254]) && attached(&wide, [172, 16, 0, 1]));
        assert!(!attached(&wide, [172, 16, 16, 1]) && !attached(&wide, [172, 16, 15, 255]));
        let pair = on([10, 0, 0, 4], 31);
        assert!(
            attached(&pair, [10, 0, 0, 4])
                && attached(&pair, [10, 0, 0, 5])
                && !attached(&pair, [10, 0, 0, 6])
        );
        let single = on([10, 0, 0, 4], 32);
        assert!(attached(&single, [10, 0, 0, 4]) && !attached(&single, [10, 0, 0, 5]));
    }

    #[test]
    fn loopback_is_on_loopback_only() {
        let lo = on([127, 0, 0, 1], 8);
        assert!(attached(&lo, [127, 0, 0, 1]) && attached(&lo, [127, 0, 0, 53]));
        assert!(!attached(&lo, [192, 168, 1, 1]));
        assert!(!attached(&on([192, 168, 1, 7], 24), [127, 0, 0, 1]));
        assert!(!attached(&on([192, 168, 1, 7], 0), [127, 0, 0, 1]));
    }

    #[test]
    fn no_group_is_a_machine() {
        let all = on([10, 0, 0, 1], 0);
        for group in [[0, 0, 0, 0], [255, 255, 255, 255], [224, 0, 0, 1], [239, 1, 2, 3]] {
            assert!(!attached(&all, group), "{group:?}");
        }
        assert!(attached(&all, [8, 8, 8, 8]));
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
