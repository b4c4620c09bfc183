//! When a listener asks who is there.

use core::time::Duration;

use crate::limits::SOLICIT_AT;
use crate::time::Instant;

/// An answer this long after a solicit still counts as an answer to it.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// The series of solicits.
pub(super) struct SolicitSchedule {
    start: Instant,
    sent: usize,
    last: Option<Instant>,
}

impl SolicitSchedule {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, sent: 0, last: None }
    }

    pub(super) fn restart(&mut self, now: Instant) {
        (self.start, self.sent) = (now, 0);
    }

    /// Whether to send one now. What was slept through is not made up for.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        let due = self.next().is_some_and(|at| at <= now);
        if due {
            let passed = SOLICIT_AT.iter().filter(|at| self.start + **at <= now).count();
            self.sent = passed;
            self.last = Some(now);
        }
        due
    }

    pub(super) fn next(&self) -> Option<Instant> {
        SOLICIT_AT.get(self.sent).map(|at| self.start + *at)
    }

    /// Whether an answer that comes now may be meant for us.
    pub(super) fn asked(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.since(last) <= ANSWERED_WITHIN)
    }
}
