//! Two peers over a bad network: lists are complete, and drops arrive unchanged.
#![expect(clippy::indexing_slicing, reason = "a test that panics has failed")]

mod net;

use deaddrop_core::drops::{DropEvent, Lapse};
use deaddrop_core::exchange::SessionEvent;
use deaddrop_core::limits::{BOARD, HOST, Profile};
use deaddrop_core::offer::EndReason;
use deaddrop_core::session::ClientError;
use deaddrop_core::token::Token;
use deaddrop_core::wire::ErrorCode;
use net::receiver::{Goal, Outcome};
use net::{World, id, seconds};

#[test]
fn lists_have_every_drop_in_order_over_as_many_pages_as_it_takes() {
    for seed in 0..4 {
        for drops in [0, 1, 7, 8, 20] {
            let mut world = World::new(seed);
            let mut tokens: Vec<Token> = (0..drops).map(|n| world.put(n * 1_000, 1)).collect();
            tokens.sort();
            let n = world.member(&[Goal::List]);
            world.run(seconds(30));
            assert_eq!(world.outcome(n), Some(Outcome::Done));
            let listed: Vec<Token> = world.receiver(n).offers.iter().map(|offer| offer.token).collect();
            assert_eq!(listed, tokens, "{drops}");
            for offer in &world.receiver(n).offers.clone() {
                assert_eq!(offer.size, world.sources[&offer.token].len() as u64);
            }
            // One page is eight records of 512 bytes, whatever it contains.
            let pages = (drops.max(1)).div_ceil(7);
            assert_eq!(world.conns[n].down.boundaries.last(), Some(&(34 + 32 + pages * 8 * 512)));
        }
    }
}

#[test]
fn a_list_says_how_drops_ended() {
    let mut world = World::new(1);
    let token = world.put(10, 1);
    let other = world.put_for(10, 1, seconds(1));
    world.member(&[Goal::Fetch(token, id(1))]);
    world.run(seconds(30));
    world.wait(seconds(2));
    let n = world.member(&[Goal::List]);
    world.run(seconds(30));
    let mut endings: Vec<_> = world.receiver(n).endings.iter().map(|e| (e.token, e.reason)).collect();
    endings.sort_by_key(|e| e.0 != token);
    assert_eq!(endings, [(token, EndReason::Fetched), (other, EndReason::Expired)]);
    assert!(world.receiver(n).offers.is_empty());
    world.wait(seconds(60));
    let n = world.member(&[Goal::List]);
    world.run(seconds(30));
    assert!(world.receiver(n).endings.is_empty());
}

static BOARD_ROOMY: Profile = Profile { record_max: 1_024, ..BOARD };

#[test]
fn what_arrives_is_what_was_offered_for_every_size_and_record() {
    for (profile, ours) in [(&HOST, 65_536_u32), (&BOARD_ROOMY, 1_024), (&BOARD, 512)] {
        for theirs in [512, 1_024, 65_536] {
            let r = ours.min(theirs) as usize;
            let sizes = [0, 1, 511, 512, 513, r - 1, r, r + 1, 2 * r, 3 * r + 7];
            for (seed, size) in (0..).zip(sizes) {
                let mut world = World::with(seed, profile);
                let token = world.put(size, 1);
                let n = world.member(&[Goal::Fetch(token, id(1))]);
                world.receiver(n).record_max = theirs;
                world.run(seconds(60));
                assert_eq!(world.outcome(n), Some(Outcome::Done), "{size} {ours} {theirs}");
                assert_eq!(world.conns[n].receiver.stored, world.sources[&token]);
                let begin = world.receiver(n).begin.clone().unwrap();
                let fits = (size.next_power_of_two().max(512)).min(r);
                assert_eq!((begin.size, begin.record as usize), (size as u64, fits));
                assert_eq!(world.conns[n].events, [SessionEvent::Member, SessionEvent::Fetched { token }]);
                assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().burned, 1);
                // The volume reveals only whole records.
                let records = size.div_ceil(fits).max(1);
                let wire = 34 + 32 + 512 + records * (fits + 20) + 512;
                assert_eq!(world.conns[n].down.boundaries.last(), Some(&wire));
            }
        }
    }
}

