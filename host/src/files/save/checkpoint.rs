//! Makes what has arrived of a large drop durable while the rest arrives, and records how much that is.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::record::Record;
use crate::lock::lock;

/// A checkpoint is due after so many bytes. The next one begins once it is done, so that a slow disk has fewer.
const EVERY: u64 = 8 * 1024 * 1024;

/// The checkpoints of one part file, one at a time, each in a thread of its own.
#[derive(Default)]
pub(super) struct Checkpoints {
    /// How many bytes had arrived at the latest.
    latest: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Checkpoints {
    /// Begins a checkpoint, if one is due and none is running: the first `bytes` bytes are in the file, without a gap.
    /// Fails as an earlier one did.
    pub(super) fn note(&mut self, file: &File, record: &Arc<Mutex<Record>>, bytes: u64) -> io::Result<()> {
        if bytes < self.latest.saturating_add(EVERY) {
            return Ok(());
        }
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return Ok(());
        }
        self.wait()?;
        self.latest = bytes;
        let (file, record) = (file.try_clone()?, record.clone());
        // Without a thread there is no checkpoint: less is found by a later process.
        self.running = Builder::new().spawn(move || sync(&file, &record, bytes)).ok();
        Ok(())
    }

    /// Waits for the one that is running; fails as it did.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        match self.running.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("a thread that syncs the file has panicked")),
        }
    }
}

/// Makes the file durable, and records that its first `bytes` bytes are.
pub(super) fn sync(file: &File, record: &Mutex<Record>, bytes: u64) -> io::Result<()> {
    file.sync_data()?;
    let mut record = lock(record);
    record.entry.durable = bytes;
    // Should this fail, the record still holds the count of an earlier checkpoint.
    let _ = record.write_durably();
    Ok(())
}
