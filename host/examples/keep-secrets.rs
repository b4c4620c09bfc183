//! The `deaddrop` command.

use std::io::Write;
use std::process::ExitCode;

use deaddrop::cli::{self, Parsed};
use deaddrop::commands;
use deaddrop::exit::{Exit, Failure};
use deaddrop::room;
use deaddrop::ui::Ui;

fn main() -> ExitCode {
    let arguments = || std::env::args_os().skip(1);
    let (ui, done) = match cli::parse(arguments()) {
        Ok(Parsed::Text(text)) => (Ui::new(false, false), print(&text)),
        Ok(Parsed::Command(mut command)) => {
            let ui = Ui::new(command.json(), command.quiet());
            let room = room::passphrase(command.take_room(), std::env::var_os(room::VARIABLE));
            let done = room.and_then(|passphrase| commands::execute(command, &ui, passphrase));
            (ui, done)
        }
        Err(failure) => (Ui::new(cli::wants_json(arguments()), false), Err(failure)),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => ui.fail(&failure),
    }
    .into()
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}
