//! Saving what was received, so that it appears whole or not at all and harms nothing that exists.
//!
//! Bytes go to a file with a random name of our own in the folder where the drop will be. When all of
//! them are there it is put in its place by a rename that does not replace. Everything is done
//! relative to the folder's handle, so that neither a name nor an exchanged link leads out of it.
//! What was received is a secret: the file is readable by its owner only.

mod incoming;

use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

pub use incoming::{Finished, Incoming, Shelf, Spool};

use crate::exit::Failure;

/// Where a drop is to go.
#[derive(Debug)]
pub enum Destination {
    /// Into a folder.
    Folder(Folder),
    /// To standard output.
    Stdout,
}

/// A folder that a drop is to go into.
#[derive(Debug)]
pub struct Folder {
    dir: Dir,
    /// As the user wrote it, for messages and the final path.
    path: PathBuf,
    /// The name the user has chosen; without one it is the drop's own.
    name: Option<String>,
}

impl Destination {
    /// Finds out what `--out` means: without it the current folder, `-` is standard output, a folder
    /// means inside it, and anything else names the file.
    ///
    /// A link to a folder counts as that folder, for it is the user's own. A link to a file counts as
    /// a file that exists.
    pub fn resolve(out: Option<&Path>) -> Result<Self, Failure> {
        let Some(out) = out else { return Self::folder(Path::new("."), None) };
        if out.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        match std::fs::metadata(out) {
            Ok(metadata) if metadata.is_dir() => return Self::folder(out, None),
            Ok(_) => {}
            // Not there, or a link to what is not there: the file is still to be made.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(Failure::file("save to", out, &error)),
        }
        if out.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(Failure::usage(format!("there is no folder {}: make it first", out.display())));
        }
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = out.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            Failure::usage(format!("{} names no file: give a new file or a folder", out.display()))
        })?;
        Self::folder(parent, Some(name.to_owned()))
    }

    fn folder(path: &Path, name: Option<String>) -> Result<Self, Failure> {
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| {
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                Failure::usage(format!("there is no folder {}: make it first", path.display()))
            } else {
                Failure::file("open the folder", path, &error)
            }
        })?;
        Ok(Self::Folder(Folder { dir, path: path.to_owned(), name }))
    }

    /// Whether it is standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }
}

#[cfg(test)]
mod tests;
