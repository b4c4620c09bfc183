//! Where a beacon came from, and whether it counts (protocol.md, section 3.4).

use core::net::{IpAddr, SocketAddr};

/// How a beacon arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The datagram's source.
    pub from: SocketAddr,
    /// The source is on a directly attached prefix of the interface it came in by.
    pub attached: bool,
    /// It arrived on the loopback interface.
    pub loopback: bool,
}

impl Arrival {
    /// Whether the source is one host on a directly attached network. Other beacons are neither believed nor
    /// answered: an answer to a broadcast address would be an amplification.
    pub(super) fn counts(&self) -> bool {
        match self.from.ip().to_canonical() {
            ip if ip.is_unspecified() || ip.is_multicast() => false,
            IpAddr::V4(v4) if v4.is_loopback() => self.loopback,
            IpAddr::V4(v4) => self.attached && !v4.is_broadcast(),
            IpAddr::V6(v6) => self.attached && !v6.is_loopback(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_host_on_an_attached_network_counts() {
        let counts = |from: &str, attached, loopback| {
            Arrival { from: from.parse().unwrap(), attached, loopback }.counts()
        };
        for one in ["10.0.0.1:9", "[fe80::1]:9", "[2001:db8::1]:9"] {
            assert!(counts(one, true, false) && !counts(one, false, false), "{one}");
        }
        assert!(counts("127.0.0.1:9", true, true) && !counts("127.0.0.1:9", true, false));
        for many in ["255.255.255.255:9", "224.0.0.1:9", "0.0.0.0:9", "[ff02::1]:9", "[::]:9", "[::1]:9"] {
            assert!(!counts(many, true, false), "{many}");
        }
    }
}
