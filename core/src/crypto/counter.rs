//! Record counters, from which AEAD nonces are made: each is issued once, in order, and consumed by its
//! record.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::Range;

/// The sequence number of one record in its direction, from which its AEAD nonce is made (protocol.md,
/// section 5).
///
/// Neither `Clone` nor `Copy`: sealing consumes it, so that a nonce is never reused.
#[derive(Debug, PartialEq, Eq)]
pub struct Counter(u64);

impl Counter {
    /// The number itself.
    pub const fn index(&self) -> u64 {
        self.0
    }
}

/// All counters of one key were issued: close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record counters of the key are exhausted")
    }
}

impl core::error::Error for Exhausted {}

/// Issues the counters of one key: 0, 1, ... up to `u64::MAX - 1`, each once.
#[derive(Debug)]
pub struct Counters {
    next: u64,
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self { next: 0 }
    }

    /// The next counter.
    pub fn issue(&mut self) -> Result<Counter, Exhausted> {
        let n = self.next;
        self.next = n.checked_add(1).ok_or(Exhausted)?;
        Ok(Counter(n))
    }

    /// The next `n` counters, or none if fewer are left.
    pub fn take(&mut self, n: u64) -> Result<CounterRange, Exhausted> {
        let end = self.next.checked_add(n).ok_or(Exhausted)?;
        let range = CounterRange(self.next..end);
        self.next = end;
        Ok(range)
    }
}

/// Consecutive counters issued by [`Counters::take`]. Unused ones are lost.
#[derive(Debug)]
pub struct CounterRange(Range<u64>);

impl CounterRange {
    /// Number of counters left.
    pub const fn left(&self) -> u64 {
        self.0.end.saturating_sub(self.0.start)
    }
}

impl Iterator for CounterRange {
    type Item = Counter;

    fn next(&mut self) -> Option<Counter> {
        self.0.next().map(Counter)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl FusedIterator for CounterRange {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_issued_in_order_and_once() {
        let mut counters = Counters::new();
        assert_eq!(counters.issue(), Ok(Counter(0)));
        let taken = counters.take(3).unwrap();
        assert_eq!(counters.issue(), Ok(Counter(4)));
        assert!(taken.map(|n| n.index()).eq(1..4));
        assert_eq!(counters.take(0).unwrap().next(), None);
        assert_eq!(counters.issue(), Ok(Counter(5)));
    }

    #[test]
    fn counters_end_and_never_wrap() {
        let mut counters = Counters::new();
        let _ = counters.take(u64::MAX - 2).unwrap();
        // Two are left. Asking for three issues none.
        assert!(counters.take(3).is_err());
        assert_eq!(counters.issue(), Ok(Counter(u64::MAX - 2)));
        assert_eq!(counters.issue(), Ok(Counter(u64::MAX - 1)));
        for _ in 0..3 {
            assert_eq!(counters.issue(), Err(Exhausted));
            assert!(counters.take(1).is_err());
        }
    }
}
