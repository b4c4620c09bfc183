//! A received drop that is to be read rather than saved.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::sealed::SealedWriter;
use crate::platform::FileExt;

/// A whole drop in memory or in a file without a name, where it is sealed, to be read from its start. Its memory is wiped once the last
/// clone is dropped. Each clone is read from the start, whatever was read of the others.
#[derive(Debug)]
pub struct Spool {
    spooled: Arc<Spooled>,
    position: u64,
}

#[derive(Debug)]
enum Spooled {
    Memory(Zeroizing<Vec<u8>>),
    /// A drop, or an archive.
    Sealed(SealedWriter),
    /// What an earlier process has kept.
    File(File),
}

impl Spool {
    pub(in crate::files) fn memory(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self { spooled: Arc::new(Spooled::Memory(bytes)), position: 0 }
    }

    pub(in crate::files) fn sealed(sealed: SealedWriter) -> Self {
        Self { spooled: Arc::new(Spooled::Sealed(sealed)), position: 0 }
    }

    pub(in crate::files) fn file(file: File) -> Self {
        Self { spooled: Arc::new(Spooled::File(file)), position: 0 }
    }

    /// The bytes, if they are held in memory, as those of every message are.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &*self.spooled {
            Spooled::Memory(bytes) => Some(bytes),
            Spooled::Sealed(_) | Spooled::File(_) => None,
        }
    }
}

impl Clone for Spool {
    fn clone(&self) -> Self {
        Self { spooled: Arc::clone(&self.spooled), position: 0 }
    }
}

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &*self.spooled {
            Spooled::Memory(bytes) => {
                let position = usize::try_from(self.position).unwrap_or(usize::MAX);
                bytes.get(position..).unwrap_or_default().read(buffer)?
            }
            Spooled::Sealed(sealed) => {
                let left = sealed.size().saturating_sub(self.position);
                let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                sealed.read_at(self.position, buffer.get_mut(..length).unwrap_or_default())?;
                length
            }
            // At a place, as the clones share the place of the file.
            Spooled::File(file) => file.read_at(buffer, self.position)?,
        };
        self.position = self.position.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}