/// A world with a drop of which an earlier receiver got all data records, and a receiver that holds the first
/// `held` bytes of it.
fn partial(seed: u64, size: usize, held: usize) -> (World, Token, usize) {
    let mut world = World::new(seed);
    let token = world.put(size, 1);
    let first = world.member(&[Goal::Fetch(token, id(9))]);
    world.receiver(first).record_max = 512;
    world.receiver(first).releases = true;
    world.run(seconds(60));
    assert_eq!(world.outcome(first), Some(Outcome::Canceled));
    let n = world.member(&[Goal::Fetch(token, id(1))]);
    world.receiver(n).stored = world.sources[&token][..held].to_vec();
    (world, token, n)
}

#[test]
fn a_fetch_resumes_after_the_last_whole_record_of_the_bytes_that_are_held() {
    let mib = 1024 * 1024;
    for (seed, (size, held)) in (0..).zip([
        (2, 1),
        (512, 511),
        (513, 512),
        (1_500, 1_000),
        (200_000, 65_536),
        (mib + 9, mib),
        (mib + 5_000, mib + 4_999),
    ]) {
        let (mut world, token, n) = partial(seed, size, held);
        world.run(seconds(60));
        assert_eq!(world.outcome(n), Some(Outcome::Done), "{size} {held}");
        assert_eq!(world.conns[n].receiver.stored, world.sources[&token]);
        assert_eq!(world.receiver(n).begin.clone().unwrap().offset, (held / 512 * 512) as u64);
    }
}

#[test]
fn a_wrong_digest_is_answered_with_changed_and_releases_the_claim() {
    for (seed, size) in (0..).zip([1_000, 10_000, 300_000]) {
        let (mut world, token, n) = partial(seed, size, 700);
        world.receiver(n).digest = Some([7; 32]);
        world.run(seconds(60));
        assert_eq!(world.outcome(n), Some(Outcome::Refused(ErrorCode::Changed)), "{size}");
        let (conn, why) = (world.conns[n].server.conn(), Lapse::WrongPrefix);
        assert_eq!(world.drop_events.last(), Some(&DropEvent::Lapsed { token, conn, why }));
        let tally = world.serving.drops.fetch_counts(&token).unwrap();
        assert_eq!((tally.available, tally.claimed), (1, 0));
        let again = world.member(&[Goal::Fetch(token, id(1))]);
        world.run(seconds(60));
        assert_eq!(world.outcome(again), Some(Outcome::Refused(ErrorCode::Gone)));
        let other = world.member(&[Goal::Fetch(token, id(2))]);
        world.run(seconds(60));
        assert_eq!(world.outcome(other), Some(Outcome::Done));
    }
}

#[test]
fn a_changed_source_is_reported_and_never_sent_whole() {
    for (seed, size) in (0..).zip([0, 1, 513, 70_000]) {
        let mut world = World::new(seed);
        let token = world.put(size, 2);
        world.changed.insert(token);
        let n = world.member(&[Goal::Fetch(token, id(1))]);
        world.run(seconds(60));
        assert_eq!(world.outcome(n), Some(Outcome::Refused(ErrorCode::Changed)));
        assert!(!world.receiver(n).whole);
        let other = world.member(&[Goal::Fetch(token, id(2))]);
        world.run(seconds(60));
        assert_eq!(world.outcome(other), Some(Outcome::Refused(ErrorCode::Changed)));
    }
}

#[test]
fn a_wrong_passphrase_is_refused_in_order_and_counts_as_a_guess() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let token = world.put(10, 1);
        for round in 0..3 {
            let n = world.connect(net::client(9), 2, &[Goal::Fetch(token, id(1))]);
            world.run(seconds(30));
            assert_eq!(world.outcome(n), Some(Outcome::Failed(ClientError::NotMember)));
            assert!(world.conns[n].events.is_empty());
            assert_eq!(world.warnings, usize::from(round == 2), "the third failure within a minute");
        }
        assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().available, 1);
        let n = world.member(&[Goal::Fetch(token, id(2))]);
        world.run(seconds(30));
        assert_eq!(world.outcome(n), Some(Outcome::Done));
    }
}
