//! What a reader gives, spooled to its end before it is offered: in memory, and above [`MEMORY_MAX`] sealed in a file
//! without a name.
//!
//! A drop states its size when it is offered and is read at any offset, by several threads and for several receivers, so
//! a pipe cannot be sent as it comes.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::SourceError;
use crate::files::save::{MEMORY_MAX, SaveError, temporary_folder};
use crate::files::sealed::{BATCH, BLOCK, SealedFile};
use crate::platform::{self, Space};

/// A sealed spool leaves a tenth of its file system free for other programs.
const RESERVE_SHARE: u64 = 10;
/// Most bytes that a sealed spool leaves free.
const RESERVE_MAX: u64 = 1024 * 1024 * 1024;

/// The content of a file drop that a reader gave.
pub(crate) struct SourceSpool(Spooled);

enum Spooled {
    Memory(Zeroizing<Vec<u8>>),
    File(SealedFile),
}

impl SourceSpool {
    /// Reads to the end, into memory or into a file in the system's folder for temporary files.
    pub(crate) fn from_reader(reader: impl Read) -> Result<Self, SourceError> {
        Self::spool(reader, &temporary_folder())
    }

    fn spool(mut reader: impl Read, folder: &Path) -> Result<Self, SourceError> {
        // The buffers never grow, which would leave a copy behind.
        let mut first = Zeroizing::new(vec![0; usize::try_from(MEMORY_MAX).unwrap_or(usize::MAX)]);
        let read = fill(&mut reader, &mut first)?;
        if read < first.len() {
            // Truncating keeps the memory, and zeroize wipes all of it.
            first.truncate(read);
            return Ok(Self(Spooled::Memory(first)));
        }
        let mut batch = Zeroizing::new(vec![0; BATCH * BLOCK]);
        let mut read = fill(&mut reader, &mut batch)?;
        if read == 0 {
            return Ok(Self(Spooled::Memory(first)));
        }
        let mut spooling = Spooling::create(folder)?;
        spooling.append(&first)?;
        drop(first);
        loop {
            spooling.append(batch.get(..read).unwrap_or_default())?;
            if read < batch.len() {
                let Spooling { mut file, folder } = spooling;
                file.close().map_err(|error| not_spooled(&folder, file.size(), error))?;
                return Ok(Self(Spooled::File(file)));
            }
            read = fill(&mut reader, &mut batch)?;
        }
    }

    pub(super) fn size(&self) -> u64 {
        match &self.0 {
            Spooled::Memory(bytes) => bytes.len() as u64,
            Spooled::File(file) => file.size(),
        }
    }

    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.0 {
            Spooled::Memory(bytes) => super::copy_part(bytes, offset, buffer),
            Spooled::File(file) => file.read_at(offset, buffer),
        }
    }
}

impl fmt::Debug for SourceSpool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSpool").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// Reads until the buffer is full or the reader ends. Returns how many bytes came.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, SourceError> {
    let mut length = 0;
    while let Some(rest @ [_, ..]) = buffer.get_mut(length..) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(SourceError::InputUnreadable(error)),
        }
    }
    Ok(length)
}

/// A sealed file, and where it is.
struct Spooling {
    file: SealedFile,
    folder: PathBuf,
}

impl Spooling {
    fn create(folder: &Path) -> Result<Self, SourceError> {
        let file = SealedFile::create(folder).map_err(|error| match error {
            SaveError::Io { error, .. } => not_spooled(folder, 0, error),
            other => not_spooled(folder, 0, io::Error::other(other)),
        })?;
        Ok(Self { file, folder: folder.to_owned() })
    }

    fn append(&mut self, content: &[u8]) -> Result<(), SourceError> {
        let size = self.file.size();
        let (place, end) = self.file.lengths(content.len() as u64);
        self.check_room(place, end)?;
        self.file.append(content).map_err(|error| not_spooled(&self.folder, size, error))
    }

    /// Fails if the file may not grow from `place` to `end`. Checked before each write, so that a reader without an end
    /// fills no disk, and meets the limit of the size of files before the system sends a signal.
    fn check_room(&self, place: u64, end: u64) -> Result<(), SourceError> {
        let spooled = self.file.size();
        if platform::file_size_limit().is_some_and(|limit| limit < end) {
            return Err(not_spooled(&self.folder, spooled, io::ErrorKind::FileTooLarge.into()));
        }
        match platform::space(self.file.file()) {
            Ok(space) if room(&space).is_some_and(|room| room < end.saturating_sub(place)) => {
                Err(SourceError::SpoolFull { folder: self.folder.clone(), spooled })
            }
            _ => Ok(()),
        }
    }
}

/// How many bytes more a file system takes of a spool. `None` if it does not know its free space: a write then fails.
fn room(space: &Space) -> Option<u64> {
    let reserve = (space.total / RESERVE_SHARE).min(RESERVE_MAX);
    space.free().map(|free| free.saturating_sub(reserve))
}

fn not_spooled(folder: &Path, spooled: u64, error: io::Error) -> SourceError {
    let folder = folder.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            SourceError::SpoolFull { folder, spooled }
        }
        _ => SourceError::NotSpooled { folder, error },
    }
}

#[cfg(test)]
mod tests;
