//! The serial console: turns lines into commands, and prints events.
//!
//! An event may come while a line is being typed: the line is erased from the terminal and drawn again below. Everything
//! that a peer chose is printed escaped.

pub mod command;
mod execute;
pub mod line;
mod paste;
pub mod render;
#[cfg(test)]
mod tests;
pub mod text_buffer;

use core::cell::RefCell;
use core::fmt::Write as _;
use core::future::pending;

use deaddrop_core::offer::Kind;
use deaddrop_core::text;
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embedded_io_async::{Read, Write};
use zeroize::{Zeroize, Zeroizing};

use execute::{Next, execute};
use line::{Editor, Key};
use paste::{Paste, PasteError, is_dot};
use text_buffer::TextBuffer;

use crate::mailbox::{Event, Mailbox};
use crate::store::{Slot, State, Store};

/// Erases the current line of the terminal.
const ERASE: &str = "\r\x1b[K";
const PROMPT: &str = "> ";

/// Bytes of one read.
const READ_LEN: usize = 32;
/// Bytes of an entry in one write. Escaping makes at most six of each.
const SHOW_LEN: usize = 64;
const _: () = assert!(SHOW_LEN * 6 <= text_buffer::TEXT_MAX);

enum Mode {
    /// A line is a command.
    Commands,
    /// A line is part of a file.
    Paste(Paste),
    /// A paste failed. Its remaining lines are skipped: they must not run as commands.
    Skip {
        /// The line is the rest of a longer one.
        continued: bool,
    },
}

/// The console, on a UART or anything else that reads and writes bytes.
///
/// Reads are cancelled when an event is printed, and must lose no bytes then. Write errors are ignored: there is no other
/// place to report them.
pub struct Console<Io> {
    io: Io,
    editor: Editor,
    output: TextBuffer,
    mode: Mode,
}

impl<Io: Read + Write> Console<Io> {
    /// A console that has printed nothing yet.
    pub const fn new(io: Io) -> Self {
        Self { io, editor: Editor::new(), output: TextBuffer::new(), mode: Mode::Commands }
    }

    /// Prints one line, given without its end, before [`Self::run`]: for example that the hardware generator failed.
    pub async fn notice(&mut self, line: &str) {
        self.add(line);
        self.add("\r\n");
        self.print().await;
    }

