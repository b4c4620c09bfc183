//! A file without a name, sealed under a random key that is in memory alone.
//!
//! Whatever is written to a disk may stay there after it is deleted. What is left of such a file opens with nothing once its
//! key is wiped.
//!
//! Content is only ever appended, and a block is sealed when it is whole, so that no nonce comes twice. What does not fill a
//! block is in memory until all is there.

use std::fs::File;
use std::io;
use std::path::Path;

use deaddrop_core::crypto::cipher::CipherError;
use deaddrop_core::limits::TAG;
use deaddrop_core::secret::Secret;
use rand_core::Rng;
use zeroize::{Zeroize, Zeroizing};

use super::save::{SaveError, unnamed_file};
use crate::cipher::cipher;
use crate::platform::FileExt;
use crate::random;

/// Bytes of content in a block of the file. Each block is sealed by itself, so that a read at any offset opens those that
/// it touches alone: one record of a board, of 512 bytes, takes one block, and one of a host, of 64 KiB, takes 16.
pub(super) const BLOCK: usize = 4096;
/// Bytes of a block in the file.
pub(super) const SEALED: usize = BLOCK + TAG;
/// Blocks that are written, or read, in one go.
pub(super) const BATCH: usize = 64;

/// Sealed blocks, one after the other, and what does not fill one.
pub(super) struct SealedFile {
    file: File,
    /// Of this file alone, so that the number of a block can be its nonce. Wiped when dropped, and in a box, so that it
    /// does not move and leave copies behind.
    key: Box<Secret<32>>,
    /// Whole blocks in the file.
    blocks: u64,
    /// Bytes of content in the block behind them, with which the file ends.
    last: usize,
    /// The content behind them that is still in memory. Its capacity is a block, so it does not move either.
    tail: Zeroizing<Vec<u8>>,
    /// Blocks on their way into the file.
    sealing: Zeroizing<Vec<u8>>,
    /// All is there; or a write has failed, and what it has sealed may be on the disk. No block has one of the next numbers.
    closed: bool,
}

impl SealedFile {
    pub(super) fn create(folder: &Path) -> Result<Self, SaveError> {
        let file = unnamed_file(folder)?;
        let key = Box::new(Secret::fill_with(|key| random::system().fill_bytes(key)));
        let [tail, sealing] = [BLOCK, BATCH * SEALED].map(|len| Zeroizing::new(Vec::with_capacity(len)));
        Ok(Self { file, key, blocks: 0, last: 0, tail, sealing, closed: false })
    }

    /// Bytes of content.
    pub(super) fn size(&self) -> u64 {
        self.in_file().saturating_add(self.tail.len() as u64)
    }

    /// Bytes of content in the file.
    fn in_file(&self) -> u64 {
        self.blocks.saturating_mul(BLOCK as u64).saturating_add(self.last as u64)
    }

    /// How long the file is now, and with so many more bytes of content.
    pub(super) fn lengths(&self, more: u64) -> (u64, u64) {
        (sealed_len(self.in_file()), sealed_len(self.size().saturating_add(more)))
    }

    /// The file, to ask the system about it.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Adds these bytes. After an error nothing can be added any more.
    pub(super) fn append(&mut self, mut content: &[u8]) -> io::Result<()> {
        self.open()?;
        while self.tail.len() + content.len() >= BLOCK {
            let (place, _) = self.lengths(0);
            self.sealing.clear();
            for number in (self.blocks..).take(BATCH) {
                let Some((rest, behind)) = content.split_at_checked(BLOCK - self.tail.len()) else { break };
                self.seal(rest, number)?;
                content = behind;
                self.blocks = number + 1;
            }
            self.file.write_all_at(&self.sealing, place)?;
        }
        self.tail.extend_from_slice(content);
        self.closed = false;
        Ok(())
    }

    /// Writes what fills no block too: all is there.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.open()?;
        let (length, (place, _)) = (self.tail.len(), self.lengths(0));
        if length > 0 {
            self.sealing.clear();
            self.seal(&[], self.blocks)?;
            self.file.write_all_at(&self.sealing, place)?;
            self.last = length;
        }
        Ok(())
    }

    /// Closed until what is to be written is written.
    fn open(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.closed, true) {
            return Err(io::Error::other("nothing can be added to it after a write that failed"));
        }
        Ok(())
    }

    /// Seals what is in memory, and the rest of its block, behind what is on its way into the file.
    fn seal(&mut self, rest: &[u8], number: u64) -> io::Result<()> {
        let start = self.sealing.len();
        for part in [&self.tail, rest, &[0; TAG]] {
            self.sealing.extend_from_slice(part);
        }
        self.tail.as_mut_slice().zeroize();
        self.tail.clear();
        let block = self.sealing.get_mut(start..).unwrap_or_default();
        cipher().seal(&self.key, &nonce(number), block).map_err(io::Error::other)
    }

    /// Reads the bytes from `offset` on. Fails if a block is not what was written.
    pub(super) fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?.min(self.in_file());
        let mut sealed = Zeroizing::new(Vec::new());
        while offset < end {
            let first = offset / BLOCK as u64;
            let behind = (first + BATCH as u64).min(end.div_ceil(BLOCK as u64));
            let place = first * SEALED as u64;
            let length = sealed_len(behind.saturating_mul(BLOCK as u64).min(self.in_file())) - place;
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
        let within = usize::try_from(offset.saturating_sub(self.in_file())).unwrap_or(usize::MAX);
        let tail = self.tail.get(within..).and_then(|tail| tail.get(..buffer.len()));
        buffer.copy_from_slice(tail.unwrap_or_default());
        Ok(())
    }
}

/// How long the file is with so many bytes of content.
pub(super) const fn sealed_len(size: u64) -> u64 {
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

fn altered(_: CipherError) -> io::Error {
    io::Error::other("the spool was altered, or the disk gave other bytes than were written")
}

#[cfg(test)]
pub(super) mod tests;
