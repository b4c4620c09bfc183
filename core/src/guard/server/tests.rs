extern crate std;

use super::*;
use crate::limits::{BOARD, HOST};
use crate::token::ConnId;
use core::net::{Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::vec::Vec;

type Host = Guard<1024, { HOST.unauthenticated + HOST.parked }>;
type Board = Guard<16, 2>;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn ip(n: u16) -> IpAddr {
    let [a, b] = n.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 0, a, b))
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(7)
}

/// Admits a connection and passes its message 2.
fn send_message_2<const S: usize, const C: usize>(
    g: &mut Guard<S, C>,
    ms: u64,
    id: u32,
    from: impl Into<Source>,
) -> Guess {
    match g.admit(at(ms), ConnId(id), from) {
        Admission::Busy { .. } => Guess::Refused,
        _ => g.message2(at(ms), ConnId(id)),
    }
}

fn fail<const S: usize, const C: usize>(
    g: &mut Guard<S, C>,
    ms: u64,
    id: u32,
    from: impl Into<Source>,
) -> bool {
    let granted = send_message_2(g, ms, id, from) == Guess::Granted;
    if granted {
        g.failed(at(ms), ConnId(id));
    } else {
        g.closed(at(ms), ConnId(id));
    }
    granted
}

#[test]
fn a_source_has_its_burst_then_one_per_refill() {
    let mut g = Host::new(&HOST, at(0));
    assert!((0..16).all(|n| fail(&mut g, 0, n, ip(1))));
    assert!(!fail(&mut g, 4_999, 20, ip(1)));
    assert!(fail(&mut g, 5_000, 21, ip(1)));
    assert!(!fail(&mut g, 9_999, 22, ip(1)));
    assert!(fail(&mut g, 9_999, 23, ip(2)), "another source has its own bucket");
}

#[test]
fn all_sources_share_the_total() {
    let mut g = Host::new(&HOST, at(0));
    assert!((0..1024).all(|n| fail(&mut g, 0, n, ip(u16::try_from(n).unwrap()))));
    assert!(!fail(&mut g, 249, 2_000, ip(5_000)));
    assert!(fail(&mut g, 250, 2_001, ip(5_001)));
    assert!(!fail(&mut g, 499, 2_002, ip(5_002)));
}

#[test]
fn a_board_refuses_instead_of_parking() {
    let mut g = Board::new(&BOARD, at(0));
    assert!((0..4).all(|n| fail(&mut g, 0, n, ip(1))));
    assert_eq!(send_message_2(&mut g, 1_999, 9, ip(1)), Guess::Refused);
    g.closed(at(1_999), ConnId(9));
    assert!(fail(&mut g, 2_000, 10, ip(1)));
}

#[test]
fn success_is_free_and_makes_known_good() {
    let mut g = Host::new(&HOST, at(0));
    for n in 0..5_000 {
        assert_eq!(send_message_2(&mut g, 0, n, ip(1)), Guess::Granted);
        g.confirmed(at(0), ConnId(n));
    }
    // Strangers spend the total; the known source still has its own bucket.
    assert!((0..1024).all(|n| fail(&mut g, 0, n, ip(100 + u16::try_from(n).unwrap()))));
    assert!((0..16).all(|n| fail(&mut g, 0, n, ip(1))));
    assert!(!fail(&mut g, 0, 99, ip(1)));
}

#[test]
fn known_good_ends_after_ten_minutes() {
    for (ms, granted) in [(599_999, true), (600_000, false)] {
        let mut g = Host::new(&HOST, at(0));
        assert_eq!(send_message_2(&mut g, 0, 1, ip(1)), Guess::Granted);
        g.confirmed(at(0), ConnId(1));
        for n in 0..1024 {
            assert!(fail(&mut g, ms, n, ip(100 + u16::try_from(n / 16).unwrap())));
        }
        assert_eq!(send_message_2(&mut g, ms, 5_000, ip(1)) == Guess::Granted, granted);
    }
}

