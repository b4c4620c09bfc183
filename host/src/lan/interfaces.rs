//! The network interfaces that others can be reached through.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use deaddrop_core::discovery::Ipv4Network;
use if_addrs::{IfAddr, get_if_addrs};

use super::unused::Unused;
use crate::address::{Address, index_of};
use crate::platform::{self, Ipv6State, Link, Standing};

/// What one family of addresses has on one interface: an IPv4 address and its network, or everything of IPv6. An
/// interface with several IPv4 addresses has several of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Interface {
    /// The system's name for the interface, or the label of the address, such as `eth0:1`.
    pub(crate) name: String,
    /// The system's number for it.
    pub(crate) index: u32,
    /// This machine's address on it that beacons come from. Of IPv6 the link-local one, which every interface is to have
    /// (RFC 4291, section 2.1); where there is none, the first of the others.
    pub(crate) address: IpAddr,
    /// This machine's addresses on it that are of use now, in order, each with how many bits of it are the network's. Those
    /// that are deprecated are the last.
    pub(crate) addresses: Vec<(IpAddr, u8)>,
    /// Whether the link is point to point.
    pub(crate) point_to_point: bool,
    /// Networks that are reached through it without a gateway, beside those of its addresses: of IPv4 on a link that is point
    /// to point, and where an address is alone in its network.
    pub(crate) on_link: Vec<Ipv4Network>,
    /// Those of its addresses in whose place others are to be taken (RFC 4862, section 5.5.4).
    pub(crate) deprecated: Vec<IpAddr>,
    /// The bridge or bond that it is a port of.
    pub(crate) port_of: Option<String>,
}

impl Link {
    /// The name of the interface that stands for it, if it is a port.
    pub(super) fn port_of<'a>(&self, links: &'a [Self]) -> Option<&'a str> {
        let master = links.iter().find(|link| Some(link.index) == self.master)?;
        // An interface that belongs to another kind, such as a VRF, has its own traffic.
        PORTS_OF.contains(&&*master.kind).then_some(&*master.name)
    }
}

/// The kinds of interfaces that have the traffic of those that belong to them.
const PORTS_OF: [&str; 3] = ["bridge", "bond", "team"];
/// Routes to more than this are no network of neighbours: a VPN may have everything.
const ON_LINK_PREFIX: u8 = 8;

impl Interface {
    /// Whether it leads back to this machine only.
    pub(crate) fn is_loopback(&self) -> bool {
        self.address.is_loopback()
    }

    /// Whether the prefix of its IPv4 address says nothing of who is at the other end.
    fn is_alone(&self) -> bool {
        self.address.is_ipv4()
            && (self.point_to_point || self.addresses.first().is_some_and(|(_, prefix)| *prefix == 32))
    }

    /// Whether beacons are sent and received here. On loopback IPv4 does that alone, which every system has there.
    pub(crate) fn has_beacons(&self) -> bool {
        self.address.is_ipv4() || !self.is_loopback()
    }

    /// Whether a user who writes `name` means this: the interface whatever the label of its address, or the label itself.
    pub(crate) fn is_meant_by(&self, name: &str) -> bool {
        self.name == name || (!name.contains(':') && index_of(name) == Some(self.index))
    }

    /// Whether this is an address of this machine here.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == ip)
    }

    /// This machine's addresses here, each with its zone.
    pub(crate) fn own(&self) -> impl Iterator<Item = Address> {
        self.addresses.iter().map(|(ip, _)| Address::from(*ip).behind(self.index))
    }

    /// Whether a machine with this address can be on the network this interface is attached to.
    pub(crate) fn attached(&self, from: SocketAddr) -> bool {
        let address = Address::from(from);
        if address.zone().is_some_and(|zone| zone.get() != self.index) {
            return false;
        }
        self.addresses.iter().any(|(own, prefix)| match (own, address.ip()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => Ipv4Network::new(*own, *prefix).is_attached(ip),
            (IpAddr::V6(own), IpAddr::V6(ip)) => is_attached_v6(*own, *prefix, ip),
            _ => false,
        }) || self
            .on_link
            .iter()
            .any(|network| matches!(address.ip(), IpAddr::V4(ip) if network.is_attached(ip)))
    }

    /// The addresses by which all machines on the network are reached, over IPv4 or IPv6.
    pub(crate) fn everybody(&self) -> Vec<IpAddr> {
        let IpAddr::V4(address) = self.address else { return vec![GROUP.into()] };
        let prefix = self.addresses.first().map_or(32, |(_, prefix)| *prefix);
        // Where there is one machine at the far end, the network has no broadcast address; networks of one or two addresses
        // have none either.
        let directed =
            Ipv4Network::new(address, prefix).directed_broadcast().filter(|_| !self.point_to_point);
        // On loopback the limited broadcast would leave by another interface.
        let limited = (!self.is_loopback()).then_some(std::net::Ipv4Addr::BROADCAST);
        // Some networks pass only the one, some only the other.
        directed.into_iter().chain(limited).map(IpAddr::from).collect()
    }
}

