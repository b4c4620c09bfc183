//! The last erase blocks of flash: the provisioning record and the two seed slots.
//!
//! | from | what |
//! |---|---|
//! | `0x3F000` | the provisioning record; never written by the board |
//! | `0x3F400`, `0x3F800` | the two seed slots |
//!
//! QEMU's flash cannot be written. There the slots are a file of 2 KiB, named by the argument `seeds=`.

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
    /// Clock cycles of a microsecond less one, for the controller's timing.
    MICROSECOND = 0x0,
}

/// Address of the provisioning record.
pub const RECORD: u32 = 0x3_F000;
/// Bytes of an erase block: provisioning record and slots have one each.
pub const PIECE: usize = 1_024;
/// Address of the first seed slot. The second follows it.
pub const SLOTS: u32 = RECORD + 1_024;

const KEY: u32 = 0xA442 << 16;
const WRITE: u32 = 1 << 0;
const ERASE: u32 = 1 << 1;

/// The flash, at offsets that are its addresses. Writes and erasures outside the slots are refused.
pub struct Flash {
    /// Holds the slots, in QEMU.
    slots: Option<File>,
}

/// Why a flash operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// Offset or length is not a multiple of the word or of the erase block.
    NotAligned,
    /// Outside the flash, or a write outside the slots.
    OutOfBounds,
    /// The host of QEMU reported an error.
    File,
}

impl Flash {
    /// The flash; in QEMU with the file of the argument `seeds=` in place of the slots.
    pub fn new() -> Self {
        let mut line = [0; 256];
        let path = emulator::argument("seeds=", &mut line);
        // If the file cannot be opened, the slots are QEMU's flash: writes do not stick, which `boot` notices.
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
                    // SAFETY: inside the flash, as was checked, where every byte can be read. Volatile, because the
                    // flash controller changes the slots without the compiler's knowledge.
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

/// The offset into the slots of these bytes, if they are inside.
fn in_slots(offset: u32, length: usize) -> Result<u32, FlashError> {
    let at = offset.checked_sub(SLOTS).ok_or(FlashError::OutOfBounds)?;
    if at as usize + length <= 2 * PIECE { Ok(at) } else { Err(FlashError::OutOfBounds) }
}

/// Starts one operation of the controller and waits for it: 20 ms for an erasure, 20 us for a word.
fn order(what: u32) {
    MICROSECOND.write(HERTZ / 1_000_000 - 1);
    CONTROL.write(KEY | what);
    while CONTROL.read() & what != 0 {}
}
