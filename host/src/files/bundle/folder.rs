//! Saves a bundle as files and folders: below a hidden folder first, which nobody else has access to, and under their own
//! names once everything is there.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cap_std::fs::Dir;
use deaddrop_core::wire::{BundleEntry, EntryKind};

use super::incoming::{Alteration, SavedBundle};
use crate::files::name;
use crate::files::place::{NAMES_MAX, numbered, place};
use crate::files::save::{Folder, SaveError};
use crate::lock::lock;
use crate::platform;

/// Threads that sync files. A file system writes what several of them ask for in one go.
const SYNCERS: usize = 8;
/// About how much of a disk a small file takes.
const BLOCK: u64 = 4096;

/// A bundle on its way into a folder. Dropping it before [`finish`](Self::finish) removes all of it.
#[derive(Debug)]
pub(super) struct FolderSink {
    /// Where it is to go.
    dir: Dir,
    path: PathBuf,
    /// The name that the caller has chosen.
    wanted: Option<String>,
    /// The name of the hidden folder; `None` once it is gone.
    hidden: Option<String>,
    root: Dir,
    /// The folders that the next entry may be in, from the top.
    inside: Vec<Level>,
    file: Option<(File, Option<u64>)>,
    /// The paths of all files and folders below the hidden folder.
    files: Vec<String>,
    folders: Vec<String>,
    links: Vec<Link>,
    /// The top-level entries: the names that they have, and those that they are to have.
    tops: Vec<String>,
    alterations: Vec<Alteration>,
}

#[derive(Debug)]
struct Level {
    folder: Dir,
    /// Its path below the hidden folder.
    path: String,
    /// When it was written last, in seconds since 1970.
    modified: Option<u64>,
}

/// A link that is still to be made.
#[derive(Debug)]
struct Link {
    /// Its path in the bundle.
    path: String,
    /// The folder that it goes into, below the hidden folder.
    folder: String,
    folder_modified: Option<u64>,
    name: String,
    target: String,
}

impl FolderSink {
    /// Makes the hidden folder.
    pub(super) fn create(folder: &Folder, size: u64) -> Result<Self, SaveError> {
        room(&folder.dir, folder, size)?;
        let dir = folder.dir.try_clone().map_err(|error| SaveError::io("open", &folder.path, error))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(SaveError::Randomness)?;
        let hidden = format!(".deaddrop-{:016x}.part", u64::from_be_bytes(random));
        let made = platform::make_folder(&dir, &hidden).and_then(|()| platform::open_folder(&dir, &hidden));
        let root = made.map_err(|error| SaveError::io("make a folder in", &folder.path, error))?;
        Ok(Self {
            dir,
            path: folder.path.clone(),
            wanted: folder.name.clone(),
            hidden: Some(hidden),
            root,
            inside: Vec::new(),
            file: None,
            files: Vec::new(),
            folders: Vec::new(),
            links: Vec::new(),
            tops: Vec::new(),
            alterations: Vec::new(),
        })
    }

