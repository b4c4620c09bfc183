//! Whether every part of the app still makes its rounds: only then is the watchdog fed.

use core::cell::Cell;
use core::time::Duration;

use deaddrop_core::time::Instant;

/// No part waits longer than this without making a round.
pub(super) const ROUND: Duration = Duration::from_secs(1);
/// A part that has made none for this long is stuck.
pub(super) const STUCK: Duration = Duration::from_secs(10);

/// The parts that run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Beacons out and in.
    Beacons,
    /// Looks and fetches.
    Errands,
    /// What the person at the console asks for.
    Orders,
    /// The cable and the address.
    Network,
    /// Who tells those to come again for whom there is no place.
    Door,
    /// One of the places at which connections are served.
    Serving(u8),
}

/// Parts there are.
const PARTS: usize = 5 + super::memory::SERVERS;

impl Part {
    const fn place(self) -> usize {
        match self {
            Self::Beacons => 0,
            Self::Errands => 1,
            Self::Orders => 2,
            Self::Network => 3,
            Self::Door => 4,
            Self::Serving(number) => 5 + number as usize,
        }
    }
}

/// When each part last made a round.
pub(super) struct Rounds([Cell<Instant>; PARTS]);

impl Rounds {
    /// As if each had made one now.
    pub(super) fn new(now: Instant) -> Self {
        Self(core::array::from_fn(|_| Cell::new(now)))
    }

    /// A part makes a round.
    pub(super) fn made(&self, part: Part, now: Instant) {
        if let Some(last) = self.0.get(part.place()) {
            last.set(now);
        }
    }

    /// Whether no part is stuck.
    pub(super) fn all_made(&self, now: Instant) -> bool {
        self.0.iter().all(|last| now.since(last.get()) < STUCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_is_stuck_is_enough() {
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        let last = u8::try_from(super::super::memory::SERVERS - 1).unwrap();
        let ones = [Part::Beacons, Part::Errands, Part::Orders, Part::Network, Part::Door];
        for stuck in ones.into_iter().chain([Part::Serving(last)]) {
            let rounds = Rounds::new(at(0));
            for part in ones.into_iter().chain((0..=last).map(Part::Serving)).filter(|part| *part != stuck) {
                rounds.made(part, at(9));
            }
            assert!(rounds.all_made(at(9)), "{stuck:?}");
            assert!(!rounds.all_made(at(10)), "{stuck:?}");
            rounds.made(stuck, at(10));
            assert!(rounds.all_made(at(11)), "{stuck:?}");
        }
    }
}
