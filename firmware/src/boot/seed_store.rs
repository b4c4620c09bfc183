//! Where a board keeps its seed.

/// Non-volatile storage of one seed.
///
/// [`SeedSlots`](super::SeedSlots) implements it over two erase blocks of flash. An implementation must be atomic with
/// respect to power loss: at any moment it holds the old seed or the new one, whole; and the old one is gone once
/// `replace` has returned.
pub trait SeedStore {
    /// Why a read or write failed.
    type Error;

    /// Reads the seed. All ones, which is what erased flash reads as, means that there is none.
    fn read(&mut self, to: &mut [u8; 32]) -> Result<(), Self::Error>;

    /// Stores `new`, then erases the old seed.
    fn replace(&mut self, new: &[u8; 32]) -> Result<(), Self::Error>;
}
