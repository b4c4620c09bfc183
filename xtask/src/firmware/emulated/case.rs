//! One test of the emulated board.

use super::board_testbed::BoardTestbed;
use crate::environment::repo::Failure;

/// A test; its name is the statement that it tests.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Runs it. Gives a figure for its line, which may be empty.
    pub(super) run: fn(&mut BoardTestbed<'_>) -> Result<String, Failure>,
}
