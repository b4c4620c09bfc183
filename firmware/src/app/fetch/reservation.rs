//! Space in the store for the drop that is being fetched.

use deaddrop_core::crypto::digest::PrefixDigest;
use deaddrop_core::offer::Offer;

use crate::app::state::AppState;
use crate::mailbox::CommandError;
use crate::store::Slot;

/// Space in the store. Unless the drop is complete, it is wiped when the fetch ends, however that ends.
pub(super) struct Reservation<'a> {
    app: &'a AppState,
    slot: Option<Slot>,
    complete: bool,
}

impl<'a> Reservation<'a> {
    /// Nothing reserved yet.
    pub(super) const fn new(app: &'a AppState) -> Self {
        Self { app, slot: None, complete: false }
    }

    /// The store entry.
    pub(super) const fn slot(&self) -> Option<Slot> {
        self.slot
    }

    /// Reserves space for the drop, unless an earlier connection did.
    pub(super) fn reserve(&mut self, offer: &Offer) -> Result<(), CommandError> {
        if self.slot.is_none() {
            let reserved = self.app.store.borrow_mut().reserve(&offer.name, offer.kind, offer.size);
            self.slot = Some(reserved.map_err(CommandError::NoSpace)?);
        }
        Ok(())
    }

    /// Writes bytes of the drop; gives how many there are now. Fails only if the entry was forgotten at the console.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> Result<u64, CommandError> {
        let slot = self.slot.ok_or(CommandError::Forgotten)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let written = self.app.store.borrow_mut().write(slot, start, bytes);
        written.map_err(|_| CommandError::Forgotten)?;
        Ok(offset.saturating_add(bytes.len() as u64))
    }

    /// The digest of the first `offset` bytes; `None` if there is nothing to resume.
    pub(super) fn digest(&self, offset: u64) -> Option<[u8; 32]> {
        let slot = self.slot.filter(|_| offset > 0)?;
        let mut digest = PrefixDigest::new(offset);
        let range = digest.range();
        let start = usize::try_from(range.start).ok()?;
        let end = usize::try_from(range.end).ok()?;
        let store = self.app.store.borrow();
        digest.update(store.bytes(slot)?.get(start..end)?);
        Some(digest.finish())
    }

    /// All bytes of the drop are in the store: makes it durable, where there is a place for that. Otherwise it fails only if
    /// the entry was forgotten at the console.
    pub(super) fn complete(&mut self) -> Result<(), CommandError> {
        let slot = self.slot.ok_or(CommandError::Forgotten)?;
        self.app.store.borrow_mut().finish(slot).map_err(|_| CommandError::Forgotten)?;
        // From here on its sender may give it to nobody else: it stays in the store, whatever happens.
        self.complete = true;
        if let Some(persist) = self.app.persist {
            persist.persist(&self.app.store.borrow(), slot).map_err(|_| CommandError::NotPersisted)?;
        }
        Ok(())
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.filter(|_| !self.complete) {
            // It may have been forgotten at the console.
            let _ = self.app.store.borrow_mut().remove(slot);
        }
    }
}
