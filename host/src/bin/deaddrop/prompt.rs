//! A question on the controlling terminal, whose answer is not echoed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deaddrop_core::limits::PASSPHRASE_MAX;
use rustix::process::getpgrp;
use rustix::termios::{
    Action, LocalModes, OptionalActions, QueueSelector, Termios, tcflow, tcflush, tcgetattr, tcgetpgrp,
    tcsetattr,
};
use smol::Async;
use zeroize::Zeroizing;

use crate::signals::Signals;

/// Asks for one line. Its line end is dropped, and the line is wiped when dropped. A longer one than a passphrase may be
/// is cut after the byte by which that shows.
///
/// The terminal echoes again when this ends, is dropped, or the process is stopped with Ctrl-Z.
///
/// # Errors
/// If the process has no terminal, or the terminal is closed. `UnexpectedEof` if the person at it types Ctrl-D.
pub(crate) async fn ask(question: &'static str, signals: &Signals) -> io::Result<Zeroizing<Vec<u8>>> {
    let terminal = Arc::new(Terminal::open(question)?);
    let hiding = Hiding::begin(&terminal, signals)?;
    let mut asking = question.as_bytes();
    while !asking.is_empty() {
        let written = terminal.file.write_with(|mut file| file.write(asking)).await?;
        asking = asking.get(written..).unwrap_or_default();
    }
    // Read into memory that was set aside before, so that no copy is left behind by growing: the longest passphrase, a
    // line end, and one byte by which a longer line shows.
    let mut line = Zeroizing::new(vec![0; PASSPHRASE_MAX + 3]);
    let mut length = 0;
    loop {
        let rest = line.get_mut(length..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(line);
        }
        match terminal.file.read_with(|mut file| file.read(rest)).await {
            Ok(0) if length == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if let Some(end) = line.iter().take(length).position(|byte| *byte == b'\n') {
            length = end;
            break;
        }
    }
    hiding.answered();
    line.truncate(length);
    Ok(line)
}

/// The controlling terminal, and the question that waits on it.
pub(crate) struct Terminal {
    /// Opened for this question, so that no other program's use of the terminal becomes non-blocking.
    file: Async<File>,
    /// Its modes while no question waits. `None` until this process has had the terminal.
    before: Mutex<Option<Termios>>,
    question: &'static str,
}

impl Terminal {
    fn open(question: &'static str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        Ok(Self { file: Async::new(file)?, before: Mutex::default(), question })
    }

    /// Turns the echo off, except for line ends. Gives whether that was to be done: it is not where the terminal is
    /// still as this left it.
    fn hide(&self) -> io::Result<bool> {
        // In the background the modes are those of the program that has the terminal: a shell that edits its command
        // line. This call changes nothing (output was not suspended by its counterpart), but there it stops the process
        // until it is in the foreground, as the system does with all that control a terminal from there.
        tcflow(&self.file, Action::OOn)?;
        if self.is_anothers() {
            // SIGTTOU is ignored, so that the call stopped nothing.
            return Err(io::Error::other("the terminal is another program's"));
        }
        let now = tcgetattr(&self.file)?;
        let mut before = self.before();
        if before.is_some() && is_hidden(&now) {
            return Ok(false);
        }
        let mut hidden = now.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&self.file, OptionalActions::Now, &hidden)?;
        *before = Some(now);
        Ok(true)
    }

    /// Lets it echo again.
    fn show(&self) {
        if let Some(before) = &*self.before() {
            // Fails only on a terminal that is gone.
            let _ = tcsetattr(&self.file, OptionalActions::Now, before);
        }
    }

    /// Gives the terminal back as it was, without what has been typed of an answer: the next program would read it, and
    /// a shell would echo it. In the background the terminal is another program's, which has set it as it likes.
    pub(crate) fn give_back(&self) {
        if !self.is_anothers() {
            // Fails only on a terminal that is gone.
            let _ = tcflush(&self.file, QueueSelector::IFlush);
            self.show();
        }
    }

    /// Asks again, after the process was stopped. Not where the terminal is as it was left: then the process was
    /// stopped before it asked, and only hears of it now.
    pub(crate) fn take_again(&self) {
        // Fails only on a terminal that is gone, from which nothing is read either.
        if self.hide().unwrap_or(false) {
            let _ = self.file.get_ref().write(self.question.as_bytes());
        }
    }

    /// Whether this process is in the background. Where the system does not say, as in a container that shares the
    /// terminal of its host, it is taken to be in the foreground.
    fn is_anothers(&self) -> bool {
        tcgetpgrp(&self.file).is_ok_and(|foreground| foreground != getpgrp())
    }

    fn before(&self) -> MutexGuard<'_, Option<Termios>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_hidden(modes: &Termios) -> bool {
    !modes.local_modes.contains(LocalModes::ECHO) && modes.local_modes.contains(LocalModes::ECHONL)
}

/// Echo is off until this is dropped.
struct Hiding<'a> {
    terminal: &'a Terminal,
    signals: &'a Signals,
    answered: bool,
}

impl<'a> Hiding<'a> {
    fn begin(terminal: &'a Arc<Terminal>, signals: &'a Signals) -> io::Result<Self> {
        terminal.hide()?;
        signals.set_terminal(Some(terminal.clone()));
        Ok(Self { terminal, signals, answered: false })
    }

    /// The answer was read whole: what was typed after it is for other readers of the terminal.
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Hiding<'_> {
    fn drop(&mut self) {
        self.signals.set_terminal(None);
        if self.answered {
            self.terminal.show();
        } else {
            self.terminal.give_back();
            // What comes next does not belong on the line of the question.
            let _ = self.terminal.file.get_ref().write(b"\n");
        }
    }
}
