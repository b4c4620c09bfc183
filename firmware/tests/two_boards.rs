//! Boards with each other, on a switch in memory.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::time::Duration;

use deaddrop_core::offer::{EndReason, Kind};
use deaddrop_core::session::ClientError;
use deaddrop_core::token::Token;
use deaddrop_firmware::app::Settings;
use deaddrop_firmware::desk::{Failure, News, Order};
use deaddrop_firmware::store::{NoRoom, Slot};
use lan::{Board, Lan};

fn two() -> (Lan, Board, Board) {
    let mut lan = Lan::new();
    let (a, b) = (lan.board(1, Settings::default()), lan.board(1, Settings::default()));
    (lan, a, b)
}

fn appeared(token: Token) -> impl Fn(&News) -> Option<()> {
    move |news| matches!(news, News::Appeared { offer, .. } if offer.token == token).then_some(())
}

fn received(token: Token) -> impl Fn(&News) -> Option<Slot> {
    move |news| match news {
        News::Received { token: got, slot } if *got == token => Some(*slot),
        News::Failed { why, .. } => panic!("{why:?}"),
        _ => None,
    }
}

fn fetching(news: &News) -> Option<()> {
    matches!(news, News::Fetching { .. }).then_some(())
}

fn failed(news: &News) -> Option<Failure> {
    match news {
        News::Failed { why, .. } => Some(*why),
        _ => None,
    }
}

