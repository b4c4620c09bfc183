//! The rules of the table, checked to the millisecond.

extern crate std;

mod claims;
mod for_all;

use crate::token::ConnId;
use std::string::ToString;
use std::vec::Vec;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::limits::{ENDING_LISTED, GRACE_MAX, LEASE, READY_TIMEOUT, SLOW_BYTES, SLOW_WINDOW};
use crate::offer::{Kind, Name};
use core::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(120);
const SIZE: u64 = 1 << 30;
const ANN: FetchId = FetchId::from_bytes([1; 16]);
const BOB: FetchId = FetchId::from_bytes([2; 16]);
const CAT: FetchId = FetchId::from_bytes([3; 16]);
const ONE: ConnId = ConnId(1);
const TWO: ConnId = ConnId(2);

/// A table, its generator, and the current time.
struct Bench {
    drops: Drops<3, 4>,
    rng: ChaCha8Rng,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        Self { drops: Drops::new(&mut rng), rng, now: Instant::from_millis(1_000) }
    }

    /// A table with one drop of `fetches` on it.
    fn with(fetches: impl Into<Fetches>) -> (Self, Token) {
        let mut bench = Self::new();
        let token = bench.put(fetches).unwrap();
        (bench, token)
    }

    fn spec(fetches: impl Into<Fetches>) -> DropSpec {
        let fetches = fetches.into();
        DropSpec { kind: Kind::File, name: Name::new("a").unwrap(), size: SIZE, ttl: TTL, fetches }
    }

    fn put(&mut self, fetches: impl Into<Fetches>) -> Result<Token, PutError> {
        self.drops.put(self.now, Self::spec(fetches), &mut self.rng)
    }

    fn wait(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    fn claim(&mut self, token: &Token, id: &FetchId, conn: ConnId) -> Result<Claimed, Refusal> {
        self.drops.claim(self.now, token, id, conn)
    }

    fn progress(&mut self, token: &Token, id: &FetchId, conn: ConnId, stored: u64) -> Result<(), Refusal> {
        self.drops.progress(self.now, token, id, conn, stored)
    }

    fn finalise(&mut self, token: &Token, id: &FetchId, conn: ConnId) -> Result<(), Refusal> {
        self.drops.finalise(self.now, token, id, conn)
    }

    fn commit(&mut self, token: &Token, id: &FetchId) -> Result<Committed, Refusal> {
        self.drops.commit(self.now, token, id, &mut self.rng)
    }

    fn fetch(&mut self, token: &Token, id: &FetchId) -> Result<Committed, Refusal> {
        self.claim(token, id, ONE)?;
        self.finalise(token, id, ONE)?;
        self.commit(token, id)
    }

    /// Renews a claim at a sufficient rate for this long.
    fn keep(&mut self, token: &Token, id: &FetchId, conn: ConnId, for_seconds: u64) {
        for _ in 0..for_seconds / 10 {
            self.wait(10 * SECOND);
            let stored = (self.now.as_millis() * 10).min(SIZE);
            assert_eq!(self.progress(token, id, conn, stored), Ok(()));
        }
    }

    fn events(&mut self) -> Vec<DropEvent> {
        self.drops.handle_timeout(self.now, &mut self.rng);
        core::iter::from_fn(|| self.drops.poll_event()).collect()
    }

    fn list(&self) -> Vec<Listed> {
        let first = self.drops.listed_after(self.now, None);
        core::iter::successors(first, |l| self.drops.listed_after(self.now, Some(l.token()))).collect()
    }
}

fn claimed() -> Claimed {
    Claimed { kind: Kind::File, name: Name::new("a").unwrap(), size: SIZE, given: 0 }
}

fn busy(after: Duration) -> Result<Claimed, Refusal> {
    Err(Refusal::Busy { retry_after: after })
}

fn ended(token: Token, reason: EndReason, unconfirmed: bool) -> DropEvent {
    DropEvent::Ended { token, reason, unconfirmed }
}

