//! `check`: the stages that run no test.

use argh::FromArgs;

use crate::environment::repo::{Failure, Repo};
use crate::stages::STAGES;
use crate::stages::stage::{Size, When};
use crate::test::run_stages;

/// Run the checks that need no test: fmt, clippy with warnings denied, docs, cargo-deny, the proof that
/// core needs no allocator, and the firmware for its target.
#[derive(FromArgs)]
#[argh(subcommand, name = "check")]
pub(crate) struct Check {
    /// fetch what is missing: packages with apt when root, components with rustup, tools with cargo
    #[argh(switch)]
    install: bool,
}

/// Runs the stages of `check`.
pub(crate) fn run(repo: &Repo, check: &Check) -> Result<(), Failure> {
    let stages: Vec<_> = STAGES.iter().filter(|stage| stage.when == When::Check).collect();
    run_stages(repo, &stages, Size::Usual, check.install)
}
