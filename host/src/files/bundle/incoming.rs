//! A bundle that is being received.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use deaddrop_core::wire::BundleReader;

use super::folder::FolderSink;
use super::stream::{OrderedWriter, Shared, Sink, State};
use super::tail::Tail;
use super::tar::TarSink;
use crate::files::name;
use crate::files::save::checkpoint::Checkpoints;
use crate::files::save::record::{Entry, Record, Stage};
use crate::files::save::{
    Claimed, Destination, Folder, KEPT_MIN, Kept, Leftover, Place, SaveError, Spool, Unplaced,
};
use crate::lock::lock;
use crate::platform::sync_folder;

/// A checkpoint is due after so many bytes.
const EVERY: u64 = 4 * 1024 * 1024;

/// A bundle that has been saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedBundle {
    /// Where its folder is, or each of its separate entries.
    pub paths: Vec<PathBuf>,
    /// How many files it has.
    pub files: u32,
    /// How many files, folders and links it has.
    pub entries: u32,
    /// What could not be saved as it was sent.
    pub alterations: Vec<Alteration>,
}

/// Something that could not be saved as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alteration {
    /// The name is taken, means something else here, or is none that the file system takes. It has another one.
    Renamed {
        /// Its path in the drop: the sender's words.
        path: String,
        /// The name that it has.
        name: String,
    },
    /// A symbolic link that cannot be made here, or would lead somewhere else. It is left out.
    LinkLeftOut {
        /// Its path in the drop: the sender's words.
        path: String,
    },
}

/// What becomes of a bundle that has arrived whole.
#[derive(Debug)]
pub(crate) enum FinishedBundle {
    Saved(SavedBundle),
    /// A tar archive.
    Spooled(Spool),
}

/// A bundle that is being received. What an earlier process has received goes on in it too.
///
/// Dropping it before [`finish`](Self::finish) removes all traces of it, unless [they are kept](Self::keeps).
#[derive(Debug)]
pub(crate) struct BundleIncoming {
    shared: Arc<Shared>,
    size: u64,
    stored: u64,
    /// The bytes of data records among those that are stored. A sender resumes after no others.
    data: u64,
    /// What a later process needs to go on. `None` for an archive.
    record: Option<RecordOf>,
    checkpoints: Checkpoints,
    /// `ready` may have been sent: nobody else can have the drop.
    ready: bool,
    /// An earlier process began it.
    resumed: bool,
    /// An earlier process has received all of it.
    whole: bool,
}

/// The record, without what is in it: there is a secret.
#[derive(Clone)]
struct RecordOf(Arc<Mutex<Record>>);

impl std::fmt::Debug for RecordOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordOf")
    }
}

/// What an earlier process has received of a bundle.
pub(super) struct Reopened {
    pub(super) sink: Sink,
    pub(super) reader: BundleReader,
    pub(super) tail: Tail,
    pub(super) files: u32,
    /// What the last file lacks.
    pub(super) file_left: u64,
    pub(super) stage: Stage,
}

impl BundleIncoming {
    /// Makes room for a bundle. Nothing shows under its name yet.
    pub(crate) fn create(destination: &Destination, claimed: &Claimed<'_>) -> Result<Self, SaveError> {
        let Claimed { offer, id, from, attributes: _ } = claimed;
        let (sink, record) = match &destination.0 {
            Place::Folder(Folder { dir, path, name, .. }) => {
                let wanted = name.clone().unwrap_or_else(|| name::safe(offer.name.as_str()));
                let entry = Entry::new(offer, id, *from, false);
                let (mut record, hidden) = Record::create_for(dir, path, &wanted, entry)?;
                let made = FolderSink::create(dir, path, name.clone(), &hidden, offer.size);
                let sink = made.inspect_err(|_| record.remove())?;
                if let Err(error) = begin(&mut record, &sink) {
                    if sink.remove() {
                        record.remove();
                    }
                    return Err(error);
                }
                (Sink::Folder(Box::new(sink)), Some(RecordOf(Arc::new(Mutex::new(record)))))
            }
            Place::Spool(_) => (Sink::Tar(TarSink::new()), None),
        };
        let reader = BundleReader::new(offer.name.clone(), offer.size);
        let tail = Tail::new(offer.size).ok_or(SaveError::TooLarge)?;
        let new = Reopened { sink, reader, tail, files: 0, file_left: 0, stage: Stage::Receiving };
        let mut incoming = Self::of(new, record, offer.size);
        incoming.resumed = false;
        if let Place::Folder(folder) = &destination.0 {
            lock(&incoming.shared.state).most = folder.entries;
        }
        Ok(incoming)
    }

    /// Goes on with what an earlier process has received.
    pub(super) fn reopened(reopened: Reopened, record: Arc<Mutex<Record>>, size: u64) -> Self {
        Self::of(reopened, Some(RecordOf(record)), size)
    }

