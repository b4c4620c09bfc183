//! The last erase blocks of flash: the provisioning record, the two seed slots, and values that a product keeps.
//!
//! | from | what |
//! |---|---|
//! | `0x3E800` | values, 2 KiB, of a product whose image leaves this room |
//! | `0x3F000` | the provisioning record; never written by the board |
//! | `0x3F400`, `0x3F800` | the two seed slots |
//!
//! QEMU's flash cannot be written. There a file, named by the argument `seeds=`, stands for the slots with its first 2 KiB,
//! and for the values with what follows.

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

/// Bytes of both.
const SLOTS_LEN: u32 = 2 * 1_024;
/// Address of the values.
pub const VALUES: u32 = 0x3_E800;
/// Bytes of the values: two erase blocks.
pub const VALUES_LEN: u32 = 2 * 1_024;

const KEY: u32 = 0xA442 << 16;
const WRITE: u32 = 1 << 0;
const ERASE: u32 = 1 << 1;

/// The flash with the seed slots.
pub type Flash = FlashRange<SLOTS, SLOTS_LEN, 0>;
/// The flash with the values.
pub type ValuesFlash = FlashRange<VALUES, VALUES_LEN, SLOTS_LEN>;

/// The flash, at offsets that are its addresses. Writes and erasures outside of `LENGTH` bytes from `FROM` on are refused.
/// In QEMU the file has them from `IN_FILE` on.
pub struct FlashRange<const FROM: u32, const LENGTH: u32, const IN_FILE: u32> {
    /// Holds the range, in QEMU.
    file: Option<File>,
}

/// Why a flash operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// Offset or length is not a multiple of the word or of the erase block.
    NotAligned,
    /// Outside the flash, or a write outside the range.
    OutOfBounds,
    /// The host of QEMU reported an error.
    File,
}

impl<const FROM: u32, const LENGTH: u32, const IN_FILE: u32> FlashRange<FROM, LENGTH, IN_FILE> {
    /// The flash; in QEMU with the file of the argument `seeds=` in place of the range.
    pub fn new() -> Self {
        let mut line = [0; 256];
        let path = emulator::argument("seeds=", &mut line);
        // If the file cannot be opened, the range is QEMU's flash: writes do not stick, which `boot` notices.
        Self { file: path.and_then(|path| File::open(path).ok()) }
    }

    /// The offset into the range of these bytes, if they are inside.
    fn inside(offset: u32, length: usize) -> Result<u32, FlashError> {
        let at = offset.checked_sub(FROM).ok_or(FlashError::OutOfBounds)?;
        if at as usize + length <= LENGTH as usize { Ok(at) } else { Err(FlashError::OutOfBounds) }
    }
}

impl<const FROM: u32, const LENGTH: u32, const IN_FILE: u32> Default for FlashRange<FROM, LENGTH, IN_FILE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const FROM: u32, const LENGTH: u32, const IN_FILE: u32> ErrorType for FlashRange<FROM, LENGTH, IN_FILE> {
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

impl<const FROM: u32, const LENGTH: u32, const IN_FILE: u32> ReadNorFlash
    for FlashRange<FROM, LENGTH, IN_FILE>
{
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len())?;
        match (&mut self.file, Self::inside(offset, bytes.len())) {
            (Some(file), Ok(at)) => file.read(IN_FILE + at, bytes)?,
            _ => {
                for (byte, address) in bytes.iter_mut().zip(offset as usize..) {
                    // SAFETY: inside the flash, as was checked, where every byte can be read. Volatile, because the
                    // flash controller changes the range without the compiler's knowledge.
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

impl<const FROM: u32, const LENGTH: u32, const IN_FILE: u32> NorFlash for FlashRange<FROM, LENGTH, IN_FILE> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PIECE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to)?;
        for piece in (from..to).step_by(PIECE) {
            let at = Self::inside(piece, PIECE)?;
            if let Some(file) = &mut self.file {
                for at in (IN_FILE + at..).step_by(32).take(PIECE / 32) {
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
        let at = Self::inside(offset, bytes.len())?;
        if let Some(file) = &mut self.file {
            return Ok(file.write(IN_FILE + at, bytes)?);
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

/// Starts one operation of the controller and waits for it: 20 ms for an erasure, 20 us for a word.
fn order(what: u32) {
    MICROSECOND.write(HERTZ / 1_000_000 - 1);
    CONTROL.write(KEY | what);
    while CONTROL.read() & what != 0 {}
}
