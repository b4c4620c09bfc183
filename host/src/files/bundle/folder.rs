//! Saves a bundle as files and folders: below a hidden folder first, which nobody else has access to, and under their own
//! names once everything is there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cap_std::fs::Dir;
use deaddrop_core::wire::{BundleEntry, EntryKind};

use super::durable::Snapshot;
use super::incoming::Alteration;
use super::journal::{Journal, Note};
use crate::files::name;
use crate::files::place::{NAMES_MAX, numbered};
use crate::files::save::SaveError;
use crate::files::save::record::Record;
use crate::platform::{self, FileExt};

/// About how much of a disk a small file takes.
const BLOCK: u64 = 4096;
/// What the journal has of an entry beside its header: what is before that, and the inode of one at the top.
const NOTE: u64 = 3 + 3 + 8;

/// A bundle on its way into a folder.
#[derive(Debug)]
pub(super) struct FolderSink {
    /// Where it is to go.
    pub(super) dir: Dir,
    pub(super) path: PathBuf,
    /// The name that the caller has chosen.
    pub(super) wanted: Option<String>,
    /// The name of the hidden folder.
    pub(super) hidden: String,
    pub(super) root: Dir,
    /// The folders that the next entry may be in, from the top.
    pub(super) inside: Vec<Level>,
    pub(super) file: Option<OpenFile>,
    /// The paths of all files and folders below the hidden folder.
    pub(super) files: Vec<String>,
    pub(super) folders: Vec<String>,
    pub(super) links: Vec<Link>,
    pub(super) tops: Vec<Top>,
    pub(super) alterations: Vec<Alteration>,
    pub(super) journal: Journal,
    pub(super) synced: Arc<Synced>,
    /// An earlier process may have made the links.
    pub(super) remade: bool,
}

/// The file that came last.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) modified: Option<u64>,
    /// How many bytes of it are there.
    pub(super) length: u64,
}

/// How many of the files and folders a checkpoint has made durable.
#[derive(Debug, Default)]
pub(super) struct Synced {
    pub(super) files: AtomicUsize,
    pub(super) folders: AtomicUsize,
}

/// A top-level entry.
#[derive(Debug)]
pub(super) struct Top {
    /// The name that it has in the hidden folder.
    pub(super) made: String,
    /// The name that it has got in its place.
    pub(super) placed: Option<String>,
}

#[derive(Debug)]
pub(super) struct Level {
    pub(super) folder: Dir,
    /// Its path below the hidden folder.
    pub(super) path: String,
    pub(super) modified: Option<u64>,
}

/// A link that is still to be made.
#[derive(Debug)]
pub(super) struct Link {
    /// Its path in the bundle.
    pub(super) path: String,
    /// The folder that it goes into, below the hidden folder.
    pub(super) folder: String,
    pub(super) folder_modified: Option<u64>,
    pub(super) name: String,
    pub(super) target: String,
}

impl FolderSink {
    /// Makes the hidden folder, under this name.
    pub(super) fn create(
        dir: &Dir,
        path: &Path,
        wanted: Option<String>,
        hidden: &str,
        size: u64,
    ) -> Result<Self, SaveError> {
        room(dir, path, size)?;
        let dir = dir.try_clone().map_err(|error| SaveError::io("open", path, error))?;
        let made = platform::make_folder(&dir, hidden).and_then(|()| platform::open_folder(&dir, hidden));
        let root = made.map_err(|error| {
            // Nothing is in it. If it was there before, it is not empty, or goes with its record.
            let _ = platform::remove_folder(&dir, hidden);
            SaveError::io("make a folder in", path, error)
        })?;
        Ok(Self {
            dir,
            path: path.to_owned(),
            wanted,
            hidden: hidden.to_owned(),
            root,
            inside: Vec::new(),
            file: None,
            files: Vec::new(),
            folders: Vec::new(),
            links: Vec::new(),
            tops: Vec::new(),
            alterations: Vec::new(),
            journal: Journal::default(),
            synced: Arc::default(),
            remade: false,
        })
    }

    /// Device and inode of the hidden folder.
    pub(super) fn identity(&self) -> Result<(u64, u64), SaveError> {
        platform::folder_status(&self.root).map(|status| status.identity).map_err(|error| self.error(error))
    }

