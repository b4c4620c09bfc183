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

use crate::desk::{Desk, News, Order};
use crate::store::{Slot, State, Store};

/// Takes the line off the terminal.
const ERASE: &[u8] = b"\r\x1b[K";
const PROMPT: &[u8] = b"> ";

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

    /// Prints something before or beside all news, such as what came of the hardware generator. One line, without its
    /// end.
    pub async fn notice(&mut self, line: &str) {
        self.put(line.as_bytes()).await;
        self.put(b"\r\n").await;
    }

    /// Takes commands and prints news for as long as the board is on. When nothing more can come in, it goes on
    /// printing.
    pub async fn run<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        desk: &Desk,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) -> ! {
        self.put(b"deaddrop: help says what you can type\r\n").await;
        self.draw().await;
        let mut bytes = Zeroizing::new([0; PIECE]);
        let mut open = true;
        loop {
            let io = &mut self.io;
            let bytes_in = async { if open { io.read(bytes.as_mut_slice()).await } else { pending().await } };
            match select(bytes_in, desk.next_news()).await {
                Either::First(Ok(0)) => open = false,
                Either::First(Ok(count)) => {
                    for byte in bytes.iter().take(count) {
                        self.byte(*byte, desk, store).await;
                    }
                    bytes.zeroize();
                    // Not in a paste, which comes as fast as its echo goes.
                    if matches!(self.mode, Mode::Commands) {
                        let _ = self.io.flush().await;
                    }
                }
                Either::First(Err(_)) => {
                    self.lost(store).await;
                    yield_now().await;
                }
                Either::Second(news) => {
                    self.put(ERASE).await;
                    self.news(&news, store).await;
                    self.dropped(desk).await;
                    self.draw().await;
                }
            }
        }
    }

    async fn byte<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        byte: u8,
        desk: &Desk,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        if self.editor.is_full() && !matches!(self.mode, Mode::Commands) {
            self.pasted(store, false).await;
        }
        let key = self.editor.feed(byte);
        let pasting = matches!(self.mode, Mode::Paste(_));
        match key {
            // An escape sequence in a file would be lost without a word.
            Key::Nothing if pasting && byte == 0x1b => self.fail(store, PasteError::NotText).await,
            Key::Refused if pasting => self.fail(store, PasteError::NotText).await,
            Key::Nothing => {}
            Key::Added(c) => {
                let mut bytes = [0; 4];
                self.put(c.encode_utf8(&mut bytes).as_bytes()).await;
                bytes.zeroize();
            }
            Key::Refused => self.put(b"\x07").await,
            Key::Removed => self.put(b"\x08 \x08").await,
            Key::Changed => {
                self.put(ERASE).await;
                self.draw().await;
            }
            Key::Abandoned => {
                self.put(b"^C\r\n").await;
                self.abandon(store).await;
            }
            Key::Entered => {
                self.put(b"\r\n").await;
                if matches!(self.mode, Mode::Commands) {
                    self.entered(desk, store).await;
                } else {
                    self.pasted(store, true).await;
                }
            }
        }
    }

    /// A command is complete.
    async fn entered<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        desk: &Desk,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        let next = if self.editor.is_too_long() {
            let _ = self.words.write_str("Not done: a line has at most 405 bytes, and a message 400\r\n");
            Next::Say
        } else {
            act(self.editor.line(), &mut store.borrow_mut(), &mut self.words)
        };
        self.editor.clear();
        self.say().await;
        match next {
            Next::Say => {}
            Next::Order(order) => self.order(order, desk, store).await,
            Next::Paste(paste) => self.mode = Mode::Paste(paste),
            Next::Help => self.put(command::HELP.as_bytes()).await,
            Next::List => self.list(store).await,
            Next::Show(slot) => self.show(slot, store).await,
        }
        self.draw().await;
    }

    /// Gives an order. The network side may be waiting for room for its news, and then has no ear for it.
    async fn order<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        order: Order,
        desk: &Desk,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        while let Either::Second(news) = select(desk.order(order), desk.next_news()).await {
            self.news(&news, store).await;
        }
    }

    /// A line of a paste is complete, or too long to go on with.
    async fn pasted<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &RefCell<Store<BYTES, ENTRIES>>,
        ends: bool,
    ) {
        let line = self.editor.line();
        let taken = match &mut self.mode {
            Mode::Commands => Ok(None),
            Mode::Skip { continued } => {
                let over = ends && is_dot(line, *continued);
                *continued = !ends;
                if over {
                    self.mode = Mode::Commands;
                    self.editor.clear();
                    self.draw().await;
                    return;
                }
                Ok(None)
            }
            Mode::Paste(paste) => {
                let slot = paste.slot();
                paste.take(&mut store.borrow_mut(), line, ends).map(|whole| whole.then_some(slot))
            }
        };
        self.editor.clear();
        match taken {
            Ok(None) => {}
            Ok(Some(slot)) => {
                self.mode = Mode::Commands;
                if let Some(held) = store.borrow().get(slot) {
                    let _ = render::kept(&mut self.words, &held);
                }
                self.say().await;
                self.draw().await;
            }
            Err(error) => {
                self.fail(store, error).await;
                // What is left of this line is not the beginning of one.
                self.mode = Mode::Skip { continued: !ends };
            }
        }
    }

    /// A paste comes to nothing. What follows of it is not for the command line.
    async fn fail<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &RefCell<Store<BYTES, ENTRIES>>,
        error: PasteError,
    ) {
        self.drop_paste(store);
        self.mode = Mode::Skip { continued: true };
        self.editor.clear();
        let _ = write!(
            self.words,
            "\r\nNot kept: {error}\r\nThe rest is left out until a line with nothing but a dot, or Ctrl-C\r\n"
        );
        self.say().await;
    }

    /// Ctrl-C.
    async fn abandon<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        if self.drop_paste(store) {
            self.put(b"Not kept\r\n").await;
        }
        self.mode = Mode::Commands;
        self.editor.clear();
        self.draw().await;
    }

    /// Forgets what was pasted so far, if something was.
    fn drop_paste<const BYTES: usize, const ENTRIES: usize>(
        &self,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) -> bool {
        // Nobody else removes an entry that is being pasted.
        matches!(&self.mode, Mode::Paste(paste) if store.borrow_mut().remove(paste.slot()).is_ok())
    }

    /// Bytes were lost on the way in: what has been typed is not what was meant.
    async fn lost<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        match self.mode {
            Mode::Paste(_) => self.fail(store, PasteError::Lost).await,
            Mode::Skip { .. } => self.editor.clear(),
            Mode::Commands => {
                self.editor.clear();
                self.put(b"\r\nBytes were lost on the console: type the line again\r\n").await;
                self.draw().await;
            }
        }
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

    async fn dropped(&mut self, desk: &Desk) {
        let lost = desk.take_lost();
        if lost > 0 {
            let _ = write!(self.words, "{lost} news more than could be printed: see offers and list\r\n");
            self.say().await;
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
            self.put(b"Nothing is kept here\r\n").await;
        }
    }

    /// Prints the bytes of an entry, escaped.
    async fn show<const BYTES: usize, const ENTRIES: usize>(
        &mut self,
        slot: Slot,
        store: &RefCell<Store<BYTES, ENTRIES>>,
    ) {
        let mut piece = Zeroizing::new([0; SHOWN]);
        let mut offset = 0;
        let mut line_ended = true;
        loop {
            // It may be gone since the last piece was printed.
            let size = match store.borrow().get(slot) {
                Some(held) if held.state != State::Incoming => held.size,
                _ => break,
            };
            let Ok(count @ 1..) = store.borrow().read(slot, offset, piece.as_mut_slice()) else { break };
            let read = piece.get(..count).unwrap_or_default();
            let parted = if offset + count < size { escape::unfinished(read) } else { 0 };
            let whole = read.get(..count - parted).unwrap_or_default();
            let _ = write!(self.words, "{}", escape::lines(whole));
            line_ended = whole.ends_with(b"\n");
            offset += whole.len();
            self.say().await;
        }
        if !line_ended {
            self.put(b"\r\n").await;
        }
    }

    /// Prints the words, and wipes them.
    async fn say(&mut self) {
        let _ = self.io.write_all(self.words.as_bytes()).await;
        self.words.clear();
    }

    /// Draws the prompt and what has been typed behind it.
    async fn draw(&mut self) {
        if matches!(self.mode, Mode::Commands) {
            self.put(PROMPT).await;
        }
        let _ = self.io.write_all(self.editor.line().as_bytes()).await;
        let _ = self.io.flush().await;
    }

    async fn put(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
    }
}
