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
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_write,
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
pub const PAGE: usize = 0x3_F000;
/// Bytes that are erased at once, and that page and slots each have.
pub const PIECE: usize = 1_024;
/// Where the first seed slot is; the second follows.
pub const SLOTS: usize = PAGE + PIECE;

const KEY: u32 = 0xA442 << 16;
const WRITE: u32 = 1 << 0;
const ERASE: u32 = 1 << 1;

/// The flash piece that the board's page is in.
pub fn page() -> &'static [u8; PIECE] {
    // SAFETY: this is flash, below its end and beyond the image (see the board's memory.x), so it is readable and
    // initialised; nothing writes it, since `SeedFlash` stays within the slots.
    unsafe { &*(PAGE as *const [u8; PIECE]) }
}

/// The two seed slots, from offset 0 on.
pub enum SeedFlash {
    /// In the part's flash.
    Part,
    /// In a file of QEMU's host.
    File(File),
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

impl SeedFlash {
    /// The file that QEMU was given, if it was; else the part's flash.
    pub fn new() -> Self {
        let mut line = [0; 256];
        let path: Option<&CStr> = emulator::argument("seeds=", &mut line);
        match path.map(File::open) {
            Some(Ok(file)) => Self::File(file),
            Some(Err(_)) | None => Self::Part,
        }
    }
}

impl Default for SeedFlash {
    fn default() -> Self {
        Self::new()
    }
}

impl ErrorType for SeedFlash {
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

impl ReadNorFlash for SeedFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        embedded_storage::nor_flash::check_read(self, offset, bytes.len())?;
        match self {
            Self::Part => {
                let from = SLOTS + offset as usize;
                for (byte, address) in bytes.iter_mut().zip(from..) {
                    // SAFETY: within the slots, as was checked, and so within flash. Volatile, for what is there changes
                    // without the compiler's knowledge.
                    *byte = unsafe { (address as *const u8).read_volatile() };
                }
                Ok(())
            }
            Self::File(file) => Ok(file.read(offset, bytes)?),
        }
    }

    fn capacity(&self) -> usize {
        2 * PIECE
    }
}

impl NorFlash for SeedFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PIECE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to)?;
        for offset in (from..to).step_by(PIECE) {
            match self {
                Self::Part => {
                    ADDRESS.write(address(offset));
                    order(ERASE);
                }
                Self::File(file) => {
                    for at in (offset..).step_by(32).take(PIECE / 32) {
                        file.write(at, &[0xFF; 32])?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len())?;
        match self {
            Self::Part => {
                let (words, _) = bytes.as_chunks();
                for (word, at) in words.iter().zip((offset..).step_by(4)) {
                    ADDRESS.write(address(at));
                    DATA.write(u32::from_le_bytes(*word));
                    order(WRITE);
                }
                Ok(())
            }
            Self::File(file) => Ok(file.write(offset, bytes)?),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a constant of 18 bits")]
fn address(offset: u32) -> u32 {
    SLOTS as u32 + offset
}

/// Has the controller do one thing and waits for its end: 20 ms for an erasure, 20 us for a word.
fn order(what: u32) {
    MICROSECOND.write(HERTZ / 1_000_000 - 1);
    CONTROL.write(KEY | what);
    while CONTROL.read() & what != 0 {}
}