#[test]
fn receivers_are_those_that_hold_a_fetch_with_what_they_say_is_stored() {
    let (mut b, token) = Bench::with(2);
    let receivers = |b: &Bench| b.drops.receivers(&token).collect::<Vec<_>>();
    assert_eq!(receivers(&b), []);
    b.claim(&token, &ANN, ONE).unwrap();
    b.claim(&token, &BOB, TWO).unwrap();
    b.progress(&token, &BOB, TWO, 7).unwrap();
    assert_eq!(receivers(&b), [(ONE, 0), (TWO, 7)]);
    b.finalise(&token, &BOB, TWO).unwrap();
    assert_eq!(receivers(&b), [(ONE, 0), (TWO, 7)]);
    b.commit(&token, &BOB).unwrap();
    b.drops.release(b.now, &token, &ANN, ONE);
    assert_eq!(receivers(&b), []);
}

#[test]
fn a_fetch_runs_from_claim_to_burned() {
    let (mut b, token) = Bench::with(1);
    let before = b.drops.revision();
    assert_eq!(b.claim(&token, &ANN, ONE), Ok(claimed()));
    assert_eq!(b.drops.fetch_counts(&token), Some(FetchCounts { claimed: 1, ..FetchCounts::default() }));
    assert_eq!(b.progress(&token, &ANN, ONE, 7), Ok(()));
    assert_eq!(b.drops.all_sent(b.now, &token, &ANN, ONE), Ok(()));
    assert_eq!(b.finalise(&token, &ANN, ONE), Ok(()));
    assert_eq!(b.drops.fetch_counts(&token), Some(FetchCounts { r#final: 1, ..FetchCounts::default() }));
    assert_eq!(b.drops.revision(), before, "the set of drops is still the same");
    assert_eq!(b.commit(&token, &ANN), Ok(Committed::Burned { ended: true }));
    assert_eq!(b.drops.fetch_counts(&token), Some(FetchCounts { burned: 1, ..FetchCounts::default() }));
    assert_ne!(b.drops.revision(), before);
    let events = b.events();
    let burned = DropEvent::Burned { token, left: 0 };
    assert_eq!(
        events,
        [DropEvent::Claimed { token, conn: ONE }, burned, ended(token, EndReason::Fetched, false)]
    );
    assert_eq!((b.drops.live(), b.drops.poll_timeout()), (0, None));
}

#[test]
fn a_spec_is_checked() {
    let mut b = Bench::new();
    for (ttl, good) in [(999, false), (1_000, true), (604_800_000, true), (604_800_001, false)] {
        let spec = DropSpec { ttl: Duration::from_millis(ttl), ..Bench::spec(1) };
        let put = b.drops.put(b.now, spec, &mut b.rng);
        assert_eq!(put.is_ok(), good, "{ttl}");
        assert!(good || put == Err(PutError::Ttl));
    }
    assert_eq!(b.put(0), Err(PutError::Fetches { most: 4 }));
    assert_eq!(b.put(5), Err(PutError::Fetches { most: 4 }));
    assert!(b.put(4).is_ok());
    let mut wide = Drops::<1, 100>::new(&mut b.rng);
    assert_eq!(wide.put(b.now, Bench::spec(65), &mut b.rng), Err(PutError::Fetches { most: 64 }));
    assert!(wide.put(b.now, Bench::spec(64), &mut b.rng).is_ok());
    let mut narrow = Drops::<1, 1>::new(&mut b.rng);
    assert_eq!(narrow.put(b.now, Bench::spec(Fetches::All), &mut b.rng), Err(PutError::Fetches { most: 1 }));
}

#[test]
fn only_the_drop_that_ended_first_is_evicted() {
    let mut b = Bench::new();
    let tokens: Vec<_> = (0..3).map(|_| b.put(1).unwrap()).collect();
    assert_eq!(b.put(1), Err(PutError::Full));
    for token in [&tokens[1], &tokens[0]] {
        assert!(b.drops.withdraw(b.now, token, &mut b.rng));
        b.wait(SECOND);
    }
    assert_eq!(b.put(1), Err(PutError::Full), "their ends have not been polled");
    b.events();
    assert!(b.put(1).is_ok());
    assert_eq!(b.claim(&tokens[1], &ANN, ONE), Err(Refusal::Unknown), "it ended first");
    assert_eq!(b.claim(&tokens[0], &ANN, ONE), Err(Refusal::Gone));
    assert!(b.put(1).is_ok());
    assert_eq!(b.put(1), Err(PutError::Full));
    assert_eq!(b.claim(&tokens[2], &ANN, ONE), Ok(claimed()));
}

#[test]
fn a_random_source_that_repeats_itself_is_refused() {
    let mut b = Bench::new();
    struct Stuck;
    impl rand_core::TryRng for Stuck {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(7)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(7)
        }
        fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
            dst.fill(7);
            Ok(())
        }
    }
    impl rand_core::TryCryptoRng for Stuck {}
    b.drops = Drops::new(&mut Stuck);
    let before = b.drops.revision();
    assert!(b.drops.put(b.now, Bench::spec(1), &mut Stuck).is_ok());
    assert_ne!(b.drops.revision(), before, "the revision has changed even so");
    assert_eq!(b.drops.put(b.now, Bench::spec(1), &mut Stuck), Err(PutError::Randomness));
}

#[test]
fn an_unclaimed_drop_expires_at_its_ttl() {
    let (mut b, token) = Bench::with(1);
    b.wait(TTL - MS);
    assert!(matches!(&b.list()[..], [Listed::Offer(o)] if o.ttl_left == MS && o.fetches_left == 1));
    assert_eq!(b.events(), []);
    let before = b.drops.revision();
    b.wait(MS);
    assert_eq!(b.drops.poll_timeout(), Some(b.now));
    assert_eq!(b.claim(&token, &ANN, ONE), Err(Refusal::Expired));
    assert_eq!(b.drops.revision(), before, "a claim passes no generator");
    assert_eq!(b.drops.poll_timeout(), Some(b.now), "so the revision is still due");
    assert_eq!(b.events(), [ended(token, EndReason::Expired, false)]);
    assert_ne!(b.drops.revision(), before);
    assert_eq!(b.drops.poll_timeout(), None);
}

#[test]
fn a_claim_held_at_ttl_may_go_on_through_the_grace() {
    let (mut b, token) = Bench::with(2);
    b.claim(&token, &ANN, ONE).unwrap();
    b.keep(&token, &ANN, ONE, 120);
    assert_eq!(
        b.claim(&token, &BOB, TWO),
        Err(Refusal::Expired),
        "available fetches cannot be claimed after the TTL"
    );
    assert_eq!(b.claim(&token, &ANN, TWO), Ok(claimed()));
    assert_eq!(b.list(), [], "neither offered nor ended");
    b.keep(&token, &ANN, TWO, 110);
    b.wait(10 * SECOND - MS);
    assert_eq!(b.finalise(&token, &ANN, TWO), Ok(()));
    assert_eq!(b.commit(&token, &ANN), Ok(Committed::Burned { ended: true }));
    let burned = DropEvent::Burned { token, left: 1 };
    assert_eq!(
        b.events(),
        [DropEvent::Claimed { token, conn: TWO }, burned, ended(token, EndReason::Expired, false)]
    );
}

#[test]
fn at_the_end_of_the_grace_every_claim_is_over() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    b.keep(&token, &ANN, ONE, 230);
    b.wait(10 * SECOND - MS);
    assert_eq!(b.progress(&token, &ANN, ONE, SIZE), Ok(()));
    b.wait(MS);
    assert_eq!(b.finalise(&token, &ANN, ONE), Err(Refusal::Expired));
    assert_eq!(b.claim(&token, &ANN, ONE), Err(Refusal::Expired));
    let lapsed = DropEvent::Lapsed { token, conn: ONE, why: Lapse::Grace };
    assert_eq!(
        b.events(),
        [DropEvent::Claimed { token, conn: ONE }, lapsed, ended(token, EndReason::Expired, false)]
    );
}

