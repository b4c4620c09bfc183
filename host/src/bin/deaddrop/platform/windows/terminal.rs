//! The console: its echo, its size, and what it understands.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deaddrop_windows::console;
use zeroize::Zeroizing;

/// What Ctrl-Z types: the end of the input.
const END: u16 = 0x1a;
/// The most bytes of UTF-8 that one character of UTF-16 becomes.
const WIDEST: usize = 3;

/// The console of this process, and the question that waits on it.
pub(crate) struct Terminal {
    input: Arc<File>,
    output: File,
    /// The modes of the input while no question waits. `None` until the echo was turned off.
    before: Mutex<Option<u32>>,
    question: &'static str,
}

/// Whether this process has a console.
pub(crate) fn has_terminal() -> bool {
    File::open("CONIN$").is_ok()
}

/// The input and the output of this process's console, whatever its standard streams are.
pub(super) fn open_console() -> io::Result<(File, File)> {
    let open = |name| OpenOptions::new().read(true).write(true).open(name);
    Ok((open("CONIN$")?, open("CONOUT$")?))
}

impl Terminal {
    /// # Errors
    /// If this process has no console.
    pub(crate) fn open(question: &'static str) -> io::Result<Self> {
        let (input, output) = open_console()?;
        Ok(Self { input: input.into(), output, before: Mutex::default(), question })
    }

    /// Asks the question.
    pub(crate) async fn ask(&self) -> io::Result<()> {
        (&self.output).write_all(self.question.as_bytes())
    }

    /// Reads of the answer what has been typed. Nothing at its end.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (input, room) = (self.input.clone(), (buffer.len() / WIDEST).max(1));
        let typed = smol::unblock(move || {
            let mut typed = Zeroizing::new(vec![0_u16; room]);
            let read = console::read(&*input, &mut typed)?;
            typed.truncate(read);
            Ok::<_, io::Error>(typed)
        });
        let typed = typed.await?;
        if typed.first() == Some(&END) {
            return Ok(0);
        }
        if typed.is_empty() {
            // Ctrl-C ends the read, and the request that comes with it ends the command.
            return std::future::pending().await;
        }
        let mut written = 0;
        for character in char::decode_utf16(typed.iter().copied()) {
            let mut bytes = Zeroizing::new([0; 4]);
            let character =
                character.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut *bytes).as_bytes();
            let Some(to) = buffer.get_mut(written..written + character.len()) else { break };
            to.copy_from_slice(character);
            written += character.len();
        }
        Ok(written)
    }

    /// Ends the line of the question, on which nothing else belongs.
    pub(crate) fn end_line(&self) {
        let _ = (&self.output).write(b"\r\n");
    }

    /// Turns the echo off. Gives whether that was to be done.
    pub(crate) fn hide(&self) -> io::Result<bool> {
        let now = console::modes(&*self.input)?;
        let mut before = self.before();
        if before.is_some() && console::hidden(now) == now {
            return Ok(false);
        }
        console::set_modes(&*self.input, console::hidden(now))?;
        *before = Some(now);
        Ok(true)
    }

    /// Lets it echo again, after the answer, whose line end was not echoed either.
    pub(crate) fn show(&self) {
        self.restore();
        self.end_line();
    }

    /// Gives the console back as it was, without what has been typed of an answer.
    pub(crate) fn give_back(&self) {
        // Both fail only on a console that is gone.
        let _ = console::forget_typed(&*self.input);
        self.restore();
    }

    /// Asks again, after the process was stopped: the system stops none.
    pub(crate) fn take_again(&self) {}

    fn restore(&self) {
        if let Some(before) = *self.before() {
            // Fails only on a console that is gone.
            let _ = console::set_modes(&*self.input, before);
        }
    }

    fn before(&self) -> MutexGuard<'_, Option<u32>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The columns and rows of the console at standard error. `None` if there is none.
pub(crate) fn window_of_stderr() -> Option<(u16, u16)> {
    console::size(io::stderr()).ok()
}

/// Whether the console at standard error is ours to paint: all programs there share it.
pub(crate) fn in_foreground() -> bool {
    true
}

/// Whether the console understands what moves its cursor. Since Windows 10 it does when it is told to.
pub(crate) fn moves_cursor() -> bool {
    console::understand_sequences(io::stderr())
}

/// Leaves the console to the next program as it was: its modes and its code page outlive the process.
pub(crate) fn leave_terminal() {
    console::give_back_output(io::stderr());
}

/// Whether the console shows UTF-8. What is written to it is UTF-16 by then, whatever its code page is.
pub(crate) fn shows_utf8() -> bool {
    true
}
