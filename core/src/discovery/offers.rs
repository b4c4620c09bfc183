//! The table of offers that members have listed (protocol.md, section 3.4).
//!
//! Its key is instance and token: an offer listed at two addresses is one offer, and no member can replace or
//! end the offer of another.
//!
//! A full table is shared out: the address that has most offers there gives a place to one that has fewer, and
//! so does an instance to another at its address. So no member hides the offers of others by the number of its
//! own (decision 0028).

use core::fmt;
use core::net::SocketAddr;

use heapless::Vec;

use super::peer::same_host;
use crate::limits::TTL_MAX;
use crate::offer::{EndReason, Offer};
use crate::time::Instant;
use crate::token::{Instance, Token, TokenPrefix};

/// Concurrent lists that can be tracked for withdrawals.
const LISTS: usize = 16;

/// An offer that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The offer as listed.
    pub offer: Offer,
    /// The address at which it was listed first or, once that is lost, another one of the instance.
    pub from: SocketAddr,
    /// The sender.
    pub instance: Instance,
    /// When its TTL passes.
    pub until: Instant,
}

/// A change of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box it with")]
pub enum OfferEvent {
    /// A new offer, or a known one that now differs in kind, name or size.
    Appeared {
        /// The offer.
        offer: Known,
    },
    /// An offer that had appeared has ended.
    Gone {
        /// Its token.
        token: Token,
        /// The sender.
        instance: Instance,
        /// The reason.
        reason: EndReason,
    },
}

/// The table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more offers than there is room for: fetch by the whole token from its sender's address")
    }
}

impl core::error::Error for Full {}

/// The result of a lookup by token prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find<'a> {
    /// One offer.
    Found(&'a Known),
    /// No known offer.
    None,
    /// More than one offer.
    Ambiguous,
}

struct Entry {
    known: Known,
    /// Contained in the list that is being read.
    seen: bool,
    /// Reported as appeared, so that its end is reported too.
    shown: bool,
    /// To be reported as appeared.
    fresh: bool,
    gone: Option<EndReason>,
}

/// Up to `O` offers and their pending events.
pub struct Offers<const O: usize> {
    entries: Vec<Entry, O>,
    /// Instances being listed, with their number of concurrent lists: a host may be listed at two addresses
    /// at once, and an offer is withdrawn only if it is in neither list.
    lists: Vec<(Instance, u8), LISTS>,
    /// An offer that was shown and has lost its place, to be reported as gone.
    displaced: Option<(Token, Instance)>,
    /// The rest of the list of this instance finds no place either.
    refused: Option<Instance>,
    /// The table has overflowed, and no place has become free since.
    crowded: bool,
}

/// An offer displaces one whose sender has so many more. With fewer, they would displace each other in turn.
const DISPLACES: usize = 4;

