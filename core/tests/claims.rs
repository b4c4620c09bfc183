//! Claims under broken connections, silent receivers and concurrent requests.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod net;

use std::time::Duration;

use deaddrop_core::drops::{DropEvent, Lapse};
use deaddrop_core::limits::{HOST, Profile};
use deaddrop_core::session::{ClientError, Close};
use deaddrop_core::token::Token;
use deaddrop_core::wire::ErrorCode;
use net::receiver::{Goal, Outcome};
use net::{World, client, id, seconds};
use rand_core::Rng;

const DONE: Option<Outcome> = Some(Outcome::Done);
const GONE: Option<Outcome> = Some(Outcome::Refused(ErrorCode::Gone));

/// The message boundaries of one direction of a whole exchange.
fn boundaries(seed: u64, size: usize) -> (Vec<usize>, Vec<usize>) {
    let mut world = World::new(seed);
    let token = world.put(size, 1);
    let n = world.member(&[Goal::List, Goal::Fetch(token, id(1))]);
    world.run(seconds(60));
    assert_eq!(world.outcome(n), DONE);
    (world.conns[n].up.boundaries.clone(), world.conns[n].down.boundaries.clone())
}

/// One exchange whose connection breaks: afterwards either another receiver gets the drop, or only the first
/// has it.
fn broken_at(seed: u64, size: usize, up: Option<usize>, down: Option<usize>) {
    let mut world = World::new(seed);
    let token = world.put(size, 1);
    let first = world.member(&[Goal::List, Goal::Fetch(token, id(1))]);
    world.conns[first].up.cut_at = up;
    world.conns[first].down.cut_at = down;
    world.run(seconds(60));
    let outcome = world.outcome(first).unwrap();
    if let Outcome::Failed(error) = outcome {
        assert_eq!(error, ClientError::Reset, "a cut proves nothing about membership");
    }
    // Past the lease.
    world.wait(seconds(20));
    let tally = world.serving.drops.fetch_counts(&token).unwrap();
    assert_eq!(tally.claimed, 0, "{up:?} {down:?}");
    let second = world.member(&[Goal::Fetch(token, id(2))]);
    world.run(seconds(60));
    let what = format!("{up:?} {down:?} {outcome:?} {tally:?}");
    if tally.available == 1 {
        assert!(!world.conns[first].receiver.whole, "{what}");
        assert_eq!(world.outcome(second), DONE, "{what}");
        assert_eq!(world.conns[second].receiver.stored, world.sources[&token], "{what}");
    } else {
        assert_eq!(world.outcome(second), GONE, "{what}");
        let goal = if world.conns[first].receiver.whole {
            Goal::Commit(token, id(1))
        } else {
            Goal::Fetch(token, id(1))
        };
        let again = world.member(&[goal]);
        if matches!(goal, Goal::Fetch(..)) {
            world.receiver(again).stored = world.conns[first].receiver.stored.clone();
        }
        world.run(seconds(60));
        assert_eq!(world.outcome(again), DONE, "{what}");
        if matches!(goal, Goal::Fetch(..)) {
            assert_eq!(world.conns[again].receiver.stored, world.sources[&token], "{what}");
        }
    }
    assert_eq!(world.whole[&token].len(), 1, "never two receivers: {what}");
    assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().burned, 1, "{what}");
}

#[test]
fn cut_at_every_message_boundary_a_drop_is_neither_lost_nor_given_twice() {
    for seed in 0..2 {
        for size in [0, 10, 3_000] {
            let (ups, downs) = boundaries(seed, size);
            for at in ups {
                broken_at(seed, size, Some(at), None);
                broken_at(seed, size, Some(at - 1), None);
            }
            for at in downs {
                broken_at(seed, size, None, Some(at));
                broken_at(seed, size, None, Some(at - 1));
            }
        }
    }
}

#[test]
fn cut_anywhere_a_drop_is_neither_lost_nor_given_twice() {
    let mut world = World::new(99);
    for seed in 0..120 {
        let size = world.rng.next_u32() as usize % 5_000;
        let (ups, downs) = boundaries(seed, size);
        let within = |ends: &[usize], n: u32| 1 + n as usize % ends.last().unwrap();
        match world.rng.next_u32() {
            n if n % 2 == 0 => broken_at(seed, size, Some(within(&ups, n)), None),
            n => broken_at(seed, size, None, Some(within(&downs, n))),
        }
    }
}

/// A world in which the first receiver holds the whole of the only drop and has not committed.
fn uncommitted(seed: u64) -> (World, Token, usize) {
    let mut world = World::new(seed);
    let token = world.put(2_000, 1);
    let n = world.member(&[Goal::Fetch(token, id(1))]);
    world.receiver(n).commits = false;
    world.run(seconds(2));
    assert!(world.receiver(n).whole);
    assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().r#final, 1);
    (world, token, n)
}

#[test]
fn a_commit_counts_on_any_connection_and_any_number_of_times() {
    for seed in 0..4 {
        let (mut world, token, _) = uncommitted(seed);
        for _ in 0..2 {
            let n = world.member(&[Goal::Commit(token, id(1)), Goal::Commit(token, id(1))]);
            world.run(seconds(5));
            assert_eq!(world.outcome(n), DONE);
            assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().burned, 1);
        }
        let burned = world.drop_events.iter().filter(|e| matches!(e, DropEvent::Burned { .. })).count();
        assert_eq!(burned, 1);
    }
}

