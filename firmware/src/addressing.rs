//! Turns the address settings of a provisioning record into the configuration of an embassy-net stack.

use deaddrop_provisioning::Address;
use embassy_net::{Config, Ipv4Cidr, StaticConfigV4};

/// The configuration to create the stack with.
pub fn config(address: Address) -> Config {
    match address {
        Address::Dhcp => Config::dhcpv4(embassy_net::DhcpConfig::default()),
        Address::Static(network) => Config::ipv4_static(StaticConfigV4 {
            address: Ipv4Cidr::new(network.address(), network.prefix()),
            gateway: network.gateway(),
            dns_servers: heapless::Vec::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deaddrop_provisioning::Ipv4Network;

    #[test]
    fn a_static_address_keeps_its_prefix_and_gateway() {
        let gateway = [10, 1, 0, 1].into();
        let network = Ipv4Network::new([10, 1, 2, 3].into(), 16, Some(gateway)).unwrap();
        let embassy_net::ConfigV4::Static(config) = config(Address::Static(network)).ipv4 else {
            panic!("not static")
        };
        assert_eq!(config.address, Ipv4Cidr::new([10, 1, 2, 3].into(), 16));
        assert_eq!(config.gateway, Some(gateway));
    }

    #[test]
    fn dhcp_is_dhcp() {
        assert!(matches!(config(Address::Dhcp).ipv4, embassy_net::ConfigV4::Dhcp(_)));
    }
}