/// The multicast group of beacons (protocol.md, section 3.2): transient, link-local, numbered "DDRP". No router passes
/// on what is sent there.
pub(crate) const GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x4444, 0x5250);

/// Whether `ip` can be a host on the network of the address `own`. Every link-local address can: no router passes it on.
fn is_attached_v6(own: Ipv6Addr, prefix: u8, ip: Ipv6Addr) -> bool {
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || own.is_loopback() {
        return false;
    }
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
    (ip.is_unicast_link_local() && own.is_unicast_link_local()) || (own.to_bits() ^ ip.to_bits()) & mask == 0
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.address)?;
        match self.addresses.iter().find(|(own, _)| *own == self.address) {
            Some((_, prefix)) => write!(f, "/{prefix})"),
            None => f.write_str(")"),
        }
    }
}

/// Why the machine's interfaces cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum InterfaceError {
    /// The system does not list its interfaces.
    Unreadable(io::Error),
    /// An interface that was named is not up, has no address, or does not exist.
    Unknown {
        /// The name.
        name: String,
        /// The names of the interfaces that are up and have an address.
        available: Vec<String>,
    },
    /// An interface that was named cannot be used.
    Unusable {
        /// The name.
        name: String,
        /// Why.
        why: Unused,
    },
    /// The system refuses to receive on the beacon sockets.
    Listen(io::Error),
    /// A sender's address is link-local, and the interface behind which it is was not named.
    NoZone {
        /// The address.
        address: Address,
    },
    /// A sender's address is behind none of the interfaces that were named.
    NotBehind {
        /// The address.
        address: Address,
        /// The names of the interfaces.
        interfaces: Vec<String>,
    },
}

impl fmt::Display for InterfaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot read this machine's network interfaces: {error}"),
            Self::Unknown { name, available } => {
                let mut available: Vec<&str> = available.iter().map(String::as_str).collect();
                available.sort_unstable();
                available.dedup();
                write!(
                    f,
                    "there is no interface {name} that is up and has an address; there is {}",
                    available.join(", ")
                )
            }
            Self::Unusable { name, why } => write!(f, "{name} cannot be used: {why}"),
            Self::Listen(error) => write!(f, "cannot listen for beacons: {error}"),
            Self::NoZone { address } => {
                write!(f, "{address} is a link-local address without the interface behind which it is")
            }
            Self::NotBehind { address, interfaces } => {
                write!(f, "{address} is not behind {}", interfaces.join(" or "))
            }
        }
    }
}

impl std::error::Error for InterfaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) | Self::Listen(error) => Some(error),
            Self::Unknown { .. } | Self::Unusable { .. } | Self::NoZone { .. } | Self::NotBehind { .. } => {
                None
            }
        }
    }
}

/// The interfaces that are up and have an address, in the system's order, those with IPv4 first.
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    let up = get_if_addrs()?.into_iter().filter(if_addrs::Interface::is_oper_up);
    let states = ipv6_states();
    let mut interfaces = gathered(up.filter_map(|one| from_system(one, &states)));
    let links = links();
    for interface in &mut interfaces {
        let link = links.iter().find(|link| link.index == interface.index);
        interface.port_of = link.and_then(|link| link.port_of(&links)).map(Into::into);
    }
    if interfaces.iter().any(Interface::is_alone) {
        let networks = platform::on_link().unwrap_or_default();
        for interface in interfaces.iter_mut().filter(|interface| interface.is_alone()) {
            let here = networks.iter().filter(|(index, ..)| *index == interface.index);
            let here = here.filter(|(.., prefix)| *prefix >= ON_LINK_PREFIX);
            interface.on_link = here.map(|(_, ip, prefix)| Ipv4Network::new(*ip, *prefix)).collect();
        }
    }
    Ok(interfaces)
}

/// What the system says of all its interfaces; nothing where it does not.
pub(super) fn links() -> Vec<Link> {
    platform::links().unwrap_or_default()
}

/// What the system says of its IPv6 addresses; nothing where it does not.
pub(super) fn ipv6_states() -> Vec<Ipv6State> {
    platform::ipv6_states().unwrap_or_default()
}

