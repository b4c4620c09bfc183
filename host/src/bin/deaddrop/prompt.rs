//! A question on the controlling terminal, whose answer is not echoed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::sync::Arc;

use deaddrop_core::limits::PASSPHRASE_MAX;
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcsetattr,
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
    before: Termios,
    question: &'static str,
}

impl Terminal {
    fn open(question: &'static str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&file)?;
        Ok(Self { file: Async::new(file)?, before, question })
    }

    /// Turns the echo off, except for line ends. In the background this stops the process until it is in the foreground
    /// again, as the system does with all that change a terminal from there.
    fn hide(&self) -> io::Result<()> {
        let mut hidden = self.before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        Ok(tcsetattr(&self.file, OptionalActions::Now, &hidden)?)
    }

    /// Gives the terminal back as it was, without what has been typed of an answer: the next program would read it, and
    /// a shell would echo it. In the background the terminal is another program's, which has set it as it likes.
    pub(crate) fn give_back(&self) {
        if tcgetpgrp(&self.file).is_ok_and(|foreground| foreground == getpgrp()) {
            // Both fail only on a terminal that is gone.
            let _ = tcflush(&self.file, QueueSelector::IFlush);
            let _ = tcsetattr(&self.file, OptionalActions::Now, &self.before);
        }
    }

    /// Asks again, after the process was stopped.
    pub(crate) fn take_again(&self) {
        // Fails only on a terminal that is gone, from which nothing is read either.
        let _ = self.hide();
        let _ = self.file.get_ref().write(self.question.as_bytes());
    }
}

/// Echo is off until this is dropped.
struct Hiding<'a> {
    terminal: &'a Terminal,
    signals: &'a Signals,
    answered: bool,
}

impl<'a> Hiding<'a> {
    fn begin(terminal: &'a Arc<Terminal>, signals: &'a Signals) -> io::Result<Self> {
        // First, so that what was done is undone if the second half of it fails.
        let hiding = Self { terminal, signals, answered: false };
        terminal.hide()?;
        signals.set_terminal(Some(terminal.clone()));
        Ok(hiding)
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
            let _ = tcsetattr(&self.terminal.file, OptionalActions::Now, &self.terminal.before);
        } else {
            self.terminal.give_back();
            // What comes next does not belong on the line of the question.
            let _ = self.terminal.file.get_ref().write(b"\n");
        }
    }
}
