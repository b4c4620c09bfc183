//! When a listener asks for senders (RFC 6762, section 5.2).

use std::time::Duration;

use deaddrop_core::time::Instant;
use rand_core::Rng;

use super::REFRESH;

/// After how long the second question comes; each gap is twice the one before it, and none is longer than the refresh.
const GAP: Duration = Duration::from_secs(1);

/// Asks at once, and again with growing gaps.
pub(crate) struct Querier {
    next: Instant,
    gap: Duration,
}

impl Querier {
    /// The first question is due soon: several that start together are not to ask in the same moment.
    pub(crate) fn new(now: Instant, rng: &mut impl Rng) -> Self {
        Self { next: now + soon(rng), gap: GAP }
    }

    /// Starts over: the interfaces have changed.
    pub(crate) fn restart(&mut self, now: Instant, rng: &mut impl Rng) {
        *self = Self::new(now, rng);
    }

    /// Whether to ask now.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        if self.next > now {
            return false;
        }
        self.next = now + self.gap;
        self.gap = (self.gap * 2).min(REFRESH);
        true
    }

    /// When to call [`poll`](Self::poll) next.
    pub(crate) fn due(&self) -> Instant {
        self.next
    }
}

/// 20 ms to 120 ms, as the RFC has it for questions and for answers.
pub(super) fn soon(rng: &mut impl Rng) -> Duration {
    Duration::from_millis(20 + u64::from(rng.next_u32() % 101))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::system;

    #[test]
    fn questions_become_rare_and_never_rarer_than_records_last() {
        let start = Instant::from_millis(5_000);
        let mut querier = Querier::new(start, &mut system());
        let first = querier.due();
        assert!(first >= start + Duration::from_millis(20) && first <= start + Duration::from_millis(120));
        assert!(!querier.poll(start));
        let mut gaps = Vec::new();
        let mut now = first;
        for _ in 0..8 {
            assert!(querier.poll(now) && !querier.poll(now));
            gaps.push(querier.due().since(now).as_secs());
            now = querier.due();
        }
        assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 32, 32]);
        querier.restart(now, &mut system());
        assert!(querier.due() <= now + Duration::from_millis(120));
    }
}
