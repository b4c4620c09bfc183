//! How a claim is renewed, lapses, and becomes final.

use super::*;

#[test]
fn a_silent_claim_lapses_after_the_lease() {
    for (sign, last) in [(false, Duration::ZERO), (true, 9 * SECOND)] {
        let (mut b, token) = Bench::with(1);
        b.claim(&token, &ANN, ONE).unwrap();
        b.wait(last);
        assert!(!sign || b.progress(&token, &ANN, ONE, 1).is_ok());
        b.wait(LEASE - MS);
        assert_eq!(b.claim(&token, &BOB, TWO), busy(MS));
        assert_eq!(b.events(), [DropEvent::Claimed { token, conn: ONE }]);
        b.wait(MS);
        assert_eq!(b.drops.poll_timeout(), Some(b.now));
        assert_eq!(b.events(), [DropEvent::Lapsed { token, conn: ONE, why: Lapse::Silent }]);
        assert_eq!(b.progress(&token, &ANN, ONE, 2), Err(Refusal::Unknown));
        assert_eq!(b.claim(&token, &BOB, TWO), Ok(claimed()));
        assert_eq!(b.finalise(&token, &ANN, ONE), Err(Refusal::Unknown), "never revived");
        assert_eq!(b.commit(&token, &ANN), Err(Refusal::Unknown));
    }
}

#[test]
fn no_timer_is_needed_for_a_lapse() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    b.wait(LEASE);
    assert_eq!(b.finalise(&token, &ANN, ONE), Err(Refusal::Unknown), "it came too late");
    assert_eq!(b.claim(&token, &ANN, ONE), Ok(claimed()), "but it may claim again");
}

#[test]
fn a_lapse_names_its_own_receiver_even_if_another_claims_in_the_same_call() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    assert_eq!(b.events(), [DropEvent::Claimed { token, conn: ONE }]);
    b.wait(LEASE);
    b.claim(&token, &BOB, TWO).unwrap();
    let lapsed = DropEvent::Lapsed { token, conn: ONE, why: Lapse::Silent };
    assert_eq!(b.events(), [lapsed, DropEvent::Claimed { token, conn: TWO }]);
}

#[test]
fn all_data_sent_does_not_renew_the_lease() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    b.wait(10 * SECOND);
    b.drops.all_sent(b.now, &token, &ANN, ONE).unwrap();
    b.wait(5 * SECOND);
    assert_eq!(b.claim(&token, &BOB, TWO), Ok(claimed()));
}

#[test]
fn a_claim_that_does_not_get_ready_lapses() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    b.drops.all_sent(b.now, &token, &ANN, ONE).unwrap();
    let until = b.now + READY_TIMEOUT;
    b.keep(&token, &ANN, ONE, 50);
    b.drops.all_sent(b.now, &token, &ANN, ONE).unwrap();
    b.wait(10 * SECOND - MS);
    assert_eq!(b.progress(&token, &ANN, ONE, SIZE), Ok(()));
    assert_eq!(b.events(), [DropEvent::Claimed { token, conn: ONE }]);
    assert_eq!(b.drops.poll_timeout(), Some(until), "a second call does not move the deadline");
    b.wait(MS);
    assert_eq!(b.finalise(&token, &ANN, ONE), Err(Refusal::Unknown));
    assert_eq!(b.events(), [DropEvent::Lapsed { token, conn: ONE, why: Lapse::NotReady }]);
}

#[test]
fn another_stream_has_a_deadline_of_its_own() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    b.drops.all_sent(b.now, &token, &ANN, ONE).unwrap();
    b.keep(&token, &ANN, ONE, 50);
    b.claim(&token, &ANN, TWO).unwrap();
    b.keep(&token, &ANN, TWO, 20);
    assert_eq!(b.finalise(&token, &ANN, TWO), Ok(()));
}

/// Sends `progress` every ten seconds; returns the last result.
fn at_rate(stored: &[u64]) -> (Bench, Token, Result<(), Refusal>) {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    let mut last = Ok(());
    for stored in stored {
        assert_eq!(last, Ok(()));
        b.wait(SLOW_WINDOW / 3);
        last = b.progress(&token, &ANN, ONE, *stored);
    }
    (b, token, last)
}

