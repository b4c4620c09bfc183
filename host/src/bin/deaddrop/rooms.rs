//! Rooms with names: files in one folder of the user's configuration.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::RoomName;
use crate::exit::{Exit, Failure};
use crate::platform;
use crate::room_file;
use crate::shell::quoted;

/// The folder, below that of the user's configuration.
const FOLDER: [&str; 2] = ["deaddrop", "rooms"];

/// The user's rooms.
#[derive(Clone, Debug)]
pub(crate) struct Rooms {
    folder: PathBuf,
}

/// A room as it is found in the folder.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Its name.
    pub(crate) name: RoomName,
    /// Its file.
    pub(crate) path: PathBuf,
    /// Why no command will read it, if that is so.
    pub(crate) refused: Option<Failure>,
}

impl Rooms {
    /// The rooms of the user that this process runs for; none without a home.
    pub(crate) fn ours() -> Option<Self> {
        platform::configuration_folder().map(|folder| Self { folder: folder.join(FOLDER[0]).join(FOLDER[1]) })
    }

    /// The rooms in this folder.
    #[cfg(test)]
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a room, whether it is there or not.
    pub(crate) fn path(&self, name: &RoomName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    /// The file of a room that is there.
    pub(crate) fn existing(&self, name: &RoomName) -> Result<PathBuf, Failure> {
        self.find(name)?.ok_or_else(|| {
            let word = quoted(name.as_str());
            Failure::usage(format!(
                "there is no room {name}: deaddrop room list says which there are, deaddrop room add {word} keeps a \
                 passphrase under this name, and deaddrop room new --name {word} makes one"
            ))
        })
    }

    /// The file of a room, if it is there. A link counts, wherever it leads: what is wrong with it is said when it is
    /// read.
    pub(crate) fn find(&self, name: &RoomName) -> Result<Option<PathBuf>, Failure> {
        let path = self.path(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(Some(path)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(Failure::usage(format!(
                "cannot look for the room file {}: {error}; check its rights, or give --room-file",
                path.display()
            ))),
        }
    }

    /// All rooms, by name. What has no room's name, and folders, are left out.
    pub(crate) fn list(&self) -> Result<Vec<Listed>, Failure> {
        let failed = |error: io::Error| {
            let folder = self.folder.display();
            Failure::new(Exit::Failed, "file", format!("cannot list {folder}: {error}; check its rights"))
        };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut rooms = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let Some(name) = entry.file_name().to_str().and_then(|name| name.parse::<RoomName>().ok()) else {
                continue;
            };
            let path = entry.path();
            let refused = match platform::access_of_file(&path) {
                Ok(None) => continue,
                Ok(Some(access)) => room_file::private(&path, access).err(),
                Err(error) => Some(Failure::usage(format!(
                    "cannot read the room file {}: {error}; check where it leads",
                    path.display()
                ))),
            };
            rooms.push(Listed { name, path, refused });
        }
        rooms.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(rooms)
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