#[test]
fn the_grace_is_ten_minutes_at_most() {
    let mut b = Bench::new();
    let ttl = GRACE_MAX + SECOND;
    let token = b.drops.put(b.now, DropSpec { ttl, ..Bench::spec(1) }, &mut b.rng).unwrap();
    let end = b.now + ttl + GRACE_MAX;
    b.claim(&token, &ANN, ONE).unwrap();
    b.finalise(&token, &ANN, ONE).unwrap();
    assert_eq!(b.drops.poll_timeout(), Some(end));
}

#[test]
fn final_without_commit_ends_unconfirmed() {
    let (mut b, token) = Bench::with(2);
    b.fetch(&token, &BOB).unwrap();
    b.claim(&token, &ANN, ONE).unwrap();
    b.finalise(&token, &ANN, ONE).unwrap();
    b.events();
    b.wait(TTL + TTL - MS);
    assert_eq!(b.events(), []);
    b.wait(MS);
    assert_eq!(b.commit(&token, &ANN), Err(Refusal::Expired));
    assert_eq!(b.commit(&token, &BOB), Ok(Committed::Already));
    assert_eq!(b.claim(&token, &BOB, ONE), Err(Refusal::Gone));
    assert_eq!(b.events(), [ended(token, EndReason::Expired, true)]);
}

