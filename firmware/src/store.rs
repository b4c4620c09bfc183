//! The drops that a board holds, received or to be offered, in RAM of fixed size.
//!
//! The arena holds each entry's name and content, one entry after the other, and is compacted when one is removed: all
//! free space is at its end, and is wiped.
//!
//! Nothing here awaits, so console and app share one store in a `RefCell`, which neither borrows across an `await`.

mod label;
mod name;
mod slot;
#[cfg(test)]
mod tests;

pub use label::Label;
pub use slot::{NoSpace, Slot, StoreError};

use deaddrop_core::limits::NAME_MAX;
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::token::Token;
use heapless::Vec;
use zeroize::Zeroize;

/// The state of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its content is still arriving.
    Incoming,
    /// It is complete.
    Whole,
    /// It is complete, and offered under this token.
    Offered(Token),
}

/// A view of one entry, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// Identifies it while it is in the store.
    pub slot: Slot,
    /// Its name, unique in the store. A peer may have chosen it: escape it.
    pub name: &'a str,
    /// What it holds.
    pub kind: Kind,
    /// Its size in bytes; the final size while it is incoming.
    pub size: usize,
    /// Whether it is incoming, complete or offered.
    pub state: State,
}

impl Held<'_> {
    /// The name in an offer: empty for a message.
    pub fn offered_name(&self) -> &str {
        if self.kind == Kind::Message { "" } else { self.name }
    }
}

#[derive(Clone, Copy)]
struct Entry {
    slot: Slot,
    /// Offset of its name in the arena. The content follows the name.
    at: usize,
    name: usize,
    size: usize,
    /// Bytes of content that have arrived, from the first on.
    written: usize,
    kind: Kind,
    state: State,
}

impl Entry {
    const fn content(&self) -> usize {
        self.at + self.name
    }

    const fn end(&self) -> usize {
        self.content() + self.size
    }
}

/// Up to `ENTRIES` drops, their names and bytes together at most `BYTES`.
pub struct Store<const BYTES: usize, const ENTRIES: usize> {
    arena: [u8; BYTES],
    /// Grows to the largest number of entries there was. Empty at first, because the `None` of an `Option<Entry>` is not
    /// all zeros: an array of them would move the static from `.bss` to `.data`.
    entries: Vec<Option<Entry>, ENTRIES>,
    /// Offset of the free space.
    used: usize,
    /// Distinguishes a slot from earlier ones at the same index.
    generation: u16,
}

impl<const BYTES: usize, const ENTRIES: usize> Default for Store<BYTES, ENTRIES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize, const ENTRIES: usize> Store<BYTES, ENTRIES> {
    /// An empty one.
    pub const fn new() -> Self {
        assert!(ENTRIES <= 256, "a slot's place is one byte");
        Self { arena: [0; BYTES], entries: Vec::new(), used: 0, generation: 0 }
    }

    /// Bytes that a further entry may take, its name included.
    pub const fn free(&self) -> usize {
        BYTES - self.used
    }

    /// Bytes that all entries together may take, their names included.
    pub const fn capacity(&self) -> usize {
        BYTES
    }

    /// Makes room for a drop of `size` bytes, named as closely to `name` as the other names allow.
    ///
    /// Call it before the drop is claimed: what has room here will not be refused later.
    pub fn reserve(&mut self, name: &Name, kind: Kind, size: u64) -> Result<Slot, NoSpace> {
        let no_space = NoSpace { needed: size, free: self.free() };
        let place = self.entries.iter().position(Option::is_none).unwrap_or(self.entries.len());
        if place == ENTRIES {
            return Err(NoSpace { free: 0, ..no_space });
        }
        let mut buffer = [0; NAME_MAX];
        let name = name::unlike(name.as_str(), kind, &mut buffer, |wanted| self.find(wanted).is_some());
        // The name needs room as well.
        let no_space = NoSpace { free: self.free().saturating_sub(name.len()), ..no_space };
        let size = usize::try_from(size).map_err(|_| no_space)?;
        let end = name.len().checked_add(size).and_then(|len| len.checked_add(self.used)).ok_or(no_space)?;
        let target = self.arena.get_mut(self.used..end).and_then(|place| place.get_mut(..name.len()));
        let target = target.ok_or(no_space)?;
        target.copy_from_slice(name.as_bytes());
        self.generation = self.generation.wrapping_add(1);
        let slot = Slot::new(place, self.generation);
        let entry =
            Entry { slot, at: self.used, name: name.len(), size, written: 0, kind, state: State::Incoming };
        match self.entries.get_mut(place) {
            Some(free) => *free = Some(entry),
            // There is room: just seen.
            None => drop(self.entries.push(Some(entry))),
        }
        self.used = end;
        Ok(slot)
    }

    /// Writes content of an incoming entry. It may overlap what has arrived, and must leave no gap.
    pub fn write(&mut self, slot: Slot, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let entry = entry_mut(&mut self.entries, slot)?;
        let end = offset.checked_add(bytes.len()).filter(|end| *end <= entry.size);
        let (State::Incoming, true, Some(end)) = (entry.state, offset <= entry.written, end) else {
            return Err(StoreError::OutOfTurn);
        };
        let content = self.arena.get_mut(entry.content()..).ok_or(StoreError::OutOfTurn)?;
        content.get_mut(offset..end).ok_or(StoreError::OutOfTurn)?.copy_from_slice(bytes);
        entry.written = entry.written.max(end);
        Ok(())
    }

