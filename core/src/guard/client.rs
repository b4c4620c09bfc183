//! The client's guard: limits the guesses that fake servers can test with our handshakes (protocol.md,
//! section 4.5).
//!
//! Each address has a token bucket, and a total bucket bounds all of them: a burst of [`CLIENT_TOTAL`],
//! refilled at one token a second. So a host can probe every server that it can remember once, and then some
//! 60 each minute. That is enough for a network with hundreds of rooms, because a foreign server costs one
//! failed handshake per [`STRANGER_MEMORY`], and later fewer. The burst is what a server grants to all
//! guessers, and the refill a quarter of that. Addresses at which a member was confirmed within
//! [`KNOWN_GOOD`] have buckets of their own, so that a flood of fake servers does not keep us from a known
//! member. Those share a smaller total, because an attacker may get confirmed by relaying (decision 0013).
//!
//! [`STRANGER_MEMORY`]: crate::limits::STRANGER_MEMORY

use core::net::IpAddr;

use heapless::Vec;

use super::bucket::{Bucket, Rate};
use super::sources::Key;
use crate::limits::{
    CLIENT_PER_ADDRESS, CLIENT_REFILL, CLIENT_TOTAL, CLIENT_TOTAL_REFILL, HANDSHAKE_TIMEOUT, KNOWN_GOOD,
    KNOWN_SHARE,
};
use crate::time::Instant;

/// State of one address.
struct Server {
    key: Key,
    bucket: Bucket,
    good_until: Option<Instant>,
    used: Instant,
}

/// The client's budget of unconfirmed handshakes, for up to `S` addresses.
pub struct ClientGuard<const S: usize> {
    servers: Vec<Server, S>,
    each: Rate,
    all: Rate,
    total: Bucket,
    all_known: Rate,
    known_total: Bucket,
}

impl<const S: usize> ClientGuard<S> {
    /// A full budget.
    pub fn new(now: Instant) -> Self {
        let all = Rate::new(CLIENT_TOTAL, CLIENT_TOTAL_REFILL);
        let all_known =
            Rate::new(CLIENT_TOTAL / KNOWN_SHARE, CLIENT_TOTAL_REFILL.saturating_mul(KNOWN_SHARE));
        Self {
            servers: Vec::new(),
            each: Rate::new(CLIENT_PER_ADDRESS, CLIENT_REFILL),
            all,
            total: Bucket::full(all, now),
            all_known,
            known_total: Bucket::full(all_known, now),
        }
    }

    /// Whether [`Self::take`] would succeed now. Check before message 2 is sent: an unfinished handshake
    /// costs the server a guess token.
    pub fn has(&self, now: Instant, address: IpAddr) -> bool {
        let key = Key::single(address);
        let server = self.servers.iter().find(|s| s.key == key);
        let known = server.and_then(|s| s.good_until).is_some_and(|good| now + HANDSHAKE_TIMEOUT < good);
        server.is_none_or(|s| s.bucket.at_hand(self.each, now) > 0)
            && (self.total.at_hand(self.all, now) > 0
                || known && self.known_total.at_hand(self.all_known, now) > 0)
    }

    /// Takes a token for a handshake with `address`; false if the budget is spent. Call before message 4 is
    /// sent.
    #[must_use = "without a token, no message 4"]
    pub fn take(&mut self, now: Instant, address: IpAddr) -> bool {
        let (each, all, all_known) = (self.each, self.all, self.all_known);
        let Some(at) = self.find_or_insert(now, Key::single(address)) else { return false };
        let Some(server) = self.servers.get_mut(at) else { return false };
        if server.bucket.at_hand(each, now) == 0 {
            return false;
        }
        // Known until the handshake is over, so that `confirmed` picks the same bucket.
        let known = server.good_until.is_some_and(|good| now + HANDSHAKE_TIMEOUT < good);
        // A failure needs no call: a handshake counts as failed until it is confirmed.
        if known && self.known_total.lend(all_known, now) {
            self.known_total.spend(all_known, now);
        } else if self.total.lend(all, now) {
            self.total.spend(all, now);
        } else {
            return false;
        }
        let took = server.bucket.lend(each, now);
        server.bucket.spend(each, now);
        server.used = now;
        took
    }