/// The same, with what IPv6 has on one interface in one place.
fn gathered(found: impl Iterator<Item = Interface>) -> Vec<Interface> {
    let (mut interfaces, mut v6): (Vec<Interface>, Vec<Interface>) = (Vec::new(), Vec::new());
    for one in found {
        if one.address.is_ipv4() {
            interfaces.push(one);
        } else if let Some(known) = v6.iter_mut().find(|known| known.index == one.index) {
            known.addresses.extend(one.addresses);
            known.deprecated.extend(one.deprecated);
        } else {
            v6.push(one);
        }
    }
    // The system's order changes with time.
    v6.sort_by_key(|interface| interface.index);
    for interface in &mut v6 {
        interface.deprecated.sort_unstable();
        interface
            .addresses
            .sort_unstable_by_key(|(ip, prefix)| (interface.deprecated.contains(ip), *ip, *prefix));
        let link_local = |(ip, _): &&(IpAddr, u8)| Address::from(*ip).is_link_local();
        let beacons = interface.addresses.iter().find(link_local).or(interface.addresses.first());
        interface.address = beacons.map_or(interface.address, |(ip, _)| *ip);
    }
    interfaces.extend(v6);
    interfaces
}

fn from_system(interface: if_addrs::Interface, states: &[Ipv6State]) -> Option<Interface> {
    let (address, prefix) = match interface.addr {
        IfAddr::V4(v4) => (IpAddr::V4(v4.ip), v4.prefixlen),
        IfAddr::V6(v6) => (IpAddr::V6(v6.ip), v6.prefixlen),
    };
    let known = states.iter().find(|state| Some(state.index) == interface.index && state.ip == address);
    let standing = known.map_or(Standing::Preferred, |state| state.standing);
    // With one that another machine has, or may have, nothing can be sent.
    if address.is_unspecified() || standing >= Standing::Tentative {
        return None;
    }
    Some(Interface {
        name: interface.name,
        index: interface.index?,
        address,
        addresses: vec![(address, prefix)],
        point_to_point: interface.is_p2p,
        on_link: Vec::new(),
        deprecated: if standing == Standing::Deprecated { vec![address] } else { Vec::new() },
        port_of: None,
    })
}

