//! A bundle as a tar archive, for `--out -` and other programs.

use std::io::{self, Write};

use deaddrop_core::wire::{BundleEntry, EntryKind};
use tar::{Builder, EntryType, Header};
use zeroize::Zeroizing;

use crate::files::name;
use crate::files::save::{MEMORY_MAX, SaveError, SealedWriter, Spool, temporary_folder};
use crate::files::sealed::SealedFile;
use crate::platform;

/// Bytes of a block of an archive.
const BLOCK: usize = 512;

/// The archive as it comes about. Nothing of it has a name on a disk.
pub(super) struct TarSink {
    builder: Builder<Spooling>,
    /// Bytes that the last file lacks to a whole block.
    padding: usize,
    /// The first name of the paths that come, and the harmless one that it gets.
    top: (String, String),
}

impl TarSink {
    pub(super) fn new() -> Self {
        let memory = Zeroizing::new(Vec::with_capacity(usize::try_from(MEMORY_MAX).unwrap_or(0)));
        let top = (String::new(), String::new());
        Self { builder: Builder::new(Spooling::Memory(memory)), padding: 0, top }
    }

    pub(super) fn entry(&mut self, entry: &BundleEntry<'_>) -> Result<(), SaveError> {
        self.pad()?;
        let mut header = Header::new_gnu();
        let (kind, mode, size) = match entry.kind {
            EntryKind::Folder => (EntryType::Directory, 0o700, 0),
            EntryKind::File { size, executable } => {
                (EntryType::Regular, if executable { 0o700 } else { 0o600 }, size)
            }
            EntryKind::Link { .. } => (EntryType::Symlink, 0o777, 0),
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(entry.modified.unwrap_or(0));
        let (first, rest) = entry.path.split_once('/').unwrap_or((entry.path, ""));
        if self.top.0 != first {
            self.top = (first.to_owned(), name::safe(first));
        }
        let slash = if rest.is_empty() && kind != EntryType::Directory { "" } else { "/" };
        let path = format!("{}{slash}{rest}", self.top.1);
        let path =
            if kind == EntryType::Directory { format!("{}/", path.trim_end_matches('/')) } else { path };
        let written = match entry.kind {
            EntryKind::Link { target } => self.builder.append_link(&mut header, path, target),
            // The content follows, past the builder.
            _ => self.builder.append_data(&mut header, path, io::empty()),
        };
        written.map_err(spooling)?;
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        self.padding = (BLOCK - over) % BLOCK;
        Ok(())
    }

    /// Sets aside what the last `length` bytes of the bundle, with at most `entries` entries, can take in the archive:
    /// after that nobody else can have the drop.
    pub(super) fn reserve_tail(&mut self, length: u64, entries: u64) -> Result<(), SaveError> {
        // Each entry has a header, and fills up the block that its content ends in. A path or target that does not fit
        // into the header has one of its own, and comes in blocks: three of them for the least such, of 100 bytes.
        let block = BLOCK as u64;
        let long = (length / 100).saturating_mul(3 * block).saturating_add(length);
        // Beside the content there are the padding before it, and the two blocks at the end.
        let most = length.saturating_add(long).saturating_add((2 * entries + 3) * block);
        self.builder.get_mut().reserve(most).map_err(spooling)
    }

    pub(super) fn content(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        self.builder.get_mut().write_all(bytes).map_err(spooling)
    }

    fn pad(&mut self) -> Result<(), SaveError> {
        let padding = [0; BLOCK];
        let padding = padding.get(..std::mem::take(&mut self.padding)).unwrap_or_default();
        self.builder.get_mut().write_all(padding).map_err(spooling)
    }

    /// Ends the archive.
    pub(super) fn finish(&mut self) -> Result<Spool, SaveError> {
        self.pad()?;
        let nothing = Builder::new(Spooling::Memory(Zeroizing::default()));
        match std::mem::replace(&mut self.builder, nothing).into_inner().map_err(spooling)? {
            Spooling::Memory(memory) => Ok(Spool::memory(memory)),
            Spooling::Sealed(mut sealed) => {
                sealed.close().map_err(spooling)?;
                sealed.file().sync_all().map_err(spooling)?;
                let size = sealed.size();
                Ok(Spool::sealed(SealedWriter::new(sealed, temporary_folder(), size)))
            }
        }
    }
}

fn spooling(error: io::Error) -> SaveError {
    SaveError::io("write to", &temporary_folder(), error)
}

/// Memory up to the size that a spool may have there, then a sealed file without a name.
enum Spooling {
    Memory(Zeroizing<Vec<u8>>),
    Sealed(SealedFile),
}

impl Spooling {
    /// Sets aside space for `more` bytes. In memory that is at most a few MiB, and no archive changes its place then.
    fn reserve(&mut self, more: u64) -> io::Result<()> {
        match self {
            Self::Memory(memory) => {
                let more = usize::try_from(more).map_err(io::Error::other)?;
                // The old one is wiped, which growing in place would not do.
                let mut larger =
                    Zeroizing::new(Vec::with_capacity(memory.capacity().max(memory.len() + more)));
                larger.extend_from_slice(memory);
                *memory = larger;
                Ok(())
            }
            Self::Sealed(sealed) => {
                let (place, end) = sealed.lengths(more);
                if end == place { Ok(()) } else { platform::reserve(sealed.file(), place, end - place) }
            }
        }
    }
}

impl Write for Spooling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            // The capacity was set aside, so it does not move and leave a copy behind.
            Self::Memory(memory) if memory.len() + bytes.len() <= memory.capacity() => {
                memory.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Self::Memory(memory) => {
                let mut sealed = SealedFile::create(&temporary_folder()).map_err(io::Error::other)?;
                sealed.append(memory)?;
                *self = Self::Sealed(sealed);
                self.write(bytes)
            }
            Self::Sealed(sealed) => sealed.append(bytes).map(|()| bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for TarSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TarSink").finish_non_exhaustive()
    }
}
