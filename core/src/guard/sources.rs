//! Sources of guesses and their token buckets (protocol.md, section 4.5).

use core::net::IpAddr;

use heapless::Vec;

use super::alarm::Alarm;
use super::bucket::{Bucket, Rate};
use crate::limits::{KNOWN_GOOD, KNOWN_SHARE, Profile, WARN_SOURCE};
use crate::time::Instant;

/// Where a connection comes from, and what it is counted with.
///
/// An IPv4 address counts by itself. Of IPv6 the /64 counts, since one host has all addresses of it. That does not
/// hold on a link of the server, where all hosts share a /64, and one of them must not spend the budget of the
/// others: there each address counts by itself. A link-local address is always on such a link; of others the
/// front end knows ([`Self::on_link`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub(super) address: IpAddr,
    pub(super) key: Key,
}

impl Source {
    /// A host that shares a prefix with one of the server's interfaces: it counts by its address alone.
    #[inline]
    pub fn on_link(address: IpAddr) -> Self {
        Self { address, key: Key::single(address) }
    }

    /// Whether the two are counted as one.
    pub fn counts_with(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Its address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }
}

impl From<IpAddr> for Source {
    /// A host that is not known to be on a link of the server.
    #[inline]
    fn from(address: IpAddr) -> Self {
        let key = match address.to_canonical() {
            IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
                IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into())
            }
            other => other,
        };
        Self { address, key: Key(key) }
    }
}

/// What a source is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(IpAddr);

impl Key {
    /// Of an address that counts by itself.
    pub(super) fn single(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

/// The buckets from which a token was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The source's bucket and the total.
    Common,
    /// The known-good bucket of the source and the total of all known-good sources, which bounds attackers
    /// that make many sources known-good by relaying members' handshakes.
    Known,
}

/// What is known of one source.
pub(super) struct Entry {
    pub(super) key: Key,
    /// The address from which it connected last.
    pub(super) address: IpAddr,
    common: Bucket,
    known: Bucket,
    good_until: Option<Instant>,
    used: Instant,
    /// Its parked connections.
    pub(super) parked: usize,
    pub(super) alarm: Alarm<{ WARN_SOURCE as usize }>,
}

impl Entry {
    fn is_good(&self, now: Instant) -> bool {
        self.good_until.is_some_and(|good| now < good)
    }
}

/// The sources and the total buckets.
pub(super) struct Sources<const S: usize> {
    entries: Vec<Entry, S>,
    total: Bucket,
    known_total: Bucket,
    common_rate: Rate,
    known_rate: Rate,
    total_rate: Rate,
    known_total_rate: Rate,
}

impl<const S: usize> Sources<S> {
    pub(super) fn new(profile: &Profile, now: Instant) -> Self {
        let total_rate = Rate::new(profile.total_burst, profile.total_refill);
        let known_total_rate =
            Rate::new(profile.total_burst / KNOWN_SHARE, profile.total_refill.saturating_mul(KNOWN_SHARE));
        Self {
            entries: Vec::new(),
            total: Bucket::full(total_rate, now),
            known_total: Bucket::full(known_total_rate, now),
            common_rate: Rate::new(profile.source_burst, profile.source_refill),
            known_rate: Rate::new(profile.known_burst, profile.source_refill),
            total_rate,
            known_total_rate,
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|s| s.key == key)
    }

    /// Parked connections of a source.
    pub(super) fn parked(&self, key: Key) -> usize {
        self.entries.iter().find(|s| s.key == key).map_or(0, |s| s.parked)
    }

    /// The source with most parked connections.
    pub(super) fn most_parked(&self) -> Option<(Key, usize)> {
        self.entries.iter().max_by_key(|s| s.parked).map(|s| (s.key, s.parked))
    }

    /// The buckets that would lend this source a token now, if any.
    pub(super) fn offers(&self, now: Instant, key: Key) -> Option<Origin> {
        let total = self.total.at_hand(self.total_rate, now) > 0;
        let known = self.known_total.at_hand(self.known_total_rate, now) > 0;
        let (common_rate, known_rate) = (self.common_rate, self.known_rate);
        match self.entries.iter().find(|s| s.key == key) {
            Some(s) if known && s.is_good(now) && s.known.at_hand(known_rate, now) > 0 => Some(Origin::Known),
            Some(s) => (total && s.common.at_hand(common_rate, now) > 0).then_some(Origin::Common),
            None => total.then_some(Origin::Common),
        }
    }

