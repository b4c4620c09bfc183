//! The interfaces of this machine, and why each is used or not.

use super::finding::{Finding, Use};
use crate::address::Address;
use crate::lan::beacons::SkippedInterface;
use crate::lan::interfaces::{Interface, InterfaceError, interfaces};
use crate::lan::unused::{UnusedInterface, unused_interfaces};
use crate::network::Network;

/// All interfaces of this machine, those without an address too.
pub(super) fn look(network: &Network, skipped: &[SkippedInterface]) -> Result<Vec<Finding>, InterfaceError> {
    let found = interfaces().map_err(InterfaceError::Unreadable)?;
    Ok(judge(&found, &unused_interfaces(network)?, skipped))
}

fn judge(found: &[Interface], unused: &[UnusedInterface], skipped: &[SkippedInterface]) -> Vec<Finding> {
    let mut findings: Vec<(u32, Finding)> = Vec::new();
    for interface in found {
        let refused = skipped
            .iter()
            .any(|skipped| skipped.interface == interface.name && skipped.receive_unavailable.is_none());
        let left_out = unused.iter().find(|unused| has_name(interface, &unused.name));
        let used = if let Some(left_out) = left_out {
            Use::Unused(left_out.why.clone())
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
    // Those without an address.
    for UnusedInterface { name, why } in unused {
        if !found.iter().any(|interface| has_name(interface, name)) {
            let used = Use::Unused(why.clone());
            findings.push(Finding::Interface { name: name.clone(), addresses: Vec::new(), used });
        }
    }
    findings
}

/// Whether an interface has this name, before the label of an address.
fn has_name(interface: &Interface, name: &str) -> bool {
    interface.name.strip_prefix(name).is_some_and(|label| label.is_empty() || label.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lan::unused::Unused;

    fn interface(name: &str, index: u32, address: &str, prefix: u8) -> Interface {
        let point_to_point = name.starts_with("tun");
        Interface { point_to_point, ..Interface::for_tests(name, index, &[(address, prefix)]) }
    }

    #[test]
    fn each_interface_has_its_reason() {
        let found = [
            interface("lo", 1, "127.0.0.1", 8),
            interface("eth0:1", 2, "10.0.0.1", 24),
            interface("eth1", 3, "10.9.0.1", 24),
            interface("eth0", 2, "2001:db8::1", 64),
        ];
        let shown = |unused: &[(&str, Unused)]| -> Vec<String> {
            let unused =
                unused.iter().map(|(name, why)| UnusedInterface { name: (*name).into(), why: why.clone() });
            judge(&found, &unused.collect::<Vec<_>>(), &[]).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            shown(&[("eth1", Unused::PortOf("br0".into())), ("wlan0", Unused::NoCarrier)]),
            [
                "lo (127.0.0.1) is used, and leads to this machine only",
                "eth0:1 (10.0.0.1, 2001:db8::1) is used",
                "eth1 (10.9.0.1) is not used: it is a port of br0, which stands for it",
                "wlan0 is not used: it has no carrier: its cable is out, or it has joined no network",
            ]
        );
        assert_eq!(
            shown(&[("eth0", Unused::NotChosen)])[1],
            "eth0:1 (10.0.0.1, 2001:db8::1) is not used: others were named"
        );
    }
}