    /// Reads commands and prints events for as long as the board is on. After the end of input it goes on printing.
    pub async fn run<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        mailbox: &Mailbox,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) -> ! {
        self.add("deaddrop: help says what you can type\r\n");
        self.draw();
        self.print().await;
        let mut bytes = Zeroizing::new([0; READ_LEN]);
        let mut open = true;
        loop {
            let io = &mut self.io;
            let bytes_in = async { if open { io.read(bytes.as_mut_slice()).await } else { pending().await } };
            match select(bytes_in, mailbox.next_event()).await {
                Either::First(Ok(0)) => open = false,
                Either::First(Ok(count)) => {
                    for byte in bytes.iter().take(count) {
                        let next = self.byte(*byte, &mut store.borrow_mut());
                        self.go_on(next, mailbox, store).await;
                    }
                    bytes.zeroize();
                }
                Either::First(Err(_)) => {
                    self.lost(&mut store.borrow_mut());
                    self.print().await;
                    yield_now().await;
                }
                Either::Second(event) => {
                    self.add(ERASE);
                    self.print_event(&event, store).await;
                    let dropped = mailbox.take_dropped();
                    if dropped > 0 {
                        let _ = write!(
                            self.output,
                            "{dropped} more events than could be printed: see offers and list\r\n"
                        );
                    }
                    self.print().await;
                    self.draw();
                    self.print().await;
                }
            }
            // Not in a paste, which comes as fast as its echo goes.
            if matches!(self.mode, Mode::Commands) {
                let _ = self.io.flush().await;
            }
        }
    }

    /// Handles one byte of input, up to where something has to be awaited. The echo goes to the output.
    fn byte<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        byte: u8,
        store: &mut Store<BYTES, ENTRIES>,
    ) -> Next {
        let pasting = !matches!(self.mode, Mode::Commands);
        if self.editor.is_full() && pasting {
            self.pasted(store, false);
        }
        match (self.editor.feed(byte), &self.mode) {
            (Key::Entered, Mode::Commands) => {
                self.add("\r\n");
                return self.entered(store);
            }
            (Key::Entered, _) => {
                self.add("\r\n");
                self.pasted(store, true);
            }
            (Key::Refused, Mode::Paste(_)) => self.fail(store, PasteError::NotText),
            // An escape sequence in a file would be lost without a word.
            (Key::Nothing, Mode::Paste(_)) if byte == 0x1b => self.fail(store, PasteError::NotText),
            (Key::Nothing, _) => {}
            (Key::Added(c), _) => {
                let _ = self.output.write_char(c);
            }
            (Key::Refused, _) => self.add("\x07"),
            (Key::Removed, _) => self.add("\x08 \x08"),
            (Key::Changed, _) => {
                self.add(ERASE);
                self.draw();
            }
            (Key::Abandoned, _) => {
                self.add(if self.drop_paste(store) { "^C\r\nNot kept\r\n" } else { "^C\r\n" });
                self.mode = Mode::Commands;
                self.editor.clear();
                self.draw();
            }
        }
        Next::Print
    }

    /// A command is complete.
    fn entered<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &mut Store<BYTES, ENTRIES>,
    ) -> Next {
        let next = if self.editor.is_too_long() {
            self.add("Not done: a line has at most 405 bytes, and a message 400\r\n");
            Next::Print
        } else {
            execute(self.editor.line(), store, &mut self.output)
        };
        self.editor.clear();
        match next {
            Next::Paste(paste) => {
                self.mode = Mode::Paste(paste);
                Next::Print
            }
            Next::Print => {
                self.draw();
                Next::Print
            }
            next => next,
        }
    }

    /// A line of a paste is complete, or too long to go on with.
    fn pasted<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &mut Store<BYTES, ENTRIES>,
        ends: bool,
    ) {
        let line = self.editor.line();
        let mut over = false;
        let mut failed = None;
        match &mut self.mode {
            Mode::Commands => {}
            Mode::Skip { continued } => {
                over = ends && is_dot(line, *continued);
                *continued = !ends;
            }
            Mode::Paste(paste) => match paste.take(store, line, ends) {
                Ok(whole) => {
                    over = whole;
                    if let Some(held) = store.get(paste.slot()).filter(|_| whole) {
                        let _ = render::kept(&mut self.output, &held);
                    }
                }
                Err(error) => failed = Some(error),
            },
        }
        self.editor.clear();
        if over {
            self.mode = Mode::Commands;
            self.draw();
        }
        if let Some(error) = failed {
            self.fail(store, error);
            // What is left of this line is not the beginning of one.
            self.mode = Mode::Skip { continued: !ends };
        }
    }

    /// Ends a paste that failed, and skips the rest of it.
    fn fail<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &mut Store<BYTES, ENTRIES>,
        error: PasteError,
    ) {
        self.drop_paste(store);
        self.mode = Mode::Skip { continued: true };
        self.editor.clear();
        let _ = write!(
            self.output,
            "\r\nNot kept: {error}\r\nThe rest is left out until a line with nothing but a dot, or Ctrl-C\r\n"
        );
    }

    /// Removes what was pasted so far. True if there was a paste.
    fn drop_paste<const BYTES: usize, const ENTRIES: usize>(
        &self,
        store: &mut Store<BYTES, ENTRIES>,
    ) -> bool {
        matches!(&self.mode, Mode::Paste(paste) if store.remove(paste.slot()).is_ok())
    }

    /// The UART lost input bytes: the line is not what was typed.
    fn lost<const BYTES: usize, const ENTRIES: usize>(&mut self, store: &mut Store<BYTES, ENTRIES>) {
        match self.mode {
            Mode::Paste(_) => self.fail(store, PasteError::Lost),
            Mode::Skip { .. } => self.editor.clear(),
            Mode::Commands => {
                self.editor.clear();
                self.add("\r\nBytes were lost on the console: type the line again\r\n");
                self.draw();
            }
        }
    }

    /// Finishes the execution of a line, and prints the prompt.
    async fn go_on<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        next: Next,
        mailbox: &Mailbox,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        self.print().await;
        match next {
            Next::Print | Next::Paste(_) => return,
            Next::Help => {
                let _ = self.io.write_all(command::HELP.as_bytes()).await;
            }
            Next::List => self.list(store).await,
            Next::Show(slot) => self.show(slot, store).await,
            Next::Command(command) => {
                // Events are drained meanwhile: the app may be waiting for space in that queue, and would never take
                // the command.
                while let Either::Second(event) = select(mailbox.send(command), mailbox.next_event()).await {
                    self.print_event(&event, store).await;
                }
            }
        }
        self.draw();
        self.print().await;
    }

    async fn print_event<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        event: &Event,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        let _ = render::event(&mut self.output, event);
        let mut message = None;
        if let Event::Received { slot, .. } = event
            && let Some(held) = store.borrow().get(*slot)
        {
            let _ = render::received(&mut self.output, &held);
            message = (held.kind == Kind::Message).then_some(*slot);
        }
        self.print().await;
        if let Some(slot) = message {
            self.show(slot, store).await;
        }
    }

    async fn list<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        let mut empty = true;
        for number in 1..=ENTRIES {
            if let Some(held) = store.borrow().numbered(number) {
                let _ = render::listed(&mut self.output, &held);
                empty = false;
            }
            self.print().await;
        }
        if empty {
            self.add("Nothing is kept here\r\n");
        }
        self.print().await;
    }

    /// Prints the bytes of an entry, escaped.
    async fn show<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        slot: Slot,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        let mut offset = 0;
        let mut line_ended = true;
        loop {
            let shown = self.piece(slot, offset, &store.borrow(), &mut line_ended);
            let Some(count) = shown else { break };
            offset += count;
            self.print().await;
        }
        if !line_ended {
            self.add("\r\n");
        }
        self.print().await;
    }

    /// Writes the next bytes of an entry to the output, escaped, and returns how many; `None` at its end, or if it was
    /// removed meanwhile.
    fn piece<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        slot: Slot,
        offset: usize,
        store: &Store<BYTES, ENTRIES>,
        line_ended: &mut bool,
    ) -> Option<usize> {
        store.get(slot).filter(|held| held.state != State::Incoming)?;
        let rest = store.bytes(slot)?.get(offset..).filter(|rest| !rest.is_empty())?;
        let piece = rest.get(..SHOW_LEN).unwrap_or(rest);
        let parted = if piece.len() < rest.len() { text::unfinished(piece) } else { 0 };
        let whole = piece.get(..piece.len() - parted)?;
        let _ = write!(self.output, "{}", text::lines(whole, "\r\n"));
        *line_ended = whole.ends_with(b"\n");
        Some(whole.len())
    }

    /// Writes the prompt and the typed line to the output, which fits both if it is empty.
    fn draw(&mut self) {
        if matches!(self.mode, Mode::Commands) {
            self.add(PROMPT);
        }
        let _ = self.output.write_str(self.editor.line());
    }

    fn add(&mut self, text: &str) {
        let _ = self.output.write_str(text);
    }

    /// Prints the output, and wipes it.
    async fn print(&mut self) {
        if !self.output.as_bytes().is_empty() {
            let _ = self.io.write_all(self.output.as_bytes()).await;
            self.output.clear();
        }
    }
}