    pub(super) fn error(&self, error: io::Error) -> SaveError {
        SaveError::io("write to", &self.path, error)
    }

    /// Makes what an entry says. The reader has checked that its folder has come.
    pub(super) fn entry(&mut self, entry: &BundleEntry<'_>) -> Result<(), SaveError> {
        self.end_file()?;
        let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", entry.path));
        let depth = if folder.is_empty() { 0 } else { folder.split('/').count() };
        self.leave(depth)?;
        // At the top it would be planted among the receiver's own files: nothing hidden, no option.
        let name = if depth == 0 { name::safe(name) } else { name.to_owned() };
        let modified = entry.modified;
        match entry.kind {
            EntryKind::Folder => {
                let name = self.make(entry.path, &name, platform::make_folder)?;
                let folder = platform::open_folder(self.here(), &name).map_err(|error| self.error(error))?;
                let path = self.below(&name);
                self.folders.push(path.clone());
                self.inside.push(Level { folder, path, modified });
            }
            EntryKind::File { size, executable } => {
                if let Some(limit) = platform::file_size_limit()
                    && limit < size
                {
                    return Err(SaveError::FileSizeLimit { size, limit });
                }
                let mut file = None;
                let name = self.make(entry.path, &name, |at, name| {
                    file = Some(platform::make_file(at, name, executable)?);
                    Ok(())
                })?;
                let path = self.below(&name);
                self.files.push(path);
                self.file = file.map(|file| OpenFile { file, modified, length: 0 });
            }
            EntryKind::Link { target } => {
                let (folder, folder_modified) = match self.inside.last() {
                    Some(level) => (level.path.clone(), level.modified),
                    None => return Err(SaveError::Bug),
                };
                let (path, target) = (entry.path.to_owned(), target.to_owned());
                self.links.push(Link { path, folder, folder_modified, name, target });
            }
        }
        Ok(())
    }

    /// Adds to the file that came last.
    pub(super) fn content(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        match &mut self.file {
            Some(open) => {
                let written = open.file.write_all_at(bytes, open.length);
                open.length = open.length.saturating_add(bytes.len() as u64);
                written.map_err(|error| self.error(error))
            }
            None => Err(SaveError::Bug),
        }
    }

    /// The folder that the next entry goes into.
    fn here(&self) -> &Dir {
        self.inside.last().map_or(&self.root, |level| &level.folder)
    }

    /// The path below the hidden folder of a name in that folder.
    fn below(&self, name: &str) -> String {
        self.inside.last().map_or_else(|| name.to_owned(), |level| format!("{}/{name}", level.path))
    }

    /// Makes something under this name in the folder where it goes, or under another one if the file system folds two
    /// names into one, or refuses this one. Returns the name.
    fn make(
        &mut self,
        path: &str,
        name: &str,
        mut make: impl FnMut(&Dir, &str) -> io::Result<()>,
    ) -> Result<String, SaveError> {
        let top = self.inside.is_empty();
        let mut wanted = name.to_owned();
        let mut n = 0;
        let made = loop {
            let tried = numbered(&wanted, n);
            match make(self.here(), &tried) {
                Ok(()) => break tried,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < NAMES_MAX => n += 1,
                Err(error) if platform::is_name_refused(&error) && wanted != plainest(name) => {
                    (wanted, n) = (plainest(name), 0);
                }
                Err(error) => {
                    return Err(SaveError::io("make", &self.path.join(path), error));
                }
            }
        };
        if path.rsplit('/').next() != Some(&*made) {
            self.journal.add(Note::Name(&made));
            self.alterations.push(Alteration::Renamed { path: path.to_owned(), name: made.clone() });
        }
        if top {
            self.tops.push(Top { made: made.clone(), placed: None });
        }
        Ok(made)
    }

    /// Sets the time of the file that came last, and closes it.
    pub(super) fn end_file(&mut self) -> Result<(), SaveError> {
        if let Some(OpenFile { file, modified, .. }) = self.file.take() {
            if let Some(modified) = modified {
                platform::set_modified(&file, modified);
            }
            // An error of a file system that writes on close shows when the file is synced.
            drop(file);
        }
        Ok(())
    }

