//! RAM that keeps its content over a reset, as long as the power stays.

/// Words of RAM that no start initialises.
///
/// After a reset they hold what was last written; after the power was off, anything. So what is kept here has a check of
/// its own.
pub trait RetainedRam {
    /// Reads a word. 0 if `at` is not below [`WORDS`].
    fn word(&self, at: usize) -> u32;

    /// Writes a word; does nothing if `at` is not below [`WORDS`].
    fn set_word(&self, at: usize, to: u32);
}

/// Words that a board must have of it: 256 bytes.
pub const WORDS: usize = 64;

/// Where the record of the last restart is.
pub(super) const RESTART: usize = 0;

impl<R: RetainedRam> RetainedRam for &R {
    fn word(&self, at: usize) -> u32 {
        (**self).word(at)
    }

    fn set_word(&self, at: usize, to: u32) {
        (**self).set_word(at, to);
    }
}
