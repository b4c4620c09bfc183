//! The serial console: what a person types becomes orders, and news becomes words.
//!
//! News may come while a line is being typed: the line is taken off the terminal and drawn again below. Everything a
//! peer chose is printed escaped.

mod act;
pub mod command;
pub mod escape;
pub mod line;
mod paste;
pub mod render;
#[cfg(test)]
mod tests;
pub mod words;

use core::cell::RefCell;
use core::fmt::Write as _;
use core::future::pending;

use deaddrop_core::offer::Kind;
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embedded_io_async::{Read, Write};
use zeroize::{Zeroize, Zeroizing};

use act::{Next, act};
use line::{Editor, Key};
use paste::{Paste, PasteError, is_dot};
use words::Words;

use crate::desk::{Desk, News};
use crate::store::{Slot, State, Store};

/// Takes the line off the terminal.
const ERASE: &str = "\r\x1b[K";
const PROMPT: &str = "> ";

/// Bytes that are read at once.
const PIECE: usize = 32;
/// Bytes of an entry that are printed at once. Escaped they are at most six times as many.
const SHOWN: usize = 64;
const _: () = assert!(SHOWN * 6 <= words::WORDS_MAX);

enum Mode {
    /// A line is a command.
    Commands,
    /// A line is part of a file.
    Paste(Paste),
    /// A paste came to nothing, and the rest of it must not be taken for commands.
    Skip {
        /// The line is the rest of one that was too long.
        continued: bool,
    },
}

/// The console, on whatever carries its bytes both ways.
///
/// A read that is given up while it waits must lose no bytes: news interrupts it. Nobody can be told of an error on the
/// way out, so those are ignored.
pub struct Console<Io> {
    io: Io,
    editor: Editor,
    words: Words,
    mode: Mode,
}

impl<Io: Read + Write> Console<Io> {
    /// A console that has said nothing yet.
    pub const fn new(io: Io) -> Self {
        Self { io, editor: Editor::new(), words: Words::new(), mode: Mode::Commands }
    }

    /// Prints something before all else, such as what came of the hardware generator. One line, without its end.
    pub async fn notice(&mut self, line: &str) {
        self.add(line);
        self.add("\r\n");
        self.say().await;
    }