    /// Message 5 has opened, so the server is a member: returns the token.
    ///
    /// If two first handshakes with one address run concurrently, only the first to end returns its token to
    /// the total: the total may lose a token, and both totals together never gain one.
    pub fn confirmed(&mut self, now: Instant, address: IpAddr) {
        let (each, all, all_known) = (self.each, self.all, self.all_known);
        let Some(at) = self.find_or_insert(now, Key::single(address)) else { return };
        let Some(server) = self.servers.get_mut(at) else { return };
        server.bucket.restore(each, now);
        if server.good_until.is_none_or(|good| good <= now) {
            self.total.restore(all, now);
        } else {
            self.known_total.restore(all_known, now);
        }
        server.good_until = Some(now + KNOWN_GOOD);
        server.used = now;
    }

    fn find_or_insert(&mut self, now: Instant, key: Key) -> Option<usize> {
        if let Some(at) = self.servers.iter().position(|s| s.key == key) {
            return Some(at);
        }
        if self.servers.is_full() {
            // Eviction order: unknown addresses first, then full buckets, then the least recently used.
            // Eviction of a spent bucket gains an attacker nothing, because the total still bounds it.
            let each = self.each;
            let (at, _) = self.servers.iter().enumerate().min_by_key(|(_, s)| {
                let known = s.good_until.is_some_and(|good| now < good);
                (known, u32::MAX - s.bucket.at_hand(each, now), s.used)
            })?;
            self.servers.swap_remove(at);
        }
        let server = Server { key, bucket: Bucket::full(self.each, now), good_until: None, used: now };
        self.servers.push(server).ok()?;
        self.servers.len().checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn host(n: u16) -> IpAddr {
        let [a, b] = n.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(10, 0, a, b))
    }

    #[test]
    fn ten_per_address_then_one_a_minute() {
        let mut g = ClientGuard::<8>::new(at(0));
        for _ in 0..10 {
            assert!(g.take(at(0), host(1)));
        }
        assert!(!g.take(at(59_999), host(1)));
        assert!(g.take(at(60_000), host(1)));
        assert!(!g.take(at(119_999), host(1)));
        assert!(g.take(at(119_999), host(2)), "another address has its own bucket");
    }

    #[test]
    fn a_thousand_and_twenty_four_in_all_then_one_a_second() {
        let mut g = ClientGuard::<2048>::new(at(0));
        for n in 0..1_024 {
            assert!(g.take(at(0), host(n)), "{n}");
        }
        assert!(!g.take(at(999), host(3_000)));
        assert!(g.take(at(1_000), host(3_000)));
        assert!(!g.take(at(1_999), host(3_001)));
    }

    #[test]
    fn a_refusal_for_the_total_costs_the_address_nothing() {
        let mut g = ClientGuard::<2048>::new(at(0));
        for n in 0..1_024 {
            assert!(g.take(at(0), host(n)));
        }
        for _ in 0..20 {
            assert!(!g.take(at(0), host(3_000)));
        }
        for n in 1..=10 {
            assert!(g.take(at(1_000 * n), host(3_000)), "{n}");
        }
    }

    #[test]
    fn has_predicts_take_and_costs_nothing() {
        let mut g = ClientGuard::<2048>::new(at(0));
        for _ in 0..10 {
            assert!(g.has(at(0), host(1)));
            assert!(g.take(at(0), host(1)));
        }
        assert!(!g.has(at(0), host(1)), "ten per address");
        assert!(g.has(at(0), host(2)));
        g.confirmed(at(0), host(2));
        for n in 0..1_100 {
            let has = g.has(at(0), host(100 + n));
            assert_eq!(g.take(at(0), host(100 + n)), has, "{n}");
        }
        assert!(!g.has(at(0), host(3_000)), "all in all");
        assert!(g.has(at(0), host(2)), "a known member has its own bucket");
        assert!(g.has(at(1_000), host(3_000)));
    }

