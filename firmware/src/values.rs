//! Small values under names, such as a key that a product has received: what is to outlive a reset.
//!
//! The [store](crate::store) of the app is in RAM, and holds whole drops while they come and go. A [`Values`] holds little
//! for long: in flash ([`FlashValues`]), or in RAM ([`RamValues`]) for a test or for a board without spare flash. Both are
//! synchronous: a write to flash holds the board up for as long as the flash takes, some milliseconds.

mod flash;
mod ram;
#[cfg(test)]
mod tests;

pub use flash::FlashValues;
pub use ram::RamValues;

use core::fmt;

use deaddrop_core::offer::Kind;

use crate::app::BoardStore;
use crate::store::Slot;

/// The longest name of a value in bytes.
pub const NAME_MAX: usize = 32;

/// A place for values under names. An empty value is none.
pub trait Values {
    /// Copies the value of this name into `to` and returns its length; `None` if there is none.
    fn get(&self, name: &str, to: &mut [u8]) -> Result<Option<usize>, ValuesError>;

    /// Replaces the value of this name. After a reset in the midst of it, the value is the old one or the new one.
    fn put(&self, name: &str, value: &[u8]) -> Result<(), ValuesError>;

    /// Removes the value of this name. Flash keeps its bytes until they are erased: see [`Self::wipe`].
    fn remove(&self, name: &str) -> Result<(), ValuesError> {
        self.put(name, &[])
    }

    /// Removes all values, and erases their bytes.
    fn wipe(&self) -> Result<(), ValuesError>;
}

/// Why a value was not read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValuesError {
    /// The name is empty or longer than [`NAME_MAX`].
    Name,
    /// The value does not fit into the buffer that it is read into.
    Buffer,
    /// There is no room for it.
    Full,
    /// The flash failed, or holds something else.
    Broken,
}

impl fmt::Display for ValuesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "its name is empty or too long: give one of 1 to 32 bytes",
            Self::Buffer => "it is longer than the buffer: give a longer one",
            Self::Full => "there is no room for it: remove others, or give the values more flash",
            Self::Broken => "the flash failed, or holds something else: erase its region",
        })
    }
}

impl core::error::Error for ValuesError {}

/// It could not be made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPersisted;

/// Where received drops are written before their senders hear that they were received:
/// [`App::persist_with`](crate::app::App::persist_with).
///
/// So a reset at any time leaves a drop with its sender, here, or both. One that could not be written stays in the store, and
/// its sender is not told that it was received; nobody else can have it then, because here it is whole.
pub trait Persist {
    /// Writes the drop, which is whole, or passes over one that is not to be kept. It must be durable on return.
    fn persist(&self, store: &BoardStore, drop: Slot) -> Result<(), NotPersisted>;
}

/// Keeps the files of one name, under that name. Other drops are passed over.
pub struct KeepFile<V> {
    name: &'static str,
    values: V,
}

impl<V: Values> KeepFile<V> {
    /// Keeps the files of this name.
    pub const fn new(name: &'static str, values: V) -> Self {
        Self { name, values }
    }

    /// Where they are kept.
    pub const fn values(&self) -> &V {
        &self.values
    }
}

impl<V: Values> Persist for KeepFile<V> {
    fn persist(&self, store: &BoardStore, drop: Slot) -> Result<(), NotPersisted> {
        let (held, bytes) = store.get(drop).zip(store.bytes(drop)).ok_or(NotPersisted)?;
        if held.kind != Kind::File || held.name != self.name {
            return Ok(());
        }
        // An empty value is none: it would be gone after a reset.
        if bytes.is_empty() {
            return Err(NotPersisted);
        }
        self.values.put(self.name, bytes).map_err(|_| NotPersisted)
    }
}

/// Whether a value can have this name.
fn check(name: &str) -> Result<(), ValuesError> {
    if (1..=NAME_MAX).contains(&name.len()) { Ok(()) } else { Err(ValuesError::Name) }
}
