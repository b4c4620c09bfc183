//! The `deaddrop` command: the library's first user, and the only place with flags, exit codes and prose for people.

mod cli;
mod commands;
mod exit;
mod messages;
mod passphrase;
mod platform;
mod private_file;
mod prompt;
mod qr;
mod resources;
mod room_file;
mod rooms;
mod shell;
mod signals;
mod strength;
mod trace;
mod ui;
mod wifi_key;
mod words;

use std::alloc::System;
use std::io::Write;
use std::process::ExitCode;

use cli::Parsed;
use exit::{Exit, Failure};
use signals::Signals;
use ui::Ui;
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory that is given back: the libraries that estimate how strong a passphrase is and that draw it as a QR code
/// leave copies of it there.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    let exit = run();
    platform::leave_terminal();
    exit.into()
}

fn run() -> Exit {
    platform::disable_core_dumps();
    platform::lock_memory();
    let arguments = || std::env::args_os().skip(1);
    let signals = Signals::default();
    let failed = |json, failure| Ui::new(json, false, &signals).fail_now(&failure);
    match cli::parse(arguments()) {
        Ok(Parsed::Text(text)) => print(&text).map_or_else(|failure| failed(false, failure), |()| Exit::Done),
        Ok(Parsed::Nothing(text)) => {
            // A script that lost its arguments must not take this for output, nor for success. Where standard
            // error is closed there is nowhere left to say it.
            let _ = std::io::stderr().write_all(text.as_bytes());
            Exit::Usage
        }
        Ok(Parsed::Command(command)) => {
            trace::start(command.verbose());
            let ui = Ui::new(command.json(), command.quiet(), &signals);
            commands::execute(command, &ui, &signals)
        }
        Err(failure) => failed(cli::wants_json(arguments()), failure),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}