#[test]
fn a_returned_token_wakes_its_own_source_at_once() {
    let mut g = Host::new(&HOST, at(0));
    for n in 0..16 {
        assert_eq!(send_message_2(&mut g, 0, n, ip(1)), Guess::Granted);
    }
    assert_eq!(send_message_2(&mut g, 0, 16, ip(1)), Guess::Parked);
    assert_eq!(g.poll_granted(at(0), &mut rng()), None);
    assert_eq!(g.poll_timeout(), None, "all its tokens are lent: there is no refill");
    g.closed(at(0), ConnId(3));
    assert_eq!(g.poll_timeout(), Some(at(0)));
    assert_eq!(g.poll_granted(at(0), &mut rng()), Some(ConnId(16)));
    assert_eq!(g.poll_granted(at(0), &mut rng()), None);
    assert_eq!(g.sources.common(at(0), ip(1)), (0, 16));
    g.failed(at(0), ConnId(4));
    assert_eq!(send_message_2(&mut g, 0, 17, ip(1)), Guess::Parked, "a spent token is not returned");
    assert_eq!(g.poll_timeout(), Some(at(5_000)));
    assert_eq!(g.poll_granted(at(4_999), &mut rng()), None);
    assert_eq!(g.poll_granted(at(5_000), &mut rng()), Some(ConnId(17)));
}

#[test]
fn a_token_granted_to_a_closed_connection_passes_on() {
    let mut g = Host::new(&HOST, at(0));
    for n in 0..18 {
        let _ = send_message_2(&mut g, 0, n, ip(1));
    }
    g.closed(at(0), ConnId(0));
    g.closed(at(0), ConnId(16)); // it was granted the token and was not woken yet
    assert_eq!(g.poll_granted(at(0), &mut rng()), Some(ConnId(17)));
    for n in 1..18 {
        g.closed(at(0), ConnId(n));
    }
    assert_eq!(g.sources.common(at(0), ip(1)), (16, 0));
    assert_eq!(g.sources.total(at(0)), (1024, 0));
}

#[test]
fn no_new_connection_overtakes_the_parked() {
    let mut g = Host::new(&HOST, at(0));
    assert!((0..1024).all(|n| fail(&mut g, 0, n, ip(100 + u16::try_from(n / 16).unwrap()))));
    assert_eq!(send_message_2(&mut g, 0, 2_000, ip(1)), Guess::Parked);
    assert_eq!(
        send_message_2(&mut g, 250, 2_001, ip(2)),
        Guess::Parked,
        "the token of 250 ms is due to a parked one"
    );
    let first = g.poll_granted(at(250), &mut rng()).unwrap();
    assert!([ConnId(2_000), ConnId(2_001)].contains(&first));
    assert_eq!(g.poll_granted(at(250), &mut rng()), None);
}

#[test]
fn a_full_table_evicts_the_oldest_before_message_2_of_the_largest_source() {
    let mut g = Host::new(&HOST, at(0));
    for n in 0..10 {
        assert_eq!(g.admit(at(0), ConnId(n), ip(1)), Admission::Open);
    }
    assert_eq!(g.message2(at(0), ConnId(0)), Guess::Granted);
    for n in 10..256 {
        assert_eq!(g.admit(at(0), ConnId(n), ip(u16::try_from(n).unwrap())), Admission::Open);
    }
    assert_eq!(g.admit(at(0), ConnId(256), ip(500)), Admission::Evict(ConnId(1)), "0 is past message 2");
    assert_eq!(g.admit(at(0), ConnId(257), ip(501)), Admission::Evict(ConnId(2)));
    assert_eq!(g.message2(at(0), ConnId(1)), Guess::Refused);
}

#[test]
fn busy_when_no_connection_can_be_evicted() {
    let mut g = Board::new(&BOARD, at(0));
    assert_eq!(send_message_2(&mut g, 0, 1, ip(1)), Guess::Granted);
    assert_eq!(g.admit(at(0), ConnId(3), ip(2)), Admission::Busy { retry_after: BUSY_RETRY_AFTER });
    g.failed(at(0), ConnId(1));
    assert_eq!(g.admit(at(0), ConnId(3), ip(2)), Admission::Open);
}

#[test]
fn one_source_cannot_keep_the_parking_to_itself() {
    let mut g = Host::new(&HOST, at(0));
    assert!((0..16).all(|n| fail(&mut g, 0, n, ip(1))));
    for n in 0..64 {
        assert_eq!(send_message_2(&mut g, 0, n, ip(1)), Guess::Parked);
    }
    assert!(matches!(g.admit(at(0), ConnId(70), ip(1)), Admission::Busy { .. }), "its own next is busy");
    assert_eq!(send_message_2(&mut g, 0, 71, ip(2)), Guess::Granted, "a source with tokens needs no parking");
    for n in 80..95 {
        assert_eq!(send_message_2(&mut g, 0, n, ip(2)), Guess::Granted);
    }
    assert_eq!(
        send_message_2(&mut g, 0, 100, ip(2)),
        Guess::ParkedFor(ConnId(63)),
        "and gets its share of the parking"
    );
    assert_eq!(g.parked(), 64);
    assert_eq!(g.sources.parked(Source::from(ip(1)).key), 63);
}

