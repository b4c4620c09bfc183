//! `manual`: the man pages and the completions of deaddrop, made from its command line.

use std::path::{Path, PathBuf};

use argh::FromArgs;

use crate::environment::repo::{Failure, Repo, captured};

/// The package of the program that writes them.
pub(crate) const MANUAL: &str = "deaddrop-manual";

/// Write the man pages and the completions for bash, zsh and fish, from the command line's definition.
#[derive(FromArgs)]
#[argh(subcommand, name = "manual")]
pub(crate) struct Manual {
    /// folder to write into (target/manual)
    #[argh(option, arg_name = "path")]
    out: Option<PathBuf>,
}

/// Writes them and says where they are.
pub(crate) fn run(repo: &Repo, manual: &Manual) -> Result<(), Failure> {
    let out = manual.out.clone().unwrap_or_else(|| repo.cache("manual"));
    write(repo, &repo.root, &out)?;
    println!("man pages and completions are in {}", out.display());
    Ok(())
}

/// Writes the pages and completions of the sources in `source`, which is this checkout or a copy of its commit.
/// They have the commit's date, so that they are the same bytes on every day.
pub(crate) fn write(repo: &Repo, source: &Path, out: &Path) -> Result<(), Failure> {
    let mut git = repo.program("git");
    git.args(["log", "-1", "--date=format-local:%Y-%m-%d", "--format=%cd"]).env("TZ", "UTC");
    let date = captured(&mut git)?;
    let words = ["run", "--quiet", "--locked", "--package", MANUAL, "--target-dir"];
    let mut cargo = repo.cargo(words);
    cargo.current_dir(source).arg(repo.cache("."));
    let out = std::path::absolute(out).map_err(Failure::at(out.display()))?;
    captured(cargo.arg("--").arg("--out").arg(out).args(["--date", date.trim()]))?;
    Ok(())
}
