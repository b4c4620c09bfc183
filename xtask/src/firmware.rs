//! `firmware`: all that is done with boards.

mod bench;
pub(crate) mod board;
mod budget;
pub(crate) mod build;
mod config;
pub(crate) mod emulated;
mod emulator;
mod flash;
mod footprint;
mod image;
pub(crate) mod images;
mod junk;
mod lab;
mod lines;
mod machinery;
mod network;
mod peer;
mod provision;
mod room;
mod run;
mod size;
mod stack;
mod uf2;
mod way;

use argh::FromArgs;

use crate::repo::{Failure, Repo};

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
    Bench(bench::Bench),
    Build(build::Build),
    Config(config::Config),
    Flash(flash::Flash),
    Junk(junk::Junk),
    Run(run::Run),
    Size(size::Size),
    Test(emulated::Test),
}

/// Does what was asked for.
pub(crate) fn run(repo: &Repo, firmware: &Firmware) -> Result<(), Failure> {
    match &firmware.command {
        Command::Bench(command) => bench::run(repo, command),
        Command::Build(command) => build::run(repo, command),
        Command::Config(command) => config::run(command),
        Command::Flash(command) => flash::run(repo, command),
        Command::Junk(command) => junk::run(command),
        Command::Run(command) => run::run(repo, command),
        Command::Size(command) => size::run(repo, command),
        Command::Test(command) => emulated::run(repo, command),
    }
}