    /// Takes commands and prints news for as long as the board is on. When nothing more can come in, it goes on
    /// printing.
    pub async fn run<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        desk: &Desk,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) -> ! {
        self.add("deaddrop: help says what you can type\r\n");
        self.draw();
        self.say().await;
        let mut bytes = Zeroizing::new([0; PIECE]);
        let mut open = true;
        loop {
            let io = &mut self.io;
            let bytes_in = async { if open { io.read(bytes.as_mut_slice()).await } else { pending().await } };
            match select(bytes_in, desk.next_news()).await {
                Either::First(Ok(0)) => open = false,
                Either::First(Ok(count)) => {
                    for byte in bytes.iter().take(count) {
                        let next = self.byte(*byte, &mut store.borrow_mut());
                        self.go_on(next, desk, store).await;
                    }
                    bytes.zeroize();
                }
                Either::First(Err(_)) => {
                    self.lost(&mut store.borrow_mut());
                    self.say().await;
                    yield_now().await;
                }
                Either::Second(news) => {
                    self.add(ERASE);
                    self.news(&news, store).await;
                    let dropped = desk.take_lost();
                    if dropped > 0 {
                        let _ = write!(
                            self.words,
                            "{dropped} news more than could be printed: see offers and list\r\n"
                        );
                    }
                    self.say().await;
                    self.draw();
                    self.say().await;
                }
            }
            // Not in a paste, which comes as fast as its echo goes.
            if matches!(self.mode, Mode::Commands) {
                let _ = self.io.flush().await;
            }
        }
    }

    /// Takes a byte that was typed, as far as nothing has to be waited for. What it shows as is in the words.
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
                let _ = self.words.write_char(c);
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
        Next::Say
    }

    /// A command is complete.
    fn entered<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &mut Store<BYTES, ENTRIES>,
    ) -> Next {
        let next = if self.editor.is_too_long() {
            self.add("Not done: a line has at most 405 bytes, and a message 400\r\n");
            Next::Say
        } else {
            act(self.editor.line(), store, &mut self.words)
        };
        self.editor.clear();
        match next {
            Next::Paste(paste) => {
                self.mode = Mode::Paste(paste);
                Next::Say
            }
            Next::Say => {
                self.draw();
                Next::Say
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
                        let _ = render::kept(&mut self.words, &held);
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

    /// A paste comes to nothing. What follows of it is not for the command line.
    fn fail<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &mut Store<BYTES, ENTRIES>,
        error: PasteError,
    ) {
        self.drop_paste(store);
        self.mode = Mode::Skip { continued: true };
        self.editor.clear();
        let _ = write!(
            self.words,
            "\r\nNot kept: {error}\r\nThe rest is left out until a line with nothing but a dot, or Ctrl-C\r\n"
        );
    }

    /// Forgets what was pasted so far, if something was.
    fn drop_paste<const BYTES: usize, const ENTRIES: usize>(
        &self,
        store: &mut Store<BYTES, ENTRIES>,
    ) -> bool {
        // Nobody else removes an entry that is being pasted.
        matches!(&self.mode, Mode::Paste(paste) if store.remove(paste.slot()).is_ok())
    }

    /// Bytes were lost on the way in: what has been typed is not what was meant.
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

    /// Does what is left to do for a line, and comes back to the prompt.
    async fn go_on<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        next: Next,
        desk: &Desk,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        self.say().await;
        match next {
            Next::Say | Next::Paste(_) => return,
            Next::Help => {
                let _ = self.io.write_all(command::HELP.as_bytes()).await;
            }
            Next::List => self.list(store).await,
            Next::Show(slot) => self.show(slot, store).await,
            Next::Order(order) => {
                // The network side may be waiting for room for its news, and then has no ear for orders.
                while let Either::Second(news) = select(desk.order(order), desk.next_news()).await {
                    self.news(&news, store).await;
                }
            }
        }
        self.draw();
        self.say().await;
    }

    async fn news<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        news: &News,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        let _ = render::news(&mut self.words, news);
        let mut message = None;
        if let News::Received { slot, .. } = news
            && let Some(held) = store.borrow().get(*slot)
        {
            let _ = render::received(&mut self.words, &held);
            message = (held.kind == Kind::Message).then_some(*slot);
        }
        self.say().await;
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
                let _ = render::listed(&mut self.words, &held);
                empty = false;
            }
            self.say().await;
        }
        if empty {
            self.add("Nothing is kept here\r\n");
        }
        self.say().await;
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
            self.say().await;
        }
        if !line_ended {
            self.add("\r\n");
        }
        self.say().await;
    }

    /// Puts bytes of an entry into the words, escaped, and says how many; none at its end, or when it is gone since the
    /// last piece.
    fn piece<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        slot: Slot,
        offset: usize,
        store: &Store<BYTES, ENTRIES>,
        line_ended: &mut bool,
    ) -> Option<usize> {
        store.get(slot).filter(|held| held.state != State::Incoming)?;
        let rest = store.bytes(slot)?.get(offset..).filter(|rest| !rest.is_empty())?;
        let piece = rest.get(..SHOWN).unwrap_or(rest);
        let parted = if piece.len() < rest.len() { escape::unfinished(piece) } else { 0 };
        let whole = piece.get(..piece.len() - parted)?;
        let _ = write!(self.words, "{}", escape::lines(whole));
        *line_ended = whole.ends_with(b"\n");
        Some(whole.len())
    }

    /// Puts the prompt, and what has been typed behind it, into the words. They have room for it when it is all that
    /// is to be said.
    fn draw(&mut self) {
        if matches!(self.mode, Mode::Commands) {
            self.add(PROMPT);
        }
        let _ = self.words.write_str(self.editor.line());
    }

    fn add(&mut self, text: &str) {
        let _ = self.words.write_str(text);
    }

    /// Prints the words, and wipes them.
    async fn say(&mut self) {
        if !self.words.as_bytes().is_empty() {
            let _ = self.io.write_all(self.words.as_bytes()).await;
            self.words.clear();
        }
    }
}
