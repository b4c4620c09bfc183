//! A drop that is being received.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::limits::NAME_MAX;
use deaddrop_core::offer::{Name, numbered};
use log::debug;
use rustix::fs::{AtFlags, FallocateFlags, Mode, RenameFlags, StatVfs};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use zeroize::{Zeroize, Zeroizing};

use super::error::SaveError;
use super::{Destination, Folder, Place};
use crate::files::name;

/// A spooled drop of up to this size is held in memory and never touches a disk.
const MEMORY_MAX: u64 = 1024 * 1024;
/// How many other names are tried for a file whose own is taken.
const NAMES_MAX: u16 = 9_999;

/// A drop that is being received. Dropping it before [`finish`](Self::finish) removes all traces of it.
#[derive(Debug)]
pub(crate) struct Incoming {
    store: Store,
    size: u64,
    stored: u64,
}

#[derive(Debug)]
enum Store {
    Memory(Zeroizing<Vec<u8>>),
    /// A file without a name, gone when it is closed.
    Unnamed {
        file: File,
        folder: PathBuf,
    },
    Part(Part),
}

/// The file that becomes the received one.
#[derive(Debug)]
struct Part {
    file: File,
    dir: Dir,
    folder: PathBuf,
    /// Its name as long as it is a part; `None` once it has its own.
    temporary: Option<String>,
    wanted: String,
}

/// Writes to the file of an incoming drop at given offsets, from several threads.
#[derive(Debug)]
pub(crate) struct PositionedWriter {
    file: File,
    folder: PathBuf,
    size: u64,
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

fn write_at(file: &File, folder: &Path, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
    file.write_all_at(bytes, offset).map_err(|error| SaveError::io("write to", folder, error))
}

/// Where a drop is that has arrived whole.
#[derive(Debug)]
pub(crate) enum Finished {
    /// Under this path.
    Saved(PathBuf),
    /// In memory or in a file without a name.
    Spooled(Spool),
}

/// A whole drop in memory or in a file without a name, to be read from its start. Its memory is wiped when dropped.
#[derive(Debug)]
pub struct Spool(Spooled);

#[derive(Debug)]
enum Spooled {
    Memory(Cursor<Zeroizing<Vec<u8>>>),
    File(File),
}

impl Spool {
    /// The bytes, if they are held in memory, as those of every message are.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.0 {
            Spooled::Memory(cursor) => Some(cursor.get_ref()),
            Spooled::File(_) => None,
        }
    }
}

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Spooled::Memory(cursor) => {
                let rest = cursor.get_ref().get(usize::try_from(cursor.position()).unwrap_or(usize::MAX)..);
                let read = rest.unwrap_or_default().read(buffer)?;
                cursor
                    .set_position(cursor.position().saturating_add(u64::try_from(read).unwrap_or(u64::MAX)));
                Ok(read)
            }
            Spooled::File(file) => file.read(buffer),
        }
    }
}

impl Incoming {
    /// Makes room for a drop of `size` bytes that its sender calls `name`. Nothing shows under that
    /// name yet.
    pub(crate) fn create(destination: &Destination, name: &Name, size: u64) -> Result<Self, SaveError> {
        let store = match &destination.0 {
            Place::Spool if size <= MEMORY_MAX => {
                let capacity = usize::try_from(size).map_err(|_| SaveError::TooLarge)?;
                Store::Memory(Zeroizing::new(Vec::with_capacity(capacity)))
            }
            Place::Spool => unnamed(&std::env::temp_dir(), size)?,
            Place::Folder(folder) => Store::Part(Part::create(folder, name, size)?),
        };
        // Without name and folder.
        let place = match &store {
            Store::Memory(_) => "memory",
            Store::Unnamed { .. } => "a file without a name",
            Store::Part(_) => "a part file",
        };
        debug!("files: {size} bytes go to {place}");
        Ok(Self { store, size, stored: 0 })
    }

