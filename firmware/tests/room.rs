//! A product that uses the room by `next` and `offer`, with boards on a switch in memory.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use deaddrop_core::offer::Kind;
use deaddrop_firmware::app::{BoardStore, OfferError, Outcome, Room, Settings, Source, Terms};
use deaddrop_firmware::mailbox::{Command, CommandError, Event, FetchRequest};
use deaddrop_firmware::store::{Slot, State};
use deaddrop_firmware::values::{NotPersisted, Persist};
use lan::{Board, Lan};

const KEY: &str = "api-key";

fn is_key(offer: &deaddrop_core::offer::Offer) -> bool {
    offer.kind == Kind::File && offer.name.as_str() == KEY && offer.size <= 64
}

fn message(bytes: &[u8]) -> Source<'_> {
    Source { kind: Kind::Message, name: "", bytes }
}

const TERMS: Terms = Terms { ttl: Duration::from_secs(60) };

/// What a product has received, in the order in which it came.
type Inbox = Rc<RefCell<Vec<Vec<u8>>>>;

/// Receives so many keys, and forgets each once it is read.
async fn receive(room: Room<'_>, keys: usize, inbox: Inbox) {
    for _ in 0..keys {
        let drop = room.next(is_key).await;
        inbox.borrow_mut().push(drop.bytes(<[u8]>::to_vec).unwrap());
        drop.forget().unwrap();
    }
}

#[test]
fn next_takes_what_the_filter_accepts_and_nothing_else() {
    let mut lan = Lan::new();
    let sender = lan.board(1, Settings::default());
    let inbox = Inbox::default();
    let hears = inbox.clone();
    // One is offered before the product is there, and one after it.
    sender.offer(&mut lan, Kind::File, KEY, b"first");
    let product = lan.product(1, None, async |room| receive(room, 2, hears).await);
    lan.when(|| (inbox.borrow().len() == 1).then_some(()));
    let others = [
        sender.offer(&mut lan, Kind::Message, "", b"not this"),
        sender.offer(&mut lan, Kind::File, "other", b"nor this"),
    ];
    for token in others {
        lan.until(&product, |event| {
            matches!(event, Event::Appeared { offer, .. } if offer.token == token).then_some(())
        });
    }
    // Time enough to fetch both.
    lan.pass(Duration::from_secs(5));
    assert_eq!(inbox.borrow().len(), 1, "neither was taken");
    sender.offer(&mut lan, Kind::File, KEY, b"second");
    lan.when(|| (inbox.borrow().len() == 2).then_some(()));
    assert_eq!(*inbox.borrow(), [&b"first"[..], b"second"]);
    assert_eq!(product.store.borrow().iter().count(), 0, "both are forgotten");
    // The console is told of each, and can fetch what the product leaves.
    assert_eq!(product.count(|event| matches!(event, Event::Received { .. })), 2);
    for token in others {
        assert!(sender.store.borrow().offered(token).is_some());
        let told = product.events.borrow().len();
        product.fetch(token);
        lan.until_after(told, &product, |event| match event {
            Event::Received { token: got, .. } if *got == token => Some(()),
            Event::Failed { why, .. } => panic!("{why:?}"),
            _ => None,
        });
    }
}

/// Keeps what it is given, or does not.
struct Keeps {
    works: bool,
    kept: RefCell<Vec<u8>>,
    /// What the sender had posted when something was to be kept.
    events: Rc<RefCell<Vec<Event>>>,
    /// Whether the sender knew then that the drop was received.
    told: Cell<bool>,
}

impl Keeps {
    fn new(works: bool, sender: &Board) -> &'static Self {
        let events = sender.events.clone();
        Box::leak(Box::new(Self { works, kept: RefCell::default(), events, told: Cell::new(false) }))
    }
}

impl Persist for Keeps {
    fn persist(&self, store: &BoardStore, drop: Slot) -> Result<(), NotPersisted> {
        let held = store.get(drop).unwrap();
        assert_eq!((held.name, held.kind, held.state), (KEY, Kind::File, State::Whole));
        self.told.set(self.events.borrow().iter().any(|event| matches!(event, Event::Fetched { .. })));
        if !self.works {
            return Err(NotPersisted);
        }
        *self.kept.borrow_mut() = store.bytes(drop).unwrap().to_vec();
        Ok(())
    }
}

#[test]
fn a_drop_is_kept_before_its_sender_hears_that_it_was_received() {
    let mut lan = Lan::new();
    let sender = lan.board(1, Settings::default());
    let keeps = Keeps::new(true, &sender);
    let inbox = Inbox::default();
    let hears = inbox.clone();
    lan.product(1, Some(keeps), async |room| receive(room, 1, hears).await);
    sender.offer(&mut lan, Kind::File, KEY, b"the key");
    lan.until(&sender, |event| matches!(event, Event::Fetched { .. }).then_some(()));
    lan.when(|| (inbox.borrow().len() == 1).then_some(()));
    assert_eq!((&keeps.kept.borrow()[..], keeps.told.get()), (&b"the key"[..], false));
}

