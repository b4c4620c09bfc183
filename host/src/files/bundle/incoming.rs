//! A bundle that is being received: its stream is taken apart in order, whichever thread has the next piece.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::limits::PREFIX_DIGEST_MAX;
use deaddrop_core::offer::Name;
use deaddrop_core::wire::{BundleEntry, BundlePart, BundleReader, EntryKind};
use zeroize::Zeroizing;

use super::folder::FolderSink;
use super::tar::TarSink;
use crate::files::save::{Destination, Place, SaveError, Spool};
use crate::lock::lock;

/// How many of the latest bytes are kept, to prove to the sender what is here when a connection is replaced: those of
/// the digest, and as many again, because threads may be ahead of what is counted.
const TAIL: u64 = 2 * PREFIX_DIGEST_MAX;

/// A bundle that has been saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedBundle {
    /// Where its folder is, or each of its separate entries.
    pub paths: Vec<PathBuf>,
    /// How many files it has.
    pub files: u32,
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
    /// A symbolic link on a file system that has none. It is left out.
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

/// A bundle that is being received. Dropping it before [`finish`](Self::finish) removes all traces of it.
#[derive(Debug)]
pub(crate) struct BundleIncoming {
    shared: Arc<Shared>,
    size: u64,
    stored: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Notified when the position has changed, or nothing more comes.
    moved: Condvar,
    /// How many files have been taken apart, whole. Beside the state, so that reading it keeps no thread waiting.
    files: AtomicU32,
}

#[derive(Debug)]
struct State {
    reader: BundleReader,
    sink: Sink,
    /// How many bytes of the stream have been taken apart.
    position: u64,
    tail: Zeroizing<Vec<u8>>,
    /// How many files are whole, and what the last one lacks.
    files: u32,
    file_left: u64,
    /// A thread that had a piece did not store all of it.
    broken: bool,
}

#[derive(Debug)]
enum Sink {
    Folder(FolderSink),
    Tar(TarSink),
}

/// Stores pieces of a bundle from several threads, each when its turn comes.
#[derive(Clone, Debug)]
pub(crate) struct OrderedWriter(Arc<Shared>);

/// The turn to store.
pub(crate) struct Turn<'a> {
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
}

impl BundleIncoming {
    /// Makes room for a bundle of `size` bytes that is called `name`. Nothing shows under that name yet.
    pub(crate) fn create(destination: &Destination, name: &Name, size: u64) -> Result<Self, SaveError> {
        let sink = match &destination.0 {
            Place::Folder(folder) => Sink::Folder(FolderSink::create(folder, size)?),
            Place::Spool(_) => Sink::Tar(TarSink::new()),
        };
        let tail = usize::try_from(size.min(TAIL)).map_err(|_| SaveError::TooLarge)?;
        let state = State {
            reader: BundleReader::new(name.clone(), size),
            sink,
            position: 0,
            tail: Zeroizing::new(vec![0; tail]),
            files: 0,
            file_left: 0,
            broken: false,
        };
        let shared = Shared { state: Mutex::new(state), moved: Condvar::new(), files: AtomicU32::new(0) };
        Ok(Self { shared: Arc::new(shared), size, stored: 0 })
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
    }