    /// Adds the next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        let stored = u64::try_from(bytes.len()).ok().and_then(|more| self.stored.checked_add(more));
        let stored = stored.filter(|stored| *stored <= self.size).ok_or(SaveError::Excess)?;
        match &mut self.store {
            // The capacity was set aside, so it does not move and leave a copy behind.
            Store::Memory(memory) => memory.extend_from_slice(bytes),
            Store::Unnamed { file, folder } => write_at(file, folder, bytes, self.stored)?,
            Store::Part(part) => write_at(&part.file, &part.folder, bytes, self.stored)?,
        }
        self.stored = stored;
        Ok(())
    }

    /// A writer to the drop's file for threads that store parts of it out of order. `None` if the drop goes to memory,
    /// or the system has no descriptor left.
    pub(crate) fn writer(&self) -> Option<PositionedWriter> {
        let (file, folder) = match &self.store {
            Store::Memory(_) => return None,
            Store::Unnamed { file, folder } => (file, folder),
            Store::Part(part) => (&part.file, &part.folder),
        };
        Some(PositionedWriter { file: file.try_clone().ok()?, folder: folder.clone(), size: self.size })
    }

    /// Counts the next `bytes` bytes as stored: a [writer](Self::writer) has written all of them.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.stored = self.stored.saturating_add(bytes).min(self.size);
    }

    /// Goes back to the first `stored` bytes: what comes next belongs after them.
    pub(crate) fn rewind(&mut self, stored: u64) {
        self.stored = self.stored.min(stored);
        if let Store::Memory(memory) = &mut self.store {
            let kept = usize::try_from(self.stored).unwrap_or(usize::MAX).min(memory.len());
            // `truncate` would leave the bytes behind it unwiped.
            memory.get_mut(kept..).unwrap_or_default().zeroize();
            memory.truncate(kept);
        }
    }

    /// The digest by which a sender tells that the first `offset` bytes are its drop's; `None` for none, or if they
    /// cannot be read back.
    pub(crate) fn prefix_digest(&self, offset: u64) -> Option<[u8; 32]> {
        if offset == 0 || offset > self.stored {
            return None;
        }
        let mut digest = PrefixDigest::new(offset);
        let range = digest.range();
        let len = usize::try_from(range.end - range.start).ok()?;
        match &self.store {
            Store::Memory(memory) => {
                let start = usize::try_from(range.start).ok()?;
                digest.update(memory.get(start..start.checked_add(len)?)?);
            }
            Store::Unnamed { file, .. } | Store::Part(Part { file, .. }) => {
                let mut bytes = Zeroizing::new(vec![0; len]);
                file.read_exact_at(&mut bytes, range.start).ok()?;
                digest.update(&bytes);
            }
        }
        Some(digest.finish())
    }

    /// How many bytes have been added.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// The size of the drop.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Tries what can still fail before the sender is asked for the last `length` bytes: that the part file has its
    /// name, that the file system takes the drop's name, and that there is space on the disk for the bytes. A file
    /// system that cannot promise space is believed.
    pub(crate) fn reserve_tail(&self, length: u64) -> Result<(), SaveError> {
        if let Store::Part(part) = &self.store {
            part.check_name()?;
            part.try_wanted_name()?;
        }
        let (file, folder) = match &self.store {
            Store::Memory(_) => return Ok(()),
            Store::Unnamed { file, folder } => (file, folder),
            Store::Part(part) => (&part.file, &part.folder),
        };
        if length == 0 {
            return Ok(());
        }
        match retry(|| rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, self.stored, length)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(Errno::NOSPC | Errno::DQUOT) => {
                Err(SaveError::NoSpace { folder: folder.clone(), needed: length })
            }
            Err(error) => Err(SaveError::io("write to", folder, error.into())),
        }
    }

    /// Puts the drop in its place: every byte on the disk, then its name, then the name on the disk.
    ///
    /// Returns the path it has at last, which differs from the one it was to have when that was taken.
    pub(crate) fn finish(self) -> Result<Finished, SaveError> {
        if self.stored != self.size {
            return Err(SaveError::Truncated { stored: self.stored, size: self.size });
        }
        match self.store {
            Store::Memory(memory) => Ok(Finished::Spooled(Spool(Spooled::Memory(Cursor::new(memory))))),
            Store::Unnamed { mut file, folder } => {
                file.sync_all()
                    .and_then(|()| file.rewind())
                    .map_err(|error| SaveError::io("write to", &folder, error))?;
                Ok(Finished::Spooled(Spool(Spooled::File(file))))
            }
            Store::Part(part) => part.finish().map(Finished::Saved),
        }
    }
}

impl Part {
    fn create(folder: &Folder, name: &Name, size: u64) -> Result<Self, SaveError> {
        space(&folder.dir, &folder.path, size)?;
        let dir = folder.dir.try_clone().map_err(|error| SaveError::io("open", &folder.path, error))?;
        let wanted = folder.name.clone().unwrap_or_else(|| name::safe(name.as_str()));
        let (file, temporary) = create_hidden(&dir, &folder.path)?;
        Ok(Self { file, dir, folder: folder.path.clone(), temporary: Some(temporary), wanted })
    }