impl<const O: usize> Default for Offers<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const O: usize> Offers<O> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), lists: Vec::new(), displaced: None, refused: None, crowded: false }
    }

    /// Starts a list of `instance`. End it with exactly one of [`Self::complete`] and [`Self::abort_list`].
    pub fn begin_list(&mut self, instance: Instance) {
        if let Some((_, under_way)) = self.lists.iter_mut().find(|l| l.0 == instance) {
            *under_way = under_way.saturating_add(1);
        } else if self.lists.push((instance, 1)).is_ok() {
            for entry in self.entries.iter_mut().filter(|e| e.known.instance == instance) {
                entry.seen = false;
            }
        }
        // Without an entry for it, the list still adds offers but withdraws none.
    }

    /// Adds an offer from the list of `instance`, read at `from`. Displaces another if the table is full and that
    /// one's sender has more than its share. Poll the events before the next call.
    ///
    /// # Errors
    /// If there is no room.
    pub fn offer(
        &mut self,
        now: Instant,
        instance: Instance,
        from: SocketAddr,
        offer: &Offer,
    ) -> Result<(), Full> {
        let until = now + offer.ttl_left.min(TTL_MAX);
        let known = Known { offer: offer.clone(), from, instance, until };
        if let Some(entry) = self.entry(instance, offer.token) {
            let old = &entry.known.offer;
            if old.size != offer.size || old.kind != offer.kind || old.name != offer.name {
                entry.fresh = true;
            }
            entry.known = Known { from: entry.known.from, ..known };
            entry.seen = true;
            entry.gone = None;
            return Ok(());
        }
        if self.entries.is_full() {
            self.crowded = true;
            if self.displaced.is_some() || self.refused == Some(instance) {
                return Err(Full);
            }
            let Some(entry) = self.dispensable(&known) else {
                self.refused = Some(instance);
                return Err(Full);
            };
            entry.gone = Some(EndReason::Displaced);
            let shown = core::mem::take(&mut entry.shown);
            self.displaced = shown.then_some((entry.known.offer.token, entry.known.instance));
            self.remove_unshown();
        }
        let entry = Entry { known, seen: true, shown: false, fresh: true, gone: None };
        self.entries.push(entry).map_err(|_| Full)
    }

    /// Whether members offer more than there is room for.
    pub const fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// The offer whose place a `new` one gets: the latest of the sender that has most.
    fn dispensable(&mut self, new: &Known) -> Option<&mut Entry> {
        let (mut most, mut chosen) = (self.share(new) + DISPLACES, None);
        let (mut share, mut of) = (0, None);
        for (at, Entry { known, .. }) in self.entries.iter().enumerate() {
            // The offers of one sender stand together: a large table is not counted for each of them.
            if O < 64 || of.replace(known.instance) != Some(known.instance) {
                share = self.share(known);
            }
            if share >= most {
                (most, chosen) = (share, Some(at));
            }
        }
        chosen.and_then(|at| self.entries.get_mut(at))
    }

    /// What the sender of an offer has: its offers, and those at its address, where other senders may be its own, too.
    fn share(&self, of: &Known) -> usize {
        let counts = |e: &Entry| {
            usize::from(e.known.instance == of.instance) + usize::from(same_host(&e.known.from, &of.from))
        };
        self.entries.iter().map(counts).sum()
    }

    /// Ends an offer that the list of `instance` reports as ended.
    pub fn ending(&mut self, _now: Instant, instance: Instance, token: Token, reason: EndReason) {
        if let Some(entry) = self.entry(instance, token) {
            entry.end(reason);
        }
    }

    /// Completes the list of `instance`: offers that it did not have are withdrawn.
    pub fn complete(&mut self, _now: Instant, instance: Instance) {
        if self.end_list(instance) {
            for entry in self.entries.iter_mut().filter(|e| e.known.instance == instance && !e.seen) {
                entry.end(EndReason::Withdrawn);
            }
        }
    }

    /// Aborts the list of `instance`: its offers stay, and none is withdrawn.
    pub fn abort_list(&mut self, instance: Instance) {
        self.end_list(instance);
    }

    /// Ends all offers of a lost instance.
    pub fn lost(&mut self, instance: Instance) {
        for entry in self.entries.iter_mut().filter(|e| e.known.instance == instance) {
            entry.end(EndReason::Lost);
        }
    }

    /// Moves the offers of an instance that is lost at `from` and still answers at `to`.
    pub fn moved(&mut self, instance: Instance, from: SocketAddr, to: SocketAddr) {
        for entry in self.entries.iter_mut().filter(|e| e.known.instance == instance) {
            if entry.known.from == from {
                entry.known.from = to;
            }
        }
    }

    /// Ends offers whose TTL has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        for entry in self.entries.iter_mut().filter(|e| e.known.until <= now) {
            entry.end(EndReason::Expired);
        }
    }

    /// When the next TTL passes.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.iter().map(|k| k.until).min()
    }

    /// The next event: first offers that have ended, then those that have appeared. Call until `None`.
    pub fn poll_event(&mut self) -> Option<OfferEvent> {
        if let Some((token, instance)) = self.displaced.take() {
            return Some(OfferEvent::Gone { token, instance, reason: EndReason::Displaced });
        }
        self.remove_unshown();
        if let Some((at, reason)) = self.entries.iter().enumerate().find_map(|(i, e)| Some((i, e.gone?))) {
            let Known { offer, instance, .. } = self.entries.remove(at).known;
            self.crowded = false;
            return Some(OfferEvent::Gone { token: offer.token, instance, reason });
        }
        let entry = self.entries.iter_mut().find(|e| e.fresh)?;
        (entry.fresh, entry.shown) = (false, true);
        Some(OfferEvent::Appeared { offer: entry.known.clone() })
    }

    /// The offers that can be fetched.
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.entries.iter().filter(|e| e.gone.is_none()).map(|e| &e.known)
    }

    /// Looks up an offer by token prefix.
    pub fn find(&self, prefix: &TokenPrefix) -> Find<'_> {
        let mut matching = self.iter().filter(|k| prefix.matches(&k.offer.token));
        match (matching.next(), matching.next()) {
            (None, _) => Find::None,
            (Some(known), None) => Find::Found(known),
            (Some(_), Some(_)) => Find::Ambiguous,
        }
    }

    /// An offer that ended before it was reported needs no event.
    #[inline(never)]
    fn remove_unshown(&mut self) {
        self.entries.retain(|e| e.gone.is_none() || e.shown);
    }

    fn entry(&mut self, instance: Instance, token: Token) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.known.instance == instance && e.known.offer.token == token)
    }

    /// Whether that was the last concurrent list of the instance.
    fn end_list(&mut self, instance: Instance) -> bool {
        let Some(at) = self.lists.iter().position(|l| l.0 == instance) else { return false };
        let Some((_, under_way)) = self.lists.get_mut(at) else { return false };
        *under_way = under_way.saturating_sub(1);
        let last = *under_way == 0;
        self.refused = None;
        if last {
            self.lists.swap_remove(at);
        }
        last
    }
}

impl Entry {
    /// Keeps the first reason.
    fn end(&mut self, reason: EndReason) {
        self.gone.get_or_insert(reason);
    }
}

#[cfg(test)]
mod tests;
