//! The tests of exchanges, with a program for another processor, in QEMU's emulation of processes.

use std::path::Path;

use crate::environment::repo::{Failure, Repo, captured};

/// Test binaries that run whole: hosts that find each other, hand over, and go on after cuts.
const WHOLE: &[&str] = &["exchange", "walk_through", "discovery", "cuts"];
/// Of the tests on one host, those of what is sent and how it arrives. Others look at the process itself, such as its
/// memory and its system calls, which are the emulator's here.
const ON_ONE_HOST: &[&str] = &["bundles::", "exit_codes::", "names::", "resume::", "sizes::files"];

/// Runs them with this program.
pub(super) fn test(repo: &Repo, program: &Path) -> Result<(), Failure> {
    let with = |arguments: &[&str]| {
        let mut cargo = repo.cargo(["test", "--locked", "--package", "deaddrop"]);
        captured(cargo.args(arguments).env("DEADDROP_TEST_PROGRAM", program))
    };
    let whole: Vec<&str> = WHOLE.iter().flat_map(|name| ["--test", name]).collect();
    with(&whole)?;
    with(&[&["--test", "one_host", "--"], ON_ONE_HOST].concat())?;
    Ok(())
}
