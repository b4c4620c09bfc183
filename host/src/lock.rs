//! Locks that do not spread a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. What is kept behind our locks is whole between any two statements, so that a holder's panic is no
/// reason for the others to panic too.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
