//! A console whose keys are read as they are pressed: there is none yet, so that the offers are lines.

use std::io;

/// The keyboard of the console.
#[allow(dead_code, reason = "there is none")]
pub(crate) struct Keyboard;

impl Keyboard {
    /// # Errors
    /// Always.
    pub(crate) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Has each key read as it is pressed.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn take(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives the console back as it was.
    pub(crate) fn give_back(&self) {}

    /// Reads what has been typed.
    pub(crate) async fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Writes to the console, unless that would have to wait.
    pub(crate) fn write_now(&self, _: &[u8]) {}
}
