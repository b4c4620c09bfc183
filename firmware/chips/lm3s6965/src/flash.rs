//! The last pages of flash: what the board is provisioned with, and the seed it keeps.
//!
//! | from | what |
//! |---|---|
//! | `0x3F000` | the page; never written by the board |
//! | `0x3F400`, `0x3F800` | the two seed slots |
//!
//! QEMU's flash cannot be written. There the slots are a file of 2 KiB, named by the argument `seeds=`.

use core::ffi::CStr;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use crate::clock::HERTZ;
use crate::emulator::{self, File};
use crate::register::registers;

registers! { 0x400F_D000;
    ADDRESS = 0x000,
    DATA = 0x004,
    CONTROL = 0x008,
}

registers! { 0x400F_E140;
    /// Microseconds, for the controller's own timing: megahertz less one.
    MICROSECOND = 0x0,
}

/// Where the page is.
pub const PAGE: u32 = 0x3_F000;
/// Bytes that are erased at once, and that page and slots each have.
pub const PIECE: usize = 1_024;
/// Where the first seed slot is; the second follows.
pub const SLOTS: u32 = PAGE + 1_024;

const KEY: u32 = 0xA442 << 16;
const WRITE: u32 = 1 << 0;
const ERASE: u32 = 1 << 1;

/// The part's flash, at offsets that are its addresses. Only the slots are written.
pub struct Flash {
    /// What stands for the slots, in QEMU.
    slots: Option<File>,
}

/// It could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// Not a whole number of words or pieces.
    NotAligned,
    /// Beyond the slots.
    OutOfBounds,
    /// QEMU's host did not do it.
    File,
}

impl Flash {
    /// The flash, with QEMU's file for its slots if one was given.
    pub fn new() -> Self {
        let mut line = [0; 256];
        let path: Option<&CStr> = emulator::argument("seeds=", &mut line);
        // A file that cannot be opened leaves the slots as they are in QEMU: unwritable, which is noticed.
        Self { slots: path.and_then(|path| File::open(path).ok()) }
    }
}

impl Default for Flash {
    fn default() -> Self {
        Self::new()
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::File => NorFlashErrorKind::Other,
        }
    }
}

impl From<NorFlashErrorKind> for FlashError {
    fn from(kind: NorFlashErrorKind) -> Self {
        if kind == NorFlashErrorKind::NotAligned { Self::NotAligned } else { Self::OutOfBounds }
    }
}

impl From<emulator::FileError> for FlashError {
    fn from(_: emulator::FileError) -> Self {
        Self::File
    }
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len())?;
        match (&mut self.slots, in_slots(offset, bytes.len())) {
            (Some(file), Ok(at)) => file.read(at, bytes)?,
            _ => {
                for (byte, address) in bytes.iter_mut().zip(offset as usize..) {
                    // SAFETY: within flash, as was checked, where every byte can be read. Volatile, for what
                    // is in the slots changes without the compiler's knowledge.
                    *byte = unsafe { (address as *const u8).read_volatile() };
                }
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        256 * 1_024
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PIECE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to)?;
        for piece in (from..to).step_by(PIECE) {
            let at = in_slots(piece, PIECE)?;
            if let Some(file) = &mut self.slots {
                for at in (at..).step_by(32).take(PIECE / 32) {
                    file.write(at, &[0xFF; 32])?;
                }
            } else {
                ADDRESS.write(piece);
                order(ERASE);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len())?;
        let at = in_slots(offset, bytes.len())?;
        if let Some(file) = &mut self.slots {
            return Ok(file.write(at, bytes)?);
        }
        let (words, _) = bytes.as_chunks();
        for (word, address) in words.iter().zip((offset..).step_by(4)) {
            ADDRESS.write(address);
            DATA.write(u32::from_le_bytes(*word));
            order(WRITE);
        }
        Ok(())
    }
}

/// Where in the slots these bytes are, if they are within them.
fn in_slots(offset: u32, length: usize) -> Result<u32, FlashError> {
    let at = offset.checked_sub(SLOTS).ok_or(FlashError::OutOfBounds)?;
    if at as usize + length <= 2 * PIECE { Ok(at) } else { Err(FlashError::OutOfBounds) }
}

/// Has the controller do one thing and waits for its end: 20 ms for an erasure, 20 us for a word.
fn order(what: u32) {
    MICROSECOND.write(HERTZ / 1_000_000 - 1);
    CONTROL.write(KEY | what);
    while CONTROL.read() & what != 0 {}
}
