//! Rate limit of connects to peers that are not known members (protocol.md, section 3.4).
//!
//! Beacons can be forged. Without this limit, an attacker could use listeners as a port scanner or to flood a
//! third party. A connect that reached a sender does not count.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use heapless::Vec;

use crate::guard::bucket::{Bucket, Rate};
use crate::limits::{
    CONNECT_REFILL_MAX, CONNECTS_MIN, CONNECTS_REFILL, CONNECTS_SHARE, CONNECTS_TO_DEFAULT_PORTS,
    CONNECTS_TO_OTHER_PORTS, CONNECTS_WINDOW, TCP_PORT_FIRST, TCP_PORT_LAST,
};
use crate::time::Instant;

/// The connects to one address.
struct Contact {
    ip: IpAddr,
    /// To its default ports, and to all others.
    connects: [u8; 2],
    first: Instant,
}

/// The connects within [`CONNECTS_WINDOW`] to up to `N` addresses, and all together.
pub(super) struct ProbeLimiter<const N: usize> {
    entries: Vec<Contact, N>,
    total: Bucket,
}

#[expect(clippy::cast_possible_truncation, reason = "a table is small")]
impl<const N: usize> ProbeLimiter<N> {
    /// A quarter of the burst.
    const QUARTER: u32 = match N / CONNECTS_SHARE / 4 {
        quarter if quarter > CONNECTS_MIN / 4 => quarter as u32,
        _ => CONNECTS_MIN as u32 / 4,
    };
    const RATE: Rate = {
        let every = CONNECTS_REFILL.as_millis() / N as u128;
        let most = CONNECT_REFILL_MAX.as_millis();
        Rate::new(Self::QUARTER * 4, Duration::from_millis(if every < most { every } else { most } as u64))
    };

    pub(super) fn new(now: Instant) -> Self {
        Self { entries: Vec::new(), total: Bucket::full(Self::RATE, now) }
    }

    /// How many quarters of the burst are left.
    pub(super) fn quarters(&self, now: Instant) -> u32 {
        self.total.at_hand(Self::RATE, now).div_ceil(Self::QUARTER)
    }

    /// Counts a connect. At the limit of the address, returns when to try again. A peer that is not `sure` has
    /// half of the limit.
    pub(super) fn connect(&mut self, now: Instant, peer: SocketAddr, sure: bool) -> Result<(), Instant> {
        let ip = peer.ip().to_canonical();
        self.entries.retain(|c| now.since(c.first) < CONNECTS_WINDOW);
        let at = self.entries.iter().position(|c| c.ip == ip).unwrap_or_else(|| {
            if self.entries.is_full() {
                self.entries.remove(0);
            }
            // There is room.
            let _ = self.entries.push(Contact { ip, connects: [0; 2], first: now });
            self.entries.len() - 1
        });
        let Some(contact) = self.entries.get_mut(at) else { return Err(now) };
        let (count, most) = match &mut contact.connects {
            [count, _] if is_default(peer.port()) => (count, CONNECTS_TO_DEFAULT_PORTS),
            [_, count] => (count, CONNECTS_TO_OTHER_PORTS),
        };
        if *count >= most >> u8::from(!sure) {
            return Err(contact.first + CONNECTS_WINDOW);
        }
        *count += 1;
        if self.total.lend(Self::RATE, now) {
            self.total.spend(Self::RATE, now);
        }
        Ok(())
    }

    /// A sender was found there, so the connect does not count.
    pub(super) fn answered(&mut self, now: Instant, peer: SocketAddr) {
        let ip = peer.ip().to_canonical();
        self.total.restore(Self::RATE, now);
        if let Some(contact) = self.entries.iter_mut().find(|c| c.ip == ip) {
            let [default, others] = &mut contact.connects;
            let count = if is_default(peer.port()) { default } else { others };
            *count = count.saturating_sub(1);
        }
    }

    /// Whether connects to the address reached no sender.
    pub(super) fn tried(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.entries.iter().any(|c| c.ip == ip && c.connects != [0; 2])
    }
}

/// Whether a sender takes this port unless it is told otherwise.
pub(super) fn is_default(port: u16) -> bool {
    (TCP_PORT_FIRST..=TCP_PORT_LAST).contains(&port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn peer(host: u16, port: u16) -> SocketAddr {
        let [a, b] = host.to_be_bytes();
        SocketAddr::from(([10, 0, a, b], port))
    }

    #[test]
    fn an_address_is_connected_to_sixteen_and_eight_times_a_minute() {
        for (port, sure, most) in
            [(48_556, true, 16), (48_556, false, 8), (5_000, true, 8), (5_000, false, 4)]
        {
            let mut limiter = ProbeLimiter::<64>::new(at(0));
            for n in 0..most {
                let other = port + n % 16;
                assert_eq!(limiter.connect(at(5), peer(1, other), sure), Ok(()), "{port} {sure} {n}");
            }
            assert_eq!(limiter.connect(at(6), peer(1, port), sure), Err(at(60_005)), "{port} {sure}");
            assert_eq!(limiter.connect(at(6), peer(2, port), sure), Ok(()), "another address");
            let lane = if port == 5_000 { 48_556 } else { 5_000 };
            assert_eq!(limiter.connect(at(6), peer(1, lane), sure), Ok(()), "its other ports");
            assert_eq!(limiter.connect(at(60_004), peer(1, port), sure), Err(at(60_005)));
            assert_eq!(limiter.connect(at(60_005), peer(1, port), sure), Ok(()));
        }
    }

    #[test]
    fn the_bucket_bounds_all_addresses_together() {
        let mut limiter = ProbeLimiter::<1_024>::new(at(0));
        let mut connects = 0;
        for ms in 0..60_000_u16 {
            while limiter.quarters(at(ms.into())) > 0 {
                assert_eq!(limiter.connect(at(ms.into()), peer(connects, 5_000), true), Ok(()));
                connects += 1;
            }
        }
        assert_eq!(connects, 256 + 59_999 / 78);
    }

    #[test]
    fn a_connect_that_reached_a_sender_does_not_count() {
        let mut limiter = ProbeLimiter::<64>::new(at(0));
        for _ in 0..1_000 {
            assert_eq!(limiter.quarters(at(1)), 4);
            assert_eq!(limiter.connect(at(1), peer(1, 5_000), true), Ok(()));
            assert!(limiter.tried(peer(1, 0).ip()));
            limiter.answered(at(1), peer(1, 5_000));
            assert!(!limiter.tried(peer(1, 0).ip()));
        }
    }

    #[test]
    fn a_small_table_forgets_the_oldest_address() {
        let mut limiter = ProbeLimiter::<2>::new(at(0));
        for host in 1..=3 {
            assert_eq!(limiter.connect(at(host.into()), peer(host, 5_000), true), Ok(()));
        }
        assert_eq!([1, 2, 3].map(|host| limiter.tried(peer(host, 0).ip())), [false, true, true]);
    }
}