#[cfg(test)]
impl Interface {
    /// One with these addresses.
    pub(crate) fn for_tests(name: &str, index: u32, addresses: &[(&str, u8)]) -> Self {
        let addresses: Vec<(IpAddr, u8)> =
            addresses.iter().map(|(ip, prefix)| (ip.parse().unwrap(), *prefix)).collect();
        Self {
            name: name.into(),
            index,
            address: addresses[0].0,
            addresses,
            point_to_point: false,
            on_link: Vec::new(),
            deprecated: Vec::new(),
            port_of: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn interface(name: &str, index: u32, addresses: &[(&str, u8)]) -> Interface {
        Interface::for_tests(name, index, addresses)
    }

    #[test]
    fn an_interface_is_meant_whatever_the_label_of_its_address() {
        let lo = |name: &str| interface(name, index_of("lo").unwrap(), &[("127.0.0.1", 8)]);
        assert!(lo("lo").is_meant_by("lo") && lo("lo:1").is_meant_by("lo") && lo("lo:1").is_meant_by("lo:1"));
        assert!(!lo("lo").is_meant_by("lo:1") && !lo("lo:2").is_meant_by("lo:1"));
        assert!(!lo("lo").is_meant_by("eth9") && !lo("lo").is_meant_by(""));
    }

    #[test]
    fn everybody_is_reached_by_each_way_that_the_link_has() {
        let lan = interface("x", 1, &[("10.0.0.5", 24)]);
        let everybody = ["10.0.0.255", "255.255.255.255"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(lan.everybody(), everybody);
        let tunnel = Interface { point_to_point: true, ..lan };
        assert_eq!(tunnel.everybody(), everybody[1..], "whoever is at its far end");
        assert_eq!(interface("x", 1, &[("10.0.0.5", 32)]).everybody(), everybody[1..]);
        let loopback = interface("lo", 1, &[("127.0.0.1", 8)]);
        assert_eq!(loopback.everybody(), ["127.255.255.255".parse::<IpAddr>().unwrap()]);
        assert_eq!(interface("x", 1, &[("fe80::1", 64)]).everybody(), [IpAddr::V6(GROUP)]);
    }

    #[test]
    fn what_ipv6_has_on_an_interface_is_one() {
        let found = [
            interface("a", 2, &[("2001:db8::1", 64)]),
            interface("a", 2, &[("10.0.0.1", 24)]),
            interface("a", 2, &[("fe80::1", 64)]),
            interface("a:1", 2, &[("10.0.0.2", 24)]),
            interface("b", 3, &[("2001:db8:1::2", 64)]),
            interface("b", 3, &[("2001:db8::9", 64)]),
        ];
        let ordered = gathered(found.clone().into_iter());
        let sources: Vec<String> = ordered.iter().map(|interface| interface.address.to_string()).collect();
        assert_eq!(sources, ["10.0.0.1", "10.0.0.2", "fe80::1", "2001:db8::9"]);
        assert_eq!(gathered(found.into_iter().rev())[2..], ordered[2..], "whatever the system's order");
    }

    #[test]
    fn an_address_that_is_deprecated_gives_way_to_others_of_its_kind() {
        let old =
            |ip: &str| Interface { deprecated: vec![ip.parse().unwrap()], ..interface("a", 2, &[(ip, 64)]) };
        let found = [
            old("2001:db8::1"),
            interface("a", 2, &[("2001:db8::2", 64)]),
            old("fe80::1"),
            interface("a", 2, &[("fe80::2", 64)]),
        ];
        let gathered = gathered(found.into_iter());
        let all: Vec<String> = gathered[0].own().map(|address| address.ip().to_string()).collect();
        assert_eq!(all, ["2001:db8::2", "fe80::2", "2001:db8::1", "fe80::1"]);
        assert_eq!(gathered[0].address.to_string(), "fe80::2");
        // It is used where there is no other.
        assert_eq!(super::gathered([old("fe80::1")].into_iter())[0].address.to_string(), "fe80::1");
    }

    #[test]
    fn an_address_is_left_out_until_the_system_may_use_it() {
        let loopback = || get_if_addrs().unwrap().into_iter().find(|one| one.ip() == Ipv4Addr::LOCALHOST);
        let (mut one, ip) = (loopback().expect("lo"), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7));
        one.addr = IfAddr::V6(if_addrs::Ifv6Addr { ip, netmask: ip, broadcast: None, prefixlen: 64 });
        let found = |index: u32, standing| {
            let states = [Ipv6State { index, ip, standing }];
            from_system(one.clone(), &states).map(|interface| interface.deprecated.len())
        };
        let index = one.index.unwrap();
        assert_eq!(found(index, Standing::Preferred), Some(0));
        assert_eq!(found(index, Standing::Deprecated), Some(1));
        assert_eq!(found(index, Standing::Tentative), None);
        assert_eq!(found(index, Standing::Duplicate), None);
        assert_eq!(found(index + 1, Standing::Duplicate), Some(0), "the same address elsewhere");
    }

    #[test]
    fn a_host_is_attached_if_it_shares_a_prefix_of_the_same_interface() {
        let lan = interface("a", 2, &[("fe80::1", 64), ("2001:db8:0:7::1", 64), ("fd00::5", 128)]);
        let attached = |from: &str| lan.attached(from.parse().unwrap());
        assert!(attached("[fe80::9%2]:1") && attached("[2001:db8:0:7::9]:1") && attached("[fd00::5]:1"));
        assert!(!attached("[fe80::9%3]:1"), "behind another interface");
        assert!(!attached("[2001:db8:0:8::9]:1") && !attached("[fd00::6]:1") && !attached("10.0.0.1:1"));
        for nobody in ["[::]:1", "[::1]:1", "[ff12::4444:5250]:1"] {
            assert!(!attached(nobody), "{nobody}");
        }
        let all = interface("a", 2, &[("2001:db8::1", 0)]);
        assert!(all.attached("[2a00::1]:1".parse().unwrap()) && !all.attached("[::1]:1".parse().unwrap()));
        let no_link_local = interface("a", 2, &[("2001:db8::1", 64)]);
        assert!(!no_link_local.attached("[fe80::9%2]:1".parse().unwrap()), "it could not be connected to");
    }

    #[test]
    fn a_host_behind_a_route_without_a_gateway_is_attached() {
        let alone = interface("a", 2, &[("10.9.0.1", 32)]);
        let attached =
            |interface: &Interface, ip: &str| interface.attached(format!("{ip}:1").parse().unwrap());
        assert!(alone.is_alone() && !attached(&alone, "10.9.0.2"));
        let on_link =
            vec![Ipv4Network::new([10, 9, 0, 2].into(), 32), Ipv4Network::new([10, 8, 0, 0].into(), 16)];
        let routed = Interface { on_link, ..alone };
        assert!(
            attached(&routed, "10.9.0.2") && attached(&routed, "10.8.3.4") && attached(&routed, "10.9.0.1")
        );
        assert!(!attached(&routed, "10.9.0.3") && !attached(&routed, "10.8.255.255"));
        let lan = interface("a", 2, &[("10.0.0.5", 24)]);
        assert!(!lan.is_alone() && Interface { point_to_point: true, ..lan }.is_alone());
    }

    #[test]
    fn what_the_system_lists_is_usable() {
        for interface in interfaces().unwrap() {
            assert!(interface.index > 0 && !interface.name.is_empty(), "{interface:?}");
            assert!(interface.has(interface.address) && !interface.address.is_unspecified(), "{interface:?}");
            for (ip, prefix) in &interface.addresses {
                assert!(*prefix <= if ip.is_ipv4() { 32 } else { 128 }, "{interface:?}");
            }
        }
    }
}
