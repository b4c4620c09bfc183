//! Makes what has arrived of a large drop durable while the rest arrives, and records how much that is.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::record::Record;
use super::writer::lengthen;
use crate::lock::lock;

/// A checkpoint is due after so many bytes. The next one begins once it is done, so that a slow disk has fewer.
const EVERY: u64 = 8 * 1024 * 1024;

/// The checkpoints of one drop, one at a time, each in a thread of its own.
#[derive(Debug, Default)]
pub(in crate::files) struct Checkpoints {
    /// How many bytes had arrived at the latest.
    latest: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Checkpoints {
    /// Whether one is due after `every` bytes, now that `bytes` bytes have arrived, and none is running.
    pub(in crate::files) fn is_due(&self, bytes: u64, every: u64) -> bool {
        bytes >= self.latest.saturating_add(every)
            && self.running.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Begins one of the first `bytes` bytes: `work` makes them durable. Fails as an earlier one did.
    pub(in crate::files) fn begin(
        &mut self,
        bytes: u64,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        self.wait()?;
        self.latest = bytes;
        // Without a thread there is no checkpoint: less is found by a later process.
        self.running = Builder::new().spawn(work).ok();
        Ok(())
    }

    /// Begins one of a part file, if it is due: the first `bytes` bytes are in the file, without a gap.
    pub(in crate::files) fn note(
        &mut self,
        file: &File,
        record: &Arc<Mutex<Record>>,
        bytes: u64,
    ) -> io::Result<()> {
        if !self.is_due(bytes, EVERY) {
            return Ok(());
        }
        let (file, record) = (file.try_clone()?, record.clone());
        self.begin(bytes, move || sync(&file, &record, bytes))
    }

    /// Waits for the one that is running; fails as it did.
    pub(in crate::files) fn wait(&mut self) -> io::Result<()> {
        match self.running.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("a thread that syncs the file has panicked")),
        }
    }
}

/// Makes the file durable, and records that its first `bytes` bytes are.
pub(in crate::files) fn sync(file: &File, record: &Mutex<Record>, bytes: u64) -> io::Result<()> {
    lengthen(file, bytes)?;
    file.sync_data()?;
    let mut record = lock(record);
    record.entry.durable = bytes;
    // Should this fail, the record still holds the count of an earlier checkpoint.
    let _ = record.write_durably();
    Ok(())
}
