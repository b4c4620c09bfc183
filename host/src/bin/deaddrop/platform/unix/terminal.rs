//! The controlling terminal: its echo, its size, and which program has it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::getpgrp;
use rustix::termios::{
    Action, LocalModes, OptionalActions, QueueSelector, Termios, tcflow, tcflush, tcgetattr, tcgetpgrp,
    tcgetwinsize, tcsetattr,
};
use smol::Async;

/// The controlling terminal of the process that opens it.
pub(super) const CONTROLLING: &str = "/dev/tty";

/// The controlling terminal, and the question that waits on it.
pub(crate) struct Terminal {
    /// Opened for this question, so that no other program's use of the terminal becomes non-blocking.
    file: Async<File>,
    /// Its modes while no question waits. `None` until this process has had the terminal.
    before: Mutex<Option<Termios>>,
    question: &'static str,
}

/// Whether this process has a controlling terminal.
pub(crate) fn has_terminal() -> bool {
    File::open(CONTROLLING).is_ok()
}

impl Terminal {
    /// # Errors
    /// If this process has no terminal.
    pub(crate) fn open(question: &'static str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(CONTROLLING)?;
        Ok(Self { file: Async::new(file)?, before: Mutex::default(), question })
    }

    /// Asks the question.
    pub(crate) async fn ask(&self) -> io::Result<()> {
        let mut asking = self.question.as_bytes();
        while !asking.is_empty() {
            let written = self.file.write_with(|mut file| file.write(asking)).await?;
            asking = asking.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads of the answer what has been typed. Nothing at its end.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_with(|mut file| file.read(buffer)).await
    }

    /// Ends the line of the question, on which nothing else belongs.
    pub(crate) fn end_line(&self) {
        let _ = self.file.get_ref().write(b"\n");
    }

    /// Turns the echo off, except for line ends. Gives whether that was to be done: it is not where the terminal is
    /// still as this left it.
    pub(crate) fn hide(&self) -> io::Result<bool> {
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
    pub(crate) fn show(&self) {
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

/// The columns and rows of the terminal at standard error; 0 where it does not know them. `None` if there is none.
pub(crate) fn window_of_stderr() -> Option<(u16, u16)> {
    tcgetwinsize(io::stderr()).ok().map(|size| (size.ws_col, size.ws_row))
}

/// Whether the terminal at standard error is ours to paint: not while another program has the foreground.
pub(crate) fn in_foreground() -> bool {
    // It fails on a terminal that does not control this process, on which no shell has put others before it.
    tcgetpgrp(io::stderr()).map_or(true, |foreground| foreground == getpgrp())
}

/// Whether the terminal understands what moves its cursor.
pub(crate) fn moves_cursor() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Leaves the terminal to the next program as it was: here nothing of it outlives what set it.
pub(crate) fn leave_terminal() {}

/// Whether the terminal shows UTF-8, as the locale says.
pub(crate) fn shows_utf8() -> bool {
    let of_locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os);
    is_utf8(of_locale.map(|value| value.to_string_lossy().into_owned()))
}

/// Of the variables of the locale the first that is not empty counts.
fn is_utf8(mut variables: impl Iterator<Item = String>) -> bool {
    let locale = variables.find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_names_the_locale() {
        let shows = |values: &[&str]| is_utf8(values.iter().map(ToString::to_string));
        assert!(shows(&["", "", "en_GB.UTF-8"]) && shows(&["C.utf8", "C"]) && shows(&["UTF-8"]));
        assert!(!shows(&["C", "", "en_GB.UTF-8"]) && !shows(&["de_DE.ISO-8859-1"]) && !shows(&[]));
    }
}