#[test]
fn warnings_come_at_the_third_of_a_source_and_the_thirty_second_of_all() {
    let mut g = Host::new(&HOST, at(0));
    let warned = |g: &mut Host, ms, n: u32, from| {
        assert!(fail(g, ms, n, from));
        let first = g.poll_warning(at(ms));
        assert_eq!(first.and(g.poll_warning(at(ms))), None);
        first
    };
    assert_eq!(warned(&mut g, 0, 0, ip(1)), None);
    assert_eq!(warned(&mut g, 0, 1, ip(1)), None);
    let expected = Warning::Guessing { source: Some(ip(1)), failures: 3 };
    assert_eq!(warned(&mut g, 0, 2, ip(1)), Some(expected));
    assert_eq!(warned(&mut g, 0, 3, ip(1)), None, "once a minute");
    for n in 4..31 {
        assert_eq!(warned(&mut g, 1, n, ip(u16::try_from(n).unwrap())), None);
    }
    let expected = Warning::Guessing { source: None, failures: 32 };
    assert_eq!(warned(&mut g, 1, 31, ip(99)), Some(expected));
    assert_eq!(warned(&mut g, 2, 32, ip(98)), None);
}

#[test]
fn success_and_early_close_raise_no_warning() {
    let mut g = Host::new(&HOST, at(0));
    for n in 0..100 {
        assert_eq!(send_message_2(&mut g, 0, n, ip(1)), Guess::Granted);
        if n % 2 == 0 { g.confirmed(at(0), ConnId(n)) } else { g.closed(at(0), ConnId(n)) }
    }
    assert_eq!(g.poll_warning(at(0)), None);
}

#[test]
fn a_network_is_one_source_and_a_link_is_not() {
    let v6 = |a, low| IpAddr::V6(Ipv6Addr::new(a, 0, 0, 0, 0, 0, 0, low));
    let mut g = Host::new(&HOST, at(0));
    assert!((0..16).all(|n| fail(&mut g, 0, n, v6(0x2001, u16::try_from(n).unwrap()))));
    assert!(!fail(&mut g, 0, 50, v6(0x2001, 50)));
    assert!((0..16).all(|n| fail(&mut g, 0, n, v6(0xfe80, 1))));
    assert!(fail(&mut g, 0, 60, v6(0xfe80, 2)));
    assert!((0..16).all(|n| fail(&mut g, 0, n, ip(9))));
    let IpAddr::V4(nine) = ip(9) else { panic!() };
    assert!(!fail(&mut g, 0, 61, IpAddr::V6(nine.to_ipv6_mapped())), "the same host");
}

#[test]
fn a_host_on_the_link_spends_and_parks_for_itself_alone() {
    let global = |low| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, low));
    let (attacker, member) = (Source::on_link(global(1)), Source::on_link(global(2)));
    let mut g = Host::new(&HOST, at(0));
    for n in 0..100 {
        send_message_2(&mut g, 0, n, attacker);
    }
    assert_eq!(g.parked(), 64, "and the others of the attacker are refused");
    assert_eq!(send_message_2(&mut g, 0, 200, member), Guess::Granted);
    g.failed(at(0), ConnId(200));
    assert!((0..15).all(|n| fail(&mut g, 0, 300 + n, member)));
    let parked = send_message_2(&mut g, 0, 400, member);
    assert!(matches!(parked, Guess::ParkedFor(_)), "the attacker gives way: {parked:?}");
    assert_eq!(member.address(), global(2));
    // Nobody is on the link because a neighbour is.
    let mut g = Host::new(&HOST, at(0));
    assert!((0..16).all(|n| fail(&mut g, 0, n, global(10 + u16::try_from(n).unwrap()))));
    assert!(!fail(&mut g, 0, 20, global(50)));
    assert!(fail(&mut g, 0, 21, member));
}

