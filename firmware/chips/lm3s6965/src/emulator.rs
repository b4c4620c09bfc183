//! Detects QEMU, and uses its semihosting: a file, a command-line argument, an exit code.
//!
//! A semihosting call is a breakpoint instruction, which is a hard fault on a part without a debugger. So each function
//! here checks first that it runs in QEMU.

use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::{syscall, syscall1};

use crate::register::registers;

registers! { 0x400F_D000;
    /// Address register of the flash controller, of which QEMU has no model: it reads as 0 there.
    FLASH_ADDRESS = 0x000,
}

/// Whether this is QEMU.
pub fn is_there() -> bool {
    const PROBE: u32 = 0x1_5A54;
    FLASH_ADDRESS.write(PROBE);
    FLASH_ADDRESS.read() != PROBE
}

/// Ends QEMU with exit code 1; returns on the part.
pub fn fail() {
    if is_there() {
        debug::exit(EXIT_FAILURE);
    }
}

/// Ends QEMU with exit code 0; returns on the part.
pub fn succeed() {
    if is_there() {
        debug::exit(EXIT_SUCCESS);
    }
}

/// Copies the guest's command line, given to QEMU with `-semihosting-config arg=`, into `buffer`, and gives what follows
/// `name` up to its end, with a NUL, ready for [`File::open`].
pub fn argument<'a>(name: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    if !is_there() {
        return None;
    }
    let mut block = [buffer.as_mut_ptr() as usize, buffer.len()];
    // SAFETY: the call writes a string and its NUL into the buffer, not beyond the length given, and the
    // string's length into the block. Both live until it returns.
    let failed = unsafe { syscall1!(GET_CMDLINE, block.as_mut_ptr()) };
    let [_, length] = block;
    let line = buffer.get(..=length)?;
    // Not `str::find`, nor `CStr`, which take 1,200 bytes of flash.
    let at = line.windows(name.len()).position(|part| part == name.as_bytes())?;
    if failed == 0 { line.get(at + name.len()..) } else { None }
}

/// A file of QEMU's host, open for reading and writing.
pub struct File(usize);

/// The host of QEMU reported an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileError;

impl File {
    /// Opens a file that exists. `path` ends with a NUL.
    pub fn open(path: &[u8]) -> Result<Self, FileError> {
        const READ_AND_WRITE: usize = 3;
        if !is_there() || path.last() != Some(&0) {
            return Err(FileError);
        }
        // SAFETY: the path ends with the NUL that the call wants, and outlives it.
        match unsafe { syscall!(OPEN, path.as_ptr(), READ_AND_WRITE, path.len() - 1) } {
            usize::MAX => Err(FileError),
            handle => Ok(Self(handle)),
        }
    }

    /// Reads all of `bytes` from `offset` on.
    pub fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FileError> {
        self.seek(offset)?;
        // SAFETY: the call writes into `bytes` alone, and is over when it returns.
        let missing = unsafe { syscall!(READ, self.0, bytes.as_mut_ptr(), bytes.len()) };
        if missing == 0 { Ok(()) } else { Err(FileError) }
    }

    /// Writes all of `bytes` at `offset`.
    pub fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FileError> {
        self.seek(offset)?;
        // SAFETY: the call reads `bytes`, and is over when it returns.
        let missing = unsafe { syscall!(WRITE, self.0, bytes.as_ptr(), bytes.len()) };
        if missing == 0 { Ok(()) } else { Err(FileError) }
    }

    fn seek(&mut self, offset: u32) -> Result<(), FileError> {
        // SAFETY: the call takes two numbers.
        let failed = unsafe { syscall!(SEEK, self.0, offset) };
        if failed == 0 { Ok(()) } else { Err(FileError) }
    }
}