    fn finish(mut self) -> Result<PathBuf, SaveError> {
        self.file.sync_all().map_err(|error| SaveError::io("write to", &self.folder, error))?;
        let Some(temporary) = self.temporary.as_deref() else {
            return Err(SaveError::Bug);
        };
        self.check_name()?;
        let taken = match place(&self.dir, temporary, &self.wanted, &self.folder) {
            Ok(taken) => taken,
            Err(error) => {
                // Every byte is here, and nobody else can have the drop any more: the part file is kept.
                let part = self.folder.join(temporary);
                self.temporary = None;
                return Err(SaveError::NotRenamed { part, error: Box::new(error) });
            }
        };
        self.temporary = None;
        // Between the check and the rename the name may have been given to another file.
        if !self.is_named(&taken) {
            return Err(SaveError::PartReplaced { folder: self.folder.clone() });
        }
        // The file is whole and has its name. Should the folder not be synced, which some file systems
        // do not know, a power cut may still undo the rename, but that is no reason to say it failed.
        let _ = self.dir.open(".").and_then(|folder| folder.sync_all());
        Ok(if self.folder == Path::new(".") { taken.into() } else { self.folder.join(taken) })
    }
}

impl Part {
    /// Fails if the temporary name is no longer this file's: in a folder that others can write to, another user can
    /// remove the part or put a file or a link in its place.
    fn check_name(&self) -> Result<(), SaveError> {
        if self.temporary.as_deref().is_some_and(|name| self.is_named(name)) {
            return Ok(());
        }
        Err(SaveError::PartReplaced { folder: self.folder.clone() })
    }

    /// Fails if the file system refuses the wanted name, as FAT does one with a question mark.
    ///
    /// Makes a folder under the name, and removes it, because programs that watch for new files do not take it for
    /// the drop. Whatever else prevents the folder, such as a full disk, says nothing about the name.
    fn try_wanted_name(&self) -> Result<(), SaveError> {
        match rustix::fs::mkdirat(&self.dir, &*self.wanted, Mode::RWXU) {
            Ok(()) => {
                let _ = rustix::fs::unlinkat(&self.dir, &*self.wanted, AtFlags::REMOVEDIR);
                Ok(())
            }
            Err(error @ (Errno::INVAL | Errno::NAMETOOLONG | Errno::ILSEQ)) => {
                Err(SaveError::NameRefused { path: self.folder.join(&self.wanted), error: error.into() })
            }
            Err(_) => Ok(()),
        }
    }

    /// Whether a name in the folder is this file's, by device and inode.
    fn is_named(&self, name: &str) -> bool {
        let named = rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW);
        let open = rustix::fs::fstat(&self.file);
        matches!((named, open), (Ok(named), Ok(open)) if (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // By our own random name, never by the peer's, and only while it is this file's.
        if let Some(temporary) = &self.temporary
            && self.is_named(temporary)
        {
            let _ = self.dir.remove_file(temporary);
        }
    }
}

/// Fails if the file system says that it has no room for `size` bytes. It may say so later all the same.
fn space(dir: &Dir, path: &Path, size: u64) -> Result<(), SaveError> {
    // The soft limit is the one that counts. Past it a write fails, which is too late once nobody else can have the drop.
    if let Some(limit) = getrlimit(Resource::Fsize).current
        && limit < size
    {
        return Err(SaveError::FileSizeLimit { size, limit });
    }
    match rustix::fs::fstatvfs(dir) {
        Ok(stat) if free(&stat).is_some_and(|free| free < size) => {
            Err(SaveError::NoSpace { folder: path.to_owned(), needed: size })
        }
        _ => Ok(()),
    }
}

/// How many bytes a file system says that it has room for. `None` if it does not know: some FUSE file systems state no
/// blocks at all, not even used ones.
fn free(stat: &StatVfs) -> Option<u64> {
    (stat.f_blocks != 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Makes a file under a random name, which is returned.
fn create_hidden(dir: &Dir, path: &Path) -> Result<(File, String), SaveError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(SaveError::Randomness)?;
    let name = format!(".deaddrop-{:016x}.part", u64::from_be_bytes(random));
    // `create_new` neither opens what exists nor follows a link.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let file =
        dir.open_with(&name, &options).map_err(|error| SaveError::io("make a file in", path, error))?;
    Ok((file.into_std(), name))
}

/// A file that has no name any more, so that nothing is left of it whatever happens.
fn unnamed(folder: &Path, size: u64) -> Result<Store, SaveError> {
    let dir = Dir::open_ambient_dir(folder, ambient_authority())
        .map_err(|error| SaveError::io("open the folder", folder, error))?;
    space(&dir, folder, size)?;
    let (file, name) = create_hidden(&dir, folder)?;
    dir.remove_file(name).map_err(|error| SaveError::io("make a file in", folder, error))?;
    Ok(Store::Unnamed { file, folder: folder.to_owned() })
}

/// Renames `temporary` to `wanted`, or to the first other name that is free; returns which.
fn place(dir: &Dir, temporary: &str, wanted: &str, folder: &Path) -> Result<String, SaveError> {
    for n in 0..=NAMES_MAX {
        let name =
            if n == 0 { wanted.to_owned() } else { numbered(wanted, n, &mut [0; NAME_MAX]).to_owned() };
        match rename_new(dir, temporary, &name) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(SaveError::io("save", &folder.join(name), error.into())),
        }
    }
    Err(SaveError::NamesTaken { path: folder.join(wanted), tried: NAMES_MAX })
}

/// Renames without replacing.
fn rename_new(dir: &Dir, from: &str, to: &str) -> Result<(), Errno> {
    match retry(|| rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE)) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_new(dir, from, to),
        other => other,
    }
}

