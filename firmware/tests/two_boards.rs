//! Boards with each other, on a switch in memory.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::time::Duration;

use deaddrop_core::offer::{EndReason, Kind};
use deaddrop_core::session::ClientError;
use deaddrop_core::token::Token;
use deaddrop_firmware::app::Settings;
use deaddrop_firmware::mailbox::{Command, CommandError, Event, FetchRequest};
use deaddrop_firmware::store::{NoSpace, Slot};
use lan::{Board, Lan};

fn two() -> (Lan, Board, Board) {
    let mut lan = Lan::new();
    let (a, b) = (lan.board(1, Settings::default()), lan.board(1, Settings::default()));
    (lan, a, b)
}

fn appeared(token: Token) -> impl Fn(&Event) -> Option<()> {
    move |event| matches!(event, Event::Appeared { offer, .. } if offer.token == token).then_some(())
}

fn received(token: Token) -> impl Fn(&Event) -> Option<Slot> {
    move |event| match event {
        Event::Received { token: got, slot } if *got == token => Some(*slot),
        Event::Failed { why, .. } => panic!("{why:?}"),
        _ => None,
    }
}

fn fetching(event: &Event) -> Option<()> {
    matches!(event, Event::Fetching { .. }).then_some(())
}

fn failed(event: &Event) -> Option<CommandError> {
    match event {
        Event::Failed { why, .. } => Some(*why),
        _ => None,
    }
}

