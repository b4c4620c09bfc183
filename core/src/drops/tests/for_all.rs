//! A drop for all receivers: its places are used again.

use super::*;

/// Fetches, and has the events polled, as after every call.
fn fetched(b: &mut Bench, token: &Token, id: u8) {
    let fetched = b.fetch(token, &FetchId::from_bytes([id; 16]));
    assert_eq!(fetched, Ok(Committed::Burned { ended: false }), "{id}");
    let (token, left) = (*token, 64);
    assert_eq!(b.events(), [DropEvent::Claimed { token, conn: ONE }, DropEvent::Burned { token, left }]);
}

#[test]
fn any_number_of_receivers_gets_it_until_the_ttl_ends_it() {
    let (mut b, token) = Bench::with(Fetches::All);
    let revision = b.drops.revision();
    for id in 1..=200 {
        fetched(&mut b, &token, id);
        assert!(matches!(&b.list()[..], [Listed::Offer(offer)] if offer.fetches_left == 64), "{id}");
    }
    assert_eq!(b.drops.revision(), revision, "its offer is the same, so that nobody need list it again");
    b.wait(TTL);
    assert_eq!(b.claim(&token, &ANN, ONE), Err(Refusal::Expired));
    assert_eq!(b.events(), [ended(token, EndReason::Expired, false)]);
}

#[test]
fn a_receiver_gets_it_once_while_it_is_remembered() {
    let (mut b, token) = Bench::with(Fetches::All);
    let [first, second, last] = [1, 2, 5].map(|id| FetchId::from_bytes([id; 16]));
    // One more than there are places: the first gives way.
    for id in 1..=5 {
        b.wait(MS);
        fetched(&mut b, &token, id);
    }
    for id in [&second, &last] {
        assert_eq!(b.claim(&token, id, TWO), Err(Refusal::Gone));
        assert_eq!(b.commit(&token, id), Ok(Committed::Already));
    }
    assert_eq!(b.commit(&token, &first), Err(Refusal::Unknown));
    assert_eq!(b.claim(&token, &first, TWO), Ok(claimed()));
    assert_eq!(b.commit(&token, &second), Err(Refusal::Unknown), "the next that gives way");
}

#[test]
fn as_many_as_there_are_places_are_served_at_once() {
    let (mut b, token) = Bench::with(Fetches::All);
    let ids = [1, 2, 3, 4].map(|id| FetchId::from_bytes([id; 16]));
    for (n, id) in (0..).zip(&ids) {
        b.claim(&token, id, ConnId(n)).unwrap();
        b.wait(SECOND);
    }
    let late = FetchId::from_bytes([9; 16]);
    assert_eq!(b.claim(&token, &late, TWO), busy(LEASE - 4 * SECOND));
    assert!(matches!(&b.list()[..], [Listed::Offer(offer)] if offer.fetches_left == 64));
    b.finalise(&token, &ids[2], ConnId(2)).unwrap();
    b.commit(&token, &ids[2]).unwrap();
    b.events();
    assert_eq!(b.claim(&token, &late, TWO), Ok(claimed()));
}

#[test]
fn a_final_claim_gives_way_when_its_receiver_is_silent_and_another_wants_its_place() {
    let (mut b, token) = Bench::with(Fetches::All);
    let ids = [1, 2, 3, 4].map(|id| FetchId::from_bytes([id; 16]));
    for (n, id) in (0..).zip(&ids) {
        b.claim(&token, id, ConnId(n)).unwrap();
        b.finalise(&token, id, ConnId(n)).unwrap();
        b.wait(SECOND);
    }
    b.events();
    let late = FetchId::from_bytes([9; 16]);
    assert_eq!(b.claim(&token, &late, TWO), busy(LEASE - 4 * SECOND));
    b.wait(LEASE);
    assert_eq!(b.events(), [], "nobody wants its place");
    assert_eq!(b.commit(&token, &ids[1]), Ok(Committed::Burned { ended: false }));
    b.events();
    assert_eq!(b.claim(&token, &late, TWO), Ok(claimed()), "that of the one that has confirmed comes first");
    b.events();
    let later = FetchId::from_bytes([10; 16]);
    assert_eq!(b.claim(&token, &later, TWO), Ok(claimed()));
    let lapsed = DropEvent::Lapsed { token, conn: ConnId(0), why: Lapse::Silent };
    assert_eq!(b.events(), [lapsed, DropEvent::Claimed { token, conn: TWO }]);
    assert_eq!(b.commit(&token, &ids[0]), Err(Refusal::Unknown));
    assert_eq!(
        b.commit(&token, &ids[2]),
        Ok(Committed::Burned { ended: false }),
        "the others are still held"
    );
    assert_eq!(b.commit(&token, &ids[3]), Ok(Committed::Burned { ended: false }));
    b.events();
    assert!(b.drops.withdraw(b.now, &token, &mut b.rng));
    let last = b.events().pop();
    assert_eq!(last, Some(ended(token, EndReason::Withdrawn, true)), "the first may have it");
}
