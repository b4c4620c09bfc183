//! A drop that is being received.

mod placing;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::offer::Offer;
use deaddrop_core::token::FetchId;
use deaddrop_core::wire::Attributes;
use log::debug;
use zeroize::{Zeroize, Zeroizing};

use super::checkpoint::{self, Checkpoints};
use super::error::SaveError;
use super::leftover::{Kept, Leftover, record_in};
use super::part::{Part, remove_ours, space};
use super::record::{Entry, Record, Stage};
use super::spool::Spool;
use super::store::{KEPT_MIN, Store, part_and_record, spool};
use super::writer::{Extent, PositionedWriter, lengthen, write_at};
use super::{Destination, Place};
use crate::files::name;
use crate::files::target::Writer;
use crate::lock::lock;
use crate::platform::FileExt;

/// A drop that is being received. What an earlier process has received goes on in it too.
///
/// Dropping it before [`finish`](Self::finish) removes all traces of it, unless [they are kept](Self::keeps).
pub(crate) struct Incoming {
    store: Store,
    size: u64,
    /// The file may have bytes before this that are to be written over. What follows is a hole.
    fresh: u64,
    stored: u64,
    /// The bytes of data records among those that are stored. A sender resumes after no others.
    data: u64,
    /// What a later process needs to go on. `None` for a spool without a folder for it.
    record: Option<Arc<Mutex<Record>>>,
    /// What the file gets once it is whole.
    attributes: Option<Attributes>,
    /// Where a record could not be made, and what it was to say.
    unrecorded: Option<(PathBuf, Entry)>,
    checkpoints: Checkpoints,
    /// `ready` may have been sent: nobody else can have the drop.
    ready: bool,
    /// An earlier process began it.
    resumed: bool,
    /// An earlier process has received all of it.
    whole: bool,
}

/// Whose drop is received: what its record says.
pub(crate) struct Claimed<'a> {
    pub(crate) offer: &'a Offer,
    pub(crate) id: &'a FetchId,
    pub(crate) from: SocketAddr,
    pub(crate) attributes: Option<Attributes>,
}

/// Where a drop is that has arrived whole.
#[derive(Debug)]
pub(crate) enum FinishedFile {
    /// Under this path.
    Saved(PathBuf),
    /// In memory or in a file without a name.
    Spooled(Spool),
}

/// Why a drop that has arrived has not its name, and what is kept of it.
#[derive(Debug)]
pub(crate) struct Unplaced {
    pub(crate) error: SaveError,
    pub(crate) kept: Option<Kept>,
    /// Its record.
    pub(crate) leftover: Box<Leftover>,
}

impl Incoming {
    /// Makes room for a drop. Nothing shows under its name yet.
    pub(crate) fn create(destination: &Destination, claimed: &Claimed<'_>) -> Result<Self, SaveError> {
        let Claimed { offer, id, from, attributes } = claimed;
        let (name, size) = (&offer.name, offer.size);
        let needed = attributes.and_then(|attributes| attributes.space).map_or(size, |space| space.min(size));
        let entry = |spooled| Entry::new(offer, id, *from, spooled);
        let mut unrecorded = None;
        let (store, record) = match &destination.0 {
            Place::Spool(None) => (spool(size)?, None),
            Place::Spool(Some(folder)) => {
                let store = spool(size)?;
                let record = record_in(folder, entry(true)).ok();
                if record.is_none() {
                    // A message is worth more than the record of it: without one it is printed all the same.
                    unrecorded = Some((folder.clone(), entry(true)));
                }
                (store, record)
            }
            Place::Folder(folder) => {
                let wanted = folder.name.clone().unwrap_or_else(|| name::safe(name.as_str()));
                let (part, record) = part_and_record(folder, wanted, entry(false), needed)?;
                (Store::Part(part), Some(record))
            }
        };
        // Without name and folder.
        let place = match &store {
            Store::Memory(_) => "memory",
            Store::Sealed(_) => "a sealed file without a name",
            Store::Part(_) | Store::Kept(_) => "a part file",
        };
        debug!("files: {size} bytes go to {place}");
        let record = record.map(|record| Arc::new(Mutex::new(record)));
        let mut incoming = Self::of(store, record, size);
        (incoming.unrecorded, incoming.attributes) = (unrecorded, *attributes);
        Ok(incoming)
    }

    fn of(store: Store, record: Option<Arc<Mutex<Record>>>, size: u64) -> Self {
        let (checkpoints, unrecorded) = (Checkpoints::default(), None);
        Self {
            store,
            size,
            fresh: 0,
            stored: 0,
            data: 0,
            record,
            attributes: None,
            unrecorded,
            checkpoints,
            ready: false,
            resumed: false,
            whole: false,
        }
    }

