//! `firmware`: all that is done with boards.

pub(crate) mod board;
mod build;

use argh::FromArgs;

use crate::repo::{Failure, Repo};

/// Build the images of boards.
#[derive(FromArgs)]
#[argh(subcommand, name = "firmware")]
pub(crate) struct Firmware {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Build(build::Build),
}

/// Does what was asked for.
pub(crate) fn run(repo: &Repo, firmware: &Firmware) -> Result<(), Failure> {
    match &firmware.command {
        Command::Build(command) => build::run(repo, command),
    }
}