    fn of(from: Reopened, record: Option<RecordOf>, size: u64) -> Self {
        let Reopened { sink, reader, tail, files, file_left, stage } = from;
        let whole = stage == Stage::Whole;
        let stored = if whole { size } else { tail.position() };
        let state =
            State { reader, sink, tail, files, file_left, most: u32::MAX, broken: false, failed: false };
        let shared = Shared { state: Mutex::new(state), moved: Condvar::new(), files: AtomicU32::new(files) };
        Self {
            shared: Arc::new(shared),
            size,
            stored,
            data: stored,
            record,
            checkpoints: Checkpoints::default(),
            ready: stage != Stage::Receiving,
            resumed: true,
            whole,
        }
    }

    /// Adds the next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        self.shared.store(&mut lock(&self.shared.state), bytes, self.stored)?;
        self.advance(bytes.len() as u64);
        Ok(())
    }

    /// For threads that store parts of it.
    pub(crate) fn writer(&self) -> OrderedWriter {
        lock(&self.shared.state).broken = false;
        OrderedWriter(self.shared.clone())
    }

    /// Counts the next `bytes` bytes as stored: a [writer](Self::writer) has stored all of them.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.stored = self.stored.saturating_add(bytes).min(self.size);
    }

    /// Goes back to the first `stored` bytes. What comes again is skipped: it has been taken apart.
    pub(crate) fn rewind(&mut self, stored: u64) {
        self.stored = self.stored.min(stored);
        self.data = self.data.min(self.stored);
    }

    /// All that is stored came in data records: a later fetch can resume after it. From time to time it is made durable
    /// in another thread.
    pub(crate) fn checkpoint(&mut self) -> Result<(), SaveError> {
        self.data = self.stored;
        let Some(RecordOf(record)) = &self.record else { return Ok(()) };
        if !self.checkpoints.is_due(self.stored, EVERY) {
            return Ok(());
        }
        let snapshot = lock(&self.shared.state).snapshot(record)?;
        if let Some((snapshot, path)) = snapshot {
            let record = record.clone();
            let begun = self.checkpoints.begin(self.stored, move || snapshot.sync(&record, None));
            begun.map_err(|error| SaveError::io("write to", &path, error))?;
        }
        Ok(())
    }

    /// The digest of the first `offset` bytes; `None` for none, or if they are not at hand any more.
    pub(crate) fn prefix_digest(&self, offset: u64) -> Option<[u8; 32]> {
        if offset == 0 || offset > self.stored {
            return None;
        }
        lock(&self.shared.state).tail.digest(offset)
    }

    /// How many bytes have been added.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// How many files have been added, whole.
    pub(crate) fn files(&self) -> u32 {
        self.shared.files.load(Ordering::Relaxed)
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

    /// Tries what can still fail before the sender is asked for the last `length` bytes, and has a later process know that
    /// nobody else can have the drop then.
    pub(crate) fn reserve_tail(&mut self, length: u64) -> Result<(), SaveError> {
        let mut state = lock(&self.shared.state);
        let most = BundleReader::most_entries(length);
        let entries = state.reader.entries_left().map_or(most, |left| most.min(left.into()));
        match (&mut state.sink, &self.record) {
            (Sink::Tar(tar), _) => tar.reserve_tail(length, entries)?,
            (Sink::Folder(folder), Some(RecordOf(record))) => {
                let mut record = lock(record);
                if folder.wanted.is_some() {
                    // For the next process, should this one end in between.
                    record.entry.trying = true;
                    let _ = record.write();
                    let tried = folder.try_wanted_name();
                    record.entry.trying = false;
                    let _ = record.write();
                    tried?;
                }
                folder.reserve_tail(&record, length, entries)?;
                record.entry.stage = Stage::Ready;
                // That of a large drop is on the disk since it began.
                let written = if self.size >= KEPT_MIN { record.write() } else { record.write_durably() };
                if let Err(error) = written {
                    record.entry.stage = Stage::Receiving;
                    return Err(folder.error(error));
                }
                sync_folder(record.dir());
                self.ready = true;
            }
            _ => return Err(SaveError::Bug),
        }
        Ok(())
    }

    /// Puts the bundle in its place, once everything in it is on the disk. If that fails, what is here is kept, because
    /// nobody else can have the drop any more.
    pub(crate) fn finish(mut self) -> Result<(FinishedBundle, Leftover), Unplaced> {
        match self.place() {
            Ok(finished) => {
                let record = self.record.take().map(|RecordOf(record)| record);
                Ok((finished, Leftover::of_bundle(record)))
            }
            Err(error) => {
                let record = self.record.as_ref().map(|RecordOf(record)| record.clone());
                let leftover = Box::new(Leftover::of_bundle(record));
                Err(Unplaced { kept: self.kept(), error, leftover })
            }
        }
    }

    fn place(&mut self) -> Result<FinishedBundle, SaveError> {
        if self.stored != self.size {
            return Err(SaveError::Truncated { stored: self.stored, size: self.size });
        }
        let checkpointed = self.checkpoints.wait();
        let mut state = lock(&self.shared.state);
        // No thread stores any more.
        state.broken = true;
        if !self.whole {
            state.reader.finish()?;
        }
        let separate = state.reader.head().is_some_and(|head| head.separate);
        let entries = state.reader.head().map_or(0, |head| head.entries);
        let State { sink, files, .. } = &mut *state;
        match sink {
            Sink::Tar(tar) => tar.finish().map(FinishedBundle::Spooled),
            Sink::Placed(saved) => Ok(FinishedBundle::Saved(saved.clone())),
            Sink::Folder(folder) => {
                let Some(RecordOf(record)) = &self.record else { return Err(SaveError::Bug) };
                checkpointed.map_err(|error| folder.error(error))?;
                if let Err(error) = folder.check_name() {
                    // Nothing of it is here any more.
                    let mut record = lock(record);
                    let stage = Stage::Ready;
                    (record.entry.stage, record.entry.durable, record.entry.journal) = (stage, 0, 0);
                    (self.stored, self.data, self.whole) = (0, 0, false);
                    let _ = record.write_durably();
                    return Err(error);
                }
                if !self.whole {
                    let snapshot = folder.whole(&lock(record), self.size)?;
                    let synced = snapshot.sync(record, Some(Stage::Whole));
                    synced.map_err(|error| folder.error(error))?;
                    self.whole = true;
                }
                folder.make_links()?;
                let paths = folder.place(separate)?;
                let alterations = std::mem::take(&mut folder.alterations);
                Ok(FinishedBundle::Saved(SavedBundle { paths, files: *files, entries, alterations }))
            }
        }
    }

    /// Whether what is here stays when this is dropped, for a later fetch to go on with.
    pub(crate) fn keeps(&self) -> bool {
        self.record.is_some() && (self.ready || self.resumed || self.whole || self.data >= KEPT_MIN)
    }

    /// What stays when this is dropped.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let RecordOf(record) = self.record.as_ref().filter(|_| self.keeps())?;
        let record = lock(record);
        let stored = if self.whole { self.size } else { record.entry.durable };
        Some(Kept { path: record.path(), stored, size: self.size, is_ours: self.ready, is_archive: false })
    }

    /// Begins to make durable what is to be kept, in another thread. The receiver is closed once that is done.
    pub(crate) fn sync(&mut self) -> async_channel::Receiver<()> {
        let (done, ended) = async_channel::bounded(1);
        if let (true, false, Some(RecordOf(record))) = (self.keeps(), self.whole, &self.record) {
            let mut state = lock(&self.shared.state);
            state.broken = true;
            if let Ok(Some((snapshot, _))) = state.snapshot(record) {
                let record = record.clone();
                let mut checkpoints = std::mem::take(&mut self.checkpoints);
                // Without the thread, less is found by a later fetch.
                let _ = std::thread::Builder::new().spawn(move || {
                    // What is not durable is not counted.
                    let _ = checkpoints.wait().and_then(|()| snapshot.sync(&record, None));
                    // With its lock, which is free once that is said to be done.
                    drop(record);
                    drop(done);
                });
            }
        }
        ended
    }

    /// Forgets it: nothing is kept.
    pub(crate) fn discard(mut self) {
        (self.ready, self.resumed, self.data) = (false, false, 0);
    }
}

