//! Slots, which identify entries of the store, and the errors of the store.

use core::fmt;

/// Identifies one entry. It is never reused: once the entry is removed, it identifies nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    place: u8,
    generation: u16,
}

impl Slot {
    /// `place` is below 256: the store has no more of them.
    #[expect(clippy::cast_possible_truncation, reason = "checked when the store is made")]
    pub(super) const fn new(place: usize, generation: u16) -> Self {
        Self { place: place as u8, generation }
    }

    pub(super) const fn place(self) -> usize {
        self.place as usize
    }

    /// Its number in a list, from 1 on.
    pub const fn number(self) -> usize {
        self.place() + 1
    }
}

/// A drop does not fit into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpace {
    /// Bytes of the drop.
    pub needed: u64,
    /// The most bytes that a drop of this name may have; 0 if there is no free entry.
    pub free: usize,
}

impl fmt::Display for NoSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes do not fit, at most {} do: forget something first", self.needed, self.free)
    }
}

impl core::error::Error for NoSpace {}

/// Why an operation on the store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The entry was removed.
    Gone,
    /// It does not fit.
    NoSpace(NoSpace),
    /// Content past the end or after a gap, or the entry is in the wrong state.
    OutOfTurn,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("it is no longer in the store: list shows what is"),
            Self::NoSpace(no_space) => no_space.fmt(f),
            Self::OutOfTurn => f.write_str("the store was called out of turn"),
        }
    }
}

impl core::error::Error for StoreError {}
