//! A directly attached IPv4 network: which addresses are of its hosts, and where broadcasts go.

use core::net::Ipv4Addr;

/// An address of this host on a network, with the length of the network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ipv4Network {
    address: Ipv4Addr,
    /// 0 to 32.
    prefix: u8,
}

impl Ipv4Network {
    /// The network of `address`; a `prefix` above 32 is taken for 32.
    pub const fn new(address: Ipv4Addr, prefix: u8) -> Self {
        Self { address, prefix: if prefix > 32 { 32 } else { prefix } }
    }

    /// This host's address.
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Bits of the address that are the network's.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether a host with address `ip` can be on this network. Loopback addresses are on the loopback network
    /// alone.
    pub const fn is_attached(&self, ip: Ipv4Addr) -> bool {
        if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() {
            return false;
        }
        if ip.is_loopback() || self.address.is_loopback() {
            return ip.is_loopback() && self.address.is_loopback();
        }
        let mask = self.mask();
        if (ip.to_bits() ^ self.address.to_bits()) & mask != 0 {
            return false;
        }
        // In a network of four addresses or more the first and the last are no host's.
        let host = ip.to_bits() & !mask;
        self.prefix > 30 || (host != 0 && host != !mask)
    }

    /// The address that reaches all hosts of the network. None in networks of one or two addresses, and for the
    /// network that is everything.
    pub const fn directed_broadcast(&self) -> Option<Ipv4Addr> {
        if self.prefix > 30 || self.prefix == 0 {
            return None;
        }
        Some(Ipv4Addr::from_bits(self.address.to_bits() | !self.mask()))
    }

    const fn mask(&self) -> u32 {
        match u32::MAX.checked_shl(32 - self.prefix as u32) {
            Some(mask) => mask,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(address: [u8; 4], prefix: u8) -> Ipv4Network {
        let [a, b, c, d] = address;
        Ipv4Network::new(Ipv4Addr::new(a, b, c, d), prefix)
    }

    fn attached(network: Ipv4Network, ip: [u8; 4]) -> bool {
        network.is_attached(ip.into())
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
            ([10, 0, 0, 4], 200, None),
            ([10, 0, 0, 4], 0, None),
            ([127, 0, 0, 1], 8, Some([127, 255, 255, 255])),
        ];
        for (address, prefix, expected) in table {
            let broadcast = on(address, prefix).directed_broadcast();
            assert_eq!(broadcast, expected.map(Ipv4Addr::from), "{address:?}/{prefix}");
        }
    }

    #[test]
    fn a_host_is_attached_if_it_shares_the_prefix() {
        let lan = on([192, 168, 1, 7], 24);
        assert!(attached(lan, [192, 168, 1, 1]) && attached(lan, [192, 168, 1, 7]));
        assert!(!attached(lan, [192, 168, 2, 1]) && !attached(lan, [8, 8, 8, 8]));
        assert!(!attached(lan, [192, 168, 1, 0]) && !attached(lan, [192, 168, 1, 255]));
        let wide = on([172, 16, 5, 9], 20);
        assert!(attached(wide, [172, 16, 15, 254]) && attached(wide, [172, 16, 0, 1]));
        assert!(!attached(wide, [172, 16, 16, 1]) && !attached(wide, [172, 16, 15, 255]));
        let pair = on([10, 0, 0, 4], 31);
        assert!(attached(pair, [10, 0, 0, 4]) && attached(pair, [10, 0, 0, 5]));
        assert!(!attached(pair, [10, 0, 0, 6]));
        let single = on([10, 0, 0, 4], 32);
        assert!(attached(single, [10, 0, 0, 4]) && !attached(single, [10, 0, 0, 5]));
    }

    #[test]
    fn loopback_is_on_loopback_only() {
        let lo = on([127, 0, 0, 1], 8);
        assert!(attached(lo, [127, 0, 0, 1]) && attached(lo, [127, 0, 0, 53]));
        assert!(!attached(lo, [192, 168, 1, 1]));
        assert!(!attached(on([192, 168, 1, 7], 24), [127, 0, 0, 1]));
        assert!(!attached(on([192, 168, 1, 7], 0), [127, 0, 0, 1]));
    }

    #[test]
    fn no_group_is_a_host() {
        let all = on([10, 0, 0, 1], 0);
        for group in [[0, 0, 0, 0], [255, 255, 255, 255], [224, 0, 0, 1], [239, 1, 2, 3]] {
            assert!(!attached(all, group), "{group:?}");
        }
        assert!(attached(all, [8, 8, 8, 8]));
    }
}
