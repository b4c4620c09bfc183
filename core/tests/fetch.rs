//! One fetch over several connections: what a lost connection means at each step (protocol.md, section 7.1).

mod net;

use std::time::Duration;

use deaddrop_core::drops::{DropEvent, Lapse};
use deaddrop_core::exchange::{Fetch, Step, Wanted};
use deaddrop_core::limits::{
    COMMIT_TIMEOUT, COMMIT_TIMEOUT_INTERRUPTED, HOST, LEASE, RESUME_TIMEOUT, RETRY_JITTER, RETRY_MIN,
};
use deaddrop_core::offer::EndReason;
use deaddrop_core::session::ClientError;
use deaddrop_core::time::Instant;
use deaddrop_core::token::{Token, TokenPrefix};
use deaddrop_core::wire::ErrorCode;
use net::receiver::{Goal, Outcome};
use net::{ROOM, World, client, id, seconds};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

const DONE: Option<Outcome> = Some(Outcome::Done);
/// Handshake bytes from server to client, and `begin`.
const BEFORE_DATA: usize = 34 + 32 + 512;

/// A receiver of one drop that reconnects when its fetch asks for it.
fn persistent(world: &mut World, token: Token) -> usize {
    let n = world.member(&[Goal::Fetch(token, id(1))]);
    world.receiver(n).redials = true;
    n
}

#[test]
fn a_fetch_that_is_cut_anywhere_again_and_again_arrives_whole_and_resumes() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        let size = 300_000 + world.rng.next_u32() as usize % 300_000;
        let token = world.put(size, 1);
        let n = persistent(&mut world, token);
        let cuts = 1 + world.rng.next_u32() as usize % 4;
        for _ in 0..cuts {
            let cut = 1 + world.rng.next_u32() as usize % size;
            world.cuts.push_back((None, Some(cut)));
        }
        world.conns[n].down.cut_at = Some(1 + world.rng.next_u32() as usize % size);
        world.run(seconds(120));
        assert_eq!(world.outcome(n), DONE, "{seed}");
        let receiver = world.receiver(n);
        // A cut in the midst of a record costs that record; stored bytes are not sent twice.
        assert_eq!(receiver.received, size as u64, "{seed}");
        assert!(receiver.connections <= cuts + 2, "{seed}: {}", receiver.connections);
        let stored = receiver.stored.clone();
        assert_eq!(stored, world.sources[&token], "{seed}");
        assert_eq!(world.whole[&token].len(), 1);
        assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().burned, 1);
    }
}

#[test]
fn a_cut_between_ready_and_the_final_record_is_resumed_under_the_same_id() {
    for seed in 0..4 {
        for size in [0_usize, 5, 100_000] {
            let mut world = World::new(seed);
            let token = world.put(size, 1);
            let n = persistent(&mut world, token);
            let r = size.next_power_of_two().clamp(512, 65_536);
            let full = size.saturating_sub(1) / r;
            // All but the last byte of the final record.
            world.conns[n].down.cut_at = Some(BEFORE_DATA + (full + 1) * (r + 20) - 1);
            world.run(seconds(60));
            assert_eq!(world.outcome(n), DONE, "{seed} {size}");
            assert_eq!(world.receiver(n).connections, 2);
            assert_eq!(world.receiver(n).stored.clone(), world.sources[&token]);
            assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().burned, 1);
        }
    }
}

#[test]
fn a_fetch_survives_an_outage_up_to_a_minute_without_progress() {
    for (outage, outcome) in [
        (LEASE - seconds(1), Outcome::Done),
        (LEASE + seconds(5), Outcome::Done),
        (RESUME_TIMEOUT - seconds(6), Outcome::Done),
        (RESUME_TIMEOUT + seconds(6), Outcome::Unreachable),
    ] {
        let mut world = World::new(7);
        let token = world.put(200_000, 1);
        let n = persistent(&mut world, token);
        world.conns[n].down.cut_at = Some(BEFORE_DATA + 70_000);
        let begun = world.now;
        world.outage = Some((begun, begun + outage));
        world.run(seconds(100));
        assert_eq!(world.outcome(n), Some(outcome), "{outage:?}");
        if outcome == Outcome::Done {
            assert_eq!(world.receiver(n).received, 200_000, "{outage:?}");
        } else {
            let took = world.receiver(n).ended_at.since(begun);
            assert!((RESUME_TIMEOUT..RESUME_TIMEOUT + seconds(6)).contains(&took), "{took:?}");
        }
    }
}

