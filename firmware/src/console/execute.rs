//! Executes a line: what concerns the store alone at once; the rest is left to the console.

use core::fmt::Write;

use deaddrop_core::offer::{Kind, Name};

use super::command::{ConsoleCommand, Which, parse};
use super::paste::Paste;
use super::render;
use super::text_buffer::TextBuffer;
use crate::mailbox::Command;
use crate::store::{Held, Slot, State, Store, StoreError};

/// What the console does next for a line.
pub(super) enum Next {
    /// Print the output.
    Print,
    /// Print the output, and send the command.
    Command(Command),
    /// Print the output, and take the following lines as a file.
    Paste(Paste),
    /// Print the help.
    Help,
    /// Print all entries.
    List,
    /// Print an entry.
    Show(Slot),
}

/// Executes a line as far as the store is concerned. What is to be printed goes to `output`.
pub(super) fn execute<const BYTES: usize, const ENTRIES: usize>(
    line: &str,
    store: &mut Store<BYTES, ENTRIES>,
    output: &mut TextBuffer,
) -> Next {
    // Every output fits: what was typed is quoted shortened.
    match parse(line) {
        Err(error) => {
            let _ = write!(output, "{error}\r\n");
            Next::Print
        }
        Ok(ConsoleCommand::Nothing) => Next::Print,
        Ok(ConsoleCommand::Help) => Next::Help,
        Ok(ConsoleCommand::List) => Next::List,
        Ok(ConsoleCommand::Offers) => Next::Command(Command::Offers),
        Ok(ConsoleCommand::Status) => {
            let _ = render::space(output, store.iter().count(), store.free(), store.capacity());
            Next::Command(Command::Status)
        }
        Ok(ConsoleCommand::Fetch(request)) => Next::Command(Command::Fetch(request)),
        Ok(ConsoleCommand::Auto(on)) => Next::Command(Command::Auto(on)),
        Ok(ConsoleCommand::Send(text)) => match message(store, text) {
            Ok(slot) => Next::Command(Command::Offer { slot, sent: true }),
            Err(error) => failed(output, &error),
        },
        Ok(ConsoleCommand::Put { name, hex }) => match begin(store, name) {
            Ok(slot) => {
                let lines = if hex { "Bytes in hex" } else { "Lines" };
                let _ = write!(output, "{lines}, then one with nothing but a dot; Ctrl-C gives up\r\n");
                Next::Paste(Paste::new(slot, hex))
            }
            Err(error) => failed(output, &error),
        },
        Ok(ConsoleCommand::Show(which)) => match find(store, which) {
            Some(held) if held.state == State::Incoming => {
                let _ = write!(output, "Not all of {which} is here yet: try again when it is\r\n");
                Next::Print
            }
            found => then(output, which, found, Next::Show),
        },
        Ok(ConsoleCommand::Offer(which)) => then(output, which, find(store, which), |slot| {
            Next::Command(Command::Offer { slot, sent: false })
        }),
        Ok(ConsoleCommand::Forget(which)) => {
            then(output, which, find(store, which), |slot| Next::Command(Command::Forget { slot }))
        }
    }
}

fn then(
    output: &mut TextBuffer,
    which: Which<'_>,
    found: Option<Held<'_>>,
    next: impl Fn(Slot) -> Next,
) -> Next {
    match found {
        Some(held) => next(held.slot),
        None => {
            let _ = write!(output, "There is no {which} here: list shows what is\r\n");
            Next::Print
        }
    }
}

fn failed(output: &mut TextBuffer, error: &StoreError) -> Next {
    let _ = write!(output, "Not done: {error}\r\n");
    Next::Print
}

fn find<'a, const BYTES: usize, const ENTRIES: usize>(
    store: &'a Store<BYTES, ENTRIES>,
    which: Which<'_>,
) -> Option<Held<'a>> {
    match which {
        Which::Name(name) => store.find(name),
        Which::Number(number) => store.numbered(number),
    }
}

fn message<const BYTES: usize, const ENTRIES: usize>(
    store: &mut Store<BYTES, ENTRIES>,
    text: &str,
) -> Result<Slot, StoreError> {
    let slot =
        store.reserve(&Name::default(), Kind::Message, text.len() as u64).map_err(StoreError::NoSpace)?;
    store.write(slot, 0, text.as_bytes())?;
    store.finish(slot)?;
    Ok(slot)
}

fn begin<const BYTES: usize, const ENTRIES: usize>(
    store: &mut Store<BYTES, ENTRIES>,
    name: &str,
) -> Result<Slot, StoreError> {
    // Valid: `parse` has checked it.
    let name = Name::new(name).unwrap_or_default();
    store.reserve(&name, Kind::File, 0).map_err(StoreError::NoSpace)
}
