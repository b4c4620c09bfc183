//! Writes to the file of an incoming drop.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::error::SaveError;
use crate::platform::FileExt;

/// Writes to the file of an incoming drop at given offsets, from several threads.
#[derive(Debug)]
pub(crate) struct PositionedWriter {
    pub(super) file: File,
    pub(super) folder: PathBuf,
    pub(super) size: u64,
}

impl PositionedWriter {
    /// Writes bytes of the drop at their offset in it.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return Err(SaveError::Excess);
        }
        write_at(&self.file, &self.folder, bytes, offset)
    }
}

pub(super) fn write_at(file: &File, folder: &Path, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
    file.write_all_at(bytes, offset).map_err(|error| SaveError::io("write to", folder, error))
}
