extern crate std;

use super::*;
use crate::offer::{Kind, Name};
use core::time::Duration;
use std::string::ToString;
use std::vec::Vec as StdVec;

const A: Instance = Instance::from_bytes(*b"sender-a");
const B: Instance = Instance::from_bytes(*b"sender-b");

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 5_000))
}

fn token(n: u8) -> Token {
    Token::from_bytes([n; 16])
}

fn drop_(n: u8) -> Offer {
    Offer {
        token: token(n),
        kind: Kind::File,
        name: Name::new("report").unwrap(),
        size: 10,
        ttl_left: Duration::from_secs(60),
        fetches_left: 1,
    }
}

fn list(o: &mut Offers<4>, ms: u64, instance: Instance, drops: &[u8]) {
    o.begin_list(instance);
    for n in drops {
        o.offer(at(ms), instance, addr(1), &drop_(*n)).unwrap();
    }
    o.complete(at(ms), instance);
}

/// The events as text: `+1` appeared, `-1 lost` ended.
fn events(o: &mut Offers<4>) -> StdVec<std::string::String> {
    std::iter::from_fn(|| o.poll_event())
        .map(|e| match e {
            OfferEvent::Appeared { offer } => std::format!("+{}", offer.offer.token.as_bytes()[0]),
            OfferEvent::Gone { token, reason, .. } => std::format!("-{} {reason}", token.as_bytes()[0]),
        })
        .collect()
}

#[test]
fn an_offer_missing_from_a_later_list_is_withdrawn() {
    let mut o = Offers::new();
    list(&mut o, 0, A, &[1, 2]);
    list(&mut o, 0, B, &[3]);
    assert_eq!(events(&mut o), ["+1", "+2", "+3"]);
    list(&mut o, 1, A, &[2]);
    assert_eq!(events(&mut o), ["-1 withdrawn"]);
    assert_eq!(o.iter().count(), 2);
}

#[test]
fn an_ending_gives_the_reason() {
    let mut o = Offers::new();
    list(&mut o, 0, A, &[1, 2]);
    events(&mut o);
    o.begin_list(A);
    o.ending(at(1), A, token(1), EndReason::Fetched);
    o.ending(at(1), B, token(2), EndReason::Fetched); // another instance cannot end it
    o.offer(at(1), A, addr(1), &drop_(2)).unwrap();
    o.complete(at(1), A);
    assert_eq!(events(&mut o), ["-1 fetched"]);
}

#[test]
fn a_list_that_broke_off_withdraws_nothing() {
    let mut o = Offers::new();
    list(&mut o, 0, A, &[1, 2]);
    events(&mut o);
    o.begin_list(A);
    o.offer(at(1), A, addr(1), &drop_(3)).unwrap();
    o.abort_list(A);
    o.complete(at(1), A); // without a list in progress
    assert_eq!(events(&mut o), ["+3"]);
}

#[test]
fn two_lists_at_once_withdraw_only_what_neither_had() {
    let mut o = Offers::new();
    list(&mut o, 0, A, &[1, 2]);
    events(&mut o);
    o.begin_list(A);
    o.offer(at(1), A, addr(1), &drop_(1)).unwrap();
    o.begin_list(A);
    o.complete(at(1), A);
    assert_eq!(events(&mut o), [""; 0]);
    o.complete(at(1), A);
    assert_eq!(events(&mut o), ["-2 withdrawn"]);
}

#[test]
fn an_offer_listed_at_two_addresses_is_one_and_keeps_the_first() {
    let mut o = Offers::new();
    list(&mut o, 0, A, &[1]);
    o.begin_list(A);
    o.offer(at(1), A, addr(2), &drop_(1)).unwrap();
    o.complete(at(1), A);
    assert_eq!(events(&mut o), ["+1"]);
    assert_eq!(o.iter().next().unwrap().from, addr(1));
    o.moved(A, addr(1), addr(2));
    assert_eq!(o.iter().next().unwrap().from, addr(2));
}

#[test]
fn a_change_of_size_kind_or_name_appears_again_and_a_change_of_ttl_does_not() {
    let mut o = Offers::new();
    list(&mut o, 0, A, &[1]);
    events(&mut o);
    let same = drop_(1);
    let changes = [
        (Offer { size: 11, ..same.clone() }, true),
        (same.clone(), true),
        (Offer { ttl_left: Duration::from_secs(5), fetches_left: 2, ..same.clone() }, false),
        (Offer { kind: Kind::Message, ..same.clone() }, true),
        (Offer { kind: Kind::Message, name: Name::new("other").unwrap(), ..same }, true),
    ];
    for (offer, appears) in changes {
        o.offer(at(1), A, addr(1), &offer).unwrap();
        assert_eq!(events(&mut o).len(), usize::from(appears), "{offer:?}");
    }
}

#[test]
fn ttl_passes_to_the_millisecond() {
    let mut o = Offers::new();
    list(&mut o, 5, A, &[1]);
    events(&mut o);
    assert_eq!(o.poll_timeout(), Some(at(60_005)));
    o.handle_timeout(at(60_004));
    assert_eq!(events(&mut o), [""; 0]);
    o.handle_timeout(at(60_005));
    assert_eq!(o.iter().count(), 0);
    assert_eq!(o.poll_timeout(), None);
    assert_eq!(events(&mut o), ["-1 expired"]);
    o.offer(at(0), A, addr(1), &Offer { ttl_left: Duration::MAX, ..drop_(1) }).unwrap();
    assert_eq!(o.poll_timeout(), Some(at(0) + TTL_MAX), "a TTL is capped, whatever the sender says");
}

