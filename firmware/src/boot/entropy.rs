//! Hardware generators of random bytes.

/// A hardware random number generator.
pub trait HardwareEntropy {
    /// Fills `to` with 32 bytes of full entropy, after the health tests of the generator.
    fn fill(&mut self, to: &mut [u8; 32]) -> Result<(), NoEntropy>;

    /// Whether the generator is good enough without a seed. A weak one returns false: it is only mixed in.
    fn stands_alone(&self) -> bool {
        true
    }
}

/// The generator failed its health tests, or took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

/// What the hardware generator contributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// The board has none.
    Absent,
    /// Its output is mixed with the seed.
    Mixed,
    /// It failed. The seed alone is enough, but the console warns.
    Failed,
}
