//! The sealed file of a drop that is to be read rather than saved, written in order by several threads.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::error::SaveError;
use crate::files::sealed::SealedFile;
use crate::lock::lock;
use crate::platform;

/// Appends the pieces of a drop to a sealed file, each when its turn comes.
///
/// A stream that goes on begins at or before the end of what is here. What is here already is passed over, so the file only
/// ever grows: a sealed block is never sealed again.
#[derive(Clone)]
pub(crate) struct SealedWriter(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Notified when the file has grown, or nothing more comes.
    grown: Condvar,
    folder: PathBuf,
    /// Of the drop.
    size: u64,
}

struct State {
    file: SealedFile,
    /// A thread that had a piece did not store all of it.
    broken: bool,
}

/// The turn to store.
pub(crate) struct SealedTurn<'a> {
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
}

impl SealedWriter {
    pub(in crate::files) fn new(file: SealedFile, folder: PathBuf, size: u64) -> Self {
        let state = Mutex::new(State { file, broken: false });
        Self(Arc::new(Shared { state, grown: Condvar::new(), folder, size }))
    }

    /// The same for the threads of another stream.
    pub(super) fn again(&self) -> Self {
        lock(&self.0.state).broken = false;
        self.clone()
    }

    /// The turn to store the bytes at `offset`, once all before it are stored, or at once if `wait` is false. `None` if it
    /// is not their turn, or never will be.
    pub(crate) fn turn(&self, offset: u64, wait: bool) -> Option<SealedTurn<'_>> {
        let shared = &*self.0;
        let mut state = if wait { lock(&shared.state) } else { shared.state.try_lock().ok()? };
        while state.file.size() < offset && !state.broken && wait {
            state = shared.grown.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (state.file.size() >= offset && !state.broken).then_some(SealedTurn { shared, state })
    }

    /// Says that a thread does not store what it has, so that no other waits for it.
    pub(crate) fn break_off(&self) {
        lock(&self.0.state).broken = true;
        self.0.grown.notify_all();
    }

    /// Stores the bytes at `offset`, between two streams.
    pub(super) fn store(&self, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
        lock(&self.0.state).store(&self.0, bytes, offset)
    }

    /// Reads bytes that are stored.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        lock(&self.0.state).file.read_at(offset, buffer)
    }

    pub(super) fn size(&self) -> u64 {
        lock(&self.0.state).file.size()
    }

    /// Sets space aside for the next `length` bytes.
    pub(super) fn reserve(&self, length: u64) -> io::Result<()> {
        let state = lock(&self.0.state);
        let (place, end) = state.file.lengths(length);
        if end == place { Ok(()) } else { platform::reserve(state.file.file(), place, end - place) }
    }

    /// All is there. Has it reach the disk, so that a failure is told now.
    pub(super) fn close(&self) -> io::Result<()> {
        let file = &mut lock(&self.0.state).file;
        file.close()?;
        file.file().sync_all()
    }

    pub(super) fn folder(&self) -> &std::path::Path {
        &self.0.folder
    }
}

impl State {
    fn store(&mut self, shared: &Shared, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > shared.size) {
            return Err(SaveError::Excess);
        }
        let known = self.file.size().checked_sub(offset).ok_or(SaveError::Bug)?;
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let stored = self.file.append(bytes.get(known..).unwrap_or_default());
        stored.map_err(|error| SaveError::io("write to", &shared.folder, error))
    }
}

impl SealedTurn<'_> {
    /// Stores the bytes at `offset`.
    pub(crate) fn store(&mut self, bytes: &[u8], offset: u64) -> Result<(), SaveError> {
        self.state.store(self.shared, bytes, offset)
    }
}

impl Drop for SealedTurn<'_> {
    fn drop(&mut self) {
        self.shared.grown.notify_all();
    }
}

impl std::fmt::Debug for SealedWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedWriter").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}
