//! The threshold at which failed guesses raise a warning (protocol.md, section 4.5).

use crate::limits::WARN_WINDOW;
use crate::time::Instant;

/// Fires at the `N`th failure within a minute, and at most once a minute.
pub(super) struct Alarm<const N: usize> {
    /// Ring buffer of the times of the last `N` failures.
    times: [Instant; N],
    next: usize,
    /// Failures of this series; a minute without one ends the series.
    spell: u32,
    last: Option<Instant>,
    rang: Option<Instant>,
    due: bool,
}

impl<const N: usize> Alarm<N> {
    pub(super) const fn new() -> Self {
        Self { times: [Instant::from_millis(0); N], next: 0, spell: 0, last: None, rang: None, due: false }
    }

    /// Counts a failure.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.last.is_some_and(|last| now.since(last) >= WARN_WINDOW) {
            self.spell = 0;
        }
        self.spell = self.spell.saturating_add(1);
        self.last = Some(now);
        if let Some(slot) = self.times.get_mut(self.next) {
            *slot = now;
        }
        self.next = (self.next + 1) % N.max(1);
        // The next slot of the ring holds the failure N - 1 before this one.
        let oldest = self.times.get(self.next).copied().unwrap_or_default();
        let enough = usize::try_from(self.spell).unwrap_or(usize::MAX) >= N;
        let rested = self.rang.is_none_or(|rang| now.since(rang) >= WARN_WINDOW);
        if enough && now.since(oldest) < WARN_WINDOW && rested {
            self.rang = Some(now);
            self.due = true;
        }
    }

    /// The number of failures of this series, once for each time the alarm fires.
    pub(super) fn poll(&mut self) -> Option<u32> {
        core::mem::take(&mut self.due).then_some(self.spell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(times: &[u64]) -> ([Option<u32>; 8], usize) {
        let mut alarm = Alarm::<3>::new();
        let mut out = [None; 8];
        for (slot, ms) in out.iter_mut().zip(times) {
            alarm.failed(Instant::from_millis(*ms));
            *slot = alarm.poll();
            assert_eq!(alarm.poll(), None, "said once");
        }
        (out, times.len())
    }

    #[test]
    fn the_third_within_a_minute_and_not_the_third_in_all() {
        assert_eq!(run(&[0, 1, 59_999]).0[..3], [None, None, Some(3)]);
        assert_eq!(run(&[0, 59_000, 60_000]).0[..3], [None, None, None]);
        // The minute may begin at any failure.
        assert_eq!(run(&[0, 59_000, 60_000, 61_000]).0[..4], [None, None, None, Some(4)]);
    }

    #[test]
    fn once_a_minute_with_the_count_of_the_spell() {
        assert_eq!(
            run(&[0, 1, 2, 30_000, 60_001, 60_002, 60_003]).0[..7],
            [None, None, Some(3), None, None, Some(6), None]
        );
    }

    #[test]
    fn a_quiet_minute_ends_the_spell() {
        assert_eq!(
            run(&[0, 1, 2, 60_002, 60_003, 60_004]).0[..6],
            [None, None, Some(3), None, None, Some(3)]
        );
    }
}
