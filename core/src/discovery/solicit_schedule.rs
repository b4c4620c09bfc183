//! The schedule of solicits (protocol.md, section 3.4).

use crate::limits::{SOLICIT_ANSWERED_WITHIN, SOLICIT_AT};
use crate::time::Instant;

/// A series of solicits.
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

    /// Whether to send one now. Solicits missed while asleep are not sent late.
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

    /// Whether an answer that arrives now may be to our solicit.
    pub(super) fn asked(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.since(last) <= SOLICIT_ANSWERED_WITHIN)
    }
}
