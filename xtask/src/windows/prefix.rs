//! A prefix of wine: the drive and the registry of a machine with Windows.

use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::prerequisites::WINDOWS_COMPILER;
use crate::environment::repo::{Failure, Repo, captured};
use crate::environment::wine::Wine;

/// Stands in for a library of Windows that wine 8 lacks.
const PROCESS_PRNG: &str = "xtask/src/windows/process_prng.c";

/// Makes a prefix in a folder.
pub(super) fn make(repo: &Repo, wine: &Wine, folder: &Path) -> Result<PathBuf, Failure> {
    let prefix = folder.join("prefix");
    fs::create_dir(&prefix).map_err(Failure::at(prefix.display()))?;
    let made = run(repo, &wine.loader, &["wineboot", "--init"], &prefix);
    // It writes the registry as it ends.
    let ended = run(repo, &wine.server, &["--wait"], &prefix);
    made.and(ended)?;
    let library = prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
    if !library.exists() {
        let mut compiler = repo.program(WINDOWS_COMPILER);
        captured(compiler.args(["-shared", PROCESS_PRNG, "-ladvapi32", "-o"]).arg(library))?;
    }
    Ok(prefix)
}

/// Ends what runs in a prefix.
pub(super) fn end(repo: &Repo, wine: &Wine, prefix: &Path) -> Result<(), Failure> {
    // It says so by its exit code if nothing ran any more.
    let _ = run(repo, &wine.server, &["--kill"], prefix);
    run(repo, &wine.server, &["--wait"], prefix)
}

fn run(repo: &Repo, program: &Path, words: &[&str], prefix: &Path) -> Result<(), Failure> {
    let mut command = repo.program(program);
    // Neither .NET nor HTML, which it would ask for, and no entries in a desktop's menu.
    command.args(words).env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=");
    command.env("WINEPREFIX", prefix).env("WINEDEBUG", "-all").env_remove("DISPLAY");
    // Wine takes names of files by the locale, and a fresh machine has none.
    command.env("LC_ALL", "C.UTF-8");
    captured(&mut command).map(drop)
}
