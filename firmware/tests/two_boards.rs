//! Boards with each other, on a switch in memory.

mod lan;

use std::time::Duration;

use deaddrop_core::discovery::GoneReason;
use deaddrop_core::offer::{Kind, Reason};
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

fn gone(token: Token) -> impl Fn(&News) -> Option<GoneReason> {
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
    assert_eq!(lan.until(to, gone(token)), GoneReason::Fetched);
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