    /// Ensures an entry for a source. False if every entry is in use.
    pub(super) fn enter(&mut self, now: Instant, Source { address, key }: Source) -> bool {
        if let Some(source) = self.get_mut(key) {
            source.address = address;
            source.used = now;
            return true;
        }
        if self.entries.is_full() {
            // A source with lent tokens or parked connections stays, because the tokens have to return to it.
            // Eviction order of the others: unknown first, then the fullest bucket, then the least recently
            // used. Eviction of a spent bucket gains an attacker nothing, because the total still bounds it.
            let rate = self.common_rate;
            let victim = self
                .entries
                .iter()
                .enumerate()
                .filter(|(_, s)| s.common.lent() == 0 && s.known.lent() == 0 && s.parked == 0)
                .min_by_key(|(_, s)| (s.is_good(now), u32::MAX - s.common.at_hand(rate, now), s.used));
            let Some((at, _)) = victim else { return false };
            self.entries.swap_remove(at);
        }
        let source = Entry {
            key,
            address,
            common: Bucket::full(self.common_rate, now),
            known: Bucket::full(self.known_rate, now),
            good_until: None,
            used: now,
            parked: 0,
            alarm: Alarm::new(),
        };
        self.entries.push(source).is_ok()
    }

    /// Lends a token from the buckets of `origin`.
    #[must_use]
    pub(super) fn lend(&mut self, now: Instant, key: Key, origin: Origin) -> bool {
        let (common_rate, known_rate) = (self.common_rate, self.known_rate);
        let Some(source) = self.entries.iter_mut().find(|s| s.key == key) else { return false };
        match origin {
            // From both buckets or from neither.
            Origin::Known => {
                self.known_total.at_hand(self.known_total_rate, now) > 0
                    && source.known.lend(known_rate, now)
                    && self.known_total.lend(self.known_total_rate, now)
            }
            Origin::Common => {
                self.total.at_hand(self.total_rate, now) > 0
                    && source.common.lend(common_rate, now)
                    && self.total.lend(self.total_rate, now)
            }
        }
    }

    /// Returns a token to its buckets.
    pub(super) fn give_back(&mut self, now: Instant, key: Key, origin: Origin) {
        let (common_rate, known_rate) = (self.common_rate, self.known_rate);
        let Some(source) = self.entries.iter_mut().find(|s| s.key == key) else { return };
        match origin {
            Origin::Known => {
                source.known.give_back(known_rate, now);
                self.known_total.give_back(self.known_total_rate, now);
            }
            Origin::Common => {
                source.common.give_back(common_rate, now);
                self.total.give_back(self.total_rate, now);
            }
        }
    }

    /// Spends a token.
    pub(super) fn spend(&mut self, now: Instant, key: Key, origin: Origin) {
        let (common_rate, known_rate) = (self.common_rate, self.known_rate);
        let Some(source) = self.entries.iter_mut().find(|s| s.key == key) else { return };
        match origin {
            Origin::Known => {
                source.known.spend(known_rate, now);
                self.known_total.spend(self.known_total_rate, now);
            }
            Origin::Common => {
                source.common.spend(common_rate, now);
                self.total.spend(self.total_rate, now);
            }
        }
    }

    /// A member authenticated from this source: makes it known-good.
    pub(super) fn good(&mut self, now: Instant, key: Key) {
        if let Some(source) = self.get_mut(key) {
            source.good_until = Some(now + KNOWN_GOOD);
            source.used = now;
        }
    }

    /// When a refill next grants a parked connection its token.
    pub(super) fn ready_at(&self, now: Instant) -> Option<Instant> {
        let total = self.total.ready_at(self.total_rate);
        let known_total = self.known_total.ready_at(self.known_total_rate);
        let both = |a: Option<Instant>, b| a.zip(b).map(|(a, b)| a.max(b));
        self.entries.iter().filter(|s| s.parked > 0).fold(None, |first, s| {
            let common = both(total, s.common.ready_at(self.common_rate));
            let known = both(known_total, s.known.ready_at(self.known_rate))
                .filter(|at| s.good_until.is_some_and(|good| (*at).max(now) < good));
            Instant::earliest(first, Instant::earliest(common, known))
        })
    }

    /// Available and lent tokens of the total.
    #[cfg(test)]
    pub(super) fn total(&self, now: Instant) -> (u32, u32) {
        (self.total.at_hand(self.total_rate, now), self.total.lent())
    }

    /// Available and lent tokens of a source.
    #[cfg(test)]
    pub(super) fn common(&self, now: Instant, source: impl Into<Source>) -> (u32, u32) {
        let rate = self.common_rate;
        let key = source.into().key;
        self.entries
            .iter()
            .find(|s| s.key == key)
            .map_or((0, 0), |s| (s.common.at_hand(rate, now), s.common.lent()))
    }
}
