//! Rate limit of connects to peers that are not known members (protocol.md, section 3.4).
//!
//! Beacons can be forged. Without this limit, an attacker could use listeners as a port scanner or to flood a
//! third party.

use core::net::IpAddr;

use heapless::Vec;

use crate::limits::{PORTS_PER_ADDRESS, PORTS_WINDOW, PROBES_PER_PORT};
use crate::time::Instant;

struct Contact {
    ip: IpAddr,
    port: u16,
    probes: u8,
    first: Instant,
}

/// The ports connected to within [`PORTS_WINDOW`]. `N` bounds them in all.
pub(super) struct ProbeLimiter<const N: usize> {
    entries: Vec<Contact, N>,
}

impl<const N: usize> ProbeLimiter<N> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Counts a connect to `port` of `ip`. At the limit, returns when to try again.
    pub(super) fn connect(&mut self, now: Instant, ip: IpAddr, port: u16) -> Result<(), Instant> {
        let ip = ip.to_canonical();
        self.entries.retain(|c| now.since(c.first) < PORTS_WINDOW);
        if let Some(contact) = self.entries.iter_mut().find(|c| c.ip == ip && c.port == port) {
            if contact.probes >= PROBES_PER_PORT {
                return Err(contact.first + PORTS_WINDOW);
            }
            contact.probes += 1;
            return Ok(());
        }
        let own = self.entries.iter().filter(|c| c.ip == ip);
        let full = self.entries.is_full();
        if full || own.count() >= PORTS_PER_ADDRESS {
            let freed = self.entries.iter().filter(|c| full || c.ip == ip).map(|c| c.first).min();
            return Err(freed.unwrap_or(now) + PORTS_WINDOW);
        }
        self.entries.push(Contact { ip, port, probes: 1, first: now }).map_err(|_| now + PORTS_WINDOW)
    }

    /// A member was found there, so the connect no longer counts.
    pub(super) fn proved(&mut self, ip: IpAddr, port: u16) {
        let ip = ip.to_canonical();
        self.entries.retain(|c| c.ip != ip || c.port != port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn sixteen_ports_of_an_address_a_minute() {
        let mut c = ProbeLimiter::<64>::new();
        for port in 0..16 {
            assert_eq!(c.connect(at(5), A, port), Ok(()));
        }
        assert_eq!(c.connect(at(6), A, 99), Err(at(60_005)));
        assert_eq!(c.connect(at(6), A, 3), Ok(()), "a port already counted");
        assert_eq!(c.connect(at(6), B, 99), Ok(()));
        assert_eq!(c.connect(at(60_004), A, 99), Err(at(60_005)));
        assert_eq!(c.connect(at(60_005), A, 99), Ok(()));
    }

    #[test]
    fn eight_probes_of_a_port_a_minute() {
        let mut c = ProbeLimiter::<64>::new();
        for _ in 0..8 {
            assert_eq!(c.connect(at(0), A, 1), Ok(()));
        }
        assert_eq!(c.connect(at(59_999), A, 1), Err(at(60_000)));
        assert_eq!(c.connect(at(60_000), A, 1), Ok(()));
    }

    #[test]
    fn the_table_bounds_all_addresses_together() {
        let mut c = ProbeLimiter::<2>::new();
        assert_eq!(c.connect(at(0), A, 1), Ok(()));
        assert_eq!(c.connect(at(1), B, 1), Ok(()));
        assert_eq!(c.connect(at(2), B, 2), Err(at(60_000)));
        c.proved(B, 1);
        assert_eq!(c.connect(at(2), B, 2), Ok(()), "a member takes no entry");
    }
}
