//! Makes the files and folders of a bundle durable.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cap_std::fs::Dir;

use super::folder::Synced;
use crate::files::save::record::{Record, Stage};
use crate::lock::lock;
use crate::platform;

/// Threads that sync files. A file system writes what several of them ask for in one go.
const SYNCERS: usize = 8;

/// What a checkpoint makes durable, and what the record says then.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) root: Dir,
    /// Files and folders below the root.
    pub(super) paths: Vec<String>,
    /// How many bytes of the stream are in them.
    pub(super) position: u64,
    /// How long the journal is that was written for them.
    pub(super) journal: u64,
    /// How many files and folders are durable then.
    pub(super) files: usize,
    pub(super) folders: usize,
    pub(super) synced: std::sync::Arc<Synced>,
}

impl Snapshot {
    /// Makes it durable, and the journal; and only then says so in the record.
    pub(super) fn sync(self, record: &Mutex<Record>, stage: Option<Stage>) -> io::Result<()> {
        sync(&self.root, &self.paths)?;
        let mut record = lock(record);
        record.sync()?;
        let entry = &mut record.entry;
        (entry.durable, entry.journal) = (self.position, self.journal);
        entry.stage = stage.unwrap_or(entry.stage);
        let written = record.write_durably();
        if stage.is_some() {
            // Names are given only to what a later process takes for whole.
            written?;
        }
        // Otherwise the record still says what an earlier checkpoint has made durable.
        self.synced.files.store(self.files, Ordering::Relaxed);
        self.synced.folders.store(self.folders, Ordering::Relaxed);
        Ok(())
    }
}

/// Syncs these files and folders. The whole file system is synced first, where the system can do that: one by one each file
/// would wait for the disk. What is synced then says whether that went well.
pub(super) fn sync(root: &Dir, paths: &[String]) -> io::Result<()> {
    platform::sync_file_system(root);
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let work = || {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = platform::sync_at(root, path) {
                lock(&failed).get_or_insert(error);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..SYNCERS.min(paths.len() / 64 + 1) {
            // Fewer threads do the same work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    platform::sync_folder(root);
    let failed = lock(&failed).take();
    failed.map_or(Ok(()), Err)
}
