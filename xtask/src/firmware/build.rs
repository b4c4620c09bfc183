//! `firmware build`: the images of boards.

use std::path::PathBuf;

use argh::FromArgs;

use super::board::{self, BOARDS, Board};
use crate::environment::repo::{Failure, Repo, captured, shown_run};
use crate::environment::toolchain;

/// Build the image of a board, or of all boards.
#[derive(FromArgs)]
#[argh(subcommand, name = "build")]
pub(crate) struct Build {
    /// the board; see firmware/docs/boards.md
    #[argh(option, from_str_fn(board::named), arg_name = "name")]
    board: Option<Board>,
    /// every board there is
    #[argh(switch)]
    all: bool,
}

/// Builds, and prints the paths of the images.
pub(crate) fn run(repo: &Repo, build: &Build) -> Result<(), Failure> {
    for board in wanted(build)? {
        shown_run(&mut cargo_build(repo, board, board.package)?)?;
        println!("{}: {}", board.name, path(repo, board, board.package).display());
    }
    Ok(())
}

fn wanted(build: &Build) -> Result<Vec<Board>, Failure> {
    match (build.board, build.all) {
        (Some(board), false) => Ok(vec![board]),
        (None, true) => Ok(BOARDS.to_vec()),
        _ => {
            let known: Vec<_> = BOARDS.iter().map(|board| board.name).collect();
            Err(Failure(format!("give --board NAME or --all; the boards are: {}", known.join(", "))))
        }
    }
}

/// Builds the image of a board, quietly, and gives its path.
pub(crate) fn image(repo: &Repo, board: Board) -> Result<PathBuf, Failure> {
    program(repo, board, board.package)
}

/// The package of the app as a process of Linux, and its program.
pub(crate) const ON_LINUX: &str = "deaddrop-on-linux";

/// Builds the app as a program of this machine, quietly, and gives its path.
pub(crate) fn on_linux(repo: &Repo) -> Result<PathBuf, Failure> {
    let mut cargo = repo.cargo(["build", "--locked", "--manifest-path", "firmware/Cargo.toml"]);
    captured(cargo.args(["--package", ON_LINUX]).arg("--target-dir").arg(repo.cache("firmware")))?;
    Ok(repo.cache("firmware").join("debug").join(ON_LINUX))
}

/// The same for another program of its package.
pub(crate) fn program(repo: &Repo, board: Board, name: &str) -> Result<PathBuf, Failure> {
    captured(&mut cargo_build(repo, board, name)?)?;
    Ok(path(repo, board, name))
}

fn cargo_build(repo: &Repo, board: Board, program: &str) -> Result<std::process::Command, Failure> {
    let mut cargo = toolchain::bare_metal_cargo(repo, board.target, ["build", "--release"])?;
    cargo.args(["--manifest-path", "firmware/Cargo.toml", "--package", board.package, "--bin", program]);
    cargo.arg("--target-dir").arg(repo.cache("firmware"));
    Ok(cargo)
}

/// The path of a built program, an ELF file.
fn path(repo: &Repo, board: Board, program: &str) -> PathBuf {
    repo.cache("firmware").join(board.target.triple()).join("release").join(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_board_or_all_and_never_both_or_neither() {
        let board = BOARDS.first().copied();
        assert_eq!(wanted(&Build { board, all: false }).unwrap(), BOARDS[..1]);
        assert_eq!(wanted(&Build { board: None, all: true }).unwrap(), BOARDS);
        for (board, all) in [(board, true), (None, false)] {
            let words = wanted(&Build { board, all }).unwrap_err().0;
            assert!(words.contains("lm3s6965evb"), "{words}");
        }
    }
}