impl Drop for BundleIncoming {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        // A thread that waits for its turn gets none.
        state.broken = true;
        self.shared.moved.notify_all();
        let keeps = self.keeps();
        if let (Some(RecordOf(record)), false) = (&self.record, keeps) {
            let removed = if let Sink::Folder(folder) = &state.sink { folder.remove() } else { true };
            // As long as it is there, a later fetch knows the folder.
            if removed {
                lock(record).remove();
            }
        }
    }
}

/// Has the record know the hidden folder, on the disk before there is much else to be written before it.
fn begin(record: &mut Record, sink: &FolderSink) -> Result<(), SaveError> {
    record.entry.part = sink.identity()?;
    let written = if record.entry.size >= KEPT_MIN {
        let written = record.write_durably();
        sync_folder(record.dir());
        written
    } else {
        record.write()
    };
    written.map_err(|error| sink.error(error))
}

#[cfg(test)]
impl BundleIncoming {
    /// A bundle from nobody.
    pub(super) fn of_nobody(destination: &Destination, name: &str, size: u64) -> Result<Self, SaveError> {
        let mut offer = crate::files::save::nobodys_offer(name, size);
        offer.kind = deaddrop_core::offer::Kind::Directory;
        Self::create(destination, &crate::files::save::claimed_by_nobody(&offer))
    }

    /// Ends as a process that is killed when all is durable and has its links, before the first name is given.
    pub(super) fn end_before_names(mut self) {
        let mut state = lock(&self.shared.state);
        let (Sink::Folder(folder), Some(RecordOf(record))) = (&mut state.sink, &self.record) else {
            panic!()
        };
        let snapshot = folder.whole(&lock(record), self.size).unwrap();
        snapshot.sync(record, Some(Stage::Whole)).unwrap();
        folder.make_links().unwrap();
        drop(state);
        self.whole = true;
    }

    /// Makes all of it durable that is here.
    pub(super) fn sync_now(&mut self) {
        self.data = KEPT_MIN;
        let synced = self.sync();
        assert!(synced.recv_blocking().is_err());
    }
}