/// The same on file systems that have no such rename: a link does not replace either.
fn link_new(dir: &Dir, from: &str, to: &str) -> Result<(), Errno> {
    retry(|| rustix::fs::linkat(dir, from, dir, to, AtFlags::empty()))?;
    // The drop is in its place; a second name for it that cannot be removed does not undo that.
    let _ = rustix::fs::unlinkat(dir, from, AtFlags::empty());
    Ok(())
}

fn retry(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        (folder, dir)
    }

    #[test]
    fn neither_way_of_renaming_replaces() {
        for rename in [rename_new, link_new] {
            let (_folder, dir) = folder();
            dir.write("new", "new").unwrap();
            dir.write("old", "old").unwrap();
            assert_eq!(rename(&dir, "new", "old"), Err(Errno::EXIST));
            assert_eq!(dir.read_to_string("old").unwrap(), "old");
            rename(&dir, "new", "free").unwrap();
            assert_eq!(dir.read_to_string("free").unwrap(), "new");
            assert!(!dir.exists("new"));
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_counts_as_taken() {
        for rename in [rename_new, link_new] {
            let (_folder, dir) = folder();
            dir.write("new", "new").unwrap();
            dir.symlink("missing", "link").unwrap();
            assert_eq!(rename(&dir, "new", "link"), Err(Errno::EXIST));
            assert!(!dir.exists("missing"));
        }
    }

    /// A name that no file system takes stands for one that this file system does not take.
    #[test]
    fn a_name_that_is_refused_is_known_in_time_and_loses_no_whole_drop() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::path(folder.path()).unwrap();
        let mut incoming = Incoming::create(&destination, &Name::new("a").unwrap(), 3).unwrap();
        let Store::Part(part) = &mut incoming.store else { panic!("no part") };
        part.wanted = "x".repeat(256);
        incoming.append(b"ab").unwrap();
        let early = incoming.reserve_tail(1).unwrap_err();
        assert!(matches!(early, SaveError::NameRefused { .. }), "{early}");
        incoming.append(b"c").unwrap();
        let Err(SaveError::NotRenamed { part, .. }) = incoming.finish() else { panic!("renamed") };
        assert_eq!(std::fs::read(part).unwrap(), b"abc");
    }

    #[test]
    fn a_large_spooled_drop_leaves_no_name_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = unnamed(folder.path(), 3).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut incoming = Incoming { store, size: 3, stored: 0 };
        incoming.append(b"ab").unwrap();
        incoming.reserve_tail(1).unwrap();
        incoming.append(b"c").unwrap();
        let Finished::Spooled(mut spool) = incoming.finish().unwrap() else { panic!() };
        let mut bytes = Vec::new();
        spool.read_to_end(&mut bytes).unwrap();
        assert_eq!((bytes.as_slice(), spool.in_memory()), (&b"abc"[..], None));
    }

    #[test]
    fn a_file_system_without_any_blocks_does_not_know_its_free_space() {
        let (_folder, dir) = folder();
        let mut stat = rustix::fs::fstatvfs(&dir).unwrap();
        (stat.f_blocks, stat.f_bavail, stat.f_frsize) = (9, 0, 4_096);
        assert_eq!(free(&stat), Some(0), "a full one");
        stat.f_bavail = 2;
        assert_eq!(free(&stat), Some(8_192));
        (stat.f_blocks, stat.f_bavail, stat.f_frsize) = (0, 0, 0);
        assert_eq!(free(&stat), None);
        stat.f_frsize = 4_096;
        assert_eq!(free(&stat), None);
    }

    #[test]
    fn more_than_the_disk_holds_is_refused_at_once() {
        let (folder, dir) = folder();
        let error = space(&dir, folder.path(), u64::MAX).unwrap_err();
        assert!(matches!(error, SaveError::NoSpace { .. }));
        let error = unnamed(folder.path(), u64::MAX).unwrap_err();
        assert!(matches!(error, SaveError::NoSpace { .. }));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