fn gone(token: Token) -> impl Fn(&Event) -> Option<EndReason> {
    move |event| match event {
        Event::Gone { token: got, reason } if *got == token => Some(*reason),
        _ => None,
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

/// From one to the other, the whole way.
fn exchange(lan: &mut Lan, from: &Board, to: &Board, kind: Kind, name: &str, bytes: &[u8]) {
    let token = from.offer(lan, kind, name, bytes);
    lan.until(to, appeared(token));
    to.fetch(token);
    let slot = lan.until(to, received(token));
    assert_eq!(to.bytes(slot), bytes);
    let fetched =
        |event: &Event| matches!(event, Event::Fetched { token: t, .. } if *t == token).then_some(());
    lan.until(from, fetched);
    assert_eq!(lan.until(to, gone(token)), EndReason::Fetched);
    assert!(from.store.borrow().offered(token).is_none(), "its sender has forgotten it");
    to.store.borrow_mut().remove(slot).unwrap();
}

#[test]
fn a_message_is_seen_fetched_and_gone() {
    let (mut lan, a, b) = two();
    exchange(&mut lan, &a, &b, Kind::Message, "", b"the door code is 4711");
    assert_eq!(a.store.borrow().free(), a.store.borrow().capacity(), "nothing of it is left");
}

#[test]
fn a_file_of_16_kib_goes_both_ways() {
    let (mut lan, a, b) = two();
    exchange(&mut lan, &a, &b, Kind::File, "key.pem", &bytes(16 * 1_024));
    exchange(&mut lan, &b, &a, Kind::File, "key.pem", &bytes(16 * 1_024));
}

#[test]
fn a_board_of_another_room_finds_nothing_and_takes_nothing() {
    let (mut lan, a, b) = two();
    let other = lan.board(2, Settings::default());
    let token = a.offer(&mut lan, Kind::Message, "", b"not for you");
    lan.until(&b, appeared(token));
    lan.pass(Duration::from_secs(20));
    assert_eq!(other.count(|event| matches!(event, Event::Appeared { .. })), 0);
    other.send(Command::Offers);
    let count = lan.until(&other, |event| match event {
        Event::Offers { count, .. } => Some(*count),
        _ => None,
    });
    assert_eq!(count, 0);
    // It may know token and address, from a photo of a screen: without the room they are worth nothing.
    other.send(Command::Fetch(FetchRequest { token: token.into(), from: Some((a.address, None)) }));
    let why = lan.until(&other, failed);
    assert_eq!(why, CommandError::Client(ClientError::NotMember));
    assert!(a.store.borrow().offered(token).is_some(), "it is still there");
    let lit = (lan.eighths_lit(&other), lan.eighths_lit(&b));
    assert_eq!(lit, (1, 15), "the lamp is lit for members only, and with a flash for others");
}

#[test]
fn a_drop_ends_with_its_ttl_and_is_wiped() {
    let mut lan = Lan::new();
    let settings = Settings { ttl: Duration::from_secs(30), ..Settings::default() };
    let (a, b) = (lan.board(1, settings), lan.board(1, settings));
    let token = a.offer(&mut lan, Kind::File, "n.txt", &bytes(2_000));
    lan.until(&b, appeared(token));
    lan.pass(Duration::from_secs(26));
    assert_eq!(lan.eighths_lit(&b), 15);
    lan.pass(Duration::from_secs(4));
    let ended = |event: &Event| match event {
        Event::Ended { token: t, reason, unconfirmed: false, .. } if *t == token => Some(*reason),
        _ => None,
    };
    assert_eq!(lan.until(&a, ended), EndReason::Expired);
    assert_eq!(lan.until(&b, gone(token)), EndReason::Expired);
    assert_eq!(a.store.borrow().free(), a.store.borrow().capacity());
    assert_eq!(lan.eighths_lit(&b), 1);
}

#[test]
fn the_lamp_tells_of_a_cable_that_is_out() {
    let mut lan = Lan::new();
    let a = lan.board(1, Settings::default());
    lan.pass(Duration::from_secs(2));
    assert_eq!(lan.eighths_lit(&a), 1);
    lan.switch.plug(a.number, false);
    lan.pass(Duration::from_secs(1));
    assert_eq!(lan.eighths_lit(&a), 2, "two flashes");
}

#[test]
fn of_eight_boards_that_want_one_drop_one_has_it() {
    let mut lan = Lan::new();
    let a = lan.board(1, Settings::default());
    let others: Vec<Board> = (0..8).map(|_| lan.board(1, Settings::default())).collect();
    let token = a.offer(&mut lan, Kind::File, "one.bin", &bytes(9_000));
    for board in &others {
        lan.until(board, appeared(token));
    }
    others.iter().for_each(|board| board.fetch(token));
    let mut had = 0;
    for board in &others {
        let slot = lan.until(board, |event| match event {
            Event::Received { token: t, slot } if *t == token => Some(Some(*slot)),
            Event::Failed { token: Some(t), .. } if *t == token => Some(None),
            _ => None,
        });
        match slot {
            Some(slot) => {
                assert_eq!(board.bytes(slot), bytes(9_000));
                had += 1;
            }
            None => assert_eq!(
                board.store.borrow().free(),
                board.store.borrow().capacity(),
                "nothing is left of a try"
            ),
        }
    }
    assert_eq!(had, 1);
    lan.pass(Duration::from_secs(5));
    assert_eq!(a.count(|event| matches!(event, Event::Fetched { .. })), 1);
}

#[test]
fn lost_frames_cost_time_and_nothing_else() {
    for seed in 0..6 {
        let (mut lan, a, b) = two();
        lan.switch.lose(100, seed);
        let token = a.offer(&mut lan, Kind::File, "key.pem", &bytes(16 * 1_024));
        lan.until(&b, appeared(token));
        // A sender may still hold a lost connection when the receiver's patience is over: then it is asked once more.
        let slot = (0..5).find_map(|_| {
            let told = b.events.borrow().len();
            b.fetch(token);
            lan.until_after(told, &b, |event| match event {
                Event::Received { token: got, slot } if *got == token => Some(Some(*slot)),
                Event::Failed { why: CommandError::Client(ClientError::Busy), .. } => Some(None),
                Event::Failed { why, .. } => panic!("{why:?}"),
                _ => None,
            })
        });
        assert_eq!(b.bytes(slot.expect("it comes in the end")), bytes(16 * 1_024));
        assert!(lan.switch.lost() > 0);
    }
}

#[test]
fn a_cable_that_is_out_for_a_while_costs_time_and_nothing_else() {
    for pulled in [true, false] {
        let (mut lan, a, b) = two();
        let token = a.offer(&mut lan, Kind::File, "key.pem", &bytes(16 * 1_024));
        lan.until(&b, appeared(token));
        b.fetch(token);
        lan.until(&b, fetching);
        lan.switch.cut_after(5_000);
        let switch = lan.switch.clone();
        lan.when(|| switch.is_cut().then_some(()));
        let number = if pulled { a.number } else { b.number };
        lan.switch.plug(number, false);
        lan.switch.mend();
        lan.pass(Duration::from_secs(4));
        assert_eq!(b.count(|event| matches!(event, Event::Received { .. } | Event::Failed { .. })), 0);
        lan.switch.plug(number, true);
        let slot = lan.until(&b, received(token));
        assert_eq!(b.bytes(slot), bytes(16 * 1_024));
        lan.until(&a, |event| matches!(event, Event::Fetched { .. }).then_some(()));
        let board = if pulled { &a } else { &b };
        assert_eq!(board.count(|event| matches!(event, Event::Address(None))), 1);
        assert_eq!(board.count(|event| matches!(event, Event::Address(Some(_)))), 2);
    }
}

#[test]
fn after_the_cable_is_back_boards_find_each_other_again() {
    let (mut lan, a, b) = two();
    lan.pass(Duration::from_secs(10));
    lan.switch.plug(b.number, false);
    lan.pass(Duration::from_secs(30));
    let token = a.offer(&mut lan, Kind::Message, "", b"while you were out");
    lan.pass(Duration::from_secs(30));
    assert_eq!(b.count(|event| matches!(event, Event::Appeared { .. })), 0);
    lan.switch.plug(b.number, true);
    let back = lan::clock::now();
    lan.until(&b, appeared(token));
    assert!(lan::clock::now() - back < Duration::from_secs(1), "it asks as soon as it is back");
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_claimed() {
    let (mut lan, a, b) = two();
    b.keep(Kind::File, "large", &bytes(30_000));
    let token = a.offer(&mut lan, Kind::File, "larger", &bytes(32_000));
    lan.until(&b, appeared(token));
    b.fetch(token);
    assert!(matches!(lan.until(&b, failed), CommandError::NoSpace(NoSpace { needed: 32_000, .. })));
    assert_eq!(b.count(|event| matches!(event, Event::Fetching { .. })), 0);
    // So a member with room for it can fetch it.
    let c = lan.board(1, Settings::default());
    lan.until(&c, appeared(token));
    c.fetch(token);
    lan.until(&c, received(token));
}

#[test]
fn messages_are_fetched_as_they_are_offered_if_so_ordered() {
    let (mut lan, a, b) = two();
    b.send(Command::Auto(true));
    let file = a.offer(&mut lan, Kind::File, "file", b"stays");
    for text in ["one", "two"] {
        let token = a.offer(&mut lan, Kind::Message, "", text.as_bytes());
        let slot = lan.until(&b, received(token));
        assert_eq!(b.bytes(slot), text.as_bytes());
    }
    b.send(Command::Auto(false));
    let token = a.offer(&mut lan, Kind::Message, "", b"three");
    lan.pass(Duration::from_secs(10));
    assert_eq!(b.count(|event| matches!(event, Event::Received { .. })), 2);
    assert!(a.store.borrow().offered(token).is_some() && a.store.borrow().offered(file).is_some());
}

#[test]
fn what_is_forgotten_is_withdrawn_or_no_longer_fetched() {
    let (mut lan, a, b) = two();
    let token = a.offer(&mut lan, Kind::Message, "", b"never mind");
    lan.until(&b, appeared(token));
    let slot = a.store.borrow().offered(token).unwrap().slot;
    a.send(Command::Forget { slot });
    assert_eq!(lan.until(&b, gone(token)), EndReason::Withdrawn);
    assert_eq!(a.count(|event| matches!(event, Event::Forgotten { .. })), 1);
    assert_eq!(a.count(|event| matches!(event, Event::Ended { .. })), 0, "once is enough");

    let token = a.offer(&mut lan, Kind::File, "key.pem", &bytes(16 * 1_024));
    lan.until(&b, appeared(token));
    b.fetch(token);
    lan.until(&b, fetching);
    lan.switch.cut_after(5_000);
    let switch = lan.switch.clone();
    lan.when(|| switch.is_cut().then_some(()));
    let slot = b.store.borrow().iter().next().unwrap().slot;
    b.send(Command::Forget { slot });
    lan.until(&b, |event| matches!(event, Event::Forgotten { .. }).then_some(()));
    lan.switch.mend();
    assert_eq!(lan.until(&b, failed), CommandError::Forgotten);
    // Given back at once, not when the lease lapses.
    let c = lan.board(1, Settings::default());
    lan.until(&c, appeared(token));
    c.fetch(token);
    lan.until(&c, received(token));
}

#[test]
fn a_received_file_can_be_offered_again() {
    let (mut lan, a, b) = two();
    let token = a.offer(&mut lan, Kind::File, "key.pem", &bytes(3_000));
    lan.until(&b, appeared(token));
    b.fetch(token);
    let slot = lan.until(&b, received(token));
    b.send(Command::Offer { slot, sent: false });
    let token = lan.until(&b, |event| match event {
        Event::Offering { drop, .. } => Some(drop.token),
        _ => None,
    });
    lan.until(&a, appeared(token));
    a.fetch(token);
    let slot = lan.until(&a, received(token));
    assert_eq!(a.bytes(slot), bytes(3_000));
    assert_eq!(a.store.borrow().get(slot).unwrap().name, "key.pem");
}

#[test]
fn orders_that_make_no_sense_are_answered() {
    let (mut lan, a, b) = two();
    let token = a.offer(&mut lan, Kind::Message, "", b"mine");
    a.fetch(token);
    assert_eq!(lan.until(&a, failed), CommandError::Own);
    b.fetch(Token::from_bytes([3; 16]));
    assert_eq!(lan.until(&b, failed), CommandError::Unknown);
    // At most four drops, live ones; an offer that fails leaves nothing behind.
    for _ in 0..3 {
        a.offer(&mut lan, Kind::Message, "", b"another");
    }
    let slot = a.keep(Kind::Message, "", b"one too many");
    a.send(Command::Offer { slot, sent: true });
    lan.until(&a, |event| matches!(event, Event::Failed { why: CommandError::Put(_), .. }).then_some(()));
    assert!(a.store.borrow().get(slot).is_none());
    a.send(Command::Status);
    let status = lan.until(&a, |event| match event {
        Event::Status(status) => Some(*status),
        _ => None,
    });
    assert_eq!((status.drops, status.link, status.address), (4, true, Some(a.address)));
}

#[test]
fn all_of_a_senders_offers_are_seen() {
    let mut lan = Lan::new();
    let boards: Vec<Board> = (0..4).map(|_| lan.board(1, Settings::default())).collect();
    for board in &boards[..2] {
        for n in 0..3_u8 {
            let token = board.offer(&mut lan, Kind::Message, "", &[n]);
            lan.until(&boards[3], appeared(token));
        }
    }
    let token = boards[0].offer(&mut lan, Kind::Message, "", b"the seventh");
    lan.pass(Duration::from_secs(20));
    assert_eq!(boards[3].count(|event| appeared(token)(event).is_some()), 0, "there is room for six");
    boards[3].send(Command::Offers);
    let end = lan.until(&boards[3], |event| match event {
        Event::Offers { count, more } => Some((*count, *more)),
        _ => None,
    });
    assert_eq!(end, (6, true));
    // What has no room in the table can be fetched all the same.
    boards[3]
        .send(Command::Fetch(FetchRequest { token: token.into(), from: Some((boards[0].address, None)) }));
    lan.until(&boards[3], received(token));
    // A sender with fewer offers than the others gets a place of theirs.
    let token = boards[2].offer(&mut lan, Kind::Message, "", b"of another");
    lan.until(&boards[3], appeared(token));
}

#[test]
fn the_watchdog_is_fed_through_it_all() {
    let (mut lan, a, b) = two();
    a.offer(&mut lan, Kind::Message, "", b"hello");
    for plugged in [false, true, true] {
        lan.switch.plug(b.number, plugged);
        let fed = [a.signs.fed.get(), b.signs.fed.get()];
        lan.pass(Duration::from_secs(60));
        for (board, fed) in [&a, &b].into_iter().zip(fed) {
            assert!((55..600).contains(&(board.signs.fed.get() - fed)), "{}", board.signs.fed.get() - fed);
        }
    }
}
