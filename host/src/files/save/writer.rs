//! Writes to the file of an incoming drop.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use deaddrop_core::limits::RECORD_MAX;

use super::error::SaveError;
use crate::platform::FileExt;

/// Writes to the file of an incoming drop at given offsets, from several threads.
#[derive(Debug)]
pub(crate) struct PositionedWriter {
    pub(super) file: File,
    pub(super) folder: PathBuf,
    pub(super) extent: Extent,
}

impl PositionedWriter {
    /// Writes bytes of the drop at their offset in it.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.extent.size) {
            return Err(SaveError::Excess);
        }
        write_at(&self.file, &self.folder, bytes, offset, self.extent)
    }
}

/// Where a hole may be left in a file instead of zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Nothing was ever written from here on.
    pub(super) fresh: u64,
    /// The size that the file is to have.
    pub(super) size: u64,
}

impl Extent {
    /// Whether these bytes need not be written. The last ones of a file always are, so that it has its length.
    fn leaves_out(&self, bytes: &[u8], offset: u64) -> bool {
        let end = offset.saturating_add(bytes.len() as u64);
        bytes.len() >= HOLE && offset >= self.fresh && end < self.size && is_zero(bytes)
    }
}

/// Fewer zeros than this, a data record of all but small drops, are written.
const HOLE: usize = RECORD_MAX as usize;

/// Ends at the first part that is not zero, so that it costs nothing where there are no zeros.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(512).all(|part| part.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Makes a file as long as its first `stored` bytes, which end with a hole if it is shorter. Other threads may write
/// behind them meanwhile.
pub(super) fn lengthen(file: &File, stored: u64) -> io::Result<()> {
    match stored.checked_sub(1) {
        Some(last) if file.metadata()?.len() < stored => file.write_all_at(&[0], last),
        _ => Ok(()),
    }
}

pub(super) fn write_at(
    file: &File,
    folder: &Path,
    bytes: &[u8],
    offset: u64,
    extent: Extent,
) -> Result<(), SaveError> {
    if extent.leaves_out(bytes, offset) {
        return Ok(());
    }
    file.write_all_at(bytes, offset).map_err(|error| SaveError::io("write to", folder, error))
}
