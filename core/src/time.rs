//! Monotonic time in milliseconds, passed in by the front end, which owns the clock.
//!
//! The origin is arbitrary. The clock must be monotonic, and should count the time that the machine sleeps,
//! because TTLs do (Linux: `CLOCK_BOOTTIME`).

use core::ops::Add;
use core::time::Duration;

/// A point in time, in milliseconds since an origin that the front end chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The instant `ms` milliseconds after the origin.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the origin.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Duration since `earlier`; zero if that is in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Duration until `later`; zero if that has passed.
    pub const fn until(self, later: Self) -> Duration {
        later.since(self)
    }

    /// The earlier of two optional instants; `None` is never.
    pub fn earliest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates. Fractions of a millisecond are dropped.
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let t = Instant::from_millis(5);
        assert_eq!(t.since(Instant::from_millis(9)), Duration::ZERO);
        assert_eq!(t.until(Instant::from_millis(9)), Duration::from_millis(4));
        assert_eq!((Instant::from_millis(u64::MAX) + Duration::from_secs(1)).as_millis(), u64::MAX);
        assert_eq!((t + Duration::MAX).as_millis(), u64::MAX);
    }

    #[test]
    fn none_is_later_than_any_instant() {
        let t = Some(Instant::from_millis(5));
        assert_eq!(Instant::earliest(None, t), t);
        assert_eq!(Instant::earliest(t, None), t);
        assert_eq!(Instant::earliest(None, None), None);
        assert_eq!(Instant::earliest(t, Some(Instant::from_millis(4))), Some(Instant::from_millis(4)));
    }
}