#[test]
fn a_lapse_after_the_ttl_expires_the_drop() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    b.keep(&token, &ANN, ONE, 120);
    assert!(b.drops.release(b.now, &token, &ANN, ONE));
    assert_eq!(b.drops.live(), 0);
    assert_eq!(b.progress(&token, &ANN, ONE, SIZE), Err(Refusal::Expired));
    assert_eq!(b.events().last(), Some(&ended(token, EndReason::Expired, false)));
}

#[test]
fn after_the_ttl_one_lapse_leaves_the_other_claim_alone() {
    let (mut b, token) = Bench::with(2);
    b.claim(&token, &ANN, ONE).unwrap();
    b.keep(&token, &ANN, ONE, 110);
    b.claim(&token, &BOB, ONE).unwrap();
    b.keep(&token, &ANN, ONE, 10);
    assert!(b.drops.release(b.now, &token, &BOB, ONE));
    assert_eq!(b.finalise(&token, &ANN, ONE), Ok(()));
    assert_eq!(b.commit(&token, &ANN), Ok(Committed::Burned { ended: true }));
}

#[test]
fn the_owner_withdraws_a_drop() {
    let (mut b, token) = Bench::with(3);
    b.fetch(&token, &ANN).unwrap();
    b.claim(&token, &BOB, ONE).unwrap();
    b.claim(&token, &CAT, ONE).unwrap();
    b.finalise(&token, &CAT, ONE).unwrap();
    b.events();
    assert!(b.drops.withdraw(b.now, &token, &mut b.rng));
    assert!(!b.drops.withdraw(b.now, &token, &mut b.rng));
    assert_eq!(b.events(), [ended(token, EndReason::Withdrawn, true)]);
    assert_eq!(b.finalise(&token, &BOB, ONE), Err(Refusal::Gone));
    assert_eq!(b.commit(&token, &CAT), Err(Refusal::Gone));
    assert_eq!(b.commit(&token, &ANN), Ok(Committed::Already));
}

#[test]
fn a_changed_source_is_answered_with_changed() {
    let (mut b, token) = Bench::with(2);
    b.fetch(&token, &ANN).unwrap();
    b.claim(&token, &BOB, ONE).unwrap();
    b.drops.changed(b.now, &token, &mut b.rng);
    assert_eq!(b.progress(&token, &BOB, ONE, 1), Err(Refusal::Changed));
    assert_eq!(b.finalise(&token, &BOB, ONE), Err(Refusal::Changed));
    assert_eq!(b.claim(&token, &CAT, ONE), Err(Refusal::Changed));
    assert_eq!(b.claim(&token, &ANN, ONE), Err(Refusal::Gone));
    assert_eq!(b.commit(&token, &ANN), Ok(Committed::Already));
    assert_eq!(b.events().last(), Some(&ended(token, EndReason::Withdrawn, false)));
}

#[test]
fn a_list_goes_in_token_order_with_endings_for_a_while() {
    let mut b = Bench::new();
    let mut tokens: Vec<_> = (0..3).map(|_| b.put(2).unwrap()).collect();
    tokens.sort_unstable();
    b.fetch(&tokens[0], &ANN).unwrap();
    b.claim(&tokens[0], &BOB, ONE).unwrap();
    b.drops.withdraw(b.now, &tokens[1], &mut b.rng);
    b.wait(ENDING_LISTED - MS);
    let list = b.list();
    assert_eq!(list.iter().map(Listed::token).collect::<Vec<_>>(), tokens);
    assert!(
        matches!(&list[0], Listed::Offer(o) if o.fetches_left == 1 && o.ttl_left == TTL - ENDING_LISTED + MS)
    );
    assert_eq!(list[1], Listed::Ending { token: tokens[1], reason: EndReason::Withdrawn });
    b.wait(MS);
    assert_eq!(b.list().iter().map(Listed::token).collect::<Vec<_>>(), [tokens[0], tokens[2]]);
    assert_eq!(b.claim(&tokens[1], &ANN, ONE), Err(Refusal::Gone), "no longer listed, still known");
}