#[test]
fn a_slow_receiver_loses_its_claim() {
    assert_eq!(at_rate(&[0, 0, SLOW_BYTES]).2, Ok(()));
    assert_eq!(at_rate(&[0, 0]).2, Ok(()), "the window is not over");
    let (mut b, token, last) = at_rate(&[0, 0, SLOW_BYTES - 1]);
    assert_eq!(last, Err(Refusal::Unknown));
    let lapsed = DropEvent::Lapsed { token, conn: ONE, why: Lapse::Slow };
    assert_eq!(b.events(), [DropEvent::Claimed { token, conn: ONE }, lapsed]);
    assert_eq!(b.claim(&token, &BOB, TWO), Ok(claimed()));
    // Each window is measured by itself.
    let burst = 100 * SLOW_BYTES;
    assert_eq!(at_rate(&[0, 0, burst, burst, burst, burst + SLOW_BYTES]).2, Ok(()));
    assert_eq!(at_rate(&[0, 0, burst, burst, burst, burst + SLOW_BYTES - 1]).2, Err(Refusal::Unknown));
}

#[test]
fn a_window_that_a_late_progress_ends_is_judged_over_its_whole_length() {
    for (stored, good) in [(SLOW_BYTES / 30 * 40, true), (SLOW_BYTES / 30 * 40 - 1, false)] {
        let (mut b, token, _) = at_rate(&[0, 0]);
        b.wait(10 * SECOND - MS);
        assert_eq!(b.progress(&token, &ANN, ONE, 0), Ok(()));
        b.wait(10 * SECOND + MS);
        assert_eq!(b.progress(&token, &ANN, ONE, stored).is_ok(), good);
    }
}

#[test]
fn the_rate_counts_only_while_data_is_sent() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    b.drops.all_sent(b.now, &token, &ANN, ONE).unwrap();
    for _ in 0..5 {
        b.wait(10 * SECOND);
        assert_eq!(b.progress(&token, &ANN, ONE, 5), Ok(()));
    }
}

#[test]
fn a_progress_that_goes_down_is_malformed() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    assert_eq!(b.progress(&token, &ANN, ONE, 10), Ok(()));
    let signed = b.now;
    b.wait(SECOND);
    assert_eq!(b.progress(&token, &ANN, ONE, 9), Err(Refusal::Malformed));
    assert_eq!(b.progress(&token, &ANN, ONE, SIZE + 1), Err(Refusal::Malformed));
    assert_eq!(b.drops.poll_timeout(), Some(signed + LEASE), "that did not renew the lease");
    assert_eq!(b.progress(&token, &ANN, ONE, 10), Ok(()));
    b.claim(&token, &ANN, TWO).unwrap();
    assert_eq!(b.progress(&token, &ANN, TWO, 0), Ok(()), "another stream may resume from less");
}

#[test]
fn the_newest_connection_wins() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    assert_eq!(b.claim(&token, &ANN, TWO), Ok(claimed()));
    assert_eq!(b.progress(&token, &ANN, ONE, 1), Err(Refusal::Unknown));
    assert_eq!(b.drops.all_sent(b.now, &token, &ANN, ONE), Err(Refusal::Unknown));
    assert_eq!(b.finalise(&token, &ANN, ONE), Err(Refusal::Unknown));
    assert!(!b.drops.release(b.now, &token, &ANN, ONE));
    assert_eq!(b.progress(&token, &ANN, TWO, 1), Ok(()));
    assert_eq!(b.finalise(&token, &ANN, TWO), Ok(()));
    assert_eq!(
        b.events(),
        [DropEvent::Claimed { token, conn: TWO }],
        "a takeover by the same receiver is no event"
    );
    b.claim(&token, &ANN, ONE).unwrap();
    assert_eq!(b.finalise(&token, &ANN, TWO), Err(Refusal::Unknown));
    assert_eq!(b.finalise(&token, &ANN, ONE), Ok(()), "the final record may be sent again");
}

