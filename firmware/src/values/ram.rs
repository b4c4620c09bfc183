//! Values in RAM: gone with the power.

use core::cell::RefCell;

use deaddrop_core::offer::{Kind, Name};

use super::{Values, ValuesError, check};
use crate::store::Store;

/// Up to `ENTRIES` values, their names and bytes together at most `BYTES`. What is removed is wiped.
pub struct RamValues<const BYTES: usize, const ENTRIES: usize>(RefCell<Store<BYTES, ENTRIES>>);

impl<const BYTES: usize, const ENTRIES: usize> Default for RamValues<BYTES, ENTRIES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize, const ENTRIES: usize> RamValues<BYTES, ENTRIES> {
    /// Empty.
    pub const fn new() -> Self {
        Self(RefCell::new(Store::new()))
    }
}

impl<const BYTES: usize, const ENTRIES: usize> Values for RamValues<BYTES, ENTRIES> {
    fn get(&self, name: &str, to: &mut [u8]) -> Result<Option<usize>, ValuesError> {
        check(name)?;
        let store = self.0.borrow();
        let Some(bytes) = store.find(name).and_then(|held| store.bytes(held.slot)) else { return Ok(None) };
        to.get_mut(..bytes.len()).ok_or(ValuesError::Buffer)?.copy_from_slice(bytes);
        Ok(Some(bytes.len()))
    }

    fn put(&self, name: &str, value: &[u8]) -> Result<(), ValuesError> {
        check(name)?;
        let parsed = Name::new(name).map_err(|_| ValuesError::Name)?;
        let mut store = self.0.borrow_mut();
        let old = store.find(name).map(|held| (held.slot, held.size));
        let room = store.free() + old.map_or(0, |(_, size)| size + name.len());
        if !value.is_empty() && room < name.len() + value.len() {
            return Err(ValuesError::Full);
        }
        if let Some((slot, _)) = old {
            // It is there: just found.
            let _ = store.remove(slot);
        }
        if value.is_empty() {
            return Ok(());
        }
        let slot = store.reserve(&parsed, Kind::File, value.len() as u64).map_err(|_| ValuesError::Full)?;
        // Neither can fail: the entry is new and has this size.
        let _ = (store.write(slot, 0, value), store.finish(slot));
        Ok(())
    }

    fn wipe(&self) -> Result<(), ValuesError> {
        self.0.borrow_mut().wipe();
        Ok(())
    }
}