#[test]
fn a_claim_that_lapsed_in_an_outage_is_lost_to_another_receiver() {
    let mut world = World::new(7);
    let token = world.put(200_000, 1);
    let n = persistent(&mut world, token);
    world.conns[n].down.cut_at = Some(BEFORE_DATA + 70_000);
    let begun = world.now;
    world.outage = Some((begun, begun + LEASE + seconds(10)));
    world.run(LEASE + seconds(1));
    world.outage = Some((begun + LEASE + seconds(1), begun + LEASE + seconds(10)));
    let other = world.member(&[Goal::Fetch(token, id(2))]);
    world.run(seconds(60));
    assert_eq!(world.outcome(other), DONE, "{:?}", world.outcome(n));
    assert_eq!(world.outcome(n), Some(Outcome::Refused(ErrorCode::Gone)));
    assert!(!world.receiver(n).whole);
    assert_eq!(world.whole[&token].len(), 1);
}

#[test]
fn before_the_claim_a_busy_sender_is_retried_until_the_deadline() {
    for (holds, outcome) in [(seconds(3), Outcome::Done), (seconds(20), Outcome::Refused(ErrorCode::Gone))] {
        let mut world = World::new(3);
        let token = world.put(5_000, 1);
        let holder = world.member(&[Goal::Fetch(token, id(9))]);
        world.receiver(holder).ready_after = holds;
        world.receiver(holder).releases = outcome == Outcome::Done;
        world.run(Duration::from_millis(500));
        let n = persistent(&mut world, token);
        world.receiver(n).patience = seconds(10);
        let begun = world.now;
        world.run(seconds(40));
        match outcome {
            Outcome::Done => assert_eq!(world.outcome(n), DONE),
            _ => {
                let got = world.outcome(n);
                assert!(matches!(got, Some(Outcome::Refused(ErrorCode::Busy { .. }))), "{got:?}");
                let took = world.receiver(n).ended_at.since(begun);
                assert!((seconds(10)..seconds(12)).contains(&took), "{took:?}");
            }
        }
        assert!(world.receiver(n).connections > 2, "it retries");
    }
}

#[test]
fn a_sender_of_another_room_is_not_retried() {
    let mut world = World::new(1);
    let token = world.put(10, 1);
    let n = world.connect(client(9), ROOM + 1, &[Goal::Fetch(token, id(1))]);
    world.receiver(n).redials = true;
    world.run(seconds(30));
    assert_eq!(world.outcome(n), Some(Outcome::Failed(ClientError::NotMember)));
    assert_eq!(world.receiver(n).connections, 1);
}

#[test]
fn progress_is_sent_from_begin_until_commit() {
    // A drop of one record: the receiver reserves space before it has received a byte.
    for (size, ready_after, persist_for) in [(10, 40, 0), (70_000, 40, 0), (10, 0, 70), (70_000, 20, 100)] {
        let mut world = World::new(2);
        let token = world.put(size, 1);
        let n = persistent(&mut world, token);
        world.receiver(n).ready_after = seconds(ready_after);
        world.receiver(n).persist_for = seconds(persist_for);
        world.run(seconds(200));
        assert_eq!(world.outcome(n), DONE, "{size} {ready_after} {persist_for}");
        assert_eq!(world.receiver(n).connections, 1, "claim and connection lasted all the time");
    }
}

/// A world whose only receiver holds the whole drop and takes this long to make it durable.
fn whole(seed: u64, ttl: Duration, persist_for: Duration) -> (World, Token, usize) {
    let mut world = World::new(seed);
    let token = world.put_for(5_000, 1, ttl);
    let n = persistent(&mut world, token);
    world.receiver(n).persist_for = persist_for;
    world.run(seconds(1));
    assert!(world.receiver(n).whole && world.outcome(n).is_none());
    (world, token, n)
}