#[test]
fn churn_of_sources_gains_no_more_than_the_total_and_evicts_the_known_last() {
    let mut g = Guard::<16, 128>::new(&HOST, at(0));
    assert_eq!(send_message_2(&mut g, 0, 1, ip(1)), Guess::Granted);
    g.confirmed(at(0), ConnId(1));
    let mut guesses = 0;
    for ms in 0..60_000 {
        let from = ip(100 + u16::try_from(ms % 3_000).unwrap());
        guesses += u32::from(fail(&mut g, ms, 2, from));
    }
    assert!((1024..=1024 + 240).contains(&guesses), "{guesses}");
    assert_eq!(send_message_2(&mut g, 60_000, 3, ip(1)), Guess::Granted, "still known");
}

#[test]
fn a_relay_that_makes_many_sources_known_gains_no_more_than_the_known_total() {
    // The attacker relays a member's handshake from each of its addresses, and then guesses from there.
    let mut g = Host::new(&HOST, at(0));
    for n in 0..1_000 {
        assert_eq!(send_message_2(&mut g, 0, n, ip(u16::try_from(n).unwrap())), Guess::Granted);
        g.confirmed(at(0), ConnId(n));
    }
    let mut guesses = 0;
    for ms in 0..60_000 {
        guesses += u32::from(fail(&mut g, ms, 2_000, ip(u16::try_from(ms % 1_000).unwrap())));
    }
    assert!((1_280..=1_280 + 300).contains(&guesses), "{guesses}");
}

#[test]
fn a_connection_that_owes_message_4_for_long_is_evicted() {
    // Strangers get as far as Yb in every slot, and then fall silent.
    let mut g = Host::new(&HOST, at(0));
    assert!((0..256).all(|n| send_message_2(
        &mut g,
        u64::from(n),
        n,
        ip(100 + u16::try_from(n / 4).unwrap())
    ) == Guess::Granted));
    let member = ip(1);
    assert!(
        matches!(g.admit(at(1_999), ConnId(900), member), Admission::Busy { .. }),
        "they may just be slow"
    );
    assert_eq!(g.admit(at(2_000), ConnId(901), member), Admission::Evict(ConnId(0)));
    assert_eq!(g.message2(at(2_000), ConnId(901)), Guess::Granted);
    assert_eq!(
        g.sources.common(at(2_000), ip(100)),
        (12, 3),
        "the token of an evicted handshake stays spent"
    );
    g.confirmed(at(2_000), ConnId(0));
    assert_eq!(g.sources.common(at(2_000), ip(100)), (12, 3), "whatever arrives on it later");
    let mut g = Board::new(&BOARD, at(0));
    assert_eq!(send_message_2(&mut g, 0, 0, ip(2)), Guess::Granted);
    assert!(matches!(g.admit(at(999), ConnId(8), member), Admission::Busy { .. }));
    assert_eq!(g.admit(at(1_000), ConnId(9), member), Admission::Evict(ConnId(0)));
}

