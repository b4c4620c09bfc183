//! Notices a network driver that has gone deaf.
//!
//! A LAN is never silent for long: hosts look for each other, routers announce themselves. If nothing at all is received
//! for five minutes although the link is up, the board asks its gateway for an answer, every half minute. After ten
//! minutes of silence the task `Wire` stops to check in, and the watchdog restarts the board, unless that would lose
//! something that is kept in RAM. A board that has heard nothing since its start is not judged, so that a LAN which is
//! really silent costs one restart at most. Nor is one with a link-local address.

use core::time::Duration;

use deaddrop_core::time::Instant;

/// After this long without a frame, the gateway is asked.
const ASK_AFTER: Duration = Duration::from_secs(5 * 60);
/// And again after this.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// After this long the driver counts as deaf.
const DEAF_AFTER: Duration = Duration::from_secs(10 * 60);

/// What to do about the silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Frames come in, or there is no reason to expect any.
    Fine,
    /// Provoke an answer.
    Ask,
    /// The driver is deaf.
    Deaf,
}

/// How long nothing has been received.
pub(super) struct Silence {
    received: u32,
    /// Whether anything was received since the start.
    heard: bool,
    since: Instant,
    asked: Instant,
}

impl Silence {
    /// Nothing was received yet.
    pub(super) const fn new(now: Instant) -> Self {
        Self { received: 0, heard: false, since: now, asked: now }
    }

    /// Judges the silence, given the count of received frames, and whether there is a link on which to expect any.
    pub(super) fn judge(&mut self, now: Instant, received: u32, link: bool) -> Verdict {
        if received != self.received {
            self.heard = true;
        }
        if received != self.received || !link || !self.heard {
            (self.received, self.since) = (received, now);
            return Verdict::Fine;
        }
        let silent = now.since(self.since);
        if silent >= DEAF_AFTER {
            return Verdict::Deaf;
        }
        if silent >= ASK_AFTER && now.since(self.asked) >= ASK_EVERY {
            self.asked = now;
            return Verdict::Ask;
        }
        Verdict::Fine
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    #[test]
    fn after_five_minutes_the_gateway_is_asked_and_after_ten_the_driver_is_deaf() {
        let mut silence = Silence::new(at(0));
        assert_eq!(silence.judge(at(1), 1, true), Verdict::Fine);
        let verdicts: Vec<_> = (2..=601).map(|second| silence.judge(at(second), 1, true)).collect();
        let (asked, first) = (
            verdicts.iter().filter(|verdict| **verdict == Verdict::Ask).count(),
            verdicts.iter().position(|verdict| *verdict == Verdict::Ask).unwrap() + 2,
        );
        assert_eq!((asked, first), (10, 301));
        assert_eq!(verdicts.iter().position(|verdict| *verdict == Verdict::Deaf), Some(599));
        // One frame is enough.
        assert_eq!(silence.judge(at(602), 2, true), Verdict::Fine);
        assert_eq!(silence.judge(at(1_000), 2, true), Verdict::Ask);
    }

    #[test]
    fn without_a_cable_or_on_a_lan_that_never_spoke_nothing_is_expected() {
        let mut silence = Silence::new(at(0));
        assert!((1..10_000).all(|second| silence.judge(at(second), 0, true) == Verdict::Fine));
        silence.judge(at(10_000), 1, true);
        assert!((10_001..20_000).all(|second| silence.judge(at(second), 1, false) == Verdict::Fine));
        // The time without a cable does not count.
        assert_eq!(silence.judge(at(20_001), 1, true), Verdict::Fine);
        assert_eq!(silence.judge(at(20_299 + 299), 1, true), Verdict::Ask);
    }
}