    /// Leaves the folders that are deeper than this.
    pub(super) fn leave(&mut self, depth: usize) -> Result<(), SaveError> {
        while self.inside.len() > depth {
            if let Some(Level { folder, modified: Some(modified), .. }) = self.inside.pop() {
                platform::set_folder_modified(&folder, modified);
            }
        }
        // The reader has seen a folder at each level.
        if self.inside.len() == depth { Ok(()) } else { Err(SaveError::Bug) }
    }

    /// Tries what can still fail: that the hidden folder has its name, and that there is space for the last `length` bytes,
    /// which hold at most `entries` entries, and for what the journal says of them.
    pub(super) fn reserve_tail(&self, record: &Record, length: u64, entries: u64) -> Result<(), SaveError> {
        self.check_name()?;
        // Each of them takes a block, however small it is, and an inode.
        let made = entries.saturating_add(self.links.len() as u64);
        let tops = made.saturating_add(self.tops.len() as u64);
        let notes = length.saturating_add(tops.saturating_mul(NOTE));
        match record.reserve_journal(0, self.journal.length().saturating_add(notes)) {
            Err(error) if self.error(error.kind().into()).is_no_space() => {
                return Err(SaveError::NoSpace { folder: self.path.clone(), needed: length });
            }
            reserved => reserved.map_err(|error| self.error(error))?,
        }
        let needed = length.saturating_add(BLOCK.saturating_mul(made.saturating_add(1)));
        match platform::space(&self.dir) {
            Ok(space) if space.files.is_some_and(|files| files < made) => {
                Err(self.error(platform::out_of_space()))
            }
            Ok(space) if space.free().is_some_and(|free| free < needed) => {
                Err(SaveError::NoSpace { folder: self.path.clone(), needed })
            }
            _ => Ok(()),
        }
    }

    /// What a checkpoint has to make durable, now that `position` bytes of the stream are here. Writes the journal. With
    /// `all`, nothing more comes.
    pub(super) fn snapshot(
        &mut self,
        record: &Record,
        position: u64,
        all: bool,
    ) -> Result<Snapshot, SaveError> {
        let journal = self.journal.write(record).map_err(|error| self.error(error))?;
        let root = self.root.try_clone().map_err(|error| self.error(error))?;
        let files = self.synced.files.load(Ordering::Relaxed);
        // All of them at the end: their times were set after they were synced.
        let folders = if all { 0 } else { self.synced.folders.load(Ordering::Relaxed) };
        let mut paths: Vec<String> = self.files.get(files..).unwrap_or_default().to_vec();
        paths.extend_from_slice(self.folders.get(folders..).unwrap_or_default());
        if !all {
            paths.extend(self.inside.iter().map(|level| level.path.clone()));
        }
        Ok(Snapshot {
            root,
            paths,
            position,
            journal,
            // More may come to the last one.
            files: self.files.len() - usize::from(self.file.is_some()),
            folders: self.folders.len(),
            synced: self.synced.clone(),
        })
    }

    /// Fails if the hidden name is no longer this folder's: in a folder that others can write to, another user can have
    /// renamed it.
    pub(super) fn check_name(&self) -> Result<(), SaveError> {
        if platform::is_named(&self.dir, &self.hidden, &self.root) {
            Ok(())
        } else {
            Err(SaveError::PartReplaced { folder: self.path.clone() })
        }
    }

    /// Removes all of it; false if it is still there.
    pub(super) fn remove(&self) -> bool {
        // By our own random name, and only while it is this folder's. No link in it is followed.
        self.check_name().is_err() || self.dir.remove_dir_all(&self.hidden).is_ok()
    }
}

/// Fails if the file system says that it has no room for so many bytes.
fn room(dir: &Dir, path: &Path, needed: u64) -> Result<(), SaveError> {
    match platform::space(dir) {
        Ok(space) if space.free().is_some_and(|free| free < needed) => {
            Err(SaveError::NoSpace { folder: path.to_owned(), needed })
        }
        _ => Ok(()),
    }
}

/// A name in letters that every file system takes.
fn plainest(name: &str) -> String {
    name::safe(&name.replace(['<', '>', '"', '|', '?', '*'], "_"))
}
