//! What `deaddrop` alone prints: the commands in a line each, how to begin, and where to read on.

use std::fmt::Write;

use argh::ArgsInfo;

use super::{Cli, NAME};

/// How to make what every command needs.
const BEGIN: &str = "\
Begin with a room: make one, and have the others add its passphrase.
  deaddrop room new --name default
  deaddrop room add default
";

/// The text, from the definition of the command line.
pub(super) fn overview() -> String {
    let info = Cli::get_args_info();
    let purpose = info.description.lines().next().unwrap_or_default();
    let mut text = format!("{purpose}\n\nUsage: {NAME} COMMAND [OPTIONS]\n\n");
    let width = info.commands.iter().map(|command| command.name.len()).max().unwrap_or_default();
    for command in &info.commands {
        let purpose = first_clause(command.command.description);
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {:width$}  {purpose}", command.name);
    }
    let _ = write!(
        text,
        "\n{BEGIN}{NAME} help COMMAND says all about a command, and {NAME} --help about the program.\n"
    );
    text
}

/// A description up to its first colon or full stop, so that it fits into a line.
fn first_clause(description: &str) -> &str {
    description.split([':', '.']).next().unwrap_or_default()
}
