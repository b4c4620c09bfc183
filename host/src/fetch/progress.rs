//! How far a fetch has come: counters that can be read from anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::files::target::Target;

/// How far a [`Claim`](crate::Claim) has come that is being received. Can be read at any time, in any thread.
#[derive(Clone, Debug)]
pub struct FetchProgress {
    counters: Arc<Counters>,
    size: u64,
}

/// What a transfer counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    stored: AtomicU64,
    files: AtomicU32,
}

impl FetchProgress {
    pub(super) fn new(counters: &Arc<Counters>, size: u64) -> Self {
        Self { counters: counters.clone(), size }
    }

    /// How many bytes of the drop are here, counted from its start. It goes back to the last whole record when a
    /// connection is lost.
    pub fn stored(&self) -> u64 {
        self.counters.stored.load(Ordering::Relaxed)
    }

    /// How many files of a folder or of several files are here, whole; 0 for other drops.
    pub fn files(&self) -> u32 {
        self.counters.files.load(Ordering::Relaxed)
    }

    /// The size of the drop in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Counters {
    /// Counts what is here from an earlier fetch.
    pub(super) fn begin(&self, stored: u64) {
        self.stored.store(stored, Ordering::Relaxed);
    }

    /// Counts what is here now.
    pub(super) fn count(&self, incoming: &Target) {
        self.stored.store(incoming.stored(), Ordering::Relaxed);
        self.files.store(incoming.files(), Ordering::Relaxed);
    }
}
