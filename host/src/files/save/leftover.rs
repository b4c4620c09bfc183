//! What a drop that has arrived leaves beside it, and how one that cannot be put out is kept.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::error::SaveError;
use super::part::{Part, create_new, hidden_name};
use super::record::{Entry, Record, Stage};
use super::spool::Spool;
use crate::lock::lock;
use crate::platform::{FileExt, make_private_folders, sync_folder};

/// What a drop that has arrived leaves beside it until its sender knows.
#[derive(Default)]
pub(crate) struct Leftover {
    pub(super) record: Option<Arc<Mutex<Record>>>,
    pub(super) unrecorded: Option<(PathBuf, Entry)>,
    /// The file of a spooled drop that was kept.
    pub(super) part: Option<Part>,
    /// Where a spooled bundle is kept, as an archive.
    pub(super) archive: Option<PathBuf>,
}

/// What is kept of a drop that could not be received or put out to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// The file with what is here of it. If nothing is, there is no such file.
    pub path: PathBuf,
    /// How many bytes of it are there.
    pub stored: u64,
    /// How many bytes the drop has.
    pub size: u64,
    /// Its sender may hold it for this receiver alone: nobody else can fetch it.
    pub is_ours: bool,
    /// A folder that was to be put out, as a tar archive. No later fetch finds it.
    pub is_archive: bool,
}

impl Kept {
    /// Whether all of the drop is there.
    pub fn is_whole(&self) -> bool {
        self.stored == self.size
    }
}

impl fmt::Debug for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leftover").field("part", &self.part).finish_non_exhaustive()
    }
}

impl Leftover {
    /// The same of a spooled bundle, which is kept in this folder if it cannot be put out.
    pub(crate) fn kept_in(self, folder: Option<PathBuf>) -> Self {
        Self { archive: folder, ..self }
    }

    /// Of a bundle that is in its place.
    pub(in crate::files) fn of_bundle(record: Option<Arc<Mutex<Record>>>) -> Self {
        Self { record, ..Self::default() }
    }

    /// Removes it.
    pub(crate) fn remove(&mut self) {
        if let Some(part) = self.part.take() {
            part.remove();
        }
        if let Some(record) = self.record.take() {
            lock(&record).remove();
        }
    }

    /// Records that the sender has noted the drop, so that the next process need not tell it.
    pub(crate) fn note_told(&self) {
        if let Some(record) = &self.record {
            let mut record = lock(record);
            record.entry.told = true;
            // Otherwise the next process tells it in vain, and warns.
            let _ = record.write();
        }
    }

    /// Whether the sender has noted the drop.
    pub(crate) fn is_told(&self) -> bool {
        self.record.as_ref().is_some_and(|record| lock(record).entry.told)
    }

    /// Keeps a drop that was to be put out and could not be, in a file beside its record; returns what is kept.
    pub(crate) fn keep(&mut self, spool: &Spool) -> Result<Kept, SaveError> {
        if let Some(folder) = &self.archive {
            return keep_archive(folder, spool);
        }
        if let (None, Some((folder, entry))) = (&self.record, self.unrecorded.take()) {
            let record = record_in(&folder, entry);
            let record = record.map_err(|error| SaveError::io("make a file in", &folder, error))?;
            self.record = Some(Arc::new(Mutex::new(record)));
        }
        let mut record = lock(self.record.as_ref().ok_or(SaveError::NoPlace)?);
        let (path, size) = (record.path(), record.entry.size);
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let failed = |error| SaveError::io("write to", &folder, error);
        if self.part.is_none() {
            let name = record.part().to_owned();
            let file = create_new(record.dir(), &name, &folder)?;
            copy(spool, &file).map_err(failed)?;
            record.entry.stage = Stage::Whole;
            record.write_durably().map_err(failed)?;
            sync_folder(record.dir());
        }
        Ok(Kept { path, stored: size, size, is_ours: true, is_archive: false })
    }
}

/// Keeps an archive in a file of its own, whose name is not hidden: it is for a person to find.
fn keep_archive(folder: &Path, spool: &Spool) -> Result<Kept, SaveError> {
    let failed = |error| SaveError::io("write to", folder, error);
    let dir = private_folder(folder).map_err(failed)?;
    let name = format!("{}.tar", hidden_name("")?.trim_start_matches('.'));
    let file = create_new(&dir, &name, folder)?;
    let copied = copy(spool, &file).and_then(|()| file.metadata()).map(|metadata| metadata.len());
    let size = copied.map_err(|error| {
        // By our own random name.
        let _ = dir.remove_file(&name);
        failed(error)
    })?;
    sync_folder(&dir);
    Ok(Kept { path: folder.join(name), stored: size, size, is_ours: true, is_archive: true })
}

/// Writes all of it to a file, durably.
fn copy(spool: &Spool, mut file: &File) -> io::Result<()> {
    match spool.in_memory() {
        // Without another copy of it in memory.
        Some(bytes) => file.write_all_at(bytes, 0)?,
        None => {
            io::copy(&mut spool.clone(), &mut file)?;
        }
    }
    file.sync_all()
}

/// A folder for this user only, which is made if it is missing.
fn private_folder(folder: &Path) -> io::Result<Dir> {
    make_private_folders(folder)?;
    Dir::open_ambient_dir(folder, ambient_authority())
}

/// The record of a drop that is spooled, in a folder that is made if it is missing.
pub(super) fn record_in(folder: &Path, entry: Entry) -> io::Result<Record> {
    let dir = private_folder(folder)?;
    let hidden = hidden_name("").map_err(io::Error::other)?;
    Record::create(&dir, folder, &hidden, entry)
}
