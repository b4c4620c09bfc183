//! Runs other programs to their end.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Failure;

/// Runs a program to its end and gives its standard output and error, interleaved. A failure has the command line
/// and the same text.
pub fn captured(command: &mut Command) -> Result<String, Failure> {
    let shown = shown(command);
    let (mut from, to) = std::io::pipe().map_err(Failure::at("a pipe"))?;
    let twin = to.try_clone().map_err(Failure::at("a pipe"))?;
    let mut child = command.stdout(to).stderr(twin).spawn().map_err(Failure::at(&shown))?;
    // The command still holds the writing ends; the end of the output is seen only when they are closed.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut output = Vec::new();
    from.read_to_end(&mut output).map_err(Failure::at(&shown))?;
    let status = child.wait().map_err(Failure::at(&shown))?;
    let output = String::from_utf8_lossy(&output).into_owned();
    if status.success() { Ok(output) } else { Err(Failure(format!("$ {shown}\n{output}{status}"))) }
}

/// The command line, with the program by its file name.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
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
    fn both_streams_are_captured_in_order() {
        assert_eq!(captured(&mut sh("echo a; echo b >&2; echo c")).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn a_failure_shows_the_command_its_output_and_its_status() {
        let failure = captured(&mut sh("echo why >&2; exit 3")).unwrap_err().0;
        assert_eq!(failure, "$ sh -c echo why >&2; exit 3\nwhy\nexit status: 3");
    }

    #[test]
    fn a_missing_program_is_a_failure() {
        assert!(captured(&mut Command::new("no-such-program-here")).is_err());
    }
}
