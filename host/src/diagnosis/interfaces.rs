//! The interfaces of this machine, and why each is used or not.

use std::fs;

use super::finding::{Finding, Use};
use crate::address::Address;
use crate::lan::beacons::SkippedInterface;
use crate::lan::interfaces::{Interface, interfaces};
use crate::network::Network;

/// All interfaces of this machine, those without an address too.
pub(super) fn look(network: &Network, skipped: &[SkippedInterface]) -> std::io::Result<Vec<Finding>> {
    Ok(judge(network, &interfaces()?, &names(), skipped))
}

fn judge(
    network: &Network,
    found: &[Interface],
    names: &[String],
    skipped: &[SkippedInterface],
) -> Vec<Finding> {
    let mut findings: Vec<(u32, Finding)> = Vec::new();
    for interface in found {
        let refused = skipped
            .iter()
            .any(|skipped| skipped.interface == interface.name && skipped.receive_unavailable.is_none());
        let chosen = &network.interfaces;
        let used = if !chosen.is_empty() && !chosen.iter().any(|name| interface.is_meant_by(name)) {
            Use::NotChosen
        } else if interface.is_loopback() {
            Use::Loopback
        } else if refused {
            Use::Refused
        } else if interface.everybody().is_empty() {
            Use::PointToPoint
        } else {
            Use::Used
        };
        let own: Vec<Address> = interface.own().collect();
        // What IPv4 and IPv6 have on one interface is one line, if both are used alike.
        let same = findings.iter_mut().find_map(|(index, finding)| match finding {
            Finding::Interface { addresses, used: other, .. }
                if *index == interface.index && *other == used =>
            {
                Some(addresses)
            }
            _ => None,
        });
        match same {
            Some(addresses) => addresses.extend(own),
            None => {
                let name = interface.name.clone();
                findings.push((interface.index, Finding::Interface { name, addresses: own, used }));
            }
        }
    }
    let mut findings: Vec<Finding> = findings.into_iter().map(|(_, finding)| finding).collect();
    let known = |name: &&String| {
        found
            .iter()
            .any(|interface| interface.name == **name || interface.name.starts_with(&format!("{name}:")))
    };
    for name in names.iter().filter(|name| !known(name)) {
        findings.push(Finding::Interface { name: name.clone(), addresses: Vec::new(), used: Use::Down });
    }
    findings
}

/// The names of all interfaces. Of the namespace of this process, which what is mounted at /sys may not be.
fn names() -> Vec<String> {
    // On systems without it, those with an address are all that is known.
    fs::read_to_string("/proc/self/net/dev").map(|table| named_in(&table)).unwrap_or_default()
}

fn named_in(table: &str) -> Vec<String> {
    table.lines().skip(2).filter_map(|line| Some(line.rsplit_once(':')?.0.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn interface(name: &str, index: u32, address: &str, prefix: u8) -> Interface {
        let address: IpAddr = address.parse().unwrap();
        Interface {
            name: name.into(),
            index,
            address,
            addresses: vec![(address, prefix)],
            point_to_point: name.starts_with("tun"),
        }
    }

    #[test]
    fn each_interface_has_its_reason() {
        let found = [
            interface("lo", 1, "127.0.0.1", 8),
            interface("eth0", 2, "10.0.0.1", 24),
            interface("tun0", 3, "10.9.0.1", 32),
            interface("eth0", 2, "2001:db8::1", 64),
        ];
        let names = ["lo", "eth0", "tun0", "wlan0"].map(str::to_owned);
        let shown = |network: &Network| -> Vec<String> {
            judge(network, &found, &names, &[]).iter().map(ToString::to_string).collect()
        };
        let all = shown(&Network::default());
        assert_eq!(all[0], "lo (127.0.0.1) is used, and leads to this machine only");
        assert_eq!(all[1], "eth0 (10.0.0.1, 2001:db8::1) is used");
        assert!(all[2].starts_with("tun0 (10.9.0.1) is point to point"), "{all:?}");
        assert_eq!(all[3], "wlan0 is not used: it is down or has no address");
        assert_eq!(all.len(), 4);
        let chosen = Network { interfaces: vec!["tun0".into()], ..Network::default() };
        assert_eq!(
            shown(&chosen)[1],
            "eth0 (10.0.0.1, 2001:db8::1) is not used: another interface was named"
        );
    }

    #[test]
    fn the_systems_table_names_every_interface() {
        let table = "Inter-|   Receive\n face |bytes\n    lo: 0 0\neth0.1:12 3\n";
        assert_eq!(named_in(table), ["lo", "eth0.1"]);
    }
}
