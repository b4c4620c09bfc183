//! How a board gets its IPv4 address.

use core::net::Ipv4Addr;
use core::str::FromStr;

/// How a board gets its IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// From the network's DHCP server.
    Dhcp,
    /// A fixed one.
    Static(Ipv4Network),
}

/// A host's IPv4 address with its prefix length, and an optional gateway. Checked to be legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Network {
    address: Ipv4Addr,
    prefix: u8,
    gateway: Option<Ipv4Addr>,
}

/// An address with the prefix length of its network, as people write it: `192.168.1.7/24`. Whether a host can have it shows
/// when it becomes an [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixed {
    /// Before the slash.
    pub address: Ipv4Addr,
    /// Behind it, in bits.
    pub prefix: u8,
}

/// The text is no address with a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPrefixed;

/// Why two settings make no [`Address`]. `Display` says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// There is a gateway and no address.
    GatewayAlone,
    /// The static address is illegal.
    Address(Prefixed, AddressError),
}

/// Why a static address is illegal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// The prefix length is not from 1 to 30. Longer prefixes have no broadcast address, which beacons need.
    Prefix(u8),
    /// Not a host's address: 0.x, loopback, multicast, or reserved.
    NotAHost(Ipv4Addr),
    /// The network address or the broadcast address of its network.
    NetworkOrBroadcast(Ipv4Addr),
    /// The gateway is not another host of the same network.
    Gateway(Ipv4Addr),
}

impl Ipv4Network {
    /// Checks `address`, a `prefix` length from 1 to 30, and that `gateway`, if any, is another host of that network.
    pub fn new(address: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> Result<Self, AddressError> {
        if !(1..=30).contains(&prefix) {
            return Err(AddressError::Prefix(prefix));
        }
        let [first, ..] = address.octets();
        if first == 0 || address.is_loopback() || first >= 224 {
            return Err(AddressError::NotAHost(address));
        }
        let network = Self { address, prefix, gateway };
        if network.is_edge(address) {
            return Err(AddressError::NetworkOrBroadcast(address));
        }
        match gateway {
            Some(gateway) if gateway == address || !network.contains(gateway) || network.is_edge(gateway) => {
                Err(AddressError::Gateway(gateway))
            }
            _ => Ok(network),
        }
    }

    /// The board's address.
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Prefix length in bits: 1 to 30.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The router to other networks. deaddrop itself does not use it.
    pub const fn gateway(&self) -> Option<Ipv4Addr> {
        self.gateway
    }

    /// The host mask: the complement of the netmask.
    fn hosts(&self) -> u32 {
        u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0)
    }

    fn contains(&self, other: Ipv4Addr) -> bool {
        (self.address.to_bits() ^ other.to_bits()) & !self.hosts() == 0
    }

    fn is_edge(&self, address: Ipv4Addr) -> bool {
        let host = address.to_bits() & self.hosts();
        host == 0 || host == self.hosts()
    }
}

impl Address {
    /// A static address, or DHCP where there is none, as the commands that provision a board take them.
    pub fn from_settings(
        address: Option<Prefixed>,
        gateway: Option<Ipv4Addr>,
    ) -> Result<Self, SettingsError> {
        match (address, gateway) {
            (None, None) => Ok(Self::Dhcp),
            (None, Some(_)) => Err(SettingsError::GatewayAlone),
            (Some(given), gateway) => Ipv4Network::new(given.address, given.prefix, gateway)
                .map(Self::Static)
                .map_err(|error| SettingsError::Address(given, error)),
        }
    }
}

impl FromStr for Prefixed {
    type Err = NotPrefixed;

    fn from_str(text: &str) -> Result<Self, NotPrefixed> {
        let (address, prefix) = text.split_once('/').ok_or(NotPrefixed)?;
        let address = address.parse().map_err(|_| NotPrefixed)?;
        Ok(Self { address, prefix: prefix.parse().map_err(|_| NotPrefixed)? })
    }
}

impl core::fmt::Display for NotPrefixed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("give an address with the prefix of its network, such as 192.168.1.7/24")
    }
}

impl core::error::Error for NotPrefixed {}

impl core::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::GatewayAlone => f.write_str("--gateway goes with --address: DHCP brings its own"),
            Self::Address(Prefixed { address, prefix }, error) => {
                write!(f, "--address {address}/{prefix}: {error}")
            }
        }
    }
}

impl core::error::Error for SettingsError {}

impl core::fmt::Display for AddressError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Prefix(prefix) => write!(f, "a prefix has from 1 to 30 bits, not {prefix}"),
            Self::NotAHost(address) => write!(f, "no host has the address {address}"),
            Self::NetworkOrBroadcast(address) => {
                write!(f, "{address} is the first or last address of its network, which no host has")
            }
            Self::Gateway(gateway) => {
                write!(f, "the gateway {gateway} is not another host of the same network")
            }
        }
    }
}

impl core::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn new(address: &str, prefix: u8, gateway: Option<&str>) -> Result<Ipv4Network, AddressError> {
        Ipv4Network::new(address.parse().unwrap(), prefix, gateway.map(|text| text.parse().unwrap()))
    }

    #[test]
    fn a_host_of_a_network_is_taken_as_it_is() {
        for (address, prefix, gateway) in [
            ("192.168.1.7", 24, Some("192.168.1.1")),
            ("10.255.0.0", 8, None),
            ("169.254.3.4", 16, None),
            ("100.64.0.1", 30, Some("100.64.0.2")),
            ("128.0.0.1", 1, Some("223.255.255.255")),
        ] {
            let network = new(address, prefix, gateway).unwrap();
            assert_eq!(
                std::format!("{}/{}", network.address(), network.prefix()),
                std::format!("{address}/{prefix}")
            );
            assert_eq!(network.gateway(), gateway.map(|text| text.parse().unwrap()));
        }
    }

    #[test]
    fn what_no_host_can_have_is_refused() {
        for prefix in [0, 31, 32, 33, 255] {
            assert_eq!(new("192.168.1.7", prefix, None), Err(AddressError::Prefix(prefix)));
        }
        for address in
            ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9", "224.0.0.1", "240.0.0.1", "255.255.255.255"]
        {
            assert_eq!(new(address, 24, None), Err(AddressError::NotAHost(address.parse().unwrap())));
        }
        for (address, prefix) in
            [("192.168.1.0", 24), ("192.168.1.255", 24), ("10.0.0.4", 30), ("10.0.0.7", 30)]
        {
            assert_eq!(
                new(address, prefix, None),
                Err(AddressError::NetworkOrBroadcast(address.parse().unwrap()))
            );
        }
    }

    #[test]
    fn a_gateway_is_another_host_of_the_network() {
        for gateway in ["192.168.1.7", "192.168.2.1", "192.168.1.0", "192.168.1.255", "0.0.0.0"] {
            assert_eq!(
                new("192.168.1.7", 24, Some(gateway)),
                Err(AddressError::Gateway(gateway.parse().unwrap()))
            );
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let text = new("192.168.1.7", 24, Some("10.0.0.1")).unwrap_err();
        assert_eq!(std::format!("{text}"), "the gateway 10.0.0.1 is not another host of the same network");
        assert_eq!(std::format!("{}", AddressError::Prefix(31)), "a prefix has from 1 to 30 bits, not 31");
    }
}