    fn error(&self, error: io::Error) -> SaveError {
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
                self.file = file.map(|file| (file, modified));
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
            Some((file, _)) => file.write_all(bytes).map_err(|error| self.error(error)),
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
                Err(error) => return Err(SaveError::io("make", &self.path.join(path), error)),
            }
        };
        if path.rsplit('/').next() != Some(&*made) {
            self.alterations.push(Alteration::Renamed { path: path.to_owned(), name: made.clone() });
        }
        if top {
            self.tops.push(made.clone());
        }
        Ok(made)
    }

    /// Sets the time of the file that came last, and closes it.
    fn end_file(&mut self) -> Result<(), SaveError> {
        if let Some((file, modified)) = self.file.take() {
            if let Some(modified) = modified {
                platform::set_modified(&file, modified);
            }
            // An error of a file system that writes on close shows when the file is synced.
            drop(file);
        }
        Ok(())
    }

    /// Leaves the folders that are deeper than this.
    fn leave(&mut self, depth: usize) -> Result<(), SaveError> {
        while self.inside.len() > depth {
            if let Some(Level { folder, modified: Some(modified), .. }) = self.inside.pop() {
                platform::set_folder_modified(&folder, modified);
            }
        }
        // The reader has seen a folder at each level.
        if self.inside.len() == depth { Ok(()) } else { Err(SaveError::Bug) }
    }

    /// Tries what can still fail: that the hidden folder has its name, that the wanted name is possible, and that there is
    /// space for the last `length` bytes, which hold at most `entries` entries.
    pub(super) fn reserve_tail(&self, length: u64, entries: u64) -> Result<(), SaveError> {
        self.check_name()?;
        if let Some(wanted) = &self.wanted {
            match platform::make_folder(&self.dir, wanted) {
                Ok(()) => {
                    // It was empty a moment ago. If it is not any more, it is somebody's.
                    let _ = platform::remove_folder(&self.dir, wanted);
                }
                Err(error) if platform::is_name_refused(&error) => {
                    return Err(SaveError::NameRefused { path: self.path.join(wanted), error });
                }
                Err(_) => {}
            }
        }
        // Each of them takes a block, however small it is, and an inode.
        let made = entries.saturating_add(self.links.len() as u64);
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

    /// Puts all of it in its place. Returns where it is.
    ///
    /// If that fails, what is here is kept, because nobody else can have the drop any more.
    pub(super) fn finish(mut self, separate: bool) -> Result<SavedBundle, SaveError> {
        let synced = self.complete();
        self.check_name()?;
        if let (Err(error), Some(hidden)) = (synced, &self.hidden) {
            let part = self.path.join(hidden);
            self.hidden = None;
            return Err(SaveError::NotSynced { part, error: Box::new(error) });
        }
        let Some(hidden) = self.hidden.clone() else { return Err(SaveError::Bug) };
        let mut paths: Vec<PathBuf> = Vec::new();
        let whole = separate && self.wanted.is_some();
        let moves: Vec<_> = match (&self.wanted, whole) {
            // The hidden folder itself becomes the one that was named.
            (Some(wanted), true) => vec![(None, wanted.clone())],
            (Some(wanted), false) => {
                self.tops.iter().map(|top| (Some(top.clone()), wanted.clone())).collect()
            }
            (None, _) => self.tops.iter().map(|top| (Some(top.clone()), top.clone())).collect(),
        };
        for (top, wanted) in moves {
            let placed = match &top {
                Some(top) => place(&self.root, top, &self.dir, &wanted, &self.path),
                None => place(&self.dir, &hidden, &self.dir, &wanted, &self.path),
            };
            match placed {
                Ok(name) => {
                    paths.push(if self.path.as_os_str() == "." { name.into() } else { self.path.join(name) });
                }
                Err(error) => {
                    self.hidden = None;
                    let part = self.path.join(hidden);
                    return Err(SaveError::NotRenamed { part, placed: paths, error: Box::new(error) });
                }
            }
        }
        self.hidden = None;
        if !whole {
            // Empty now. Where it cannot be removed the drop is no less saved.
            let _ = platform::remove_folder(&self.dir, &hidden);
        }
        // As for a file: some file systems cannot sync a folder.
        platform::sync_folder(&self.dir);
        let files = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        Ok(SavedBundle { paths, files, alterations: std::mem::take(&mut self.alterations) })
    }

    /// Makes what is still to be made, and has all of it on the disk.
    fn complete(&mut self) -> Result<(), SaveError> {
        self.end_file()?;
        self.leave(0)?;
        self.make_links()?;
        self.sync()
    }

    /// Makes the links, now that nothing more is written: nothing can lead through them.
    fn make_links(&mut self) -> Result<(), SaveError> {
        for link in std::mem::take(&mut self.links) {
            let folder =
                platform::open_folder(&self.root, &link.folder).map_err(|error| self.error(error))?;
            let mut n = 0;
            let made = loop {
                let name = numbered(&link.name, n);
                match platform::make_link(&folder, &name, &link.target) {
                    Ok(()) => break Some(name),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < NAMES_MAX => n += 1,
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => break None,
                    Err(error) => return Err(self.error(error)),
                }
            };
            if let Some(modified) = link.folder_modified {
                platform::set_folder_modified(&folder, modified);
            }
            match made {
                Some(name) if name == link.name => {}
                Some(name) => self.alterations.push(Alteration::Renamed { path: link.path, name }),
                None => self.alterations.push(Alteration::LinkLeftOut { path: link.path }),
            }
        }
        Ok(())
    }

    /// Syncs every file and folder. The whole file system is synced first, where the system can do that: one by one each
    /// file would wait for the disk. What is synced then says whether that went well.
    fn sync(&self) -> Result<(), SaveError> {
        platform::sync_file_system(&self.root);
        let all: Vec<&str> = self.files.iter().chain(&self.folders).map(String::as_str).collect();
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
        let work = || {
            while let Some(path) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = platform::sync_at(&self.root, path) {
                    lock(&failed).get_or_insert(error);
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..SYNCERS.min(all.len() / 64 + 1) {
                // Fewer threads do the same work.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        match failed.into_inner() {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(self.error(error)),
            Err(_) => Err(SaveError::Bug),
        }
    }

    /// Fails if the hidden name is no longer this folder's: in a folder that others can write to, another user can have
    /// renamed it.
    fn check_name(&self) -> Result<(), SaveError> {
        match &self.hidden {
            Some(hidden) if platform::is_named(&self.dir, hidden, &self.root) => Ok(()),
            _ => Err(SaveError::PartReplaced { folder: self.path.clone() }),
        }
    }
}

impl Drop for FolderSink {
    fn drop(&mut self) {
        // By our own random name, and only while it is this folder's. No link in it is followed.
        if self.check_name().is_ok()
            && let Some(hidden) = &self.hidden
        {
            let _ = self.dir.remove_dir_all(hidden);
        }
    }
}

/// Fails if the file system says that it has no room for so many bytes.
fn room(dir: &Dir, folder: &Folder, needed: u64) -> Result<(), SaveError> {
    match platform::space(dir) {
        Ok(space) if space.free().is_some_and(|free| free < needed) => {
            Err(SaveError::NoSpace { folder: folder.path.clone(), needed })
        }
        _ => Ok(()),
    }
}

/// A name in letters that every file system takes.
fn plainest(name: &str) -> String {
    name::safe(&name.replace(['<', '>', '"', '|', '?', '*'], "_"))
}

/// A sink and the path of its hidden folder, for tests.
#[cfg(test)]
pub(super) struct Opened {
    pub(super) sink: FolderSink,
    pub(super) hidden: PathBuf,
}

#[cfg(test)]
pub(super) fn opened(destination: &crate::files::save::Destination) -> Result<Opened, SaveError> {
    let crate::files::save::Place::Folder(folder) = &destination.0 else { return Err(SaveError::Bug) };
    let sink = FolderSink::create(folder, 1)?;
    let hidden = folder.path.join(sink.hidden.as_deref().unwrap_or_default());
    Ok(Opened { sink, hidden })
}