#[test]
fn a_flood_delays_a_member_but_never_locks_it_out() {
    // Twenty attackers spend all tokens, keep the parking full, and fail every handshake.
    let mut g = Host::new(&HOST, at(0));
    let mut rng = rng();
    let mut id = 10;
    for n in 0..1024 {
        assert!(fail(&mut g, 0, id, ip(100 + u16::try_from(n % 64).unwrap())));
        id += 1;
    }
    let member = ConnId(1);
    let (mut granted, mut waiting) = (None, false);
    for ms in (0..20_000).step_by(10) {
        for n in 0..20 {
            id += 1;
            let conn = ConnId(id);
            if send_message_2(&mut g, ms, id, ip(300 + n)) == Guess::Granted {
                g.failed(at(ms), conn);
            } else if !g.conns.iter().any(|c| c.id == conn && c.state == State::Parked) {
                g.closed(at(ms), conn);
            }
        }
        if ms >= 1_000 && !waiting {
            waiting = matches!(send_message_2(&mut g, ms, 1, ip(1)), Guess::Parked | Guess::ParkedFor(_));
            if !waiting {
                g.closed(at(ms), member);
            }
        }
        while let Some(conn) = g.poll_granted(at(ms), &mut rng) {
            if conn == member {
                granted.get_or_insert(ms);
                g.confirmed(at(ms), conn);
            } else {
                g.failed(at(ms), conn);
            }
        }
        if granted.is_some() {
            break;
        }
    }
    assert!(granted.is_some_and(|ms| ms <= 15_000), "{granted:?}");
    // From now on it is known-good, and is not parked.
    assert_eq!(send_message_2(&mut g, granted.unwrap(), 2, ip(1)), Guess::Granted);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    // For every order of events: the budgets hold in every span, no token is lost or created, and every
    // parked connection is granted eventually.
    #[test]
    fn budgets_hold_for_any_interleaving(
        steps in prop::collection::vec((0_u64..3_000, 0_u8..5, 0_u16..4, any::<u16>()), 1..300),
    ) {
        static SMALL: Profile = Profile {
            source_burst: 3, total_burst: 5, total_refill: Duration::from_secs(1),
            known_burst: 0, parked: 6, unauthenticated: 8, ..HOST
        };
        let mut g = Guard::<8, 16>::new(&SMALL, at(0));
        let mut rng = rng();
        let (mut now, mut id) = (0, 0);
        let mut live: BTreeMap<u32, (u16, bool)> = BTreeMap::new(); // conn -> source, token held
        let mut failures: Vec<(u64, u16)> = Vec::new();
        for (gap, what, source, pick) in steps {
            now += gap;
            let nth = live.keys().copied().nth(usize::from(pick) % live.len().max(1));
            match (what, nth) {
                (0 | 1, _) => {
                    id += 1;
                    match g.admit(at(now), ConnId(id), ip(source)) {
                        Admission::Busy { .. } => continue,
                        Admission::Evict(other) => { live.remove(&other.0); }
                        Admission::Open => {}
                    }
                    match g.message2(at(now), ConnId(id)) {
                        Guess::Granted => { live.insert(id, (source, true)); }
                        Guess::Parked => { live.insert(id, (source, false)); }
                        Guess::ParkedFor(out) => {
                            prop_assert!(live.remove(&out.0).is_some_and(|(_, token)| !token));
                            live.insert(id, (source, false));
                        }
                        Guess::Refused => g.closed(at(now), ConnId(id)),
                    }
                }
                (2, Some(n)) => {
                    let (source, token) = live.remove(&n).unwrap();
                    g.failed(at(now), ConnId(n));
                    if token { failures.push((now, source)); }
                }
                (3, Some(n)) => { live.remove(&n); g.confirmed(at(now), ConnId(n)); }
                (4, Some(n)) => { live.remove(&n); g.closed(at(now), ConnId(n)); }
                _ => {}
            }
            while let Some(conn) = g.poll_granted(at(now), &mut rng) {
                let entry = live.get_mut(&conn.0);
                prop_assert!(entry.is_some_and(|e| !core::mem::replace(&mut e.1, true)));
            }
            let held = u32::try_from(live.values().filter(|e| e.1).count()).unwrap();
            let (at_hand, lent) = g.sources.total(at(now));
            prop_assert_eq!(lent, held);
            prop_assert!(at_hand + lent <= 5);
            prop_assert_eq!(g.parked(), live.values().filter(|e| !e.1).count());
            for s in 0..4 {
                let held = u32::try_from(live.values().filter(|e| e.1 && e.0 == s).count()).unwrap();
                let (at_hand, lent) = g.sources.common(at(now), ip(s));
                prop_assert_eq!(lent, held);
                prop_assert!(at_hand + lent <= 3);
            }
        }
        for (i, (from, _)) in failures.iter().enumerate() {
            for (j, (to, source)) in failures.iter().enumerate().skip(i) {
                let span = to - from;
                prop_assert!(u64::try_from(j - i + 1).unwrap() <= 5 + span / 1_000 + 1);
                let own = failures[i..=j].iter().filter(|f| f.1 == *source).count();
                prop_assert!(u64::try_from(own).unwrap() <= 3 + span / 5_000 + 1);
            }
        }
        // Every connection with a token fails; then refill alone grants all that are parked.
        for n in live.iter().filter(|e| e.1.1).map(|e| *e.0).collect::<Vec<_>>() {
            g.failed(at(now), ConnId(n));
            live.remove(&n);
        }
        while let Some(when) = g.poll_timeout() {
            now = when.as_millis();
            let conn = g.poll_granted(at(now), &mut rng);
            prop_assert!(conn.is_some(), "the timeout was right");
            g.failed(at(now), conn.unwrap());
            live.remove(&conn.unwrap().0);
        }
        prop_assert!(live.is_empty());
    }
}
