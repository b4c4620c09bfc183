//! Windows, as far as wine is it: a prefix and a wineserver of their own.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::Host;

/// A value that `cargo xtask windows` sets.
fn given(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run this by cargo xtask windows"))
}

fn text(path: &OsStr) -> &str {
    path.to_str().expect("a path of UTF-8")
}

/// A prefix: what programs there take for the drive of their machine.
pub(crate) struct Windows {
    prefix: tempfile::TempDir,
}

impl Windows {
    /// A copy of the prefix that was made for the tests. Its files are those of wine, which no program writes to.
    pub(crate) fn new() -> Self {
        let prefix = tempfile::Builder::new().prefix("deaddrop-wine-").tempdir().unwrap();
        let made = PathBuf::from(given("DEADDROP_TEST_WINE_PREFIX"));
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--link"]).arg(made.join(".")).arg(prefix.path());
        assert!(copy.status().unwrap().success(), "the prefix is copied");
        // The registry is written to.
        for entry in fs::read_dir(&made).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|extension| extension == "reg") {
                let copy = prefix.path().join(entry.file_name());
                fs::remove_file(&copy).unwrap();
                fs::copy(entry.path(), copy).unwrap();
            }
        }
        Self { prefix }
    }

    /// A command that runs deaddrop on this host. The wineserver that it starts opens the sockets of all programs of
    /// this prefix, so that a prefix is for one host.
    pub(crate) fn deaddrop(&self, host: &Host) -> Command {
        self.started(host.command(text(&given("DEADDROP_TEST_WINE"))))
    }

    /// The same at the terminal that is its standard input, of which wine makes a console.
    pub(crate) fn deaddrop_in_a_console(&self, host: &Host) -> Command {
        let mut command = host.command("setsid");
        command.arg("--ctty").arg(given("DEADDROP_TEST_WINE"));
        self.started(command)
    }

    fn started(&self, mut command: Command) -> Command {
        command.arg(given("DEADDROP_TEST_WINDOWS_PROGRAM"));
        command.env("WINEPREFIX", self.prefix.path()).env("WINEDEBUG", "-all");
        // Wine takes names of files by the locale, and a fresh machine has none.
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// The path of deaddrop, as Windows writes it.
    pub(crate) fn program() -> String {
        let path = given("DEADDROP_TEST_WINDOWS_PROGRAM");
        format!("Z:{}", text(&path).replace('/', "\\"))
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        for how in ["--kill", "--wait"] {
            let mut server = Command::new(given("DEADDROP_TEST_WINESERVER"));
            // It ends the programs of this prefix alone. Where it has ended already that is an error.
            let _ = server.arg(how).env("WINEPREFIX", self.prefix.path()).status();
        }
    }
}