    #[test]
    fn members_cost_nothing() {
        let mut g = ClientGuard::<8>::new(at(0));
        for _ in 0..10_000 {
            assert!(g.take(at(0), host(1)));
            g.confirmed(at(0), host(1));
        }
        for _ in 0..10 {
            assert!(g.take(at(0), host(1)));
        }
        assert!(!g.take(at(0), host(1)), "and gain no token");
    }

    #[test]
    fn a_confirmation_returns_the_token_of_the_total_once() {
        let mut g = ClientGuard::<2048>::new(at(0));
        for _ in 0..3 {
            assert!(g.take(at(0), host(1)));
            g.confirmed(at(0), host(1));
        }
        for n in 0..1_024 {
            assert!(g.take(at(0), host(n + 2)), "{n}");
        }
        assert!(!g.take(at(0), host(4_000)));
        assert!(g.take(at(0), host(1)), "a known member is outside the total");
        g.confirmed(at(0), host(1));
        assert!(!g.take(at(0), host(4_000)), "so it returns nothing to the total");
        // 20 s before its 10 minutes are over it counts as unknown again.
        let end = KNOWN_GOOD.as_secs() * 1_000 - 20_000;
        assert!(g.take(at(end - 1), host(1)));
    }

    #[test]
    fn fake_servers_at_many_addresses_gain_no_more_than_the_total() {
        // More addresses than the table holds, so that every entry is evicted again and again.
        let mut g = ClientGuard::<16>::new(at(0));
        let mut guesses = 0;
        for ms in (0..600_000).step_by(10) {
            guesses += u32::from(g.take(at(ms), host(u16::try_from(ms / 10 % 5_000).unwrap())));
        }
        assert!((CLIENT_TOTAL..=CLIENT_TOTAL + 600).contains(&guesses), "{guesses}");
    }

    #[test]
    fn a_relay_at_many_addresses_gains_no_more_than_the_known_total() {
        // It relays the first handshake at each of its addresses to a member, and fakes the others.
        let mut g = ClientGuard::<1024>::new(at(0));
        for n in 0..1_000 {
            assert!(g.take(at(0), host(n)));
            g.confirmed(at(0), host(n));
        }
        let mut guesses = 0;
        for ms in (0..500_000).step_by(10) {
            guesses += u32::from(g.take(at(ms), host(u16::try_from(ms / 10 % 1_000).unwrap())));
        }
        let (total, known) = (CLIENT_TOTAL + 500, CLIENT_TOTAL / KNOWN_SHARE + 500 / KNOWN_SHARE);
        assert!(guesses <= total + known, "{guesses}");
    }

    #[test]
    fn a_known_member_outlasts_a_flood_of_fakes() {
        let mut g = ClientGuard::<16>::new(at(0));
        assert!(g.take(at(0), host(1)));
        g.confirmed(at(0), host(1));
        for n in 0..5_000 {
            let _ = g.take(at(u64::from(n)), host(100 + n));
        }
        assert!(g.take(at(5_000), host(1)));
    }

    #[test]
    fn hundreds_of_rooms_on_one_network_starve_no_member() {
        // 600 foreign servers, each probed again after 10 minutes, and a member probed last.
        let mut g = ClientGuard::<1024>::new(at(0));
        let mut next = [0_u64; 600];
        let mut member_seen = None;
        for ms in (0..3_600_000).step_by(100) {
            for (n, due) in next.iter_mut().enumerate() {
                if *due <= ms && g.take(at(ms), host(u16::try_from(n).unwrap())) {
                    *due = ms + 600_000;
                }
            }
            if member_seen.is_none() && g.take(at(ms), host(5_000)) {
                g.confirmed(at(ms), host(5_000));
                member_seen = Some(ms);
            }
        }
        assert!(member_seen.is_some_and(|ms| ms <= 350_000), "{member_seen:?}");
    }

    #[test]
    fn each_address_of_a_network_is_a_server() {
        let v6 = |low| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, low));
        let mut g = ClientGuard::<8>::new(at(0));
        for _ in 0..10 {
            assert!(g.take(at(0), v6(1)));
        }
        assert!(!g.has(at(0), v6(1)), "a fake sender");
        assert!(g.has(at(0), v6(2)) && g.take(at(0), v6(2)), "the sender on the same link");
    }
}
