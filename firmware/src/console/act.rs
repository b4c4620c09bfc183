//! What a line does: at once to the store, and then by way of the console.

use core::fmt::Write;

use deaddrop_core::offer::{Kind, Name};

use super::command::{Command, Which, parse};
use super::paste::Paste;
use super::render;
use super::words::Words;
use crate::desk::Order;
use crate::store::{Held, Slot, State, Store, StoreError};

/// What is left to do for a line.
pub(super) enum Next {
    /// Print the words, if there are any.
    Say,
    /// Print the words, and give the order.
    Order(Order),
    /// Print the words, and take lines for a file.
    Paste(Paste),
    /// Print the commands.
    Help,
    /// Print all entries.
    List,
    /// Print an entry.
    Show(Slot),
}

/// Does what a line asks for, as far as it needs nobody else. Words for the person go to `words`.
pub(super) fn act<const BYTES: usize, const ENTRIES: usize>(
    line: &str,
    store: &mut Store<BYTES, ENTRIES>,
    words: &mut Words,
) -> Next {
    // The words of each outcome have room: what was typed is repeated in short.
    match parse(line) {
        Err(error) => {
            let _ = write!(words, "{error}\r\n");
            Next::Say
        }
        Ok(Command::Nothing) => Next::Say,
        Ok(Command::Help) => Next::Help,
        Ok(Command::List) => Next::List,
        Ok(Command::Offers) => Next::Order(Order::Offers),
        Ok(Command::Status) => {
            let _ = render::room(words, store.iter().count(), store.free(), store.capacity());
            Next::Order(Order::Status)
        }
        Ok(Command::Fetch { token, from }) => Next::Order(Order::Fetch { token, from }),
        Ok(Command::Auto(on)) => Next::Order(Order::Auto(on)),
        Ok(Command::Send(text)) => match message(store, text) {
            Ok(slot) => Next::Order(Order::Offer { slot, sent: true }),
            Err(error) => not_done(words, &error),
        },
        Ok(Command::Put { name, hex }) => match begin(store, name) {
            Ok(slot) => {
                let lines = if hex { "Bytes in hex" } else { "Lines" };
                let _ = write!(words, "{lines}, then one with nothing but a dot; Ctrl-C gives up\r\n");
                Next::Paste(Paste::new(slot, hex))
            }
            Err(error) => not_done(words, &error),
        },
        Ok(Command::Show(which)) => match find(store, which) {
            Some(held) if held.state == State::Incoming => {
                let _ = write!(words, "Not all of {which} is here yet: try again when it is\r\n");
                Next::Say
            }
            found => then(words, which, found, Next::Show),
        },
        Ok(Command::Offer(which)) => {
            then(words, which, find(store, which), |slot| Next::Order(Order::Offer { slot, sent: false }))
        }
        Ok(Command::Forget(which)) => {
            then(words, which, find(store, which), |slot| Next::Order(Order::Forget { slot }))
        }
    }
}

fn then(words: &mut Words, which: Which<'_>, found: Option<Held<'_>>, next: impl Fn(Slot) -> Next) -> Next {
    match found {
        Some(held) => next(held.slot),
        None => {
            let _ = write!(words, "There is no {which} here: list shows what is\r\n");
            Next::Say
        }
    }
}

fn not_done(words: &mut Words, error: &StoreError) -> Next {
    let _ = write!(words, "Not done: {error}\r\n");
    Next::Say
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
        store.reserve(&Name::default(), Kind::Message, text.len() as u64).map_err(StoreError::NoRoom)?;
    store.write(slot, 0, text.as_bytes())?;
    store.finish(slot)?;
    Ok(slot)
}

fn begin<const BYTES: usize, const ENTRIES: usize>(
    store: &mut Store<BYTES, ENTRIES>,
    name: &str,
) -> Result<Slot, StoreError> {
    // The command has checked it.
    let name = Name::new(name).unwrap_or_default();
    store.reserve(&name, Kind::File, 0).map_err(StoreError::NoRoom)
}