    /// Goes on with what an earlier process has recorded, in a folder, where the drop is to get the name `wanted`
    /// unless it has one.
    pub(in crate::files) fn open(
        record: Arc<Mutex<Record>>,
        folder: &Path,
        wanted: String,
    ) -> Result<Self, SaveError> {
        let mut entry = lock(&record);
        let dir = entry.dir().try_clone().map_err(|error| SaveError::io("open", folder, error))?;
        let (temporary, size, stage) = (entry.part().to_owned(), entry.entry.size, entry.entry.stage);
        let durable = if stage == Stage::Whole { size } else { entry.entry.durable };
        if std::mem::take(&mut entry.entry.trying) {
            Part::remove_tried(&dir, &wanted);
        }
        let identity = entry.entry.part;
        let placed = || match stage {
            Stage::Receiving => None,
            Stage::Ready | Stage::Whole => Part::placed(&dir, folder, &temporary, identity, size),
        };
        let (store, stored, whole) = if entry.entry.spooled {
            let kept = match stage {
                Stage::Whole => Part::open(&dir, folder, &temporary, wanted, durable)?,
                Stage::Receiving | Stage::Ready => {
                    // Its process ended while it was written.
                    remove_ours(&dir, &temporary);
                    None
                }
            };
            match kept {
                Some(part) => (Store::Kept(part), size, true),
                None => (spool(size)?, 0, false),
            }
        } else if let Some(part) = placed() {
            (Store::Part(part), size, true)
        } else if let Some(part) = Part::open(&dir, folder, &temporary, wanted.clone(), durable)? {
            (Store::Part(part), durable, stage == Stage::Whole)
        } else {
            space(&dir, folder, size, size)?;
            (Store::Part(Part::create(&dir, folder, &temporary, wanted)?), 0, false)
        };
        if let Store::Part(part) = &store {
            entry.entry.part = part.identity();
        }
        if !whole {
            entry.entry.durable = stored;
            entry.entry.stage = if stage == Stage::Receiving { stage } else { Stage::Ready };
        }
        entry.write().map_err(|error| SaveError::io("write to", folder, error))?;
        drop(entry);
        let mut incoming = Self::of(store, Some(record), size);
        (incoming.stored, incoming.data, incoming.fresh) = (stored, stored, stored);
        (incoming.ready, incoming.resumed, incoming.whole) = (stage != Stage::Receiving, true, whole);
        Ok(incoming)
    }

