//! `firmware`: the commands for boards.

mod adversary;
mod bench;
pub(crate) mod board;
mod budget;
pub(crate) mod build;
mod config;
pub(crate) mod emulated;
mod flash;
mod flash_method;
mod footprint;
mod image;
pub(crate) mod images;
mod panic_allowlist;
mod provision;
mod radio;
mod room;
mod run;
mod size;
mod stack;
mod uf2;

use argh::FromArgs;

use crate::environment::repo::{Failure, Repo};

/// Build the images of boards, measure them, provision a board and write to it, and run the emulated one.
#[derive(FromArgs)]
#[argh(subcommand, name = "firmware")]
pub(crate) struct Firmware {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Adversary(adversary::Adversary),
    Bench(bench::Bench),
    Build(build::Build),
    Config(config::Config),
    Flash(flash::Flash),
    Run(run::Run),
    Size(size::Size),
    Test(emulated::Test),
}

/// Runs the subcommand.
pub(crate) fn run(repo: &Repo, firmware: &Firmware) -> Result<(), Failure> {
    match &firmware.command {
        Command::Adversary(command) => adversary::run(command),
        Command::Bench(command) => bench::run(repo, command),
        Command::Build(command) => build::run(repo, command),
        Command::Config(command) => config::run(repo, command),
        Command::Flash(command) => flash::run(repo, command),
        Command::Run(command) => run::run(repo, command),
        Command::Size(command) => size::run(repo, command),
        Command::Test(command) => emulated::run(repo, command),
    }
}
