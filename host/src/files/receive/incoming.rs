//! One drop on its way in.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use deaddrop_core::offer::Name;
use rustix::fs::{AtFlags, FallocateFlags, RenameFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{Destination, Folder};
use crate::exit::Failure;
use crate::files::name;

/// Drops for standard output up to this size are held in memory and never touch a disk.
const MEMORY_MAX: u64 = 1024 * 1024;
/// How many other names are tried for a file whose own is taken.
const NAMES_MAX: u32 = 9_999;

/// One drop on its way in. Dropping it before [`finish`](Self::finish) removes all traces of it.
#[derive(Debug)]
pub struct Incoming {
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

/// The file of a drop on its way in, written to by several threads, each at its own place.
#[derive(Debug)]
pub struct Shelf {
    file: File,
    folder: PathBuf,
    size: u64,
}

impl Shelf {
    /// Stores bytes of the drop in their place.
    pub fn store(&self, bytes: &[u8], offset: u64) -> Result<(), Failure> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return Err(too_much());
        }
        write_at(&self.file, &self.folder, bytes, offset)
    }
}

fn write_at(file: &File, folder: &Path, bytes: &[u8], offset: u64) -> Result<(), Failure> {
    file.write_all_at(bytes, offset).map_err(|error| Failure::file("write to", folder, &error))
}

fn too_much() -> Failure {
    Failure::failed("the sender sent more than it had offered, so nothing was kept")
}

/// Where a drop is that has arrived whole.
#[derive(Debug)]
pub enum Finished {
    /// Under this path.
    Saved(PathBuf),
    /// Ready to be copied to standard output, once the sender has been told.
    Spooled(Spool),
}

/// A whole drop for standard output, read from its start.
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
    pub fn create(destination: &Destination, name: &Name, size: u64) -> Result<Self, Failure> {
        let store = match destination {
            Destination::Stdout if size <= MEMORY_MAX => {
                let capacity = usize::try_from(size).map_err(|_| Failure::failed("the drop is too large"))?;
                Store::Memory(Zeroizing::new(Vec::with_capacity(capacity)))
            }
            Destination::Stdout => unnamed(&std::env::temp_dir(), size)?,
            Destination::Folder(folder) => Store::Part(Part::create(folder, name, size)?),
        };
        Ok(Self { store, size, stored: 0 })
    }

    /// Adds the next bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let stored = u64::try_from(bytes.len()).ok().and_then(|more| self.stored.checked_add(more));
        let stored = stored.filter(|stored| *stored <= self.size).ok_or_else(too_much)?;
        match &mut self.store {
            // The capacity was set aside, so it does not move and leave a copy behind.
            Store::Memory(memory) => memory.extend_from_slice(bytes),
            Store::Unnamed { file, folder } => write_at(file, folder, bytes, self.stored)?,
            Store::Part(part) => write_at(&part.file, &part.folder, bytes, self.stored)?,
        }
        self.stored = stored;
        Ok(())
    }

    /// The file that the drop goes to, for those who store parts of it out of order; `None` if it goes to memory,
    /// or the system has no handle left for it.
    pub fn shelf(&self) -> Option<Shelf> {
        let (file, folder) = match &self.store {
            Store::Memory(_) => return None,
            Store::Unnamed { file, folder } => (file, folder),
            Store::Part(part) => (&part.file, &part.folder),
        };
        Some(Shelf { file: file.try_clone().ok()?, folder: folder.clone(), size: self.size })
    }

    /// The next `bytes` bytes are on the [shelf](Self::shelf), every one of them.
    pub fn advance(&mut self, bytes: u64) {
        self.stored = self.stored.saturating_add(bytes).min(self.size);
    }

    /// How many bytes have been added.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// The size of the drop.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes sure that the last `length` bytes will find space on the disk, before the sender is asked
    /// for them. A file system that cannot promise it is believed.
    pub fn reserve_tail(&self, length: u64) -> Result<(), Failure> {
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
            Err(Errno::NOSPC | Errno::DQUOT) => Err(Failure::no_space(folder, length)),
            Err(error) => Err(Failure::file("write to", folder, &error.into())),
        }
    }

    /// Puts the drop in its place: every byte on the disk, then its name, then the name on the disk.
    ///
    /// Returns the path it has at last, which differs from the one it was to have when that was taken.
    pub fn finish(self) -> Result<Finished, Failure> {
        if self.stored != self.size {
            return Err(Failure::failed(format!(
                "only {} of {} bytes arrived, so nothing was kept: fetch it again",
                self.stored, self.size
            )));
        }
        match self.store {
            Store::Memory(memory) => Ok(Finished::Spooled(Spool(Spooled::Memory(Cursor::new(memory))))),
            Store::Unnamed { mut file, folder } => {
                file.sync_all()
                    .and_then(|()| file.rewind())
                    .map_err(|error| Failure::file("write to", &folder, &error))?;
                Ok(Finished::Spooled(Spool(Spooled::File(file))))
            }
            Store::Part(part) => part.finish().map(Finished::Saved),
        }
    }

    /// Gives the drop up and removes what has arrived, as dropping it does.
    pub fn abandon(self) {}
}