#[test]
fn a_refused_commit_leaves_the_drop_unconfirmed_at_once() {
    // After TTL and grace the sender has ended the claim.
    let (mut world, token, n) = whole(4, seconds(4), seconds(20));
    let persisted = world.now + seconds(20);
    world.run(seconds(60));
    assert_eq!(world.outcome(n), Some(Outcome::Unconfirmed));
    assert!(world.receiver(n).ended_at < persisted + seconds(2), "there is no retry");
    let unconfirmed = DropEvent::Ended { token, reason: EndReason::Expired, unconfirmed: true };
    assert!(world.drop_events.contains(&unconfirmed), "both sides report the same");
}

#[test]
fn a_commit_is_tried_again_on_other_connections() {
    let (mut world, token, n) = whole(5, seconds(3_600), seconds(2));
    // The connection breaks while the drop is made durable, and the next one right after its greeting.
    let latest = world.latest(n);
    world.conns[latest].up.close(world.now, deaddrop_core::session::Close::Reset);
    world.conns[latest].down.close(world.now, deaddrop_core::session::Close::Reset);
    world.cuts.push_back((None, Some(40)));
    world.run(seconds(30));
    assert_eq!(world.outcome(n), DONE);
    assert_eq!(world.receiver(n).connections, 3);
    assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().burned, 1);
}

#[test]
fn an_unanswered_commit_times_out_and_sooner_after_an_interrupt() {
    for (hurried, most) in [(false, COMMIT_TIMEOUT), (true, COMMIT_TIMEOUT_INTERRUPTED)] {
        let (mut world, _, n) = whole(6, seconds(3_600), seconds(2));
        let latest = world.latest(n);
        world.conns[latest].up.close(world.now, deaddrop_core::session::Close::Reset);
        world.conns[latest].down.close(world.now, deaddrop_core::session::Close::Reset);
        world.outage = Some((world.now, world.now + seconds(60)));
        world.run(seconds(3));
        let now = world.now;
        if hurried {
            world.receiver(n).fetch.as_mut().unwrap().interrupt(now, None);
        }
        let begun = world.now;
        world.run(seconds(60));
        assert_eq!(world.outcome(n), Some(Outcome::Unconfirmed));
        let took = world.receiver(n).ended_at.since(begun);
        assert!(took <= most, "{took:?} of {most:?}");
    }
}

#[test]
fn an_interrupt_before_the_whole_drop_is_here_gives_the_claim_back() {
    let mut world = World::new(8);
    let token = world.put(5_000, 1);
    let n = persistent(&mut world, token);
    world.receiver(n).ready_after = seconds(5);
    world.run(seconds(1));
    let now = world.now;
    let receiver = world.receiver(n);
    receiver.fetch.as_mut().unwrap().interrupt(now, Some(&mut receiver.session));
    world.run(seconds(5));
    assert_eq!(world.outcome(n), Some(Outcome::Canceled));
    assert!(world.drop_events.contains(&DropEvent::Lapsed {
        token,
        conn: world.conns[n].server.conn(),
        why: Lapse::Released
    }));
    assert_eq!(world.serving.drops.fetch_counts(&token).unwrap().available, 1);
}

#[test]
fn a_fetch_by_prefix_takes_the_one_drop_that_the_list_has() {
    // On one page of the list, and on three.
    for drops in [1, 20] {
        let mut world = World::new(1);
        let tokens: Vec<Token> = (0..drops).map(|n| world.put(n * 100, 1)).collect();
        for token in tokens {
            let prefix: TokenPrefix = token.to_string()[..13].parse().unwrap();
            let n = world.member(&[Goal::Take(prefix, id(1))]);
            world.run(seconds(30));
            assert_eq!(world.outcome(n), DONE);
            assert_eq!(world.receiver(n).stored.clone(), world.sources[&token]);
        }
    }
}

