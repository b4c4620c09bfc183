//! The part file: what has arrived of a drop, until it gets the drop's name.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use super::error::SaveError;
use super::record::{SUFFIX, is_ours};
use crate::files::place::place;
use crate::platform::{self, FileKind, is_named, sync_folder};

/// What is between the drop's name and random characters in the name of a part file.
pub(in crate::files) const MARK: &str = ".deaddrop-";
/// Random characters in the name of a part file.
pub(in crate::files) const RANDOM: usize = 16;
/// The longest name that a file may have, in bytes.
const FILE_NAME_MAX: usize = 255;

/// The file that becomes the received one.
#[derive(Debug)]
pub(in crate::files) struct Part {
    pub(in crate::files) file: File,
    pub(in crate::files) dir: Dir,
    pub(in crate::files) folder: PathBuf,
    /// Its name as long as it is a part; `None` once it has its own.
    temporary: Option<String>,
    /// The name that it is to have, or has.
    pub(in crate::files) wanted: String,
}

impl Part {
    /// Makes a part file under this hidden name.
    pub(in crate::files) fn create(
        dir: &Dir,
        folder: &Path,
        temporary: &str,
        wanted: String,
    ) -> Result<Self, SaveError> {
        let dir = dir.try_clone().map_err(|error| SaveError::io("open", folder, error))?;
        let file = create_new(&dir, temporary, folder)?;
        Ok(Self { file, dir, folder: folder.to_owned(), temporary: Some(temporary.into()), wanted })
    }

