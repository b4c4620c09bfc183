//! The room as a product uses it: waits for a drop, or offers one, with one call each.
//!
//! A [`Room`] runs beside the app, in the future that [`App::run_with`](super::App::run_with) is given. It uses the same
//! tables as the console does, so both can be used at once.

use core::net::Ipv4Addr;
use core::time::Duration;

use deaddrop_core::offer::{Kind, Name, Offer};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Token;
use embassy_futures::select::select;
use heapless::Vec;

use super::clock;
use super::command::put;
use super::memory::OFFERS;
use super::state::AppState;
use crate::mailbox::{CommandError, FetchRequest};
use crate::store::{NoSpace, Slot, StoreError};

/// How long an offer rests after a fetch of it failed, so that one that always fails does not keep others from being
/// fetched.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How often a room looks at the tables when nothing told it to.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The room that the board is a member of.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    app: &'a AppState,
}

/// What to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'s> {
    /// A message or a file.
    pub kind: Kind,
    /// The name of a file; empty for a message.
    pub name: &'s str,
    /// Its content, which is copied into the store.
    pub bytes: &'s [u8],
}

/// How a drop is offered. It has one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long it may be claimed: 1 second to 7 days.
    pub ttl: Duration,
}

/// How an offered drop ended. It is wiped from the store in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A receiver has confirmed that it has the drop.
    Fetched,
    /// Its TTL passed, or it was withdrawn at the console.
    NotFetched,
}

/// Why a drop was not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferError {
    /// The name is none that a drop can have (protocol.md, section 6), or a folder was to be offered.
    Name,
    /// It does not fit into the store.
    NoSpace(NoSpace),
    /// The table of drops does not take it.
    Refused(CommandError),
}

/// A drop that has arrived. It stays in the store until [`Self::forget`], or until it is forgotten at the console.
pub struct ReceivedDrop<'a> {
    app: &'a AppState,
    token: Token,
    slot: Slot,
}

impl<'a> Room<'a> {
    pub(super) const fn new(app: &'a AppState) -> Self {
        Self { app }
    }

    /// The board's address; `None` without a link or without an address.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.app.context.online.get().network.map(|network| network.address())
    }

    /// Fetches the next drop that `wanted` accepts, whether it is offered already or is offered later. Of several it takes
    /// one after the other, with a call for each.
    ///
    /// It waits as long as it takes: a fetch that fails is tried again for as long as the drop is offered. Name and size
    /// are the sender's words, so accept no more than you have room for. If a
    /// [`Persist`](crate::values::Persist) is set, the drop is written there before its sender hears that it was received.
    /// Dropping the future does not end a fetch that is under way.
    pub async fn next(&self, wanted: impl Fn(&Offer) -> bool) -> ReceivedDrop<'a> {
        // Offers that rest, and until when.
        let mut resting: Vec<(Token, Instant), OFFERS> = Vec::new();
        loop {
            let seen = self.app.context.notify.generation();
            let now = clock::now();
            resting.retain(|(_, until)| *until > now);
            let token = {
                let tables = self.app.tables.borrow();
                let mut offers = tables.browser.offers().map(|known| &known.offer);
                offers
                    .find(|offer| wanted(offer) && !resting.iter().any(|(token, _)| *token == offer.token))
                    .map(|offer| offer.token)
            };
            let Some(token) = token else {
                select(self.app.context.notify.changed_since(seen), clock::at(now + LOOK_EVERY)).await;
                continue;
            };
            if let Some(received) = self.fetch(token).await {
                return received;
            }
            if resting.is_full() {
                resting.remove(0);
            }
            // There is room: just made.
            let _ = resting.push((token, clock::now() + RETRY_AFTER));
        }
    }

    /// Fetches one drop, once no other fetch is under way; `None` if that fails. The console is told why.
    async fn fetch(&self, token: Token) -> Option<ReceivedDrop<'a>> {
        let request = FetchRequest { token: token.into(), from: None };
        self.until(|app| {
            let mut tables = app.tables.borrow_mut();
            let free = !tables.fetching && tables.requested.is_none();
            if free {
                tables.requested = Some(request);
                tables.received = None;
            }
            free.then_some(())
        })
        .await;
        self.app.context.notify.notify();
        let received = self.until(|app| {
            let tables = app.tables.borrow();
            let over = !tables.fetching && tables.requested.is_none();
            over.then_some(tables.received)
        });
        // Another is of a fetch that the console asked for since.
        let (_, slot) = received.await.filter(|(of, _)| *of == token)?;
        Some(ReceivedDrop { app: self.app, token, slot })
    }

    /// Offers something to the room, and waits until it ends.
    ///
    /// Dropping the future leaves the drop on offer.
    pub async fn offer(&self, source: Source<'_>, terms: Terms) -> Result<Outcome, OfferError> {
        let slot = self.store(source)?;
        let put = put(self.app, slot, terms.ttl);
        let offered = put.inspect_err(|_| {
            // It was stored for this alone.
            let _ = self.app.store.borrow_mut().remove(slot);
        });
        let token = offered.map_err(OfferError::Refused)?.token;
        self.app.context.notify.notify();
        // A drop that has ended is removed from the store.
        self.until(|app| app.store.borrow().offered(token).is_none().then_some(())).await;
        let counts = self.app.tables.borrow().server.drops.fetch_counts(&token);
        let fetched = counts.is_some_and(|counts| counts.burned > 0);
        Ok(if fetched { Outcome::Fetched } else { Outcome::NotFetched })
    }

    fn store(&self, source: Source<'_>) -> Result<Slot, OfferError> {
        let Source { kind, name, bytes } = source;
        let name = Name::new(name).map_err(|_| OfferError::Name)?;
        if kind == Kind::Directory || (kind == Kind::File && name.as_str().is_empty()) {
            return Err(OfferError::Name);
        }
        let mut store = self.app.store.borrow_mut();
        let slot = store.reserve(&name, kind, bytes.len() as u64).map_err(OfferError::NoSpace)?;
        // Neither can fail: the entry is new and has this size.
        let _ = (store.write(slot, 0, bytes), store.finish(slot));
        Ok(slot)
    }

    /// Waits until `look` finds something.
    async fn until<T>(&self, look: impl Fn(&AppState) -> Option<T>) -> T {
        loop {
            let seen = self.app.context.notify.generation();
            if let Some(found) = look(self.app) {
                return found;
            }
            let next = clock::now() + LOOK_EVERY;
            select(self.app.context.notify.changed_since(seen), clock::at(next)).await;
        }
    }
}

impl ReceivedDrop<'_> {
    /// Names the drop.
    pub const fn token(&self) -> Token {
        self.token
    }

    /// Where it is in the store.
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// What `look` makes of its content; `None` if it was forgotten at the console. The store cannot be used meanwhile.
    pub fn bytes<T>(&self, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        self.app.store.borrow().bytes(self.slot).map(look)
    }

    /// Wipes it from the store.
    pub fn forget(self) -> Result<(), StoreError> {
        self.app.store.borrow_mut().remove(self.slot)
    }
}