#[test]
fn a_prefix_without_a_match_reports_the_reason() {
    let mut world = World::new(1);
    let (taken, expired) = (world.put(10, 1), world.put_for(10, 1, seconds(2)));
    let n = world.member(&[Goal::Fetch(taken, id(1))]);
    world.run(seconds(1));
    assert_eq!(world.outcome(n), DONE);
    world.wait(seconds(3));
    let unknown = Token::from_bytes([0; 16]);
    for (token, code) in
        [(taken, ErrorCode::Gone), (expired, ErrorCode::Expired), (unknown, ErrorCode::Unknown)]
    {
        let n = world.member(&[Goal::Take(token.into(), id(2))]);
        world.run(seconds(10));
        assert_eq!(world.outcome(n), Some(Outcome::Refused(code)), "{code}");
    }
}

#[test]
fn a_prefix_that_names_two_drops_takes_neither() {
    let mut world = World::new(1);
    // Four characters are 20 bits, so with 24 drops a search over seeds finds two with a common prefix.
    let mut pair = None;
    'seeds: for seed in 0..20_000 {
        let mut other = World::new(seed);
        let tokens: Vec<String> = (0..20).map(|_| other.put(10, 1).to_string()).collect();
        for (i, token) in tokens.iter().enumerate() {
            if tokens[..i].iter().any(|earlier| earlier[..4] == token[..4]) {
                pair = token[..4].parse::<TokenPrefix>().ok();
                world = other;
                break 'seeds;
            }
        }
    }
    let n = world.member(&[Goal::Take(pair.expect("a pair"), id(1))]);
    world.run(seconds(10));
    assert_eq!(world.outcome(n), Some(Outcome::Ambiguous));
    assert!(world.whole.is_empty());
}

#[test]
fn a_drop_that_is_not_the_one_listed_is_given_back() {
    let mut world = World::new(1);
    let token = world.put(1_000, 1);
    let n = world.member(&[Goal::Fetch(token, id(1))]);
    world.receiver(n).pretend_size(token, 999);
    world.run(seconds(10));
    assert_eq!(world.outcome(n), Some(Outcome::Refused(ErrorCode::Changed)));
    assert!(world.drop_events.contains(&DropEvent::Lapsed {
        token,
        conn: world.conns[n].server.conn(),
        why: Lapse::Released
    }));
    assert!(world.receiver(n).stored.is_empty());
}

#[test]
fn retries_back_off() {
    let mut world = World::new(9);
    let token = world.put(200_000, 1);
    let n = persistent(&mut world, token);
    world.conns[n].down.cut_at = Some(BEFORE_DATA + 70_000);
    let begun = world.now;
    world.outage = Some((Instant::default(), begun + seconds(50)));
    let mut tries = Vec::new();
    while world.outcome(n).is_none() && world.now < begun + seconds(90) {
        world.run(RETRY_MIN / 4);
        let count = world.receiver(n).unreachable_count;
        tries.resize(count, world.now);
    }
    assert_eq!(world.outcome(n), DONE);
    let gaps: Vec<Duration> = tries.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(tries.len() < 25, "{}", tries.len());
    assert!(gaps.iter().skip(8).all(|gap| *gap + RETRY_MIN >= seconds(5)), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= seconds(5) + RETRY_JITTER + RETRY_MIN), "{gaps:?}");
}

#[test]
fn a_new_way_to_the_sender_ends_the_wait_for_the_next_try() {
    let (mut rng, now) = (ChaCha8Rng::seed_from_u64(5), Instant::default());
    let prefix: TokenPrefix = "0123".parse().unwrap();
    let mut fetch = Fetch::new(&HOST, id(1), Wanted::Token(prefix), now + seconds(60));
    for _ in 0..6 {
        fetch.handle_unreachable(now, &mut rng);
        assert!(matches!(fetch.poll_step(None), Step::Wait(at) if at > now));
        fetch.retry_now();
        assert_eq!(fetch.poll_step(None), Step::Connect);
    }
    fetch.handle_open(now, None);
    fetch.retry_now();
    assert_eq!(fetch.poll_step(None), Step::Drive, "a connection that is open stays so");
}
