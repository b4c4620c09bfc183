//! The checkout, and how to run other programs in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
pub(crate) use testbed::Failure;
pub(crate) use testbed::command::captured;
use testbed::command::shown;

/// The checkout that xtask was built from, and the cargo that started it.
pub(crate) struct Repo {
    /// Its top folder.
    pub(crate) root: PathBuf,
    /// The cargo that started xtask.
    cargo: PathBuf,
}

impl Repo {
    /// The checkout that xtask was built from.
    pub(crate) fn here() -> Self {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            root: xtask.parent().unwrap_or(xtask).to_owned(),
            cargo: std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from),
        }
    }

    /// A folder below `target/`.
    pub(crate) fn cache(&self, name: &str) -> PathBuf {
        self.root.join("target").join(name)
    }

    /// A program, to be run at the top of the checkout.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// The cargo that started xtask, with these arguments.
    pub(crate) fn cargo<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = self.program(&self.cargo);
        command.args(args);
        command
    }
}

/// Prints the command line, and runs the program with its output on this terminal.
pub(crate) fn shown_run(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    println!("$ {shown}");
    let status = command.status().map_err(Failure::at(&shown))?;
    if status.success() { Ok(()) } else { Err(Failure(format!("{shown}: {status}"))) }
}

/// Runs a cargo build with its progress on this terminal, and gives the path of the executable `name`.
pub(crate) fn built(cargo: &mut Command, name: &str) -> Result<PathBuf, Failure> {
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = cargo.output().map_err(Failure::at("cargo"))?;
    if !output.status.success() {
        return Err(Failure(format!("{name} does not build")));
    }
    executable(&String::from_utf8_lossy(&output.stdout), name)
        .ok_or_else(|| Failure(format!("cargo built {name}, but its messages have no path of it")))
}

/// The path of an executable in cargo's JSON messages.
fn executable(report: &str, name: &str) -> Option<PathBuf> {
    report
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Whether a program starts and exits with 0. Discards its output.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_binary_is_found_in_what_cargo_reports() {
        let report = r#"{"reason":"compiler-artifact","target":{"name":"deaddrop"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/o"}
{"reason":"compiler-artifact","target":{"name":"deaddrop"},"executable":"/d"}
"#;
        assert_eq!(executable(report, "deaddrop"), Some("/d".into()));
        assert_eq!(executable(report, "other"), Some("/o".into()));
        assert_eq!(executable("not json", "deaddrop"), None);
    }

    #[test]
    fn a_missing_program_does_not_succeed() {
        assert!(!succeeds(&mut Command::new("no-such-program-here")));
        assert!(!succeeds(&mut sh("exit 1")));
    }
}
