//! Which interfaces are not used, and why.
//!
//! Used is every interface that is up, has a carrier and has an address that no other machine has, but for the ports of a bridge or bond: what
//! arrives at a port is the bridge's, which is used in its place. Interfaces that the user names are used, ports too, and no
//! others.

use std::fmt;
use std::net::Ipv6Addr;

use super::interfaces::{Interface, InterfaceError, interfaces, ipv6_states, links};
use crate::network::Network;
use crate::platform::{Ipv6State, Link, Standing};

/// An interface that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnusedInterface {
    /// The system's name for it.
    pub name: String,
    /// Why.
    pub why: Unused,
}

/// Why an interface is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unused {
    /// It is switched off.
    Down,
    /// Nothing is at the other end of its cable, or the radio has joined no network.
    NoCarrier,
    /// It has neither an IPv4 nor an IPv6 address.
    NoAddress,
    /// Its only address is also that of another machine on the link: duplicate address detection has failed (RFC 4862,
    /// section 5.4).
    Duplicate(Ipv6Addr),
    /// The system still asks whether another machine has its only address.
    Tentative(Ipv6Addr),
    /// It is a port of this bridge, bond or team, which has the network's traffic.
    PortOf(String),
    /// Others were named.
    NotChosen,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("it is down"),
            Self::NoCarrier => {
                f.write_str("it has no carrier: its cable is out, or it has joined no network")
            }
            Self::NoAddress => f.write_str("it has no address"),
            Self::Duplicate(ip) => {
                write!(
                    f,
                    "another machine on its link has its only address, {ip} too: give one of them another address"
                )
            }
            Self::Tentative(ip) => {
                write!(f, "the system is still checking that no other machine has its only address, {ip}")
            }
            Self::PortOf(master) => write!(f, "it is a port of {master}, which stands for it"),
            Self::NotChosen => f.write_str("others were named"),
        }
    }
}

/// `IFF_UP` and `IFF_RUNNING`, the same on every Unix system.
const UP: u32 = 0x1;
const RUNNING: u32 = 0x40;

/// The interfaces of this machine that are not used, and why, in the system's order. None where the system does not list
/// its interfaces with what this takes.
///
/// # Errors
/// If the system does not list its interfaces.
///
/// ```
/// use deaddrop::{Network, Unused, unused_interfaces};
///
/// # fn main() -> Result<(), deaddrop::InterfaceError> {
/// let loopback = Network { interfaces: vec!["lo".into()], ..Network::default() };
/// let unused = unused_interfaces(&loopback)?;
/// assert!(unused.iter().all(|interface| interface.name != "lo" || interface.why == Unused::Down));
/// # Ok(())
/// # }
/// ```
pub fn unused_interfaces(network: &Network) -> Result<Vec<UnusedInterface>, InterfaceError> {
    let all = interfaces().map_err(InterfaceError::Unreadable)?;
    Ok(judged(&links(), &all, &ipv6_states(), network))
}

fn judged(
    links: &[Link],
    all: &[Interface],
    states: &[Ipv6State],
    network: &Network,
) -> Vec<UnusedInterface> {
    let unused = links.iter().filter_map(|link| {
        let why = why(link, links, all, states, &network.interfaces)?;
        Some(UnusedInterface { name: link.name.clone(), why })
    });
    unused.collect()
}

fn why(
    link: &Link,
    links: &[Link],
    all: &[Interface],
    states: &[Ipv6State],
    chosen: &[String],
) -> Option<Unused> {
    let mut here = all.iter().filter(|interface| interface.index == link.index);
    let is_chosen = chosen.iter().any(|name| {
        *name == link.name || all.iter().any(|one| one.index == link.index && one.is_meant_by(name))
    });
    Some(match link.port_of(links) {
        _ if !chosen.is_empty() && !is_chosen => Unused::NotChosen,
        _ if link.flags & UP == 0 => Unused::Down,
        Some(master) if !is_chosen => Unused::PortOf(master.into()),
        _ if link.flags & RUNNING == 0 => Unused::NoCarrier,
        _ if here.next().is_none() => no_address(link, states),
        _ => return None,
    })
}

/// Why an interface has no address that is of use.
fn no_address(link: &Link, states: &[Ipv6State]) -> Unused {
    let with = |standing| states.iter().find(|it| it.index == link.index && it.standing == standing);
    if let Some(state) = with(Standing::Duplicate) {
        Unused::Duplicate(state.ip)
    } else if let Some(state) = with(Standing::Tentative) {
        Unused::Tentative(state.ip)
    } else {
        Unused::NoAddress
    }
}

/// The error of an interface that was named and is not used.
pub(crate) fn not_usable(name: &str) -> InterfaceError {
    let all = interfaces().unwrap_or_default();
    let links = links();
    let named = [name.to_owned()];
    let link = links.iter().find(|link| link.name == name);
    let why = link.and_then(|link| why(link, &links, &all, &ipv6_states(), &named));
    match why {
        Some(why) => InterfaceError::Unusable { name: name.into(), why },
        None => {
            let available = all.into_iter().map(|interface| interface.name).collect();
            InterfaceError::Unknown { name: name.into(), available }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, flags: u32, kind: &str, master: Option<u32>) -> Link {
        Link { index, name: name.into(), flags, kind: kind.into(), master }
    }

    #[test]
    fn each_interface_is_judged() {
        let on = UP | RUNNING;
        let links = [
            link(1, "lo", on, "", None),
            link(2, "eth0", on, "", None),
            link(3, "eth1", UP, "", None),
            link(4, "eth2", 0, "", None),
            link(5, "wwan0", on, "", None),
            link(6, "docker0", on, "bridge", None),
            link(7, "veth1", on, "veth", Some(6)),
            link(8, "blue", on, "vrf", None),
            link(9, "eth3", on, "", Some(8)),
            link(10, "eth4", on, "", None),
            link(11, "eth5", on, "", None),
        ];
        let ip = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7);
        let states = [
            Ipv6State { index: 2, ip, standing: Standing::Duplicate },
            Ipv6State { index: 10, ip, standing: Standing::Tentative },
            Ipv6State { index: 11, ip, standing: Standing::Duplicate },
        ];
        let address = |index: u32, name: &str| Interface::for_tests(name, index, &[("10.0.0.1", 24)]);
        let all = [
            address(1, "lo"),
            address(2, "eth0"),
            address(4, "eth2"),
            address(6, "docker0"),
            address(7, "veth1"),
            address(9, "eth3"),
        ];
        let judged = |chosen: &[&str]| -> Vec<(String, Unused)> {
            let interfaces = chosen.iter().map(|name| (*name).into()).collect();
            let network = Network { interfaces, ..Network::default() };
            judged(&links, &all, &states, &network)
                .into_iter()
                .map(|unused| (unused.name, unused.why))
                .collect()
        };
        let expected = [
            ("eth1", Unused::NoCarrier),
            ("eth2", Unused::Down),
            ("wwan0", Unused::NoAddress),
            ("veth1", Unused::PortOf("docker0".into())),
            ("blue", Unused::NoAddress),
            ("eth4", Unused::Tentative(ip)),
            ("eth5", Unused::Duplicate(ip)),
        ];
        assert_eq!(judged(&[]), expected.map(|(name, why)| (name.to_owned(), why)));
        let named = judged(&["veth1", "eth2"]);
        assert!(!named.iter().any(|(name, _)| name == "veth1"), "a port that is named is used");
        assert!(
            named.contains(&("eth2".into(), Unused::Down))
                && named.contains(&("lo".into(), Unused::NotChosen))
        );
    }
}
