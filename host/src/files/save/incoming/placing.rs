//! The end of a drop that is being received: what can fail is tried before the sender is asked for the last bytes, and
//! then it gets its name.

use std::io::ErrorKind;
use std::path::Path;

use zeroize::Zeroizing;

use super::{FinishedFile, Incoming, Unplaced};
use crate::files::attributes;
use crate::files::save::SaveError;
use crate::files::save::leftover::Leftover;
use crate::files::save::record::Stage;
use crate::files::save::spool::Spool;
use crate::files::save::store::{KEPT_MIN, MEMORY_MAX, Store};
use crate::lock::lock;
use crate::platform::{self, FileExt, sync_folder};

impl Incoming {
    /// Tries what can still fail before the sender is asked for the last `length` bytes: that the part file has its
    /// name, that the file system takes the drop's name, that there is space on the disk for the bytes, and that a later
    /// process finds the record. A file system that cannot promise space is believed.
    pub(crate) fn reserve_tail(&mut self, length: u64) -> Result<(), SaveError> {
        if let Store::Part(part) = &self.store {
            part.check_name()?;
            if !part.is_taken() {
                // For the next process, should this one end in between. A disk that is full is noticed below.
                let note = |trying| {
                    if let Some(record) = &self.record {
                        let mut record = lock(record);
                        record.entry.trying = trying;
                        let _ = record.write();
                    }
                };
                note(true);
                let tried = part.try_wanted_name();
                note(false);
                tried?;
            }
        }
        let reserved = match &self.store {
            Store::Sealed(sealed) => sealed.reserve(length).map_err(|error| (error, sealed.folder())),
            Store::Part(part) | Store::Kept(part) if length > 0 => {
                let reserved = platform::reserve(&part.file, self.stored, length);
                reserved.map_err(|error| (error, part.folder.as_path()))
            }
            _ => Ok(()),
        };
        reserved.map_err(|(error, folder)| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                SaveError::NoSpace { folder: folder.to_owned(), needed: length }
            }
            _ => SaveError::io("write to", folder, error),
        })?;
        if let Some(record) = &self.record {
            let mut record = lock(record);
            record.entry.stage = Stage::Ready;
            // That of a large drop is on the disk since it began, and waiting for it now may take as long as all that is
            // still to be written before it.
            let written = if self.size >= KEPT_MIN {
                record.write()
            } else {
                let written = record.write_durably();
                sync_folder(record.dir());
                written
            };
            // A message is worth more than the record of it.
            if let (Err(error), Store::Part(part)) = (written, &self.store) {
                record.entry.stage = Stage::Receiving;
                return Err(SaveError::io("write to", &part.folder, error));
            }
        }
        self.ready = true;
        Ok(())
    }

    /// Puts the drop in its place: every byte on the disk, then its name, then the name on the disk.
    ///
    /// Returns the path it has at last, which differs from the one it was to have when that was taken. If that fails,
    /// what is here is kept, because nobody else can have the drop any more.
    pub(crate) fn finish(mut self) -> Result<(FinishedFile, Leftover), Unplaced> {
        match self.place() {
            Ok(finished) => {
                let part = match std::mem::replace(&mut self.store, Store::Memory(Zeroizing::default())) {
                    Store::Kept(part) => Some(part),
                    _ => None,
                };
                let (record, unrecorded) = (self.record.take(), self.unrecorded.take());
                Ok((finished, Leftover { record, unrecorded, part, archive: None }))
            }
            Err(error) => {
                let leftover = Box::new(Leftover { record: self.record.clone(), ..Leftover::default() });
                Err(Unplaced { kept: self.kept(), error, leftover })
            }
        }
    }

    fn place(&mut self) -> Result<FinishedFile, SaveError> {
        if self.stored != self.size {
            return Err(SaveError::Truncated { stored: self.stored, size: self.size });
        }
        let failed = |folder: &Path| {
            let folder = folder.to_owned();
            move |error| SaveError::io("write to", &folder, error)
        };
        match &mut self.store {
            Store::Memory(memory) => Ok(FinishedFile::Spooled(Spool::memory(std::mem::take(memory)))),
            Store::Sealed(sealed) => {
                sealed.close().map_err(failed(sealed.folder()))?;
                Ok(FinishedFile::Spooled(Spool::sealed(sealed.clone())))
            }
            Store::Kept(part) => {
                let size = usize::try_from(self.size).map_err(|_| SaveError::TooLarge)?;
                if self.size > MEMORY_MAX {
                    let file = part.file.try_clone().map_err(failed(&part.folder))?;
                    return Ok(FinishedFile::Spooled(Spool::file(file)));
                }
                let mut bytes = Zeroizing::new(vec![0; size]);
                part.file.read_exact_at(&mut bytes, 0).map_err(failed(&part.folder))?;
                Ok(FinishedFile::Spooled(Spool::memory(bytes)))
            }
            Store::Part(part) => {
                let waited = self.checkpoints.wait();
                if let Some(attributes) = &self.attributes {
                    attributes::apply(attributes, &part.file);
                }
                let synced = waited.and_then(|()| part.file.sync_all());
                synced.map_err(failed(&part.folder))?;
                if let Some(record) = &self.record {
                    let mut record = lock(record);
                    record.entry.stage = Stage::Whole;
                    // Should this fail, the file is found by its inode once it has its name.
                    let _ = record.write();
                }
                self.ready = true;
                let placed = part.place();
                if let (Err(SaveError::PartReplaced { .. }), Some(record)) = (&placed, &self.record) {
                    // Nothing of it is here any more.
                    let mut record = lock(record);
                    (record.entry.stage, record.entry.durable) = (Stage::Ready, 0);
                    (self.stored, self.data) = (0, 0);
                    let _ = record.write_durably();
                }
                placed.map(FinishedFile::Saved)
            }
        }
    }
}
