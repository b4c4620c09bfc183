//! `windows`: the program for Windows, compiled, and tested under wine together with the one for Linux.

mod prefix;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use argh::FromArgs;
use testbed::scratch::Scratch;

use crate::demo::{self, Discovery};
use crate::environment::prerequisites::{WINDOWS, WINDOWS_COMPILER};
use crate::environment::repo::{Failure, Repo, built, shown_run};
use crate::environment::wine::Wine;

/// Build deaddrop for Windows, and test it under wine together with deaddrop for Linux: in network
/// namespaces and a wine prefix of their own, which are removed.
#[derive(FromArgs)]
#[argh(subcommand, name = "windows")]
pub(crate) struct Windows {
    /// run only the tests whose names hold this
    #[argh(option, arg_name = "name")]
    only: Option<String>,
    /// hand over a gibibyte each way too
    #[argh(switch)]
    long: bool,
}

/// Builds and tests, and prints how long each test took.
pub(crate) fn run(repo: &Repo, windows: &Windows) -> Result<(), Failure> {
    let wine = Wine::find(repo).ok_or_else(|| Failure::new("wine64 is not there"))?;
    let program = build(repo)?;
    let folder = Scratch::new()?;
    let prefix = prefix::make(repo, &wine, folder.path())?;
    let mut cargo = repo.cargo(["test", "--locked", "-p", "deaddrop", "--test", "wine", "--"]);
    cargo.arg("--ignored").args(&windows.only);
    cargo.env("DEADDROP_TEST_WINE_PREFIX", prefix).env("DEADDROP_TEST_WINDOWS_PROGRAM", program);
    cargo.env("DEADDROP_TEST_WINE", wine.loader).env("DEADDROP_TEST_WINESERVER", wine.server);
    if windows.long {
        cargo.env("DEADDROP_TEST_LONG", "1");
    } else {
        cargo.env_remove("DEADDROP_TEST_LONG");
    }
    let times = folder.path().join("times");
    fs::create_dir(&times).map_err(Failure::at(times.display()))?;
    let tested = shown_run(cargo.env("DEADDROP_TEST_TIMES", &times));
    for (name, seconds) in noted(&times)? {
        println!("{seconds:>6} s  {name}");
    }
    tested
}

/// The names of the tests that have noted how long they took, and their seconds, by name.
fn noted(folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let at = || Failure::at(folder.display().to_string());
    let entries = fs::read_dir(folder).map_err(at())?;
    let noted = entries.map(|entry| {
        let entry = entry.map_err(at())?;
        let seconds = fs::read_to_string(entry.path()).map_err(at())?;
        Ok((entry.file_name().to_string_lossy().into_owned(), seconds))
    });
    noted.collect()
}

/// A cargo command that compiles for Windows.
pub(crate) fn cargo(repo: &Repo, command: &str) -> Command {
    let mut cargo = repo.cargo([command, "--locked", "--target", WINDOWS]);
    // For ring. Debian has one with threads of POSIX too, which needs a library beside the program.
    cargo.env("CC_x86_64_pc_windows_gnu", WINDOWS_COMPILER);
    cargo
}

/// Builds the program, which has no warnings, and gives its path.
fn build(repo: &Repo) -> Result<PathBuf, Failure> {
    let mut cargo = cargo(repo, "build");
    built(cargo.args(["-p", "deaddrop", "--bin", "deaddrop"]).env("RUSTFLAGS", "-D warnings"), "deaddrop")
}

/// Hands over a message and a file with this program under wine.
pub(crate) fn hand_over(repo: &Repo, program: &Path) -> Result<(), Failure> {
    let wine = Wine::find(repo).ok_or_else(|| Failure::new("wine64 is not there"))?;
    let folder = Scratch::new()?;
    let prefix = prefix::make(repo, &wine, folder.path())?;
    let script = folder.path().join("deaddrop");
    let at = || Failure::at(script.display().to_string());
    let (loader, shown) = (wine.loader.display(), prefix.display());
    let text = format!(
        "#!/bin/sh\nWINEPREFIX='{shown}' WINEDEBUG=-all LC_ALL=C.UTF-8 exec {loader} '{}' \"$@\"\n",
        program.display()
    );
    fs::write(&script, text).map_err(at())?;
    fs::set_permissions(&script, Permissions::from_mode(0o755)).map_err(at())?;
    // Wine passes on no broadcasts on loopback.
    let handed_over = demo::hand_over(&script, Discovery::LeftOut);
    prefix::end(repo, &wine, &prefix)?;
    handed_over
}