    /// Adds the next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        let stored = u64::try_from(bytes.len()).ok().and_then(|more| self.stored.checked_add(more));
        let stored = stored.filter(|stored| *stored <= self.size).ok_or(SaveError::Excess)?;
        let extent = self.extent();
        match &mut self.store {
            // The capacity was set aside, so it does not move and leave a copy behind.
            Store::Memory(memory) => memory.extend_from_slice(bytes),
            Store::Sealed(sealed) => sealed.store(bytes, self.stored)?,
            Store::Part(part) => write_at(&part.file, &part.folder, bytes, self.stored, extent)?,
            Store::Kept(_) => return Err(SaveError::Excess),
        }
        self.stored = stored;
        Ok(())
    }

    fn extent(&self) -> Extent {
        Extent { fresh: self.fresh, size: self.size }
    }

    /// For threads that store parts of it. `None` if the drop goes to memory, or the system has no descriptor left.
    pub(crate) fn writer(&self) -> Option<Writer> {
        match &self.store {
            Store::Memory(_) => None,
            Store::Sealed(sealed) => Some(Writer::Sealed(sealed.again())),
            Store::Part(part) | Store::Kept(part) => {
                let (file, folder) = (part.file.try_clone().ok()?, part.folder.clone());
                let writer = PositionedWriter { file, folder, extent: self.extent() };
                Some(Writer::Anywhere(writer, Mutex::default()))
            }
        }
    }

    /// Counts the next `bytes` bytes as stored: a [writer](Self::writer) has written all of them.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.stored = self.stored.saturating_add(bytes).min(self.size);
    }

    /// All that is stored came in data records: a later fetch can resume after it. From time to time it is made durable
    /// in another thread.
    pub(crate) fn checkpoint(&mut self) -> Result<(), SaveError> {
        self.data = self.stored;
        if let (Store::Part(part), Some(record)) = (&self.store, &self.record) {
            let noted = self.checkpoints.note(&part.file, record, self.data);
            noted.map_err(|error| SaveError::io("write to", &part.folder, error))?;
        }
        Ok(())
    }

    /// Goes back to the first `stored` bytes: what comes next belongs after them.
    pub(crate) fn rewind(&mut self, stored: u64) {
        self.stored = self.stored.min(stored);
        self.data = self.data.min(self.stored);
        // Of an earlier connection.
        if let Store::Part(part) | Store::Kept(part) = &self.store {
            let written = part.file.metadata().map_or(u64::MAX, |metadata| metadata.len());
            self.fresh = self.fresh.max(written);
        }
        if let Store::Memory(memory) = &mut self.store {
            let kept = usize::try_from(self.stored).unwrap_or(usize::MAX).min(memory.len());
            // `truncate` would leave the bytes behind it unwiped.
            memory.get_mut(kept..).unwrap_or_default().zeroize();
            memory.truncate(kept);
        }
    }

    /// The digest by which a sender tells that the first `offset` bytes are its drop's; `None` for none, or if they
    /// cannot be read back.
    pub(crate) fn prefix_digest(&self, offset: u64) -> Option<[u8; 32]> {
        if offset == 0 || offset > self.stored {
            return None;
        }
        let mut digest = PrefixDigest::new(offset);
        let range = digest.range();
        let len = usize::try_from(range.end - range.start).ok()?;
        let mut bytes = Zeroizing::new(Vec::new());
        if !matches!(self.store, Store::Memory(_)) {
            bytes.resize(len, 0);
        }
        match &self.store {
            Store::Memory(memory) => {
                let start = usize::try_from(range.start).ok()?;
                digest.update(memory.get(start..start.checked_add(len)?)?);
            }
            Store::Sealed(sealed) => sealed.read_at(range.start, &mut bytes).ok()?,
            Store::Part(part) | Store::Kept(part) => {
                lengthen(&part.file, offset).ok()?;
                part.file.read_exact_at(&mut bytes, range.start).ok()?;
            }
        }
        digest.update(&bytes);
        Some(digest.finish())
    }

    /// What `begin` says of the file, of each connection anew.
    pub(crate) fn set_attributes(&mut self, attributes: Option<Attributes>) {
        self.attributes = attributes.or(self.attributes);
    }

    /// How many bytes have been added.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// The size of the drop.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether an earlier process began it.
    pub(crate) fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Whether an earlier process has received all of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether what is here stays when this is dropped, for a later fetch to go on with.
    pub(crate) fn keeps(&self) -> bool {
        self.record.is_some() && (self.ready || self.resumed || (self.is_part() && self.data >= KEPT_MIN))
    }

    fn is_part(&self) -> bool {
        matches!(self.store, Store::Part(_))
    }

    /// What stays when this is dropped.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let record = self.record.as_ref().filter(|_| self.keeps())?;
        let record = lock(record);
        let path = match &self.store {
            Store::Part(part) | Store::Kept(part) => part.path(),
            Store::Memory(_) | Store::Sealed(_) => record.path(),
        };
        let stored = if record.entry.stage == Stage::Whole { self.size } else { record.entry.durable };
        Some(Kept { path, stored, size: self.size, is_ours: self.ready, is_archive: false })
    }

    /// Begins to make durable what is to be kept, in another thread. The receiver is closed once that is done.
    pub(crate) fn sync(&mut self) -> async_channel::Receiver<()> {
        let (done, ended) = async_channel::bounded(1);
        if let (true, Store::Part(part), Some(record)) = (self.keeps(), &self.store, &self.record)
            && lock(record).entry.stage != Stage::Whole
            && let Ok(file) = part.file.try_clone()
        {
            let (record, bytes) = (record.clone(), self.data);
            let mut checkpoints = std::mem::take(&mut self.checkpoints);
            // Without the thread, less is found by a later fetch.
            let _ = std::thread::Builder::new().spawn(move || {
                let _done = done;
                // What is not durable is not counted.
                let _ = checkpoints.wait().and_then(|()| checkpoint::sync(&file, &record, bytes));
            });
        }
        ended
    }

    /// Forgets it: nothing is kept.
    pub(crate) fn discard(mut self) {
        (self.ready, self.resumed, self.data) = (false, false, 0);
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.keeps() {
            return;
        }
        if let Store::Part(part) | Store::Kept(part) = &self.store {
            part.remove();
        }
        // Last: as long as it is there, a later fetch knows the part.
        if let Some(record) = &self.record {
            lock(record).remove();
        }
    }
}

// Without the record, in which there is a secret.
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("size", &self.size)
            .field("stored", &self.stored)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Incoming {
    /// A drop from nobody.
    pub(crate) fn of_nobody(destination: &Destination, name: &str, size: u64) -> Result<Self, SaveError> {
        Self::create(destination, &tests::claimed(&tests::offer(name, size)))
    }
}

#[cfg(test)]
pub(in crate::files) mod tests;