#[test]
fn a_list_needs_no_timer() {
    let (mut b, token) = Bench::with(1);
    b.claim(&token, &ANN, ONE).unwrap();
    b.keep(&token, &ANN, ONE, 110);
    // The lease ends five seconds after the TTL, and the drop ends with it.
    b.wait(LEASE - MS);
    assert_eq!(b.list(), []);
    b.wait(MS);
    let ending = [Listed::Ending { token, reason: EndReason::Expired }];
    assert_eq!(b.list(), ending);
    b.wait(ENDING_LISTED - MS);
    assert_eq!(b.list(), ending);
    b.events();
    assert_eq!(b.list(), ending, "it ended at its deadline, not when the timer fired");
    b.wait(MS);
    assert_eq!(b.list(), []);
}

#[test]
fn time_does_not_run_backwards() {
    let (mut b, token) = Bench::with(1);
    b.wait(TTL);
    b.events();
    b.now = Instant::from_millis(0);
    assert_eq!(b.claim(&token, &ANN, ONE), Err(Refusal::Expired));
    assert_eq!(b.list(), [Listed::Ending { token, reason: EndReason::Expired }]);
    let fresh = b.put(1).unwrap();
    assert!(b.list().iter().any(|l| matches!(l, Listed::Offer(o) if o.token == fresh && o.ttl_left == TTL)));
}

#[test]
fn events_pair_up_however_seldom_they_are_polled() {
    let (mut b, token) = Bench::with(1);
    let claim = DropEvent::Claimed { token, conn: ONE };
    let lapsed = DropEvent::Lapsed { token, conn: ONE, why: Lapse::Released };
    for _ in 0..3 {
        b.claim(&token, &ANN, ONE).unwrap();
        b.drops.release(b.now, &token, &ANN, ONE);
    }
    assert_eq!(b.events(), [claim, lapsed]);
    b.claim(&token, &ANN, ONE).unwrap();
    assert_eq!(b.events(), [claim]);
    for _ in 0..3 {
        b.drops.release(b.now, &token, &ANN, ONE);
        b.claim(&token, &ANN, ONE).unwrap();
    }
    assert_eq!(b.events(), [lapsed, claim]);
    for _ in 0..3 {
        b.drops.release(b.now, &token, &ANN, ONE);
        b.claim(&token, &ANN, ONE).unwrap();
    }
    b.drops.release(b.now, &token, &ANN, ONE);
    assert_eq!(b.events(), [lapsed]);
}

#[test]
fn events_of_several_drops_come_in_the_order_of_their_moments() {
    let mut b = Bench::new();
    let (first, second) = (b.put(1).unwrap(), b.put(1).unwrap());
    b.claim(&first, &ANN, ONE).unwrap();
    b.claim(&second, &BOB, ONE).unwrap();
    b.wait(SECOND);
    b.progress(&first, &ANN, ONE, 1).unwrap();
    b.events();
    b.wait(2 * TTL);
    let why = Lapse::Silent;
    let lapses = [second, first].map(|token| DropEvent::Lapsed { token, conn: ONE, why });
    let events = b.events();
    assert_eq!(events[..2], lapses);
    assert_eq!(events.len(), 4);
}

#[test]
fn refusals_and_errors_say_what_to_do() {
    let texts = [
        PutError::Ttl.to_string(),
        PutError::Fetches { most: 4 }.to_string(),
        PutError::Full.to_string(),
        Refusal::Busy { retry_after: SECOND }.to_string(),
        Refusal::Unknown.to_string(),
    ];
    assert!(texts.iter().all(|text| text.contains(": ")), "{texts:?}");
}
