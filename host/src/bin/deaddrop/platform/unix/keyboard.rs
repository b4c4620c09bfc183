//! The controlling terminal as a keyboard: each key is read as it is pressed, and none is echoed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use smol::Async;

use super::terminal::CONTROLLING;

/// The keyboard of the controlling terminal.
///
/// The keys for interrupt and stop still send their signals, and output is still processed.
pub(crate) struct Keyboard {
    /// Opened for this, so that no other program's use of the terminal becomes non-blocking.
    file: Async<File>,
    /// The modes of the terminal while keys are not read one by one. `None` while they are not.
    before: Mutex<Option<Termios>>,
}

impl Keyboard {
    /// # Errors
    /// If this process has no terminal.
    pub(crate) fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(CONTROLLING)?;
        Ok(Self { file: Async::new(file)?, before: Mutex::default() })
    }

    /// Has each key read as it is pressed.
    ///
    /// # Errors
    /// If the terminal is another program's at the moment.
    pub(crate) fn take(&self) -> io::Result<()> {
        if self.is_anothers() {
            return Err(io::Error::other("the terminal is another program's"));
        }
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let now = tcgetattr(&self.file)?;
        let mut keys = now.clone();
        keys.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        keys.special_codes[SpecialCodeIndex::VMIN] = 1;
        keys.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&self.file, OptionalActions::Now, &keys)?;
        before.get_or_insert(now);
        Ok(())
    }

    /// Gives the terminal back as it was. What has been typed and not read is for the next program.
    ///
    /// In the background the modes are those of the program that has the terminal, which has set them as it likes.
    pub(crate) fn give_back(&self) {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = before.take()
            && !self.is_anothers()
        {
            // Fails only on a terminal that is gone.
            let _ = tcsetattr(&self.file, OptionalActions::Now, &before);
        }
    }

    /// Reads what has been typed. Nothing of a terminal that is gone. What is typed for another program is left to it: to
    /// read it from the background would stop this process.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |mut file: &File| {
            if self.is_anothers() { Err(io::ErrorKind::WouldBlock.into()) } else { file.read(buffer) }
        };
        self.file.read_with(read).await
    }

    /// Whether this process is in the background. Where the system does not say it is taken to be in the foreground.
    fn is_anothers(&self) -> bool {
        tcgetpgrp(&self.file).is_ok_and(|foreground| foreground != getpgrp())
    }

    /// Writes to the terminal, unless that would have to wait: a stopped terminal takes nothing.
    pub(crate) fn write_now(&self, bytes: &[u8]) {
        let _ = self.file.get_ref().write(bytes);
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.give_back();
    }
}
