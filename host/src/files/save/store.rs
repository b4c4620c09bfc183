//! Where the bytes of an incoming drop are kept: in memory, in a file without a name, or in a part file.

use std::fs::File;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use zeroize::Zeroizing;

use super::Folder;
use super::error::SaveError;
use super::part::{Part, hidden_name, space};
use super::record::{Entry, Record};
use super::sealed::SealedWriter;
use crate::files::sealed::{SealedFile, sealed_len};
use crate::platform::{self, sync_folder};

/// A spooled drop of up to this size is held in memory and never touches a disk.
pub(in crate::files) const MEMORY_MAX: u64 = 1024 * 1024;
/// What is here of a drop is not kept when its fetch ends, if it is less than this: it is soon fetched again.
pub(in crate::files) const KEPT_MIN: u64 = 8 * 1024 * 1024;

/// Where the bytes of a drop are.
pub(super) enum Store {
    Memory(Zeroizing<Vec<u8>>),
    /// A file without a name, sealed, and gone when it is closed.
    Sealed(SealedWriter),
    Part(Part),
    /// A spooled drop that an earlier process received whole and could not put out.
    Kept(Part),
}

/// Where a drop goes that is to be read: to memory, or to a file that has no name any more, so that nothing is left of
/// it whatever happens. Of its bytes, `needed` need space.
pub(super) fn spool(size: u64) -> Result<Store, SaveError> {
    if size <= MEMORY_MAX {
        let capacity = usize::try_from(size).map_err(|_| SaveError::TooLarge)?;
        return Ok(Store::Memory(Zeroizing::new(Vec::with_capacity(capacity))));
    }
    sealed(&temporary_folder(), size)
}

/// The folder for temporary files. An empty name of it is none, as other programs take it.
pub(in crate::files) fn temporary_folder() -> PathBuf {
    let folder = std::env::temp_dir();
    if folder.as_os_str().is_empty() { PathBuf::from("/tmp") } else { folder }
}

pub(super) fn sealed(folder: &Path, size: u64) -> Result<Store, SaveError> {
    // A block of zeros is sealed like any other, so there are no holes.
    let length = sealed_len(size);
    space(&open_dir(folder)?, folder, length, length)?;
    let file = SealedFile::create(folder)?;
    Ok(Store::Sealed(SealedWriter::new(file, folder.to_owned(), size)))
}

/// A file that has no name, or loses it at once.
pub(in crate::files) fn unnamed_file(folder: &Path) -> Result<File, SaveError> {
    let (dir, name) = (open_dir(folder)?, hidden_name("")?);
    platform::make_unnamed(&dir, &name).map_err(|error| SaveError::io("make a file in", folder, error))
}

fn open_dir(folder: &Path) -> Result<Dir, SaveError> {
    Dir::open_ambient_dir(folder, ambient_authority())
        .map_err(|error| SaveError::io("open the folder", folder, error))
}

/// The part file of a drop, and its record. Of its bytes, `needed` need space.
pub(super) fn part_and_record(
    folder: &Folder,
    wanted: String,
    entry: Entry,
    needed: u64,
) -> Result<(Part, Record), SaveError> {
    let Folder { dir, path, .. } = folder;
    let size = entry.size;
    space(dir, path, size, needed)?;
    let (mut record, hidden) = Record::create_for(dir, path, &wanted, entry)?;
    let part = Part::create(dir, path, &hidden, wanted).and_then(|part| {
        record.entry.part = part.identity();
        // On the disk before there is much else to be written before it.
        let written = if size >= KEPT_MIN {
            let written = record.write_durably();
            sync_folder(dir);
            written
        } else {
            record.write()
        };
        match written {
            Ok(()) => Ok(part),
            Err(error) => {
                part.remove();
                Err(SaveError::io("write to", path, error))
            }
        }
    });
    if part.is_err() {
        record.remove();
    }
    part.map(|part| (part, record))
}
