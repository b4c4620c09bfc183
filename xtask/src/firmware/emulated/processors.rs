//! The cryptography on the cores of all boards, apart from the boards.

use super::board_testbed::BoardTestbed;
use super::case::Case;
use crate::environment::repo::Failure;
use crate::firmware::bench;

pub(super) const CASES: &[Case] = &[Case {
    name: "every core multiplies 64 bits right and answers a handshake within its budget",
    run: within_budget,
}];

/// The image of `firmware bench` checks its products first: on the Cortex-M0+ they are of our own assembly.
fn within_budget(bed: &mut BoardTestbed<'_>) -> Result<String, Failure> {
    bench::within_budget(bed.repo)
}
