//! Where guesses come from, and what each of those has left.

use core::net::IpAddr;

use heapless::Vec;

use super::alarm::Alarm;
use super::bucket::{Bucket, Rate};
use crate::limits::{KNOWN_GOOD, KNOWN_SHARE, Profile, WARN_SOURCE};
use crate::time::Instant;

/// What counts as one source.
///
/// An IPv4 address; of IPv6 the network of 64 bits, since one host has all the addresses of one. But
/// a link-local address counts by itself: all hosts of a link share that network, and one of them
/// must not spend what is the others'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(IpAddr);

impl Key {
    /// The source an address belongs to.
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
                IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into())
            }
            other => other,
        })
    }
}

/// Which buckets a token came out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The source's and the one of all.
    Common,
    /// The one a known-good source has of its own, outside the total, and the one of all such sources: whoever
    /// relays members' handshakes can make any number of sources known-good.
    Known,
}

/// One source.
pub(super) struct Source {
    pub(super) key: Key,
    /// The address it was last seen at.
    pub(super) address: IpAddr,
    common: Bucket,
    known: Bucket,
    good_until: Option<Instant>,
    used: Instant,
    /// Its connections that wait for a token.
    pub(super) parked: usize,
    pub(super) alarm: Alarm<{ WARN_SOURCE as usize }>,
}

impl Source {
    fn is_good(&self, now: Instant) -> bool {
        self.good_until.is_some_and(|good| now < good)
    }
}

/// The sources, and the bucket of all of them together.
pub(super) struct Sources<const S: usize> {
    entries: Vec<Source, S>,
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

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        self.entries.iter_mut()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Source> {
        self.entries.iter_mut().find(|s| s.key == key)
    }

    /// Connections of a source that wait for a token.
    pub(super) fn parked(&self, key: Key) -> usize {
        self.entries.iter().find(|s| s.key == key).map_or(0, |s| s.parked)
    }

    /// The source that holds most of the parking.
    pub(super) fn most_parked(&self) -> Option<(Key, usize)> {
        self.entries.iter().max_by_key(|s| s.parked).map(|s| (s.key, s.parked))
    }

    /// Which bucket would give this source a token now, if any.
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

    /// Makes sure there is an entry for `address`. False if the table is full of sources in use.
    pub(super) fn enter(&mut self, now: Instant, address: IpAddr) -> bool {
        let key = Key::of(address);
        if let Some(source) = self.get_mut(key) {
            source.address = address;
            source.used = now;
            return true;
        }
        if self.entries.is_full() {
            // A source with tokens lent or connections parked stays, or they could not come back to
            // it. Of the others, first the unknown, then the fullest, then the longest unused. Whoever
            // gets a spent bucket evicted all the same gains nothing past the total.
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
        let source = Source {
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

    /// Lends a token out of the buckets of `origin`.
    #[must_use]
    pub(super) fn lend(&mut self, now: Instant, key: Key, origin: Origin) -> bool {
        let (common_rate, known_rate) = (self.common_rate, self.known_rate);
        let Some(source) = self.entries.iter_mut().find(|s| s.key == key) else { return false };
        match origin {
            // Both or neither.
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

    /// A token comes back to where it came from.
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

    /// A token is spent.
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

    /// The source has proved to be a member's.
    pub(super) fn good(&mut self, now: Instant, key: Key) {
        if let Some(source) = self.get_mut(key) {
            source.good_until = Some(now + KNOWN_GOOD);
            source.used = now;
        }
    }

    /// When time next brings a parked connection its token.
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

    /// Tokens of the total at hand and lent.
    #[cfg(test)]
    pub(super) fn total(&self, now: Instant) -> (u32, u32) {
        (self.total.at_hand(self.total_rate, now), self.total.lent())
    }

    /// Tokens of a source at hand and lent.
    #[cfg(test)]
    pub(super) fn common(&self, now: Instant, address: IpAddr) -> (u32, u32) {
        let rate = self.common_rate;
        let key = Key::of(address);
        self.entries
            .iter()
            .find(|s| s.key == key)
            .map_or((0, 0), |s| (s.common.at_hand(rate, now), s.common.lent()))
    }
}
