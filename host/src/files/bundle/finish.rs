//! The end of a bundle: its links, once everything else is durable, and then the names of what is at its top.

use std::io;
use std::path::{Path, PathBuf};

use super::durable::Snapshot;
use super::folder::FolderSink;
use super::incoming::Alteration;
use super::journal::Note;
use crate::files::place::{NAMES_MAX, numbered, place};
use crate::files::save::SaveError;
use crate::files::save::record::Record;
use crate::platform::{self, sync_folder};

impl FolderSink {
    /// What is to be made durable, now that everything but the links is here, `size` bytes of the stream.
    pub(super) fn whole(&mut self, record: &Record, size: u64) -> Result<Snapshot, SaveError> {
        self.end_file()?;
        self.leave(0)?;
        for top in &self.tops {
            let identity = platform::identity_at(&self.root, &top.made);
            self.journal.add(Note::Top(identity.map_err(|error| self.error(error))?.1));
        }
        self.snapshot(record, size, true)
    }

    /// Makes the links, now that nothing more is written: nothing can lead through them.
    pub(super) fn make_links(&mut self) -> Result<(), SaveError> {
        for link in std::mem::take(&mut self.links) {
            let folder =
                platform::open_folder(&self.root, &link.folder).map_err(|error| self.error(error))?;
            let is_made = |name: &str| {
                self.remade && platform::read_link(&folder, name).is_ok_and(|target| target == *link.target)
            };
            let mut n = 0;
            let made = loop {
                let name = numbered(&link.name, n);
                match platform::make_link(&folder, &name, &link.target) {
                    Ok(()) => break Some(name),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_made(&name) => {
                        break Some(name);
                    }
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < NAMES_MAX => n += 1,
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => break None,
                    Err(error) => return Err(self.error(error)),
                }
            };
            if let Some(modified) = link.folder_modified {
                platform::set_folder_modified(&folder, modified);
            }
            sync_folder(&folder);
            match made {
                Some(name) if name == link.name => {}
                Some(name) => self.alterations.push(Alteration::Renamed { path: link.path, name }),
                None => self.alterations.push(Alteration::LinkLeftOut { path: link.path }),
            }
        }
        Ok(())
    }

    /// Puts all of it in its place. Returns where it is. What has its place keeps it, also if the rest fails.
    pub(super) fn place(&mut self, separate: bool) -> Result<Vec<PathBuf>, SaveError> {
        self.check_name()?;
        let (dir, path) = (&self.dir, &self.path);
        let mut names: Vec<String> = Vec::new();
        match &self.wanted {
            // The hidden folder itself becomes the one that was named.
            Some(wanted) if separate => {
                names.extend(self.tops.iter().filter_map(|top| top.placed.clone()));
                names.push(place(dir, &self.hidden, dir, wanted, path)?);
            }
            wanted => {
                for top in &mut self.tops {
                    let name = match &top.placed {
                        Some(name) => name.clone(),
                        None => {
                            let to = wanted.as_ref().unwrap_or(&top.made);
                            place(&self.root, &top.made, dir, to, path)?
                        }
                    };
                    // What was altered goes by the name that it has now: another may have been there already.
                    for alteration in &mut self.alterations {
                        if let Alteration::Renamed { path, name: told } = alteration
                            && !path.contains('/')
                            && *told == top.made
                        {
                            told.clone_from(&name);
                        }
                    }
                    names.push(name.clone());
                    top.placed = Some(name);
                }
                // Empty now. Where it cannot be removed the drop is no less saved.
                let _ = platform::remove_folder(&self.dir, &self.hidden);
            }
        }
        sync_folder(&self.dir);
        Ok(names.into_iter().map(|name| shown(path, name)).collect())
    }

    /// Tries whether the wanted name is possible, with an empty folder under it.
    pub(super) fn try_wanted_name(&self) -> Result<(), SaveError> {
        let Some(wanted) = &self.wanted else { return Ok(()) };
        match platform::make_folder(&self.dir, wanted) {
            Ok(()) => {
                // It was empty a moment ago. If it is not any more, it is somebody's.
                let _ = platform::remove_folder(&self.dir, wanted);
                Ok(())
            }
            Err(error) if platform::is_name_refused(&error) => {
                Err(SaveError::NameRefused { path: self.path.join(wanted), error })
            }
            Err(_) => Ok(()),
        }
    }
}

/// The path of a name in a folder, as the caller wrote that.
pub(super) fn shown(folder: &Path, name: String) -> PathBuf {
    if folder.as_os_str() == "." { name.into() } else { folder.join(name) }
}