#[test]
fn a_drop_that_cannot_be_kept_is_in_the_store_and_its_sender_is_not_told() {
    let mut lan = Lan::new();
    let sender = lan.board(1, Settings { ttl: Duration::from_secs(30), ..Settings::default() });
    let keeps = Keeps::new(false, &sender);
    let inbox = Inbox::default();
    let hears = inbox.clone();
    let product = lan.product(1, Some(keeps), async |room| receive(room, 1, hears).await);
    let token = sender.offer(&mut lan, Kind::File, KEY, b"the key");
    let why = lan.until(&product, |event| match event {
        Event::Failed { token: Some(of), why } if *of == token => Some(*why),
        _ => None,
    });
    assert_eq!(why, CommandError::NotPersisted);
    let slot = product.store.borrow().find(KEY).unwrap().slot;
    assert_eq!(product.bytes(slot), b"the key");
    let unconfirmed = lan.until(&sender, |event| match event {
        Event::Ended { unconfirmed, .. } => Some(*unconfirmed),
        _ => None,
    });
    assert!(unconfirmed && inbox.borrow().is_empty());
    assert_eq!(sender.count(|event| matches!(event, Event::Fetched { .. })), 0);
}

#[test]
fn next_waits_for_a_fetch_of_the_console() {
    let mut lan = Lan::new();
    let sender = lan.board(1, Settings::default());
    let inbox = Inbox::default();
    let hears = inbox.clone();
    let product = lan.product(1, None, async |room| receive(room, 1, hears).await);
    let large = sender.offer(&mut lan, Kind::File, "large", &[7; 16_000]);
    lan.until(&product, |event| matches!(event, Event::Appeared { .. }).then_some(()));
    product.send(Command::Fetch(FetchRequest { token: large.into(), from: None }));
    lan.until(&product, |event| matches!(event, Event::Fetching { .. }).then_some(()));
    sender.offer(&mut lan, Kind::File, KEY, b"the key");
    lan.when(|| (inbox.borrow().len() == 1).then_some(()));
    assert_eq!(*inbox.borrow(), [b"the key"]);
    assert_eq!(product.count(|event| matches!(event, Event::Received { .. })), 2);
    assert_eq!(product.count(|event| matches!(event, Event::Failed { .. })), 0);
}

#[test]
fn an_offer_ends_when_it_is_fetched_or_its_time_is_over() {
    let mut lan = Lan::new();
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    let told = outcomes.clone();
    let product = lan.product(1, None, async move |room| {
        for text in [&b"for you"[..], b"for nobody"] {
            let outcome = room.offer(message(text), TERMS).await.unwrap();
            told.borrow_mut().push(outcome);
        }
    });
    let other = lan.board(1, Settings::default());
    let token = lan.until(&other, |event| match event {
        Event::Appeared { offer, .. } => Some(offer.token),
        _ => None,
    });
    other.fetch(token);
    lan.when(|| (outcomes.borrow().len() == 1).then_some(()));
    lan.when(|| (outcomes.borrow().len() == 2).then_some(()));
    assert_eq!(*outcomes.borrow(), [Outcome::Fetched, Outcome::NotFetched]);
    assert_eq!(product.store.borrow().free(), product.store.borrow().capacity(), "nothing of them is left");
}

#[test]
fn what_cannot_be_offered_is_refused_and_leaves_nothing() {
    let mut lan = Lan::new();
    let refusals = Rc::new(RefCell::new(Vec::new()));
    let told = refusals.clone();
    let product = lan.product(1, None, async move |room| {
        for source in [
            Source { kind: Kind::File, name: "", bytes: b"1" },
            Source { kind: Kind::File, name: "a/b", bytes: b"1" },
            Source { kind: Kind::Directory, name: "folder", bytes: b"1" },
            message(&[0; 100_000]),
        ] {
            let refusal = room.offer(source, TERMS).await.unwrap_err();
            told.borrow_mut().push(refusal);
        }
        let too_long = Terms { ttl: Duration::from_secs(8 * 86_400) };
        let refusal = room.offer(message(b"1"), too_long).await.unwrap_err();
        told.borrow_mut().push(refusal);
    });
    lan.when(|| (refusals.borrow().len() == 5).then_some(()));
    let refusals = refusals.borrow();
    assert_eq!(refusals[..3], [OfferError::Name; 3]);
    assert!(matches!(refusals[3], OfferError::NoSpace(_)), "{refusals:?}");
    assert!(matches!(refusals[4], OfferError::Refused(CommandError::Put(_))), "{refusals:?}");
    assert_eq!(product.store.borrow().free(), product.store.borrow().capacity());
}
