//! The board's address: what a provisioning record says about it as the configuration of an embassy-net stack, and an
//! address of the board's own choice where nobody gives one.

mod frames;
pub(crate) mod link_local;

use core::net::Ipv4Addr;

use deaddrop_provisioning::Address;
use embassy_net::{ConfigV4, DhcpConfig, Ipv4Cidr, StaticConfigV4};

/// The configuration of a stack with this hardware address.
pub fn config(address: Address, mac: [u8; 6]) -> ConfigV4 {
    match address {
        Address::Dhcp => {
            let mut config = DhcpConfig::default();
            config.hostname = Some(host_name(mac));
            ConfigV4::Dhcp(config)
        }
        Address::Static(network) => {
            fixed(Ipv4Cidr::new(network.address(), network.prefix()), network.gateway())
        }
    }
}

/// The configuration of a stack with this link-local address.
pub(crate) fn link_local(address: Ipv4Addr) -> ConfigV4 {
    fixed(Ipv4Cidr::new(address, 16), None)
}

fn fixed(address: Ipv4Cidr, gateway: Option<Ipv4Addr>) -> ConfigV4 {
    ConfigV4::Static(StaticConfigV4 { address, gateway, dns_servers: heapless::Vec::new() })
}

/// What a board is called in its DHCP server's list: `deaddrop-` and the last three bytes of its hardware address.
fn host_name(mac: [u8; 6]) -> heapless::String<32> {
    let mut name = heapless::String::new();
    let [.., a, b, c] = mac;
    // It all fits. Without `core::fmt`, whose machinery would be added for this type.
    let _ = name.push_str("deaddrop-");
    for digit in [a >> 4, a & 15, b >> 4, b & 15, c >> 4, c & 15] {
        let _ = name.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use deaddrop_provisioning::Ipv4Network;

    #[test]
    fn a_static_address_keeps_its_prefix_and_gateway() {
        let gateway = [10, 1, 0, 1].into();
        let network = Ipv4Network::new([10, 1, 2, 3].into(), 16, Some(gateway)).unwrap();
        let ConfigV4::Static(config) = config(Address::Static(network), [2; 6]) else { panic!("not static") };
        assert_eq!(config.address, Ipv4Cidr::new([10, 1, 2, 3].into(), 16));
        assert_eq!(config.gateway, Some(gateway));
    }

    #[test]
    fn dhcp_has_the_host_name_of_the_board() {
        let ConfigV4::Dhcp(config) = config(Address::Dhcp, [2, 0, 0, 0, 0xAB, 9]) else { panic!("not DHCP") };
        assert_eq!(config.hostname.unwrap(), "deaddrop-00ab09");
    }
}
