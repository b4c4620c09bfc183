//! Saves a received drop, so that it appears whole or not at all and replaces nothing.
//!
//! Bytes go to a hidden part file in the folder where the drop will be, with a record beside it from which a later process
//! can go on. Once all of them are there, a rename that does not replace puts the file in its place. Every step is
//! relative to the folder's handle, so that neither a name nor a symbolic link swapped in leads out of it. A received
//! drop is a secret: only its owner can read the file.

pub(in crate::files) mod checkpoint;
mod error;
mod incoming;
mod leftover;
pub(in crate::files) mod part;
pub(in crate::files) mod record;
mod sealed;
mod spool;
mod store;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

pub use error::SaveError;
#[cfg(test)]
pub(in crate::files) use incoming::tests::{claimed as claimed_by_nobody, offer as nobodys_offer};
pub(crate) use incoming::{Claimed, FinishedFile, Incoming, Unplaced};
pub use leftover::Kept;
pub(crate) use leftover::Leftover;
pub(crate) use sealed::{SealedTurn, SealedWriter};
pub use spool::Spool;
pub(in crate::files) use store::{KEPT_MIN, MEMORY_MAX, temporary_folder, unnamed_file};
pub(crate) use writer::PositionedWriter;

use crate::platform;

/// Where a received drop goes.
///
/// ```
/// use deaddrop::Destination;
///
/// # fn main() -> Result<(), deaddrop::SaveError> {
/// let folder = std::env::temp_dir();
/// assert!(!Destination::path(&folder)?.is_spool());
/// assert!(Destination::spool().is_spool());
/// assert!(Destination::path("/no/such/folder/file").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Destination(pub(crate) Place);

#[derive(Debug)]
pub(crate) enum Place {
    Folder(Folder),
    /// With the folder for the record, and for the drop if it cannot be put out.
    Spool(Option<PathBuf>),
}

/// A folder that a drop is to go into.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(in crate::files) dir: Dir,
    /// As the caller wrote it, for error messages and the final path.
    pub(in crate::files) path: PathBuf,
    /// The name the caller has chosen; without one the drop's own, made safe.
    pub(in crate::files) name: Option<String>,
    /// The most entries that a bundle may have.
    pub(in crate::files) entries: u32,
}

impl Destination {
    /// A folder, in which the drop gets its own name, made safe; or a file that does not exist yet, in a folder that
    /// does. When the name is taken, a number is added to it.
    ///
    /// A symbolic link to a folder counts as that folder: it is the caller's own. A link to a file counts as a file
    /// that exists.
    ///
    /// # Errors
    /// If there is no such folder, it cannot be opened, or the path names no file: pipes, devices, and whatever is in
    /// `/dev`, `/proc` or `/sys` are none, such as `/dev/stdout`.
    pub fn path(out: impl AsRef<Path>) -> Result<Self, SaveError> {
        let out = out.as_ref();
        match std::fs::metadata(out) {
            Ok(metadata) if metadata.is_dir() => return Self::folder(out, None),
            Ok(metadata) if !metadata.is_file() => {
                return Err(SaveError::NotRegular { path: out.to_owned() });
            }
            Ok(_) => {}
            // Not there, or a link to what is not there: the file is still to be made.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(SaveError::io("save to", out, error)),
        }
        if platform::is_written_as_folder(out) {
            return Err(SaveError::NoFolder { path: out.to_owned() });
        }
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if platform::is_of_the_kernel(parent) {
            return Err(SaveError::NotRegular { path: out.to_owned() });
        }
        let name = out
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| SaveError::NotAFileName { path: out.to_owned() })?;
        Self::folder(parent, Some(name.to_owned()))
    }

    /// The same, and a bundle of more entries (files, folders and links) than this is refused before any of them is made. A
    /// spool takes no notice of it, and neither does a drop that an earlier process has begun.
    #[must_use]
    pub fn at_most_entries(mut self, entries: u32) -> Self {
        if let Place::Folder(folder) = &mut self.0 {
            folder.entries = entries;
        }
        self
    }

    /// A [`Spool`]: memory up to 1 MiB, and above that a file without a name in the system's folder for temporary
    /// files, sealed under a key that is in memory alone, which is gone when it is closed. For drops that go on to a terminal or another program.
    ///
    /// A drop that has arrived and cannot be put out, or whose process ends before it is, cannot be had again: use
    /// [`spool_in`](Self::spool_in) if that matters.
    pub const fn spool() -> Self {
        Self(Place::Spool(None))
    }

    /// A spool with a folder for the record of its fetch, so that a later process can have the drop if this one ends
    /// before it is confirmed; and for the drop itself if it [cannot be put out](crate::Unconfirmed::keep). The folder
    /// is made, for this user only, when it is needed. If that fails the drop is received all the same.
    pub fn spool_in(folder: impl Into<PathBuf>) -> Self {
        Self(Place::Spool(Some(folder.into())))
    }

    /// Whether this is a [`spool`](Self::spool).
    pub const fn is_spool(&self) -> bool {
        matches!(self.0, Place::Spool(_))
    }

    fn folder(path: &Path, name: Option<String>) -> Result<Self, SaveError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| {
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                SaveError::NoFolder { path: path.to_owned() }
            } else {
                SaveError::io("open the folder", path, error)
            }
        })?;
        Ok(Self(Place::Folder(Folder { dir, path: path.to_owned(), name, entries: u32::MAX })))
    }
}

#[cfg(test)]
mod tests;
