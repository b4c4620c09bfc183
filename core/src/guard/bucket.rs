//! A token bucket whose tokens can be lent and returned (protocol.md, section 4.5).

use core::time::Duration;

use crate::time::Instant;

/// Burst and refill interval of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    every: u64,
}

impl Rate {
    /// A burst of `burst` tokens, refilled at one token every `every` (at least 1 ms).
    #[expect(clippy::cast_possible_truncation, reason = "compared with the largest value first")]
    pub const fn new(burst: u32, every: Duration) -> Self {
        let every = match every.as_millis() {
            0 => 1,
            ms if ms > u64::MAX as u128 => u64::MAX,
            ms => ms as u64,
        };
        Self { burst, every }
    }
}

/// A token bucket: available tokens, and tokens lent until it is known whether they are spent.
///
/// A lent token is not refilled: available and lent tokens never add up to more than the burst. So a returned
/// token always fits, and in any span no more tokens are spent than the burst plus the refill of the span,
/// however lending and returning interleave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    at_hand: u32,
    lent: u32,
    /// Start of the refill interval of the next token.
    since: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn full(rate: Rate, now: Instant) -> Self {
        Self { at_hand: rate.burst, lent: 0, since: now }
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let room = rate.burst.saturating_sub(self.at_hand).saturating_sub(self.lent);
        let due = now.as_millis().saturating_sub(self.since.as_millis()) / rate.every;
        match u32::try_from(due) {
            // The remainder stays in `since`, so that the rate does not drift.
            Ok(due) if due < room => {
                self.at_hand = self.at_hand.saturating_add(due);
                self.since = self.since + Duration::from_millis(u64::from(due).saturating_mul(rate.every));
            }
            _ => {
                self.at_hand = self.at_hand.saturating_add(room);
                self.since = self.since.max(now);
            }
        }
    }

    /// Available tokens.
    pub fn at_hand(&self, rate: Rate, now: Instant) -> u32 {
        let mut then = *self;
        then.refill(rate, now);
        then.at_hand
    }

    /// Lent tokens.
    pub fn lent(&self) -> u32 {
        self.lent
    }

    /// Lends a token, if one is available.
    #[must_use]
    pub fn lend(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        let Some(rest) = self.at_hand.checked_sub(1) else { return false };
        self.at_hand = rest;
        self.lent = self.lent.saturating_add(1);
        true
    }

    /// Returns a lent token.
    pub fn give_back(&mut self, rate: Rate, now: Instant) {
        self.refill(rate, now);
        if let Some(rest) = self.lent.checked_sub(1) {
            self.lent = rest;
            self.at_hand = self.at_hand.saturating_add(1);
        }
    }

    /// Spends a lent token, which refills from now on.
    pub fn spend(&mut self, rate: Rate, now: Instant) {
        self.refill(rate, now);
        self.lent = self.lent.saturating_sub(1);
    }

    /// Returns a token that counted as spent, up to the burst.
    pub fn restore(&mut self, rate: Rate, now: Instant) {
        self.refill(rate, now);
        if self.at_hand.saturating_add(self.lent) < rate.burst {
            self.at_hand = self.at_hand.saturating_add(1);
        }
    }

    /// When a token is available by refill alone: in the past if one is available now, `None` if all are
    /// lent.
    pub fn ready_at(&self, rate: Rate) -> Option<Instant> {
        if self.at_hand > 0 {
            Some(self.since)
        } else {
            (self.lent < rate.burst).then(|| self.since + Duration::from_millis(rate.every))
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn rate() -> Rate {
        Rate::new(2, Duration::from_millis(10))
    }

    #[test]
    fn refills_to_the_millisecond_and_without_drift() {
        let mut b = Bucket::full(rate(), at(0));
        for _ in 0..2 {
            assert!(b.lend(rate(), at(3)));
            b.spend(rate(), at(3));
        }
        assert!(!b.lend(rate(), at(12)));
        assert_eq!(b.ready_at(rate()), Some(at(13)));
        assert!(b.lend(rate(), at(19)), "late, yet");
        b.spend(rate(), at(19));
        assert!(!b.lend(rate(), at(22)));
        assert!(b.lend(rate(), at(23)), "the next one is due 10 ms after the last was due");
    }

    #[test]
    fn nothing_accrues_while_full() {
        let mut b = Bucket::full(rate(), at(0));
        assert_eq!(b.at_hand(rate(), at(1_000)), 2);
        for t in [1_005, 1_005] {
            assert!(b.lend(rate(), at(t)));
            b.spend(rate(), at(t));
        }
        assert!(!b.lend(rate(), at(1_014)));
        assert!(b.lend(rate(), at(1_015)));
    }

    #[test]
    fn a_lent_token_is_not_refilled() {
        let mut b = Bucket::full(rate(), at(0));
        assert!(b.lend(rate(), at(0)) && b.lend(rate(), at(0)));
        assert!(!b.lend(rate(), at(1_000_000)), "time does not refill a lent token");
        assert_eq!(b.ready_at(rate()), None);
        b.give_back(rate(), at(1_000_000));
        assert_eq!((b.at_hand(rate(), at(1_000_000)), b.lent()), (1, 1));
        b.give_back(rate(), at(1_000_000));
        b.give_back(rate(), at(1_000_000));
        assert_eq!(
            (b.at_hand(rate(), at(1_000_000)), b.lent()),
            (2, 0),
            "no token was lent, so none is returned"
        );
    }

    #[test]
    fn extreme_times_and_rates() {
        let rate = Rate::new(u32::MAX, Duration::ZERO);
        let mut b = Bucket::full(rate, at(u64::MAX));
        assert!(b.lend(rate, at(0)), "a clock that ran backwards");
        b.restore(rate, at(u64::MAX));
        assert_eq!(b.at_hand(rate, at(u64::MAX)), u32::MAX - 1);
        let never = Rate::new(0, Duration::MAX);
        let mut b = Bucket::full(never, at(0));
        assert!(!b.lend(never, at(u64::MAX)));
        assert_eq!(b.ready_at(never), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        // Tokens spent in any span stay within the burst plus the refill of the span, and no token is lost or
        // created: available and lent tokens never exceed the burst.
        #[test]
        fn the_budget_holds_in_every_span(steps in prop::collection::vec((0_u64..30, 0_u8..3), 1..120)) {
            let rate = Rate::new(4, Duration::from_millis(10));
            let mut b = Bucket::full(rate, at(0));
            let mut now = 0;
            let mut spent = Vec::new();
            for (gap, what) in steps {
                now += gap;
                let (before, lent) = (b.at_hand(rate, at(now)), b.lent());
                match what {
                    0 => {
                        let ok = b.lend(rate, at(now));
                        prop_assert_eq!(ok, before > 0);
                    }
                    1 if lent > 0 => {
                        b.give_back(rate, at(now));
                        prop_assert_eq!(b.at_hand(rate, at(now)), before + 1);
                    }
                    2 if lent > 0 => {
                        b.spend(rate, at(now));
                        spent.push(now);
                        prop_assert_eq!(b.at_hand(rate, at(now)), before);
                    }
                    _ => {}
                }
                prop_assert!(b.at_hand(rate, at(now)) + b.lent() <= 4);
            }
            for (i, from) in spent.iter().enumerate() {
                for (j, to) in spent.iter().enumerate().skip(i) {
                    let most = 4 + (to - from) / 10 + 1;
                    prop_assert!(u64::try_from(j - i + 1).unwrap() <= most);
                }
            }
        }
    }
}
