//! The stream of a bundle, taken apart in order by whichever thread has the next piece.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use deaddrop_core::wire::{BundleEntry, BundlePart, BundleReader, EntryKind};

use super::durable::Snapshot;
use super::folder::FolderSink;
use super::incoming::SavedBundle;
use super::journal::Note;
use super::tail::Tail;
use super::tar::TarSink;
use crate::files::save::SaveError;
use crate::files::save::record::Record;
use crate::lock::lock;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Notified when the position has changed, or nothing more comes.
    pub(super) moved: Condvar,
    /// How many files have been taken apart, whole. Beside the state, so that reading it keeps no thread waiting.
    pub(super) files: AtomicU32,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) reader: BundleReader,
    pub(super) sink: Sink,
    /// How many bytes of the stream have been taken apart, and the latest of them.
    pub(super) tail: Tail,
    /// How many files are whole, and what the last one lacks.
    pub(super) files: u32,
    pub(super) file_left: u64,
    /// The most entries that it may have.
    pub(super) most: u32,
    /// A thread that had a piece did not store all of it, or nothing more is to be stored.
    pub(super) broken: bool,
    /// What is here is not what the journal says.
    pub(super) failed: bool,
}

#[derive(Debug)]
pub(super) enum Sink {
    Folder(Box<FolderSink>),
    Tar(TarSink),
    /// All of it is in its place.
    Placed(SavedBundle),
}

/// Stores pieces of a bundle from several threads, each when its turn comes.
#[derive(Clone, Debug)]
pub(crate) struct OrderedWriter(pub(super) Arc<Shared>);

/// The turn to store.
pub(crate) struct Turn<'a> {
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
}

impl Shared {
    /// Takes the bytes at `offset` apart, and counts the files that are whole with them.
    pub(super) fn store(&self, state: &mut State, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
        let stored = state.store(offset, bytes);
        self.files.store(state.files, Ordering::Relaxed);
        stored
    }
}

impl State {
    /// Takes the bytes at `offset` apart, but for those that have been.
    fn store(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SaveError> {
        if self.failed {
            return Err(SaveError::Bug);
        }
        let position = self.tail.position();
        let known = usize::try_from(position.saturating_sub(offset)).unwrap_or(usize::MAX);
        let input = bytes.get(known..).unwrap_or_default();
        if offset > position || position.checked_add(input.len() as u64).is_none() {
            return Err(SaveError::Bug);
        }
        self.failed = true;
        self.take_apart(input)?;
        self.failed = false;
        self.tail.add(input);
        Ok(())
    }

    fn take_apart(&mut self, mut input: &[u8]) -> Result<(), SaveError> {
        loop {
            let before = input;
            let part = self.reader.next(&mut input)?;
            let taken = before.get(..before.len() - input.len()).unwrap_or_default();
            if let Sink::Folder(sink) = &mut self.sink
                && !taken.is_empty()
                && !matches!(part, Some(BundlePart::Content(_)))
            {
                sink.journal.add(Note::Stream(taken));
            }
            let Some(part) = part else { return Ok(()) };
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
                (BundlePart::Head(head), _) if head.entries > self.most => {
                    return Err(SaveError::TooManyEntries { entries: head.entries, most: self.most });
                }
                (BundlePart::Head(_), _) => {}
                (BundlePart::Entry(entry), Sink::Folder(sink)) => sink.entry(&entry)?,
                (BundlePart::Entry(entry), Sink::Tar(sink)) => sink.entry(&entry)?,
                (BundlePart::Content(bytes), Sink::Folder(sink)) => sink.content(bytes)?,
                (BundlePart::Content(bytes), Sink::Tar(sink)) => sink.content(bytes)?,
                (_, Sink::Placed(_)) => return Err(SaveError::Excess),
            }
            self.files = self.files.saturating_add(ends_file.into());
        }
    }

    /// What a checkpoint has to make durable, and where that is. `None` if what is here is not to be relied upon.
    pub(super) fn snapshot(
        &mut self,
        record: &Mutex<Record>,
    ) -> Result<Option<(Snapshot, PathBuf)>, SaveError> {
        match &mut self.sink {
            Sink::Folder(folder) if !self.failed => {
                let snapshot = folder.snapshot(&lock(record), self.tail.position(), false)?;
                Ok(Some((snapshot, folder.path.clone())))
            }
            _ => Ok(None),
        }
    }
}

impl OrderedWriter {
    /// The turn to store the bytes at `offset`, once all before it are stored, or at once if `wait` is false. `None` if it
    /// is not their turn, or never will be.
    pub(crate) fn turn(&self, offset: u64, wait: bool) -> Option<Turn<'_>> {
        let shared = &*self.0;
        let mut state = if wait { lock(&shared.state) } else { shared.state.try_lock().ok()? };
        while state.tail.position() < offset && !state.broken && wait {
            state = shared.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (state.tail.position() >= offset && !state.broken).then_some(Turn { shared, state })
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