#[test]
fn a_released_claim_is_available_at_once() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    assert!(!b.drops.release(b.now, &token, &BOB, ONE));
    assert!(b.drops.release(b.now, &token, &ANN, ONE));
    assert!(!b.drops.release(b.now, &token, &ANN, ONE));
    assert_eq!(b.claim(&token, &BOB, TWO), Ok(claimed()));
    let (claim, why) = (DropEvent::Claimed { token, conn: TWO }, Lapse::Released);
    // Not polled in between, so only the last state is reported.
    assert_eq!(b.events(), [claim]);
    assert!(b.drops.release(b.now, &token, &BOB, TWO));
    assert_eq!(b.events(), [DropEvent::Lapsed { token, conn: TWO, why }]);
}

#[test]
fn final_never_lapses_and_never_passes_to_another() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    b.finalise(&token, &ANN, ONE).unwrap();
    assert!(!b.drops.release(b.now, &token, &ANN, ONE));
    b.wait(TTL - MS);
    assert_eq!(b.claim(&token, &BOB, TWO), Err(Refusal::Gone));
    assert_eq!(b.list(), [], "nothing is left to claim");
    assert_eq!(b.drops.live(), 1);
    assert_eq!(b.commit(&token, &BOB), Err(Refusal::Unknown));
    b.wait(TTL);
    assert_eq!(b.commit(&token, &ANN), Ok(Committed::Burned { ended: true }));
}

#[test]
fn only_final_commits() {
    let (mut b, token) = Bench::with(2);
    assert_eq!(b.commit(&token, &ANN), Err(Refusal::Unknown));
    b.claim(&token, &ANN, ONE).unwrap();
    assert_eq!(b.commit(&token, &ANN), Err(Refusal::Malformed));
    b.finalise(&token, &ANN, ONE).unwrap();
    assert_eq!(b.commit(&token, &ANN), Ok(Committed::Burned { ended: false }));
    assert_eq!(b.commit(&token, &ANN), Ok(Committed::Already));
    assert_eq!(b.claim(&token, &ANN, ONE), Err(Refusal::Gone));
    assert_eq!(b.progress(&token, &ANN, ONE, 1), Err(Refusal::Gone));
    assert_eq!(b.finalise(&token, &ANN, ONE), Err(Refusal::Gone));
    assert_eq!(
        b.claim(&token, &FetchId::from_bytes([0; 16]), ONE),
        Ok(claimed()),
        "zeros are an id like any"
    );
    assert_eq!(
        b.drops.fetch_counts(&token),
        Some(FetchCounts { claimed: 1, burned: 1, ..FetchCounts::default() })
    );
}

#[test]
fn n_receivers_take_it_and_no_more() {
    let (mut b, token) = Bench::with(3);
    for (n, id) in [&ANN, &BOB, &CAT].into_iter().enumerate() {
        assert_eq!(b.fetch(&token, id), Ok(Committed::Burned { ended: n == 2 }));
    }
    assert_eq!(b.claim(&token, &FetchId::from_bytes([9; 16]), ONE), Err(Refusal::Gone));
    for id in [&ANN, &BOB, &CAT] {
        assert_eq!(b.claim(&token, id, ONE), Err(Refusal::Gone));
        assert_eq!(b.commit(&token, id), Ok(Committed::Already));
    }
    let left: Vec<_> = b.events().into_iter().filter(|e| matches!(e, DropEvent::Burned { .. })).collect();
    assert_eq!(left, [2, 1, 0].map(|left| DropEvent::Burned { token, left }));
}

#[test]
fn busy_names_when_to_retry() {
    let (mut b, token) = Bench::with(3);
    b.claim(&token, &ANN, ONE).unwrap();
    b.finalise(&token, &ANN, ONE).unwrap();
    b.claim(&token, &BOB, ONE).unwrap();
    b.wait(SECOND);
    b.claim(&token, &CAT, ONE).unwrap();
    let dan = FetchId::from_bytes([4; 16]);
    assert_eq!(b.claim(&token, &dan, TWO), busy(LEASE - SECOND), "the sooner of two");
    b.finalise(&token, &BOB, ONE).unwrap();
    assert_eq!(b.claim(&token, &dan, TWO), busy(LEASE));
    b.keep(&token, &CAT, ONE, 110);
    b.wait(8 * SECOND);
    assert_eq!(b.claim(&token, &dan, TWO), busy(SECOND), "until the TTL, after which nothing can be claimed");
}
