//! What a listener shows: the offers that members have listed.
//!
//! An offer is known by its instance and token: heard by way of two addresses it is one, and no
//! member can take over or end another's.

use core::fmt;
use core::net::SocketAddr;

use heapless::Vec;

use crate::limits::TTL_MAX;
use crate::offer::{EndReason, Offer};
use crate::time::Instant;
use crate::token::{Instance, Token, TokenPrefix};

/// Lists that may be under way at once and still tell what was withdrawn.
const LISTS: usize = 16;

/// An offer that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// As its sender listed it.
    pub offer: Offer,
    /// Where it was first listed; when that address is lost, where else the instance is.
    pub from: SocketAddr,
    /// Whose it is.
    pub instance: Instance,
    /// When its TTL passes.
    pub until: Instant,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to box it with")]
pub enum OfferEvent {
    /// A new offer, or a known one that now differs in kind, name or size.
    Appeared {
        /// The offer.
        offer: Known,
    },
    /// An offer that had appeared is gone.
    Gone {
        /// Its token.
        token: Token,
        /// Whose it was.
        instance: Instance,
        /// Why.
        reason: EndReason,
    },
}

/// There is no room for another offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more offers than there is room for: fetch by the whole token from its sender's address")
    }
}

impl core::error::Error for Full {}

/// What a token prefix names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find<'a> {
    /// One offer.
    Found(&'a Known),
    /// No offer that is known.
    None,
    /// More than one.
    Ambiguous,
}

struct Entry {
    known: Known,
    /// In the list under way.
    seen: bool,
    /// Has appeared, so that its end is worth an event.
    shown: bool,
    /// Is to appear.
    fresh: bool,
    gone: Option<EndReason>,
}

/// Up to `O` offers, and what is to be said of them.
pub struct Offers<const O: usize> {
    entries: Vec<Entry, O>,
    /// Instances being listed, with the number of lists under way: a host with two addresses may be
    /// listed by way of both at once, and only after the last is it known what neither had.
    lists: Vec<(Instance, u8), LISTS>,
}

impl<const O: usize> Default for Offers<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const O: usize> Offers<O> {
    /// None.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), lists: Vec::new() }
    }

    /// A list of `instance` begins; exactly one of [`Self::complete`] and [`Self::abort_list`] ends it.
    pub fn begin_list(&mut self, instance: Instance) {
        if let Some((_, under_way)) = self.lists.iter_mut().find(|l| l.0 == instance) {
            *under_way = under_way.saturating_add(1);
        } else if self.lists.push((instance, 1)).is_ok() {
            for entry in self.entries.iter_mut().filter(|e| e.known.instance == instance) {
                entry.seen = false;
            }
        }
        // Without room to remember it, the list still adds offers; it only cannot withdraw any.
    }

    /// The list of `instance`, read from `from`, has this offer.
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
        let entry = Entry { known, seen: true, shown: false, fresh: true, gone: None };
        self.entries.push(entry).map_err(|_| Full)
    }

    /// The list of `instance` says that this drop has ended.
    pub fn ending(&mut self, _now: Instant, instance: Instance, token: Token, reason: EndReason) {
        if let Some(entry) = self.entry(instance, token) {
            entry.end(reason);
        }
    }

    /// The whole list of `instance` was read: what it did not have is withdrawn.
    pub fn complete(&mut self, _now: Instant, instance: Instance) {
        if self.end_list(instance) {
            for entry in self.entries.iter_mut().filter(|e| e.known.instance == instance && !e.seen) {
                entry.end(EndReason::Withdrawn);
            }
        }
    }

    /// The list of `instance` broke off: what it had counts, what it did not have says nothing.
    pub fn abort_list(&mut self, instance: Instance) {
        self.end_list(instance);
    }

    /// The instance no longer answers.
    pub fn lost(&mut self, instance: Instance) {
        for entry in self.entries.iter_mut().filter(|e| e.known.instance == instance) {
            entry.end(EndReason::Lost);
        }
    }

    /// The instance no longer answers at `from`, but does at `to`.
    pub fn moved(&mut self, instance: Instance, from: SocketAddr, to: SocketAddr) {
        for entry in self.entries.iter_mut().filter(|e| e.known.instance == instance) {
            if entry.known.from == from {
                entry.known.from = to;
            }
        }
    }

    /// Ends what has outlived its TTL.
    pub fn handle_timeout(&mut self, now: Instant) {
        for entry in self.entries.iter_mut().filter(|e| e.known.until <= now) {
            entry.end(EndReason::Expired);
        }
    }

    /// When the next TTL passes.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.iter().map(|k| k.until).min()
    }

    /// What has changed, each once: first what is gone, then what has appeared. Call until `None`.
    pub fn poll_event(&mut self) -> Option<OfferEvent> {
        // What is gone before it was shown needs no word.
        self.entries.retain(|e| e.gone.is_none() || e.shown);
        if let Some((at, reason)) = self.entries.iter().enumerate().find_map(|(i, e)| Some((i, e.gone?))) {
            let Known { offer, instance, .. } = self.entries.remove(at).known;
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

    /// The offer a token prefix names.
    pub fn find(&self, prefix: &TokenPrefix) -> Find<'_> {
        let mut matching = self.iter().filter(|k| prefix.matches(&k.offer.token));
        match (matching.next(), matching.next()) {
            (None, _) => Find::None,
            (Some(known), None) => Find::Found(known),
            (Some(_), Some(_)) => Find::Ambiguous,
        }
    }

    fn entry(&mut self, instance: Instance, token: Token) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.known.instance == instance && e.known.offer.token == token)
    }

    /// Whether that was the last list of the instance under way.
    fn end_list(&mut self, instance: Instance) -> bool {
        let Some(at) = self.lists.iter().position(|l| l.0 == instance) else { return false };
        let Some((_, under_way)) = self.lists.get_mut(at) else { return false };
        *under_way = under_way.saturating_sub(1);
        let last = *under_way == 0;
        if last {
            self.lists.swap_remove(at);
        }
        last
    }
}

impl Entry {
    /// The first reason stands.
    fn end(&mut self, reason: EndReason) {
        self.gone.get_or_insert(reason);
    }
}

#[cfg(test)]
mod tests;
