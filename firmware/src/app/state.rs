//! What all tasks of the app share: the protocol tables, and what follows from a change in them.

use core::cell::RefCell;
use core::time::Duration;

use chacha20::ChaCha20Rng;
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::discovery::OfferEvent;
use deaddrop_core::drops::DropEvent;
use deaddrop_core::exchange::ServerEvent;
use deaddrop_core::guard::Warning;
use deaddrop_core::limits::TCP_PORT_FIRST;
use deaddrop_core::offer::{EndReason, Offer};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Token;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use heapless::Deque;

use super::clock;
use super::context::TaskContext;
use super::memory::{BoardAdvertiser, BoardBrowser, BoardGuard, BoardServer, BoardStore, RECORD};
use crate::board::Wire;
use crate::mailbox::{Event, FetchRequest, Mailbox, OfferSummary};
use crate::store::{Label, Slot, State as StoreState};
use crate::values::Persist;

/// The TCP port of the server.
pub(super) const PORT: u16 = TCP_PORT_FIRST;
/// How long a reply to a command waits for a console that is behind.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);
/// Messages remembered as fetched automatically, or tried.
const TRIED: usize = 8;

/// The state of the app. Tasks borrow it; nothing here is shared with an interrupt.
pub(super) struct AppState {
    pub(super) stack: Stack<'static>,
    /// TTL of the board's own drops.
    pub(super) ttl: Duration,
    pub(super) prs: Prs,
    pub(super) mailbox: &'static Mailbox,
    pub(super) store: &'static RefCell<BoardStore>,
    /// Where drops are written before they are confirmed, if anywhere.
    pub(super) persist: Option<&'static dyn Persist>,
    pub(super) tables: RefCell<Tables>,
    pub(super) context: TaskContext,
    pub(super) started: Instant,
    /// Counts received frames, if the driver is watched.
    pub(super) wire: Option<&'static Wire>,
}

/// The protocol's tables and what else changes. Never borrowed across an `await`.
pub(super) struct Tables {
    pub(super) server: &'static mut BoardServer,
    pub(super) browser: &'static mut BoardBrowser,
    pub(super) advertiser: &'static mut BoardAdvertiser,
    pub(super) guard: &'static mut BoardGuard,
    /// One buffer for all connections: a received message is opened in it, and a record to send is built in it. It is
    /// free whenever a task awaits.
    pub(super) record: &'static mut [u8; RECORD],
    pub(super) rng: ChaCha20Rng,
    /// The fetch that was requested and has not begun.
    pub(super) requested: Option<FetchRequest>,
    /// Whether a fetch is under way.
    pub(super) fetching: bool,
    /// What the last fetch has received, if it did not fail, for a [`Room`](super::Room) that waits for it.
    pub(super) received: Option<(Token, Slot)>,
    /// Whether messages are fetched as they are offered.
    pub(super) auto: bool,
    /// Messages that `auto` has fetched or tried.
    pub(super) tried: Deque<Token, TRIED>,
}

impl Tables {
    /// The first `len` bytes of the record buffer.
    pub(super) fn message(&mut self, len: usize) -> &mut [u8] {
        self.record.get_mut(..len).unwrap_or_default()
    }

    /// Remembers a message, so that `auto` does not fetch it again.
    pub(super) fn mark_tried(&mut self, token: Token) {
        if self.tried.is_full() {
            self.tried.pop_front();
        }
        // Cannot be full: see above.
        let _ = self.tried.push_back(token);
    }
}

/// An offer as the mailbox carries it.
pub(super) fn summary(offer: &Offer) -> OfferSummary {
    OfferSummary {
        token: offer.token,
        kind: offer.kind,
        name: Label::of(offer.name.as_str()),
        size: offer.size,
        ttl: offer.ttl_left,
    }
}

impl AppState {
    /// Runs `act` on the tables, then drains their events.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Tables) -> T) -> T {
        let mut tables = self.tables.borrow_mut();
        let result = act(&mut tables);
        self.drain_events(&mut tables);
        result
    }

    /// Replies to a command; drops the reply if the console takes none for [`REPLY_TIMEOUT`].
    // Not an `async fn`, whose future would hold the event twice.
    pub(super) fn reply(&self, event: Event) -> impl Future<Output = Either<(), ()>> {
        select(self.mailbox.reply(event), clock::at(clock::now() + REPLY_TIMEOUT))
    }

    /// Carries out what follows from the last call into the tables, and posts it to the console.
    fn drain_events(&self, tables: &mut Tables) {
        let now = clock::now();
        let mut changed = false;
        while let Some(event) = tables.server.poll_event(now, &mut tables.rng) {
            match event {
                // `notify` wakes every connection; each asks the server whether it is the one.
                ServerEvent::Wake(_) => changed = true,
                ServerEvent::Warning(Warning::Guessing { source, failures }) => {
                    self.mailbox.post(Event::Guessing { source, failures });
                }
                ServerEvent::Drop(DropEvent::Ended { token, reason, unconfirmed }) => {
                    changed = true;
                    self.drop_ended(token, reason, unconfirmed);
                }
                _ => {}
            }
        }
        while let Some(event) = tables.browser.poll_event() {
            changed = true;
            self.mailbox.post(match event {
                OfferEvent::Appeared { offer } => {
                    Event::Appeared { offer: summary(&offer.offer), from: offer.from }
                }
                OfferEvent::Gone { token, reason, .. } => Event::Gone { token, reason },
            });
        }
        if changed {
            self.context.notify.notify();
        }
    }

    /// Wipes the content of a drop of this board that has ended.
    fn drop_ended(&self, token: Token, reason: EndReason, unconfirmed: bool) {
        let mut store = self.store.borrow_mut();
        // `forget` removes the entry before it withdraws the drop.
        let Some(held) = store.offered(token) else { return };
        let (slot, name) = (held.slot, Label::of(held.name));
        // It is there: just seen.
        let _ = store.remove(slot);
        if reason != EndReason::Fetched {
            self.mailbox.post(Event::Ended { token, name, reason, unconfirmed });
        }
    }

    /// The token under which the store entry in `slot` is offered, if it is.
    pub(super) fn offered(&self, slot: Slot) -> Option<Token> {
        match self.store.borrow().get(slot)?.state {
            StoreState::Offered(token) => Some(token),
            _ => None,
        }
    }
}