    /// Appends to an incoming entry whose size is not known in advance.
    pub fn append(&mut self, slot: Slot, bytes: &[u8]) -> Result<(), StoreError> {
        let free = self.free();
        let entry = entry_mut(&mut self.entries, slot)?;
        if entry.state != State::Incoming || entry.written != entry.size {
            return Err(StoreError::OutOfTurn);
        }
        if bytes.len() > free {
            return Err(StoreError::NoSpace(NoSpace { needed: bytes.len() as u64, free }));
        }
        let end = entry.end();
        entry.size += bytes.len();
        entry.written = entry.size;
        self.arena.copy_within(end..self.used, end + bytes.len());
        self.used += bytes.len();
        if let Some(gap) = self.arena.get_mut(end..).and_then(|rest| rest.get_mut(..bytes.len())) {
            gap.copy_from_slice(bytes);
        }
        for later in self.entries.iter_mut().flatten().filter(|e| e.slot != slot && e.at >= end) {
            later.at += bytes.len();
        }
        Ok(())
    }

    /// Marks an incoming entry as complete.
    pub fn finish(&mut self, slot: Slot) -> Result<(), StoreError> {
        let entry = entry_mut(&mut self.entries, slot)?;
        if entry.state != State::Incoming || entry.written != entry.size {
            return Err(StoreError::OutOfTurn);
        }
        entry.state = State::Whole;
        Ok(())
    }

    /// Marks a complete entry as offered under this token, or, with `None`, as not offered.
    pub fn set_offered(&mut self, slot: Slot, token: Option<Token>) -> Result<(), StoreError> {
        let entry = entry_mut(&mut self.entries, slot)?;
        entry.state = match (entry.state, token) {
            (State::Incoming, _) => return Err(StoreError::OutOfTurn),
            (_, Some(token)) => State::Offered(token),
            (_, None) => State::Whole,
        };
        Ok(())
    }

    /// Copies arrived content from `offset` on into `to`, and returns how many bytes: fewer than fit only at the end.
    pub fn read(&self, slot: Slot, offset: usize, to: &mut [u8]) -> Result<usize, StoreError> {
        let bytes = self.bytes(slot).ok_or(StoreError::Gone)?.get(offset..).unwrap_or_default();
        let mut count = 0;
        for (to, from) in to.iter_mut().zip(bytes) {
            *to = *from;
            count += 1;
        }
        Ok(count)
    }

    /// The content of an entry that has arrived.
    pub fn bytes(&self, slot: Slot) -> Option<&[u8]> {
        let entry = self.entry(slot)?;
        self.arena.get(entry.content()..)?.get(..entry.written)
    }

    /// Removes an entry and wipes its bytes.
    pub fn remove(&mut self, slot: Slot) -> Result<(), StoreError> {
        let removed = *entry_mut(&mut self.entries, slot)?;
        let freed = removed.end() - removed.at;
        // Later entries move down over the removed one; what is left behind them is wiped.
        self.arena.copy_within(removed.end()..self.used, removed.at);
        let used = self.used - freed;
        if let Some(left) = self.arena.get_mut(used..self.used) {
            left.zeroize();
        }
        self.used = used;
        for entry in &mut self.entries {
            match entry {
                Some(gone) if gone.slot == slot => *entry = None,
                Some(later) if later.at >= removed.end() => later.at -= freed,
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes and wipes all entries.
    pub fn wipe(&mut self) {
        self.arena.zeroize();
        self.entries.clear();
        self.used = 0;
    }

    /// The entry in this slot.
    pub fn get(&self, slot: Slot) -> Option<Held<'_>> {
        self.entry(slot).and_then(|entry| self.held(entry))
    }

    /// The entry with this name.
    pub fn find(&self, name: &str) -> Option<Held<'_>> {
        self.iter().find(|held| held.name == name)
    }

    /// The entry with this number in a list, from 1 on. An entry keeps its number.
    pub fn numbered(&self, number: usize) -> Option<Held<'_>> {
        self.held(self.entries.get(number.checked_sub(1)?)?.as_ref()?)
    }

    /// The entry that is offered under this token.
    pub fn offered(&self, token: Token) -> Option<Held<'_>> {
        self.iter().find(|held| held.state == State::Offered(token))
    }

    /// All entries, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Held<'_>> {
        self.entries.iter().flatten().filter_map(|entry| self.held(entry))
    }

    fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot.place()).and_then(Option::as_ref).filter(|entry| entry.slot == slot)
    }

    fn held(&self, entry: &Entry) -> Option<Held<'_>> {
        let name = self.arena.get(entry.at..entry.content())?;
        let name = core::str::from_utf8(name).ok()?;
        Some(Held { slot: entry.slot, name, kind: entry.kind, size: entry.size, state: entry.state })
    }
}

fn entry_mut(entries: &mut [Option<Entry>], slot: Slot) -> Result<&mut Entry, StoreError> {
    let entry = entries.get_mut(slot.place()).and_then(Option::as_mut).filter(|entry| entry.slot == slot);
    entry.ok_or(StoreError::Gone)
}

impl<const BYTES: usize, const ENTRIES: usize> Drop for Store<BYTES, ENTRIES> {
    fn drop(&mut self) {
        self.wipe();
    }
}
