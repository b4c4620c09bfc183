//! What all parts of the app share.

use core::cell::{Cell, RefCell};
use core::time::Duration;

use chacha20::ChaCha20Rng;
use deaddrop_core::crypto::keys::Prs;
use deaddrop_core::discovery::{OfferEvent, PeerEvent};
use deaddrop_core::drops::DropEvent;
use deaddrop_core::exchange::ServerEvent;
use deaddrop_core::guard::Warning;
use deaddrop_core::limits::TCP_PORT_FIRST;
use deaddrop_core::offer::{EndReason, Offer};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Token;
use embassy_futures::select::{Either, select};
use embassy_net::{Ipv4Cidr, Stack};
use heapless::Deque;

use super::bell::Bell;
use super::clock;
use super::fetch::Wanted;
use super::memory::{
    BoardAnnouncer, BoardGuard, BoardListener, BoardOffers, BoardServing, BoardStore, RECORD,
};
use super::rounds::Rounds;
use super::settings::Settings;
use crate::desk::{Brief, Desk, News};
use crate::store::{Label, State as StoreState};

/// The port at which a board serves.
pub(super) const PORT: u16 = TCP_PORT_FIRST;
/// How long news that answer an order wait for a console that is behind.
const PATIENCE: Duration = Duration::from_secs(1);
/// Messages remembered as fetched, or tried, without being asked.
const TRIED: usize = 8;

/// One member of the room: this board.
pub(super) struct Member {
    pub(super) stack: Stack<'static>,
    pub(super) settings: Settings,
    pub(super) prs: Prs,
    pub(super) desk: &'static Desk,
    pub(super) store: &'static RefCell<BoardStore>,
    pub(super) state: RefCell<State>,
    pub(super) bell: Bell,
    pub(super) rounds: Rounds,
    pub(super) online: Cell<Online>,
    pub(super) started: Instant,
}

/// The board's address, and which it is since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Online {
    /// None while there is no cable or no address.
    pub(super) network: Option<Ipv4Cidr>,
    /// Another number for each change: a connection does not outlive the address it was made with.
    pub(super) era: u32,
}

/// What changes, and is never held across an `await`.
pub(super) struct State {
    pub(super) serving: &'static mut BoardServing,
    pub(super) listener: &'static mut BoardListener,
    pub(super) announcer: &'static mut BoardAnnouncer,
    pub(super) offers: &'static mut BoardOffers,
    pub(super) guard: &'static mut BoardGuard,
    /// Where a message is opened that has come, and a record made before it goes out. Nothing stays here while others
    /// have their turn.
    pub(super) record: &'static mut [u8; RECORD],
    pub(super) rng: ChaCha20Rng,
    /// What to fetch, until it is being fetched.
    pub(super) wanted: Option<Wanted>,
    /// Whether something is being fetched.
    pub(super) fetching: bool,
    /// Whether messages are fetched as they are offered.
    pub(super) auto: bool,
    /// Those that were.
    pub(super) tried: Deque<Token, TRIED>,
    /// Some member had more offers than there is room for.
    pub(super) more_offers: bool,
}

impl State {
    /// Where a message of `len` bytes is opened.
    pub(super) fn message(&mut self, len: usize) -> &mut [u8] {
        self.record.get_mut(..len).unwrap_or_default()
    }

    /// Remembers a message, so that it is not fetched again without being asked.
    pub(super) fn try_once(&mut self, token: Token) {
        if self.tried.is_full() {
            self.tried.pop_front();
        }
        // There is room: just made.
        let _ = self.tried.push_back(token);
    }
}

/// An offer in short.
pub(super) fn brief(offer: &Offer) -> Brief {
    Brief {
        token: offer.token,
        kind: offer.kind,
        name: Label::of(offer.name.as_str()),
        size: offer.size,
        ttl: offer.ttl_left,
    }
}

impl Member {
    /// Runs `act` on the state, then carries out what follows from it, and has the other parts look at it.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.borrow_mut();
        let result = act(&mut state);
        self.settle(&mut state);
        result
    }

    /// Answers an order; gives up on a console that does not listen.
    // Not an `async fn`, which would keep the news once more.
    pub(super) fn answer(&self, news: News) -> impl Future<Output = Either<(), ()>> {
        select(self.desk.answer(news), clock::at(clock::now() + PATIENCE))
    }

    /// Tells and does what follows from the last call into the tables.
    fn settle(&self, state: &mut State) {
        let now = clock::now();
        let mut changed = false;
        while let Some(event) = state.serving.poll_event(now, &mut state.rng) {
            match event {
                // All connections are woken; the one that is meant finds out by itself.
                ServerEvent::Wake(_) => changed = true,
                ServerEvent::Warning(Warning::Guessing { source, failures }) => {
                    self.desk.tell(News::Guessing { source, failures });
                }
                ServerEvent::Drop(DropEvent::Ended { token, reason, unconfirmed }) => {
                    changed = true;
                    self.ended(token, reason, unconfirmed);
                }
                _ => {}
            }
        }
        while let Some(event) = state.listener.poll_event() {
            changed = true;
            match event {
                PeerEvent::Lost { instance } => state.offers.lost(instance),
                PeerEvent::Moved { instance, from, to } => state.offers.moved(instance, from, to),
            }
        }
        while let Some(event) = state.offers.poll_event() {
            changed = true;
            self.desk.tell(match event {
                OfferEvent::Appeared { offer } => {
                    News::Appeared { offer: brief(&offer.offer), from: offer.from }
                }
                OfferEvent::Gone { token, reason, .. } => News::Gone { token, reason },
            });
        }
        if changed {
            self.bell.ring();
        }
    }

    /// A drop of this board has ended: what it held is wiped.
    fn ended(&self, token: Token, reason: EndReason, unconfirmed: bool) {
        let mut store = self.store.borrow_mut();
        // Nothing is there of what was forgotten before it was withdrawn.
        let Some(held) = store.offered(token) else { return };
        let (slot, name) = (held.slot, Label::of(held.name));
        // It is there: just seen.
        let _ = store.remove(slot);
        if reason != EndReason::Fetched {
            self.desk.tell(News::Ended { token, name, reason, unconfirmed });
        }
    }

    /// Whether what is stored here is offered, and under which token.
    pub(super) fn offered(&self, slot: crate::store::Slot) -> Option<Token> {
        match self.store.borrow().get(slot)?.state {
            StoreState::Offered(token) => Some(token),
            _ => None,
        }
    }
}