    /// Opens the part file of an earlier process, of which `durable` bytes count; `None` if it is not there.
    ///
    /// It has to be a regular file of this user, with one name and at least so many bytes. What is beyond them is cut
    /// off.
    pub(in crate::files) fn open(
        dir: &Dir,
        folder: &Path,
        temporary: &str,
        wanted: String,
        durable: u64,
    ) -> Result<Option<Self>, SaveError> {
        let path = folder.join(temporary);
        let file = match open_ours(dir, temporary) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            Err(()) => return Err(SaveError::NotResumable { path }),
        };
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        if len < durable {
            return Err(SaveError::NotResumable { path });
        }
        if len > durable {
            file.set_len(durable).map_err(|error| SaveError::io("write to", &path, error))?;
        }
        let dir = dir.try_clone().map_err(|error| SaveError::io("open", folder, error))?;
        Ok(Some(Self { file, dir, folder: folder.to_owned(), temporary: Some(temporary.into()), wanted }))
    }

    /// The whole file that an earlier process has given its name already: the one in the folder with this device, inode
    /// and size that has not the name of a part. A part that is a second name for it is removed.
    pub(in crate::files) fn placed(
        dir: &Dir,
        folder: &Path,
        temporary: &str,
        identity: (u64, u64),
        size: u64,
    ) -> Option<Self> {
        for entry in dir.entries().ok()?.flatten() {
            let Ok(wanted) = entry.file_name().into_string() else { continue };
            let Ok(metadata) = dir.symlink_metadata(&wanted) else { continue };
            let same = || platform::identity_at(dir, &wanted).is_ok_and(|named| named == identity);
            if metadata.len() != size || !metadata.is_file() || is_hidden_name(&wanted) || !same() {
                continue;
            }
            // Some systems sync only what is open to be written. Its owner may have taken that right from it since.
            let to_read = || dir.open(&wanted).map(cap_std::fs::File::into_std);
            let file = platform::open_file(dir, &wanted).or_else(|_| to_read()).ok()?;
            if !platform::belongs_to_us(&file) || !is_named(dir, &wanted, &file) {
                continue;
            }
            let dir = dir.try_clone().ok()?;
            let part =
                Self { file, dir, folder: folder.to_owned(), temporary: Some(temporary.into()), wanted };
            // A link was made of it, and the process ended before it removed the old name.
            part.remove();
            return Some(Self { temporary: None, ..part });
        }
        None
    }

    /// Device and inode.
    pub(in crate::files) fn identity(&self) -> (u64, u64) {
        platform::status(&self.file).map_or((0, 0), |status| status.identity)
    }

    /// Its path.
    pub(in crate::files) fn path(&self) -> PathBuf {
        self.folder.join(self.temporary.as_deref().unwrap_or(&self.wanted))
    }

    /// Gives the file its name, unless it has it; returns its path.
    pub(in crate::files) fn place(&mut self) -> Result<PathBuf, SaveError> {
        if let Some(temporary) = self.temporary.as_deref() {
            self.check_name()?;
            let placed = place(&self.dir, temporary, &self.dir, &self.wanted, &self.folder);
            if placed.is_err() {
                // It fails too if the part was removed between the check and the rename.
                self.check_name()?;
            }
            self.wanted = placed?;
            self.temporary = None;
            // Between the check and the rename the name may have been given to another file.
            if !is_named(&self.dir, &self.wanted, &self.file) {
                return Err(SaveError::PartReplaced { folder: self.folder.clone() });
            }
            // The file is whole and has its name. Should the folder not be synced, which some file systems do not know,
            // a power cut may still undo the rename, but that is no reason to say it failed.
            sync_folder(&self.dir);
        }
        Ok(if self.folder == Path::new(".") {
            PathBuf::from(&self.wanted)
        } else {
            self.folder.join(&self.wanted)
        })
    }

    /// Fails if the temporary name is no longer this file's: in a folder that others can write to, another user can
    /// remove the part or put a file or a link in its place.
    pub(in crate::files) fn check_name(&self) -> Result<(), SaveError> {
        match &self.temporary {
            Some(name) if !is_named(&self.dir, name, &self.file) => {
                Err(SaveError::PartReplaced { folder: self.folder.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whether something has the wanted name, so that the file system takes it.
    pub(in crate::files) fn is_taken(&self) -> bool {
        platform::is_taken(&self.dir, &self.wanted)
    }

    /// Removes the empty folder that a process has left which ended while it tried the wanted name.
    pub(in crate::files) fn remove_tried(dir: &Dir, wanted: &str) {
        let _ = platform::remove_folder(dir, wanted);
    }

    /// Fails if the file system refuses the wanted name, as FAT does one with a question mark.
    ///
    /// Makes a folder under the name, and removes it, because programs that watch for new files do not take it for
    /// the drop. Whatever else prevents the folder, such as a full disk, says nothing about the name.
    pub(in crate::files) fn try_wanted_name(&self) -> Result<(), SaveError> {
        match platform::make_folder(&self.dir, &self.wanted) {
            Ok(()) => {
                let remove = || platform::remove_folder(&self.dir, &self.wanted);
                // With the folder there, the drop cannot have the name.
                remove().or_else(|_| remove()).map_err(|error| {
                    SaveError::io("remove the empty folder", &self.folder.join(&self.wanted), error)
                })
            }
            Err(error) if platform::is_name_refused(&error) => {
                Err(SaveError::NameRefused { path: self.folder.join(&self.wanted), error })
            }
            Err(_) => Ok(()),
        }
    }

    /// Removes it, as long as it is a part.
    pub(in crate::files) fn remove(&self) {
        // By our own random name, never by the peer's, and only while it is this file's.
        if let Some(temporary) = &self.temporary
            && is_named(&self.dir, temporary, &self.file)
        {
            let _ = self.dir.remove_file(temporary);
        }
    }
}

/// A new hidden name for the part file of a drop.
///
/// The drop's name is in it, so that a person sees what it is of; it is cut where it would be too long.
pub(in crate::files) fn hidden_name(wanted: &str) -> Result<String, SaveError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(SaveError::Randomness)?;
    let end = format!("{MARK}{:016x}", u64::from_be_bytes(random));
    let most = FILE_NAME_MAX - 1 - end.len() - SUFFIX.len();
    let name = wanted.get(..wanted.floor_char_boundary(most)).unwrap_or_default();
    Ok(if name.is_empty() { end } else { format!(".{name}{end}") })
}

/// Whether this is the name of a part file, such as [`hidden_name`] makes.
pub(in crate::files) fn is_hidden_name(name: &str) -> bool {
    let Some((_, random)) = name.rsplit_once(MARK) else { return false };
    name.starts_with('.') && random.len() == RANDOM && random.bytes().all(|c| c.is_ascii_hexdigit())
}

/// Removes the part file of this name, if it is a file of this user.
pub(in crate::files) fn remove_ours(dir: &Dir, name: &str) {
    if open_ours(dir, name).is_ok_and(|file| file.is_some()) {
        let _ = dir.remove_file(name);
    }
}

/// Removes the part file of this name, if it is a file of this user, and has no other name or is the one with this device
/// and inode. What another name leads to stays.
pub(in crate::files) fn remove_our_part(dir: &Dir, name: &str, identity: (u64, u64)) {
    let is_recorded = |file: &File| {
        platform::status(file)
            .is_ok_and(|status| status.kind == FileKind::Regular && status.identity == identity)
            && platform::belongs_to_us(file)
    };
    if platform::open_file(dir, name)
        .is_ok_and(|file| (is_ours(&file) || is_recorded(&file)) && is_named(dir, name, &file))
    {
        let _ = dir.remove_file(name);
    }
}

/// Removes the hidden folder of this name with all that is in it, if it is the one with this inode, and this user's. No link
/// in it is followed. False if it is still there.
pub(in crate::files) fn remove_our_folder(dir: &Dir, name: &str, inode: u64) -> bool {
    match platform::status_at(dir, name) {
        Ok(status) if status.kind != FileKind::Folder || !platform::belongs_to_us_at(dir, name) => true,
        Ok(status) if status.identity.1 == inode => dir.remove_dir_all(name).is_ok(),
        // Its process ended right after it made the folder, and it is empty.
        Ok(_) if inode == 0 => platform::remove_folder(dir, name).is_ok(),
        Ok(_) | Err(_) => true,
    }
}

/// Opens a file of this user with one name; `None` if there is none of this name.
fn open_ours(dir: &Dir, name: &str) -> Result<Option<File>, ()> {
    match platform::open_file(dir, name) {
        Ok(file) if is_ours(&file) && is_named(dir, name, &file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(_) | Err(_) => Err(()),
    }
}

/// Makes a file that only this user can read.
pub(in crate::files) fn create_new(dir: &Dir, name: &str, folder: &Path) -> Result<File, SaveError> {
    platform::make_private(dir, name).map_err(|error| SaveError::io("make a file in", folder, error))
}

/// Fails if a file may not have `size` bytes, or the file system says that it has no room for the `needed` ones of them
/// that are in no hole. It may say so later all the same.
pub(in crate::files) fn space(dir: &Dir, path: &Path, size: u64, needed: u64) -> Result<(), SaveError> {
    // Past it a write fails, which is too late once nobody else can have the drop.
    if let Some(limit) = platform::file_size_limit()
        && limit < size
    {
        return Err(SaveError::FileSizeLimit { size, limit });
    }
    match platform::space(dir) {
        Ok(space) if space.free().is_some_and(|free| free < needed) => {
            Err(SaveError::NoSpace { folder: path.to_owned(), needed })
        }
        _ => Ok(()),
    }
}