#[test]
fn lost_ends_all_of_one_instance_and_none_of_another() {
    let mut o = Offers::new();
    list(&mut o, 0, A, &[1, 2]);
    list(&mut o, 0, B, &[1]);
    events(&mut o);
    o.lost(A);
    assert_eq!(events(&mut o), ["-1 lost", "-2 lost"]);
    assert_eq!(o.iter().map(|k| k.instance).collect::<StdVec<_>>(), [B]);
}

#[test]
fn an_offer_never_shown_ends_without_an_event() {
    let mut o = Offers::new();
    list(&mut o, 0, A, &[1]);
    o.lost(A);
    assert_eq!(events(&mut o), [""; 0]);
    list(&mut o, 0, A, &[1]);
    events(&mut o);
    o.lost(A);
    list(&mut o, 1, A, &[1]); // back before the event was polled
    assert_eq!(events(&mut o), [""; 0]);
    assert_eq!(o.iter().count(), 1);
}

fn instance(n: u8) -> Instance {
    Instance::from_bytes([n; 8])
}

/// Reads the list of an instance at an address, draining events after each line. Returns how many lines found no room.
fn read(o: &mut Offers<4>, n: u8, from: u8, drops: &[u8]) -> (usize, StdVec<std::string::String>) {
    let (mut refused, mut told) = (0, StdVec::new());
    o.begin_list(instance(n));
    for n_drop in drops {
        refused += usize::from(o.offer(at(0), instance(n), addr(from), &drop_(*n_drop)).is_err());
        told.extend(events(o));
    }
    o.complete(at(0), instance(n));
    told.extend(events(o));
    (refused, told)
}

#[test]
fn a_table_that_one_sender_fills_has_room_for_others() {
    let mut o = Offers::<4>::new();
    let (refused, told) = read(&mut o, 1, 1, &[1, 2, 3, 4, 5, 6]);
    assert_eq!((refused, told.len()), (2, 4), "a sender does not displace its own offers");
    assert!(o.is_crowded());
    let (refused, told) = read(&mut o, 2, 2, &[7]);
    assert_eq!(refused, 0);
    assert_eq!(told, ["-4 displaced", "+7"]);
    assert!(o.is_crowded(), "a displaced offer leaves no room");
    // Listed again, it does not come back, and displaces nothing.
    assert_eq!(read(&mut o, 1, 1, &[1, 2, 3, 4, 5, 6]), (3, StdVec::new()));
    // Half and half, and neither displaces the other.
    assert_eq!(read(&mut o, 2, 2, &[7, 8, 9]).1, ["-3 displaced", "+8"]);
    assert_eq!(read(&mut o, 1, 1, &[1, 2, 3, 4, 5, 6]), (4, StdVec::new()));
    assert_eq!(read(&mut o, 2, 2, &[8]).1, ["-7 withdrawn"]);
    assert!(!o.is_crowded());
}

#[test]
fn many_instances_at_one_address_share_the_room_of_one() {
    let mut o = Offers::<4>::new();
    for n in 1..=4 {
        assert_eq!(read(&mut o, n, 1, &[n]).0, 0);
    }
    assert_eq!(read(&mut o, 5, 1, &[5]), (1, StdVec::new()), "one each: none has more than its share");
    assert_eq!(read(&mut o, 6, 2, &[6]).1, ["-4 displaced", "+6"]);
    // At the address of the crowd, too, the instance that has most gives way.
    let mut o = Offers::<4>::new();
    read(&mut o, 1, 1, &[1, 2, 3, 4]);
    assert_eq!(read(&mut o, 2, 1, &[5]).1, ["-4 displaced", "+5"]);
    assert_eq!(read(&mut o, 2, 1, &[5, 6]), (1, StdVec::new()), "they would displace each other in turn");
}

#[test]
fn an_offer_that_was_not_shown_is_displaced_without_a_word() {
    let mut o = Offers::<4>::new();
    list(&mut o, 0, A, &[1, 2, 3, 4]);
    assert_eq!(o.offer(at(0), B, addr(2), &drop_(5)), Ok(()));
    assert_eq!(events(&mut o), ["+1", "+2", "+3", "+5"]);
    // Only one at a time that was shown, so that none goes unreported.
    assert_eq!(o.offer(at(0), B, addr(2), &drop_(6)), Ok(()));
    assert_eq!(o.offer(at(0), instance(9), addr(3), &drop_(7)), Err(Full));
    assert_eq!(events(&mut o), ["-3 displaced", "+6"]);
}

#[test]
fn a_prefix_finds_one_none_or_too_many() {
    let mut o = Offers::<4>::new();
    list(&mut o, 0, A, &[1, 2]);
    let prefix = |n| token(n).to_string()[..6].parse::<TokenPrefix>().unwrap();
    assert!(matches!(o.find(&prefix(1)), Find::Found(k) if k.offer.token == token(1)));
    assert_eq!(o.find(&prefix(9)), Find::None);
    list(&mut o, 0, B, &[1]);
    assert_eq!(o.find(&prefix(1)), Find::Ambiguous);
    o.lost(B);
    assert!(matches!(o.find(&prefix(1)), Find::Found(_)), "an ended offer is not found");
}