#[test]
fn a_burned_drop_is_gone_for_every_receiver() {
    let (mut world, token, _) = uncommitted(1);
    let n = world.member(&[Goal::Commit(token, id(1))]);
    world.run(seconds(5));
    assert_eq!(world.outcome(n), DONE);
    for who in [1, 2] {
        let n = world.member(&[Goal::Fetch(token, id(who))]);
        world.run(seconds(5));
        assert_eq!(world.outcome(n), GONE);
    }
}

#[test]
fn a_released_claim_is_free_at_once() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let token = world.put(2_000, 1);
        let n = world.member(&[Goal::Fetch(token, id(1))]);
        world.receiver(n).releases = true;
        world.run(seconds(5));
        assert_eq!(world.conns[n].closed.unwrap().0, Close::Clean);
        let why = Lapse::Released;
        assert!(world.drop_events.contains(&DropEvent::Lapsed {
            token,
            conn: world.conns[n].server.conn(),
            why
        }));
        let other = world.member(&[Goal::Fetch(token, id(2))]);
        world.run(seconds(5));
        assert_eq!(world.outcome(other), DONE);
    }
}

#[test]
fn three_fetches_are_exactly_three() {
    for seed in 0..4 {
        let mut world = World::new(seed);
        let token = world.put(1_000, 3);
        let all: Vec<usize> = (1..=3).map(|n| world.member(&[Goal::Fetch(token, id(n))])).collect();
        world.run(seconds(20));
        for n in all {
            assert_eq!(world.outcome(n), DONE);
        }
        let fourth = world.member(&[Goal::Fetch(token, id(4))]);
        world.run(seconds(20));
        assert_eq!(world.outcome(fourth), GONE);
        assert_eq!(world.whole[&token].len(), 3);
    }
}

#[test]
fn of_sixty_four_concurrent_receivers_one_gets_it_and_none_is_called_a_stranger() {
    for seed in 0..3 {
        let mut world = World::new(seed);
        let token = world.put(5_000, 1);
        let all: Vec<usize> =
            (0..64).map(|n| world.connect(client(1), net::ROOM, &[Goal::Fetch(token, id(n))])).collect();
        world.run(seconds(30));
        let mut done = 0;
        for n in all {
            match world.outcome(n).unwrap() {
                Outcome::Done => done += 1,
                Outcome::Refused(ErrorCode::Gone | ErrorCode::Busy { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(done, 1);
        assert_eq!(world.whole[&token].len(), 1);
        assert_eq!(world.warnings, 0);
    }
}

static FEW: Profile = Profile { source_burst: 2, source_refill: Duration::from_secs(3), ..HOST };

#[test]
fn parked_connections_continue_when_tokens_return() {
    let mut world = World::with(3, &FEW);
    let strangers: Vec<usize> = (0..2).map(|_| world.connect(client(1), 2, &[Goal::List])).collect();
    world.run(Duration::from_millis(900));
    for n in strangers {
        assert_eq!(world.outcome(n), Some(Outcome::Failed(ClientError::NotMember)));
    }
    // Both guess tokens of this source are spent: its members wait for the next one, with which all
    // authenticate.
    let members: Vec<usize> = (0..5).map(|_| world.connect(client(1), net::ROOM, &[Goal::List])).collect();
    let start = world.now;
    world.run(Duration::from_millis(1_500));
    assert!(members.iter().all(|n| world.conns[*n].server.is_parked()));
    world.run(seconds(10));
    for n in members {
        assert_eq!(world.outcome(n), DONE);
        let took = world.conns[n].receiver.ended_at.since(start);
        assert!((seconds(1)..seconds(4)).contains(&took), "{took:?}");
    }
}

#[test]
fn a_transfer_may_go_on_past_the_ttl_within_its_grace() {
    let mut world = World::new(1);
    let token = world.put_for(5_000, 1, seconds(4));
    let n = world.member(&[Goal::Fetch(token, id(1))]);
    world.receiver(n).ready_after = seconds(6);
    let late = world.member(&[]);
    world.run(seconds(5));
    world.receiver(late).goals = vec![];
    let other = world.member(&[Goal::Fetch(token, id(2))]);
    world.run(seconds(10));
    assert_eq!(world.outcome(other), Some(Outcome::Refused(ErrorCode::Expired)), "no new claims");
    assert_eq!(world.outcome(n), DONE);
    // After TTL and grace the drop has ended.
    let token = world.put_for(5_000, 1, seconds(4));
    let n = world.member(&[Goal::Fetch(token, id(3))]);
    world.receiver(n).ready_after = seconds(9);
    world.run(seconds(20));
    assert_eq!(world.outcome(n), Some(Outcome::Refused(ErrorCode::Expired)));
    assert!(!world.receiver(n).whole);
}

#[test]
fn a_silent_receiver_loses_its_claim_and_its_connection_after_the_lease() {
    let mut world = World::new(1);
    let token = world.put(5_000, 1);
    let n = world.member(&[Goal::Fetch(token, id(1))]);
    world.receiver(n).gives_signs = false;
    world.receiver(n).ready_after = seconds(40);
    let start = world.now;
    world.run(Duration::from_millis(14_999));
    assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().claimed, 1);
    world.run(seconds(1));
    let (how, at) = world.conns[n].closed.unwrap();
    assert_eq!((how, at), (Close::Reset, start + seconds(15)));
    assert!(world.drop_events.contains(&DropEvent::Lapsed {
        token,
        conn: world.conns[n].server.conn(),
        why: Lapse::Silent
    }));
}