impl Part {
    fn create(folder: &Folder, name: &Name, size: u64) -> Result<Self, Failure> {
        space(&folder.dir, &folder.path, size)?;
        let dir = folder.dir.try_clone().map_err(|error| Failure::file("open", &folder.path, &error))?;
        let wanted = folder.name.clone().unwrap_or_else(|| name::safe(name.as_str()));
        let (file, temporary) = create_hidden(&dir, &folder.path)?;
        Ok(Self { file, dir, folder: folder.path.clone(), temporary: Some(temporary), wanted })
    }

    fn finish(mut self) -> Result<PathBuf, Failure> {
        self.file.sync_all().map_err(|error| Failure::file("write to", &self.folder, &error))?;
        let Some(temporary) = self.temporary.as_deref() else {
            return Err(Failure::failed("a received file was finished twice"));
        };
        let taken = place(&self.dir, temporary, &self.wanted, &self.folder)?;
        self.temporary = None;
        // The file is whole and has its name. Should the folder not be synced, which some file systems
        // do not know, a power cut may still undo the rename, but that is no reason to say it failed.
        let _ = self.dir.open(".").and_then(|folder| folder.sync_all());
        Ok(if self.folder == Path::new(".") { taken.into() } else { self.folder.join(taken) })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // By our own random name, never by the peer's.
        if let Some(temporary) = &self.temporary {
            let _ = self.dir.remove_file(temporary);
        }
    }
}

/// Fails if the file system says that it has no room for `size` bytes. It may say so later all the same.
fn space(dir: &Dir, path: &Path, size: u64) -> Result<(), Failure> {
    match rustix::fs::fstatvfs(dir) {
        Ok(stat) if stat.f_bavail.saturating_mul(stat.f_frsize) < size => Err(Failure::no_space(path, size)),
        _ => Ok(()),
    }
}

/// Makes a file under a random name, which is returned.
fn create_hidden(dir: &Dir, path: &Path) -> Result<(File, String), Failure> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::failed(format!("the system has no random numbers: {error}")))?;
    let name = format!(".deaddrop-{:016x}.part", u64::from_be_bytes(random));
    // `create_new` neither opens what exists nor follows a link.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let file =
        dir.open_with(&name, &options).map_err(|error| Failure::file("make a file in", path, &error))?;
    Ok((file.into_std(), name))
}

/// A file that has no name any more, so that nothing is left of it whatever happens.
fn unnamed(folder: &Path, size: u64) -> Result<Store, Failure> {
    let dir = Dir::open_ambient_dir(folder, ambient_authority())
        .map_err(|error| Failure::file("open the folder", folder, &error))?;
    space(&dir, folder, size)?;
    let (file, name) = create_hidden(&dir, folder)?;
    dir.remove_file(name).map_err(|error| Failure::file("make a file in", folder, &error))?;
    Ok(Store::Unnamed { file, folder: folder.to_owned() })
}

/// Renames `temporary` to `wanted`, or to the first other name that is free; returns which.
fn place(dir: &Dir, temporary: &str, wanted: &str, folder: &Path) -> Result<String, Failure> {
    for n in 0..=NAMES_MAX {
        let name = if n == 0 { wanted.to_owned() } else { name::numbered(wanted, n) };
        match rename_new(dir, temporary, &name) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(Failure::file("save", &folder.join(name), &error.into())),
        }
    }
    Err(Failure::failed(format!(
        "{} and {NAMES_MAX} names like it are taken: choose another with --out",
        folder.join(wanted).display()
    )))
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

    #[test]
    fn a_large_drop_for_standard_output_leaves_no_name_behind() {
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
    fn more_than_the_disk_holds_is_refused_at_once() {
        let (folder, dir) = folder();
        let failure = space(&dir, folder.path(), u64::MAX).unwrap_err();
        assert_eq!(failure.code, "no-space");
        let failure = unnamed(folder.path(), u64::MAX).unwrap_err();
        assert_eq!(failure.code, "no-space");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