fn gone(token: Token) -> impl Fn(&News) -> Option<EndReason> {
    move |news| match news {
        News::Gone { token: got, reason } if *got == token => Some(*reason),
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
    let fetched = |news: &News| matches!(news, News::Fetched { token: t, .. } if *t == token).then_some(());
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
    assert_eq!(other.count(|news| matches!(news, News::Appeared { .. })), 0);
    other.order(Order::Offers);
    let count = lan.until(&other, |news| match news {
        News::Offers { count, .. } => Some(*count),
        _ => None,
    });
    assert_eq!(count, 0);
    // It may know token and address, from a photo of a screen: without the room they are worth nothing.
    other.order(Order::Fetch { token: token.into(), from: Some((a.address, None)) });
    let why = lan.until(&other, failed);
    assert_eq!(why, Failure::Client(ClientError::NotMember));
    assert!(a.store.borrow().offered(token).is_some(), "it is still there");
    assert!(!other.signs.waiting.get() && b.signs.waiting.get(), "the lamp is lit for members only");
}

#[test]
fn a_drop_ends_with_its_ttl_and_is_wiped() {
    let mut lan = Lan::new();
    let settings = Settings { ttl: Duration::from_secs(30), ..Settings::default() };
    let (a, b) = (lan.board(1, settings), lan.board(1, settings));
    let token = a.offer(&mut lan, Kind::File, "n.txt", &bytes(2_000));
    lan.until(&b, appeared(token));
    lan.pass(Duration::from_secs(28));
    assert!(b.signs.waiting.get());
    lan.pass(Duration::from_secs(4));
    let ended = |news: &News| match news {
        News::Ended { token: t, reason, unconfirmed: false, .. } if *t == token => Some(*reason),
        _ => None,
    };
    assert_eq!(lan.until(&a, ended), EndReason::Expired);
    assert_eq!(lan.until(&b, gone(token)), EndReason::Expired);
    assert_eq!(a.store.borrow().free(), a.store.borrow().capacity());
    assert!(!b.signs.waiting.get());
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
        let slot = lan.until(board, |news| match news {
            News::Received { token: t, slot } if *t == token => Some(Some(*slot)),
            News::Failed { token: Some(t), .. } if *t == token => Some(None),
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
    assert_eq!(a.count(|news| matches!(news, News::Fetched { .. })), 1);
}

#[test]
fn lost_frames_cost_time_and_nothing_else() {
    for seed in 0..6 {
        let (mut lan, a, b) = two();
        lan.switch.lose(100, seed);
        exchange(&mut lan, &a, &b, Kind::File, "key.pem", &bytes(16 * 1_024));
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
        assert_eq!(b.count(|news| matches!(news, News::Received { .. } | News::Failed { .. })), 0);
        lan.switch.plug(number, true);
        let slot = lan.until(&b, received(token));
        assert_eq!(b.bytes(slot), bytes(16 * 1_024));
        lan.until(&a, |news| matches!(news, News::Fetched { .. }).then_some(()));
        let board = if pulled { &a } else { &b };
        assert_eq!(board.count(|news| matches!(news, News::Address(None))), 1);
        assert_eq!(board.count(|news| matches!(news, News::Address(Some(_)))), 2);
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
    assert_eq!(b.count(|news| matches!(news, News::Appeared { .. })), 0);
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
    assert!(matches!(lan.until(&b, failed), Failure::NoRoom(NoRoom { needed: 32_000, .. })));
    assert_eq!(b.count(|news| matches!(news, News::Fetching { .. })), 0);
    // So it is there for whoever has room.
    let c = lan.board(1, Settings::default());
    lan.until(&c, appeared(token));
    c.fetch(token);
    lan.until(&c, received(token));
}

#[test]
fn messages_are_fetched_as_they_are_offered_if_so_ordered() {
    let (mut lan, a, b) = two();
    b.order(Order::Auto(true));
    let file = a.offer(&mut lan, Kind::File, "file", b"stays");
    for text in ["one", "two"] {
        let token = a.offer(&mut lan, Kind::Message, "", text.as_bytes());
        let slot = lan.until(&b, received(token));
        assert_eq!(b.bytes(slot), text.as_bytes());
    }
    b.order(Order::Auto(false));
    let token = a.offer(&mut lan, Kind::Message, "", b"three");
    lan.pass(Duration::from_secs(10));
    assert_eq!(b.count(|news| matches!(news, News::Received { .. })), 2);
    assert!(a.store.borrow().offered(token).is_some() && a.store.borrow().offered(file).is_some());
}

#[test]
fn what_is_forgotten_is_withdrawn_or_no_longer_fetched() {
    let (mut lan, a, b) = two();
    let token = a.offer(&mut lan, Kind::Message, "", b"never mind");
    lan.until(&b, appeared(token));
    let slot = a.store.borrow().offered(token).unwrap().slot;
    a.order(Order::Forget { slot });
    assert_eq!(lan.until(&b, gone(token)), EndReason::Withdrawn);
    assert_eq!(a.count(|news| matches!(news, News::Forgotten { .. })), 1);
    assert_eq!(a.count(|news| matches!(news, News::Ended { .. })), 0, "once is enough");

    let token = a.offer(&mut lan, Kind::File, "key.pem", &bytes(16 * 1_024));
    lan.until(&b, appeared(token));
    b.fetch(token);
    lan.until(&b, fetching);
    lan.switch.cut_after(5_000);
    let switch = lan.switch.clone();
    lan.when(|| switch.is_cut().then_some(()));
    let slot = b.store.borrow().iter().next().unwrap().slot;
    b.order(Order::Forget { slot });
    lan.until(&b, |news| matches!(news, News::Forgotten { .. }).then_some(()));
    lan.switch.mend();
    assert_eq!(lan.until(&b, failed), Failure::Forgotten);
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
    b.order(Order::Offer { slot, sent: false });
    let token = lan.until(&b, |news| match news {
        News::Offering { drop, .. } => Some(drop.token),
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
    assert_eq!(lan.until(&a, failed), Failure::Own);
    b.fetch(Token::from_bytes([3; 16]));
    assert_eq!(lan.until(&b, failed), Failure::Unknown);
    // At most four drops, live ones; an offer that fails leaves nothing behind.
    for _ in 0..3 {
        a.offer(&mut lan, Kind::Message, "", b"another");
    }
    let slot = a.keep(Kind::Message, "", b"one too many");
    a.order(Order::Offer { slot, sent: true });
    lan.until(&a, |news| matches!(news, News::Failed { why: Failure::Put(_), .. }).then_some(()));
    assert!(a.store.borrow().get(slot).is_none());
    a.order(Order::Status);
    let status = lan.until(&a, |news| match news {
        News::Status(status) => Some(*status),
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
    let token = boards[2].offer(&mut lan, Kind::Message, "", b"the seventh");
    lan.pass(Duration::from_secs(20));
    assert_eq!(boards[3].count(|news| appeared(token)(news).is_some()), 0, "there is room for six");
    boards[3].order(Order::Offers);
    let end = lan.until(&boards[3], |news| match news {
        News::Offers { count, more } => Some((*count, *more)),
        _ => None,
    });
    assert_eq!(end, (6, true));
    // What has no room in the table can be fetched all the same.
    boards[3].order(Order::Fetch { token: token.into(), from: Some((boards[2].address, None)) });
    lan.until(&boards[3], received(token));
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
