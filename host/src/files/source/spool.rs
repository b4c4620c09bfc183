//! What a reader gives, spooled to its end before it is offered: in memory, and above [`MEMORY_MAX`] sealed in a file
//! without a name.
//!
//! A drop states its size when it is offered and is read at any offset, by several threads and for several receivers, so
//! a pipe cannot be sent as it comes. Whatever is written to the disk may stay there after it is deleted. So the file is
//! sealed under a random key that is in memory alone and is wiped with the drop: what is left on the disk opens with
//! nothing.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use deaddrop_core::crypto::cipher::CipherError;
use deaddrop_core::limits::TAG;
use deaddrop_core::secret::Secret;
use rand_core::Rng;
use zeroize::Zeroizing;

use super::SourceError;
use crate::cipher::cipher;
use crate::files::save::{MEMORY_MAX, SaveError, temporary_folder, unnamed_file};
use crate::platform::{self, FileExt, Space};
use crate::random;

/// Bytes of content in a block of the file. Each block is sealed by itself, so that a read at any offset opens those that
/// it touches alone: one record of a board, of 512 bytes, takes one block, and one of a host, of 64 KiB, takes 16.
const BLOCK: usize = 4096;
/// Bytes of a block in the file.
const SEALED: usize = BLOCK + TAG;
/// Blocks that are written, or read, in one go.
const BATCH: usize = 64;
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
        let mut file = SealedFile::create(folder)?;
        // All batches but the last are whole, so that each block but the last is.
        for batch in first.chunks(BATCH * BLOCK) {
            file.append(batch)?;
        }
        drop(first);
        loop {
            file.append(batch.get(..read).unwrap_or_default())?;
            if read < batch.len() {
                return Ok(Self(Spooled::File(file)));
            }
            read = fill(&mut reader, &mut batch)?;
        }
    }

    pub(super) fn size(&self) -> u64 {
        match &self.0 {
            Spooled::Memory(bytes) => bytes.len() as u64,
            Spooled::File(file) => file.size,
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

/// A file without a name: sealed blocks, one after the other.
struct SealedFile {
    file: File,
    folder: PathBuf,
    /// Of this file alone, so that the number of a block can be its nonce. Wiped when dropped, and in a box, so that it
    /// does not move and leave copies behind.
    key: Box<Secret<32>>,
    /// Bytes of content.
    size: u64,
}

impl SealedFile {
    fn create(folder: &Path) -> Result<Self, SourceError> {
        let file = unnamed_file(folder).map_err(|error| match error {
            SaveError::Io { error, .. } => not_spooled(folder, 0, error),
            other => not_spooled(folder, 0, io::Error::other(other)),
        })?;
        let key = Box::new(Secret::fill_with(|key| random::system().fill_bytes(key)));
        Ok(Self { file, folder: folder.to_owned(), key, size: 0 })
    }

    /// Seals these bytes behind what there is, which has to be whole blocks.
    fn append(&mut self, content: &[u8]) -> Result<(), SourceError> {
        let place = sealed_len(self.size);
        let size = self.size.saturating_add(content.len() as u64);
        let failed = |error| not_spooled(&self.folder, self.size, error);
        self.check_room(place, sealed_len(size))?;
        let mut sealed = Zeroizing::new(Vec::with_capacity(content.len().div_ceil(BLOCK) * SEALED));
        for (number, block) in (self.size / BLOCK as u64..).zip(content.chunks(BLOCK)) {
            let start = sealed.len();
            sealed.extend_from_slice(block);
            sealed.extend_from_slice(&[0; TAG]);
            let block = sealed.get_mut(start..).unwrap_or_default();
            cipher()
                .seal(&self.key, &nonce(number), block)
                .map_err(|error| failed(io::Error::other(error)))?;
        }
        self.file.write_all_at(&sealed, place).map_err(failed)?;
        self.size = size;
        Ok(())
    }

    /// Fails if the file may not grow from `place` to `end`. Checked before each write, so that a reader without an end
    /// fills no disk, and meets the limit of the size of files before the system sends a signal.
    fn check_room(&self, place: u64, end: u64) -> Result<(), SourceError> {
        if platform::file_size_limit().is_some_and(|limit| limit < end) {
            return Err(not_spooled(&self.folder, self.size, io::ErrorKind::FileTooLarge.into()));
        }
        match platform::space(&self.file) {
            Ok(space) if room(&space).is_some_and(|room| room < end.saturating_sub(place)) => {
                Err(SourceError::SpoolFull { folder: self.folder.clone(), spooled: self.size })
            }
            _ => Ok(()),
        }
    }

    /// Opens the blocks that hold the bytes from `offset` on. Fails if a block is not what was written.
    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut sealed = Zeroizing::new(Vec::new());
        while !buffer.is_empty() {
            let first = offset / BLOCK as u64;
            let behind = (first + BATCH as u64).min(end.div_ceil(BLOCK as u64));
            let place = first * SEALED as u64;
            let length = sealed_len(behind.saturating_mul(BLOCK as u64).min(self.size)) - place;
            // The first length is the longest, so that the memory is taken once.
            sealed.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
            self.file.read_exact_at(&mut sealed, place)?;
            for (number, block) in (first..).zip(sealed.chunks_mut(SEALED)) {
                cipher().open(&self.key, &nonce(number), block).map_err(altered)?;
                let within = usize::try_from(offset % BLOCK as u64).unwrap_or(usize::MAX);
                let content = block.get(within..block.len().saturating_sub(TAG)).unwrap_or_default();
                let (to, rest) = buffer.split_at_mut(content.len().min(buffer.len()));
                to.copy_from_slice(content.get(..to.len()).unwrap_or_default());
                offset += to.len() as u64;
                buffer = rest;
            }
        }
        Ok(())
    }
}

/// How long the file is with so many bytes of content.
fn sealed_len(size: u64) -> u64 {
    size.saturating_add(size.div_ceil(BLOCK as u64).saturating_mul(TAG as u64))
}

/// The nonce of a block. Each block is sealed once, and the key is of one file.
fn nonce(block: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    if let Some(number) = nonce.last_chunk_mut() {
        *number = block.to_be_bytes();
    }
    nonce
}

/// How many bytes more a file system takes of a spool. `None` if it does not know its free space: a write then fails.
fn room(space: &Space) -> Option<u64> {
    let reserve = (space.total / RESERVE_SHARE).min(RESERVE_MAX);
    space.free().map(|free| free.saturating_sub(reserve))
}

fn altered(_: CipherError) -> io::Error {
    io::Error::other("the spool was altered, or the disk gave other bytes than were written")
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
