//! What the LED of a board shows: one blink code for each state.

/// A lamp that is on or off, usually an LED.
pub trait Indicator {
    /// Lights it, or not.
    fn set(&mut self, lit: bool);
}

/// No lamp.
impl Indicator for () {
    fn set(&mut self, _: bool) {}
}

/// A state that the lamp shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// On the network, and nothing is offered: one flash every two seconds.
    Alive,
    /// The room offers something: lit, with a gap every two seconds.
    Offers,
    /// The link is down: two flashes.
    NoCable,
    /// There is a link and no address: three flashes.
    NoAddress,
    /// Waiting before another start, after several failed ones: four flashes.
    Restarting,
    /// The board must not talk on the network: flickers, four times a second.
    Refused,
}

/// The unit of time of the codes in milliseconds. 16 of them are a period, 2 s.
pub const SLOT_MS: u64 = 125;
const SLOTS: u64 = 16;

impl Signal {
    /// The slots in which the lamp is lit, the first one in the lowest bit.
    const fn code(self) -> u16 {
        match self {
            Self::Alive => 0b1,
            Self::Offers => !0b1,
            Self::NoCable => 0b101,
            Self::NoAddress => 0b1_0101,
            Self::Restarting => 0b101_0101,
            Self::Refused => 0b0101_0101_0101_0101,
        }
    }

    /// Whether the lamp is lit this many slots after the start.
    pub const fn lit(self, slot: u64) -> bool {
        self.code() >> (slot % SLOTS) & 1 == 1
    }

    /// The first slot after `slot` in which the lamp changes.
    pub(crate) fn next_change(self, slot: u64) -> u64 {
        // Every code has both kinds of slots.
        let mut next = slot + 1;
        while self.lit(next) == self.lit(slot) {
            next += 1;
        }
        next
    }
}

/// The slot of a moment, in milliseconds since the start.
pub(crate) const fn slot(milliseconds: u64) -> u64 {
    milliseconds / SLOT_MS
}

/// When a slot begins, in milliseconds since the start.
pub(crate) const fn start(slot: u64) -> u64 {
    slot * SLOT_MS
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const ALL: [Signal; 6] = [
        Signal::Alive,
        Signal::Offers,
        Signal::NoCable,
        Signal::NoAddress,
        Signal::Restarting,
        Signal::Refused,
    ];

    #[test]
    fn codes_are_told_apart_by_their_flashes() {
        let flashes = |signal: Signal| {
            (0..SLOTS).filter(|slot| signal.lit(*slot) && !signal.lit(slot + SLOTS - 1)).count()
        };
        let lit = |signal: Signal| (0..SLOTS).filter(|slot| signal.lit(*slot)).count();
        assert_eq!(ALL.map(flashes), [1, 1, 2, 3, 4, 8]);
        assert_eq!((lit(Signal::Alive), lit(Signal::Offers)), (1, 15));
    }

    #[test]
    fn the_next_change_is_the_next_change() {
        for signal in ALL {
            for slot in 0..40 {
                let next = signal.next_change(slot);
                let between: Vec<_> = (slot..next).map(|slot| signal.lit(slot)).collect();
                assert!(between.iter().all(|lit| *lit == signal.lit(slot)), "{signal:?} {slot}");
                assert_ne!(signal.lit(next), signal.lit(slot), "{signal:?} {slot}");
            }
        }
        assert_eq!((slot(249), start(slot(250))), (1, 250));
    }
}