    /// The digest of the first `offset` bytes; `None` for none, or if they are not at hand any more.
    pub(crate) fn prefix_digest(&self, offset: u64) -> Option<[u8; 32]> {
        if offset == 0 || offset > self.stored {
            return None;
        }
        let mut digest = PrefixDigest::new(offset);
        let range = digest.range();
        let state = lock(&self.shared.state);
        if range.start < state.position.saturating_sub(state.tail.len() as u64) {
            return None;
        }
        let (front, back) = state.tail.split_at(state.at(range.start));
        let len = usize::try_from(range.end - range.start).ok()?;
        let first = back.get(..len.min(back.len()))?;
        digest.update(first);
        digest.update(front.get(..len - first.len())?);
        Some(digest.finish())
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

    /// Tries what can still fail before the sender is asked for the last `length` bytes.
    pub(crate) fn reserve_tail(&self, length: u64) -> Result<(), SaveError> {
        let mut state = lock(&self.shared.state);
        let most = BundleReader::most_entries(length);
        let entries = state.reader.entries_left().map_or(most, |left| most.min(left.into()));
        match &mut state.sink {
            Sink::Folder(folder) => folder.reserve_tail(length, entries),
            Sink::Tar(tar) => tar.reserve_tail(length, entries),
        }
    }

    /// Puts the bundle in its place, once everything in it is on the disk.
    pub(crate) fn finish(self) -> Result<FinishedBundle, SaveError> {
        if self.stored != self.size {
            return Err(SaveError::Truncated { stored: self.stored, size: self.size });
        }
        // No thread stores any more.
        let shared = Arc::try_unwrap(self.shared).map_err(|_| SaveError::Bug)?;
        let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.reader.finish()?;
        match state.sink {
            Sink::Folder(folder) => {
                let separate = state.reader.head().is_some_and(|head| head.separate);
                folder.finish(separate).map(FinishedBundle::Saved)
            }
            Sink::Tar(tar) => tar.finish().map(FinishedBundle::Spooled),
        }
    }
}

impl Shared {
    /// Takes the bytes at `offset` apart, and counts the files that are whole with them.
    fn store(&self, state: &mut State, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
        let stored = state.store(offset, bytes);
        self.files.store(state.files, Ordering::Relaxed);
        stored
    }
}

impl State {
    /// Takes the bytes at `offset` apart, but for those that have been.
    fn store(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SaveError> {
        let known = usize::try_from(self.position.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut input = bytes.get(known..).unwrap_or_default();
        if offset > self.position || self.position.checked_add(input.len() as u64).is_none() {
            return Err(SaveError::Bug);
        }
        self.keep(input);
        self.position += input.len() as u64;
        while let Some(part) = self.reader.next(&mut input)? {
            let ends_file = match &part {
                BundlePart::Head(_) => false,
                BundlePart::Entry(BundleEntry { kind: EntryKind::File { size, .. }, .. }) => {
                    self.file_left = *size;
                    *size == 0
                }
                BundlePart::Entry(_) => false,
                BundlePart::Content(bytes) => {
                    self.file_left = self.file_left.saturating_sub(bytes.len() as u64);
                    self.file_left == 0
                }
            };
            match (part, &mut self.sink) {
                (BundlePart::Head(_), _) => {}
                (BundlePart::Entry(entry), Sink::Folder(sink)) => sink.entry(&entry)?,
                (BundlePart::Entry(entry), Sink::Tar(sink)) => sink.entry(&entry)?,
                (BundlePart::Content(bytes), Sink::Folder(sink)) => sink.content(bytes)?,
                (BundlePart::Content(bytes), Sink::Tar(sink)) => sink.content(bytes)?,
            }
            self.files = self.files.saturating_add(ends_file.into());
        }
        Ok(())
    }

    /// Where a position of the stream is in the ring of the latest bytes.
    fn at(&self, position: u64) -> usize {
        let at = position.checked_rem(self.tail.len() as u64).unwrap_or(0);
        usize::try_from(at).unwrap_or(0)
    }

    /// Keeps the latest bytes.
    fn keep(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(self.tail.len());
        let bytes = bytes.get(skipped..).unwrap_or_default();
        let at = self.at(self.position.saturating_add(skipped as u64));
        let (front, back) = self.tail.split_at_mut(at);
        let (first, rest) = bytes.split_at(bytes.len().min(back.len()));
        back.get_mut(..first.len()).unwrap_or_default().copy_from_slice(first);
        front.get_mut(..rest.len()).unwrap_or_default().copy_from_slice(rest);
    }
}

impl OrderedWriter {
    /// The turn to store the bytes at `offset`, once all before it are stored, or at once if `wait` is false. `None` if it
    /// is not their turn, or never will be.
    pub(crate) fn turn(&self, offset: u64, wait: bool) -> Option<Turn<'_>> {
        let shared = &*self.0;
        let mut state = if wait { lock(&shared.state) } else { shared.state.try_lock().ok()? };
        while state.position < offset && !state.broken && wait {
            state = shared.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (state.position >= offset && !state.broken).then_some(Turn { shared, state })
    }

    /// Says that a thread does not store what it has, so that no other waits for it.
    pub(crate) fn break_off(&self) {
        lock(&self.0.state).broken = true;
        self.0.moved.notify_all();
    }
}

impl Turn<'_> {
    /// Stores the bytes at `offset`.
    pub(crate) fn store(&mut self, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
        self.shared.store(&mut self.state, bytes, offset)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.shared.moved.notify_all();
    }
}
