//! Whose turn it is when several receivers want a drop (protocol.md, section 8, and decision 0040).
//!
//! A member that claims a drop and lets the claim lapse, again and again, would keep it from everybody else. So a receiver
//! that waits goes before those whose claims of this drop have lapsed more often, and before those that came later. Receivers
//! are told apart by their sources, as a fetch id costs nothing. For hosts alone: a board has no room for the table.

use core::time::Duration;

use heapless::Vec;

use crate::drops::Drops;
use crate::guard::Source;
use crate::limits::{TURN_KEPT, TURN_RETRY};
use crate::time::Instant;
use crate::token::Token;
use crate::wire::FetchRequest;

/// The receivers of a server's drops, up to `W` sources that wait or whose claims have lapsed.
pub struct Turns<const W: usize> {
    entries: Vec<Entry, W>,
}

/// One source and one drop.
struct Entry {
    token: Token,
    source: Source,
    /// How many of its claims have lapsed.
    lapses: u32,
    /// When it asked first and last, while it waits.
    asked: Option<(Instant, Instant)>,
    /// When something was noted of it.
    noted: Instant,
}

impl Entry {
    fn is_of(&self, token: &Token, source: &Source) -> bool {
        self.token == *token && self.source.counts_with(source)
    }

    /// Its place among those that wait: the least goes first. `None` if it does not ask any more.
    fn place(&self, now: Instant) -> Option<(u32, Instant)> {
        let (first, last) = self.asked?;
        (now < last + TURN_KEPT).then_some((self.lapses, first))
    }
}

impl<const W: usize> Turns<W> {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// A receiver at `source` asks for a drop. Returns how long it is to wait if a fetch of it is available and the turn
    /// is another's; `None` if the table of drops has the answer, whose timeouts have been handled.
    pub fn ask<const D: usize, const F: usize>(
        &mut self,
        now: Instant,
        drops: &Drops<D, F>,
        fetch: &FetchRequest,
        source: Source,
    ) -> Option<Duration> {
        let token = &fetch.token;
        if drops.knows(token, &fetch.id) {
            // It goes on with a claim.
            return None;
        }
        let available = usize::from(drops.fetch_counts(token)?.available);
        let place = self.entry(now, token, source).map(|entry| {
            entry.noted = now;
            let first = entry.place(now).map_or(now, |(_, first)| first);
            entry.asked = Some((first, now));
            (entry.lapses, first)
        });
        let waits = |other: &&Entry| other.token == *token && !other.source.counts_with(&source);
        let before = self.entries.iter().filter(waits).filter_map(|other| other.place(now));
        // A source that has no place in the table goes last.
        let before = before.filter(|other| place.is_none_or(|place| *other < place)).count();
        if available == 0 {
            return None;
        }
        if before < available {
            if let Some(entry) = self.entries.iter_mut().find(|entry| entry.is_of(token, &source)) {
                entry.asked = None;
            }
            return None;
        }
        Some(TURN_RETRY)
    }

    /// A claim of a receiver at `source` has lapsed.
    pub fn lapsed(&mut self, now: Instant, token: &Token, source: Source) {
        if let Some(entry) = self.entry(now, token, source) {
            entry.lapses = entry.lapses.saturating_add(1);
            entry.noted = now;
        }
    }

    /// A drop has ended.
    pub fn ended(&mut self, token: &Token) {
        self.entries.retain(|entry| entry.token != *token);
    }

    /// The entry of a source. In a full table it takes the place of the one that was noted longest ago of those that do
    /// not wait; `None` if all wait.
    fn entry(&mut self, now: Instant, token: &Token, source: Source) -> Option<&mut Entry> {
        if let Some(at) = self.entries.iter().position(|entry| entry.is_of(token, &source)) {
            return self.entries.get_mut(at);
        }
        if self.entries.is_full() {
            let idle = self.entries.iter().enumerate().filter(|(_, entry)| entry.place(now).is_none());
            let (oldest, _) = idle.min_by_key(|(_, entry)| entry.noted)?;
            self.entries.swap_remove(oldest);
        }
        let entry = Entry { token: *token, source, lapses: 0, asked: None, noted: now };
        self.entries.push(entry).ok()?;
        self.entries.last_mut()
    }
}

impl<const W: usize> Default for Turns<W> {
    fn default() -> Self {
        Self::new()
    }
}
