extern crate std;

use super::*;
use core::net::Ipv4Addr;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use std::vec::Vec as StdVec;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn instance(n: u64) -> Instance {
    Instance::from_bytes(n.to_be_bytes())
}

fn beacon(kind: BeaconKind, port: u16, n: u64, revision: u32) -> Beacon {
    Beacon { kind, port, instance: instance(n), revision }
}

const ANNOUNCE: BeaconKind = BeaconKind::Announce;
const ANSWER: BeaconKind = BeaconKind::Answer;
const FAREWELL: BeaconKind = BeaconKind::Farewell;

/// A prober with its generator.
struct Bench<const P: usize = 64> {
    l: Prober<P, 1_024>,
    rng: ChaCha8Rng,
}

impl<const P: usize> Bench<P> {
    fn new() -> Self {
        Self { l: Prober::new(at(0), instance(0)), rng: ChaCha8Rng::seed_from_u64(3) }
    }

    fn hear(&mut self, ms: u64, host: u8, b: Beacon) {
        let from = SocketAddr::from(([10, 0, 0, host], 48_555));
        self.l.handle_beacon(at(ms), &Arrival { from, attached: true, loopback: false }, &b, &mut self.rng);
    }

    fn probe(&mut self, ms: u64) -> Option<Probe> {
        self.l.poll_probe(at(ms), &mut self.rng)
    }

    fn end(&mut self, ms: u64, probe: Probe, outcome: ProbeResult) {
        self.l.handle_probe(at(ms), &probe, outcome);
    }

    /// A member at host 1, port 5000, instance 1, listed at 0 with revision 7.
    fn with_member() -> Self {
        let mut b = Self::new();
        assert!(b.l.poll_transmit(at(0)).is_some());
        b.hear(0, 1, beacon(ANSWER, 5_000, 1, 7));
        let probe = b.probe(0).unwrap();
        b.end(0, probe, ProbeResult::Listed { revision: 7 });
        b
    }

    /// When the next probe is due, from the timeout alone; solicits aside.
    fn next(&mut self) -> Option<u64> {
        let _ = self.l.poll_transmit(at(10_000));
        self.l.poll_timeout().map(Instant::as_millis)
    }
}

#[test]
fn solicits_five_times_and_again_when_asked() {
    let mut b = Bench::<64>::new();
    let times = |b: &mut Bench, from: u64| -> StdVec<u64> {
        (from..from + 20_000).filter(|ms| b.l.poll_transmit(at(*ms)).is_some()).collect()
    };
    assert_eq!(times(&mut b, 0), [0, 250, 750, 1_750, 3_750]);
    assert_eq!(b.l.poll_timeout(), None);
    b.l.resolicit(at(50_000));
    assert_eq!(times(&mut b, 50_000), [50_000, 50_250, 50_750, 51_750, 53_750]);
    b.l.resolicit(at(90_000));
    let solicit = b.l.poll_transmit(at(91_000)).unwrap();
    assert_eq!((solicit.kind, solicit.port, solicit.instance), (BeaconKind::Solicit, 0, instance(0)));
    assert_eq!(b.l.poll_timeout(), Some(at(91_750)), "solicits missed while asleep are not sent late");
}

#[test]
fn an_answer_to_our_own_solicit_is_probed_at_once() {
    let mut b = Bench::<64>::new();
    b.l.poll_transmit(at(0));
    b.hear(2_000, 1, beacon(ANSWER, 5_000, 1, 7));
    let peer = SocketAddr::from(([10, 0, 0, 1], 5_000));
    let expected = Probe { peer, instance: instance(1), connect_by: at(3_000) };
    assert_eq!(b.probe(2_000), Some(expected));
    assert_eq!(b.probe(2_000), None);
}

#[test]
fn forged_answers_are_probed_after_a_second_answer() {
    let mut b = Bench::<1024>::new();
    b.l.poll_transmit(at(0));
    b.hear(1, 250, beacon(ANSWER, 5_000, 1, 7));
    for n in 0..500_u64 {
        b.hear(1, u8::try_from(n % 240).unwrap(), beacon(ANSWER, 6_000, 2 + n, 7));
    }
    let first = std::iter::from_fn(|| b.probe(2)).filter(|probe| probe.instance != instance(1)).count();
    assert!(first >= 7, "half of the places");
    b.hear(251, 250, beacon(ANSWER, 5_000, 1, 7));
    assert!(b.l.peers().any(|p| p.instance() == instance(1) && p.again));
    assert!(b.l.peers().all(|p| p.instance() == instance(1) || !p.again), "an answer alone proves nothing");
}

#[test]
fn copies_in_quick_succession_hide_no_repetition() {
    let mut b = Bench::<64>::new();
    // Somebody repeats what a sender has said once, every 50 ms.
    for ms in (0..=250).step_by(50) {
        b.hear(ms, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    }
    assert!(b.l.peers().all(|p| p.again));
}

#[test]
fn jitter_grows_with_the_known_senders_up_to_two_and_a_half_seconds() {
    let mut b = Bench::<1024>::new();
    b.l.poll_transmit(at(0));
    let mut worst = [0; 2];
    for n in 1..=1_000_u64 {
        let (host, port) = (u8::try_from(n % 200).unwrap(), 5_000 + u16::try_from(n / 200).unwrap());
        b.hear(1, host, beacon(ANNOUNCE, port, n, 7));
        let due =
            b.l.peers().find(|p| p.instance() == instance(n)).and_then(Peer::due).unwrap().as_millis() - 1;
        assert!(due <= (3 * n).min(2_500), "{n} {due}");
        let part = usize::from(n > 834);
        worst[part] = due.max(worst[part]);
        // It has answered.
        b.hear(1, host, beacon(ANSWER, port, n, 7));
        let probe = b.probe(1).unwrap();
        b.end(1, probe, ProbeResult::NotMember);
    }
    assert!(worst[0] > 2_000 && worst[1] > 2_400, "{worst:?}");
    let mut late = Bench::<1024>::new();
    late.l.poll_transmit(at(0));
    late.hear(2_001, 1, beacon(ANSWER, 5_000, 1, 7));
    assert!(late.probe(2_001 + 3).is_some());
}

#[test]
fn forged_peers_add_no_jitter() {
    let mut b = Bench::<1024>::new();
    for n in 1..=500_u64 {
        b.hear(0, u8::try_from(n % 200).unwrap(), beacon(ANNOUNCE, 5_000, n, 7));
    }
    b.hear(0, 201, beacon(ANNOUNCE, 5_000, 501, 7));
    let due = b.l.peers().find(|p| p.instance() == instance(501)).and_then(Peer::due);
    assert!(due.unwrap() <= at(3), "{due:?}");
}

#[test]
fn beacons_that_are_ignored() {
    let arrival =
        |from: &str, attached, loopback| Arrival { from: from.parse().unwrap(), attached, loopback };
    let good = beacon(ANNOUNCE, 1_024, 1, 7);
    let cases = [
        (arrival("10.0.0.1:9", true, false), good, true),
        (arrival("10.0.0.1:9", false, false), good, false),
        (arrival("127.0.0.1:9", false, true), good, true),
        (arrival("127.0.0.1:9", true, false), good, false),
        (arrival("[::ffff:127.0.0.1]:9", true, false), good, false),
        (arrival("[::1]:9", true, true), good, false),
        (arrival("[fe80::1%3]:9", true, false), good, true),
        (arrival("[2001:db8::1]:9", true, false), good, true),
        (arrival("[2001:db8::1]:9", false, false), good, false),
        (arrival("0.0.0.0:9", true, false), good, false),
        (arrival("224.0.0.1:9", true, false), good, false),
        (arrival("255.255.255.255:9", true, false), good, false),
        (arrival("10.0.0.1:9", true, false), Beacon { port: 1_023, ..good }, false),
        (arrival("10.0.0.1:9", true, false), Beacon { kind: BeaconKind::Solicit, ..good }, false),
        (arrival("10.0.0.1:9", true, false), Beacon { kind: FAREWELL, ..good }, false),
        (arrival("10.0.0.1:9", true, false), Beacon { instance: instance(0), ..good }, false),
    ];
    for (arrival, beacon, heard) in cases {
        let mut b = Bench::<64>::new();
        b.l.handle_beacon(at(0), &arrival, &beacon, &mut b.rng);
        assert_eq!(b.probe(300).is_some(), heard, "{arrival:?} {beacon:?}");
    }
}

#[test]
fn a_link_local_peer_keeps_its_scope() {
    let mut b = Bench::<64>::new();
    let from = "[fe80::1%3]:9".parse().unwrap();
    let via = Arrival { from, attached: true, loopback: false };
    b.l.handle_beacon(at(0), &via, &beacon(ANNOUNCE, 5_000, 1, 7), &mut b.rng);
    assert_eq!(b.probe(300).unwrap().peer, "[fe80::1%3]:5000".parse().unwrap());
}

#[test]
fn another_revision_is_listed_and_at_most_every_two_seconds() {
    let mut b = Bench::<64>::with_member();
    b.hear(100, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    assert_eq!(b.probe(1_000), None, "the same revision");
    b.hear(1_000, 1, beacon(ANNOUNCE, 5_000, 1, 8));
    assert_eq!(b.probe(1_999), None);
    let probe = b.probe(2_000).unwrap();
    b.hear(2_001, 1, beacon(ANNOUNCE, 5_000, 1, 9));
    b.end(2_002, probe, ProbeResult::Listed { revision: 9 });
    assert_eq!(b.next(), Some(47_002), "the list had the new revision already");
    b.hear(10_000, 1, beacon(ANNOUNCE, 5_000, 1, 10));
    assert!(b.probe(10_020).is_some());
}

#[test]
fn a_farewell_is_acted_on_once() {
    let mut b = Bench::<64>::with_member();
    b.hear(500, 1, beacon(FAREWELL, 5_000, 1, 7));
    let probe = b.probe(500).unwrap();
    b.end(510, probe, ProbeResult::Listed { revision: 8 });
    for ms in [600, 700, 5_000] {
        b.hear(ms, 1, beacon(FAREWELL, 5_000, 1, 8));
        assert_eq!(b.probe(ms + 300), None);
    }
    // A farewell during the probe causes another one.
    let mut b = Bench::<64>::with_member();
    b.hear(3_000, 1, beacon(ANNOUNCE, 5_000, 1, 8));
    let probe = b.probe(3_300).unwrap();
    b.hear(3_301, 1, beacon(FAREWELL, 5_000, 1, 8));
    b.end(3_310, probe, ProbeResult::Listed { revision: 8 });
    assert!(b.probe(3_310).is_some());
}

#[test]
fn a_forged_farewell_does_not_suppress_the_real_one() {
    let mut b = Bench::<64>::with_member();
    b.hear(500, 1, beacon(FAREWELL, 5_000, 1, 7));
    let probe = b.probe(500).unwrap();
    b.end(510, probe, ProbeResult::Listed { revision: 7 });
    // The real one, twice, and the forged one repeatedly.
    for ms in [600, 700] {
        b.hear(ms, 1, beacon(FAREWELL, 5_000, 1, 8));
        b.hear(ms, 1, beacon(FAREWELL, 5_000, 1, 7));
    }
    assert_eq!(b.probe(2_499), None, "no more often than any other change");
    let probe = b.probe(2_500).unwrap();
    b.end(2_510, probe, ProbeResult::Listed { revision: 8 });
}

#[test]
fn a_silent_member_is_probed() {
    let mut b = Bench::<64>::with_member();
    b.hear(10_000, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    assert_eq!(b.next(), Some(55_000));
    assert_eq!(b.probe(54_999), None);
    let probe = b.probe(55_000).unwrap();
    b.end(55_010, probe, ProbeResult::Listed { revision: 7 });
    assert_eq!(b.next(), Some(100_010), "a list is a sign of life");
}

#[test]
fn three_failures_three_hundred_ms_apart_lose_a_member() {
    for outcome in [ProbeResult::Failed, ProbeResult::NotMember] {
        let mut b = Bench::<64>::with_member();
        for ms in [45_000, 45_300, 45_600] {
            assert_eq!(b.l.poll_event(), None);
            assert_eq!(b.probe(ms - 1), None);
            let probe = b.probe(ms).unwrap();
            b.end(ms, probe, outcome);
        }
        assert_eq!(b.l.poll_event(), Some(PeerEvent::Lost { instance: instance(1) }));
        assert_eq!(b.l.poll_event(), None);
        assert_eq!(b.l.peers().count(), 0);
    }
}

#[test]
fn failures_in_a_row_only() {
    let mut b = Bench::<64>::with_member();
    let mut ms = 45_000;
    for outcome in
        [ProbeResult::Failed, ProbeResult::Failed, ProbeResult::Listed { revision: 7 }, ProbeResult::Failed]
    {
        let probe = b.probe(ms).unwrap();
        b.end(ms, probe, outcome);
        ms = b.next().unwrap();
    }
    assert_eq!(b.l.poll_event(), None);
}

#[test]
fn a_peer_that_never_was_a_member_is_probed_three_times_and_forgotten() {
    let mut b = Bench::<64>::new();
    b.hear(0, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    let mut ms = 300;
    for _ in 0..3 {
        let probe = b.probe(ms).unwrap();
        b.end(ms, probe, ProbeResult::Failed);
        assert_eq!(b.probe(ms + 299), None);
        ms += 600;
    }
    assert_eq!((b.l.peers().count(), b.l.poll_event()), (0, None));
}

#[test]
fn a_stranger_is_probed_again_after_ten_minutes_then_with_backoff() {
    let mut b = Bench::<64>::new();
    b.hear(0, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    let mut met = 300;
    let mut revision = 0;
    for wait in [600, 1_200, 2_400] {
        let probe = b.probe(met).unwrap();
        b.end(met, probe, ProbeResult::NotMember);
        // Beacons in between change nothing. Jitter keeps listeners from probing it together.
        let mut again = None;
        for s in 1..=wait * 5 / 4 {
            revision += 1;
            b.hear(met + s * 1_000, 1, beacon(ANNOUNCE, 5_000, 1, revision));
            if again.is_none() && b.l.peers().next().and_then(Peer::due) <= Some(at(met + s * 1_000)) {
                again = Some(met + s * 1_000);
            }
        }
        let due = b.l.peers().next().and_then(Peer::due).unwrap().as_millis() - met;
        assert!(due >= wait * 1_000 && due <= wait * 1_250, "{wait} {due}");
        assert_eq!(b.probe(met + wait * 1_000 - 1), None);
        met = again.unwrap();
    }
    // The backoff ends at a day.
    let mut b = Bench::<64>::new();
    b.hear(0, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    let mut now = 300;
    for _ in 0..300 {
        let probe = b.probe(now).unwrap();
        b.end(now, probe, ProbeResult::NotMember);
        now = b.l.peers().next().and_then(Peer::due).unwrap().as_millis();
        b.hear(now, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    }
    let probe = b.probe(now).unwrap();
    b.end(now, probe, ProbeResult::NotMember);
    let last = b.l.peers().next().and_then(Peer::due).unwrap().as_millis() - now;
    let day = 24 * 3_600_000;
    assert!(last >= day && last <= day * 5 / 4, "{last}");
    // A stranger that fell silent is forgotten instead.
    let mut b = Bench::<64>::new();
    b.hear(0, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    let probe = b.probe(300).unwrap();
    b.end(300, probe, ProbeResult::NotMember);
    assert_eq!((b.probe(750_300), b.l.peers().count()), (None, 0));
}

#[test]
fn busy_and_an_empty_budget_put_a_probe_off() {
    for (outcome, least, most) in [
        (ProbeResult::Busy { retry_after: Duration::from_secs(3) }, 3_000, 6_000),
        (ProbeResult::Busy { retry_after: Duration::ZERO }, 1_000, 2_000),
        (ProbeResult::Busy { retry_after: Duration::MAX }, 60_000, 120_000),
        (ProbeResult::NoBudget, 5_000, 10_000),
    ] {
        let mut b = Bench::<64>::with_member();
        let probe = b.probe(45_000).unwrap();
        b.end(45_000, probe, outcome);
        let next = b.next().unwrap() - 45_000;
        assert!((least..=most).contains(&next), "{outcome:?} {next}");
        assert_eq!(b.l.poll_event(), None);
    }
}

#[test]
fn forged_beacons_of_a_member_redirect_no_probe() {
    let mut b = Bench::<64>::with_member();
    b.hear(5_000, 9, beacon(FAREWELL, 5_000, 1, 8)); // another address
    b.hear(5_000, 1, beacon(FAREWELL, 6_000, 1, 8)); // another port
    assert_eq!(b.probe(6_000), None);
    b.hear(5_000, 9, beacon(ANNOUNCE, 5_000, 1, 8));
    let probe = b.probe(6_000).unwrap();
    assert_eq!(probe.peer, SocketAddr::from(([10, 0, 0, 9], 5_000)), "a peer of its own");
    let member = b.l.peers().find(|p| p.is_member()).unwrap();
    assert_eq!(member.address(), SocketAddr::from(([10, 0, 0, 1], 5_000)));
    b.end(6_000, probe, ProbeResult::NotMember);
    assert_eq!(b.l.peers().filter(|p| p.is_member()).count(), 1);
    assert_eq!(b.l.poll_event(), None);
}

#[test]
fn a_member_with_two_addresses_is_lost_when_both_are() {
    let mut b = Bench::<64>::with_member();
    b.hear(100, 2, beacon(ANNOUNCE, 5_000, 1, 7));
    let probe = b.probe(500).unwrap();
    b.end(500, probe, ProbeResult::Listed { revision: 7 });
    let fail = |b: &mut Bench, n: u64| {
        for ms in [n, n + 300, n + 600] {
            let probe = b.probe(ms).unwrap();
            b.end(ms, probe, ProbeResult::Failed);
        }
        b.l.poll_event()
    };
    let (one, two) = (([10, 0, 0, 1], 5_000), ([10, 0, 0, 2], 5_000));
    let moved = PeerEvent::Moved { instance: instance(1), from: one.into(), to: two.into() };
    b.hear(44_000, 2, beacon(ANNOUNCE, 5_000, 1, 7));
    assert_eq!(fail(&mut b, 45_000), Some(moved));
    assert_eq!(fail(&mut b, 95_000), Some(PeerEvent::Lost { instance: instance(1) }));
}

#[test]
fn one_probe_per_lane_and_sixteen_in_all() {
    for (times, most) in [(2, 16), (1, 8)] {
        let mut b = Bench::<1024>::new();
        for time in 0..times {
            for host in 1..=90 {
                for port in [5_000, 5_001] {
                    let n = u64::from(host) * 10_000 + u64::from(port);
                    b.hear(time * 250, host, beacon(ANNOUNCE, port, n, 7));
                }
            }
        }
        let probes: StdVec<Probe> = std::iter::from_fn(|| b.probe(300)).collect();
        assert_eq!(probes.len(), most, "what was heard once leaves half of the places");
        let hosts: std::collections::BTreeSet<_> = probes.iter().map(|l| l.peer.ip()).collect();
        assert_eq!(hosts.len(), most);
        assert_eq!(b.next(), Some(350), "looked for again");
        b.end(300, probes[0], ProbeResult::Listed { revision: 7 });
        assert!(b.probe(300).is_some());
    }
}

#[test]
fn what_is_heard_again_goes_first_and_untried_addresses_before_tried_ones() {
    let mut b = Bench::<64>::new();
    b.hear(0, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    let probe = b.probe(3).unwrap();
    b.end(303, probe, ProbeResult::Failed);
    // Host 1 has been tried in vain. Hosts 1 and 2 are heard again, 3 is not.
    for (host, n) in [(1, 10), (2, 20)] {
        b.hear(310, host, beacon(ANNOUNCE, 5_000, n, 7));
        // A copy is no repetition.
        b.hear(311, host, beacon(ANNOUNCE, 5_000, n, 7));
    }
    assert!(b.l.peers().all(|p| !p.again));
    for (host, n) in [(1, 10), (2, 20), (3, 30)] {
        b.hear(560, host, beacon(ANNOUNCE, 5_000, n, 7));
    }
    let order: StdVec<Probe> = std::iter::from_fn(|| b.probe(570)).collect();
    let order: StdVec<Instance> = order.iter().map(|probe| probe.instance).collect();
    assert_eq!(order, [20, 10, 30].map(instance));
}

#[test]
fn a_first_connect_has_one_second_and_later_ones_two() {
    let mut b = Bench::<64>::new();
    b.hear(0, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    let mut now = 10;
    for span in [1_000, 2_000, 2_000] {
        let probe = b.probe(now).unwrap();
        assert_eq!(probe.connect_by, at(now + span));
        now += span;
        b.end(now, probe, ProbeResult::Failed);
        now += 600;
    }
    let mut b = Bench::<64>::with_member();
    assert_eq!(b.probe(45_000).unwrap().connect_by, at(47_000), "it answered before");
}

#[test]
fn a_full_table_has_room_for_what_is_heard_again() {
    let mut b = Bench::<64>::new();
    for n in 1..=1_000_u64 {
        b.hear(n / 10, u8::try_from(n % 200).unwrap(), beacon(ANNOUNCE, 5_000, n, 7));
    }
    b.hear(100, 201, beacon(ANNOUNCE, 5_000, 2_000, 7));
    let known = |b: &Bench| b.l.peers().any(|p| p.instance() == instance(2_000));
    assert!(!known(&b));
    b.hear(101, 201, beacon(ANNOUNCE, 5_000, 2_000, 7));
    assert!(!known(&b), "a copy");
    b.hear(350, 201, beacon(ANNOUNCE, 5_000, 2_000, 7));
    assert!(known(&b));
    assert_eq!(b.probe(353).map(|probe| probe.instance), Some(instance(2_000)));
}

#[test]
fn a_silent_service_beside_a_sender_does_not_delay_its_probe() {
    let mut b = Bench::<64>::new();
    b.hear(0, 1, beacon(ANNOUNCE, 5_432, 1, 7));
    assert!(b.probe(300).is_some());
    // Neither its discovery nor its farewell is delayed.
    b.hear(300, 1, beacon(ANNOUNCE, 48_560, 2, 7));
    let probe = b.probe(600).unwrap();
    assert_eq!(probe.peer.port(), 48_560);
    b.hear(600, 1, beacon(ANNOUNCE, 48_561, 3, 7));
    assert_eq!(b.probe(900), None);
    b.end(900, probe, ProbeResult::Listed { revision: 7 });
    b.hear(900, 1, beacon(FAREWELL, 48_560, 2, 8));
    assert_eq!(b.probe(900).map(|probe| probe.instance), Some(instance(2)));
}

#[test]
fn a_flood_of_forged_beacons_causes_no_port_scan() {
    // An attacker forges one address with any port and instance; every connect is refused at once.
    let mut b = Bench::<64>::new();
    let mut probes: StdVec<(u64, u16)> = StdVec::new();
    for ms in (0..300_000).step_by(5) {
        b.hear(ms, 1, beacon(ANNOUNCE, 2_000 + u16::try_from(ms % 9_973).unwrap(), ms + 1, 7));
        b.hear(ms, 1, beacon(ANNOUNCE, 2_000, ms + 1_000_000, 7));
        while let Some(probe) = b.probe(ms) {
            probes.push((ms, probe.peer.port()));
            b.end(ms, probe, ProbeResult::Failed);
        }
    }
    assert!(probes.len() > 16, "the limits were reached");
    for (start, _) in &probes {
        // Its limits are those of the minute that begins with a connect, so any other minute can span two.
        let within = probes.iter().filter(|(ms, _)| (*start..start + 60_000).contains(ms)).count();
        assert!(within <= 2 * (16 + 8), "{within}");
    }
    let all: usize = probes.len();
    assert!(all <= 6 * (16 + 8), "{all}");
}

#[test]
fn a_flood_from_every_address_evicts_no_member_and_is_bounded() {
    let mut b = Bench::<64>::with_member();
    let mut probes = 0;
    for ms in 1..60_000_u64 {
        let host = u8::try_from(2 + ms % 250).unwrap();
        b.hear(ms, host, beacon(ANNOUNCE, 5_000, 100 + ms, 7));
        if ms % 15_000 == 0 {
            b.hear(ms, 1, beacon(ANNOUNCE, 5_000, 1, 8));
        }
        while let Some(probe) = b.probe(ms) {
            let member = probe.peer.ip() == IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
            probes += usize::from(!member);
            b.end(ms, probe, if member { ProbeResult::Listed { revision: 8 } } else { ProbeResult::Failed });
        }
    }
    assert!(b.l.peers().any(|p| p.is_member() && p.instance() == instance(1)));
    assert!(probes <= 64 * 8, "{probes}");
    assert_eq!(b.l.poll_event(), None);
}

#[test]
fn a_real_peer_at_a_forged_address_is_probed_in_the_end() {
    let mut b = Bench::<64>::new();
    let mut found = None;
    for ms in (0..600_000_u64).step_by(50) {
        b.hear(ms, 1, beacon(ANNOUNCE, 2_000 + u16::try_from(ms % 40_000).unwrap(), ms + 10, 7));
        if ms % 5_000 == 0 {
            b.hear(ms, 1, beacon(ANNOUNCE, 48_556, 1, 7));
        }
        while let Some(probe) = b.probe(ms) {
            if probe.instance == instance(1) {
                found.get_or_insert(ms);
            }
            b.end(ms, probe, ProbeResult::Failed);
        }
    }
    assert!(found.is_some());
}

#[test]
fn strangers_are_evicted_and_a_silent_member_is_reported_lost() {
    let mut b = Bench::<4>::with_member();
    for host in 2..=4 {
        b.hear(0, host, beacon(ANSWER, 5_000, u64::from(host), 7));
        let probe = b.probe(0).unwrap();
        b.end(0, probe, if host == 3 { ProbeResult::NotMember } else { ProbeResult::Listed { revision: 7 } });
    }
    let hear = |b: &mut Bench<4>, ms, host: u8| {
        b.hear(ms, host, beacon(ANNOUNCE, 5_000, host.into(), 7));
        b.hear(ms + 250, host, beacon(ANNOUNCE, 5_000, host.into(), 7));
    };
    hear(&mut b, 1_000, 5);
    let known: StdVec<Instance> = b.l.peers().map(Peer::instance).collect();
    assert!(known.contains(&instance(5)) && !known.contains(&instance(3)), "{known:?}");
    let probe = b.probe(1_300).unwrap();
    b.end(1_300, probe, ProbeResult::Listed { revision: 7 });
    hear(&mut b, 44_000, 6);
    assert!(b.l.peers().all(|p| p.instance() != instance(6)), "four members, none of them silent");
    b.hear(45_000, 6, beacon(ANNOUNCE, 5_000, 6, 7));
    assert!(matches!(b.l.poll_event(), Some(PeerEvent::Lost { .. })));
    b.hear(45_001, 6, beacon(ANNOUNCE, 5_000, 6, 7));
    assert!(b.l.peers().any(|p| p.instance() == instance(6)));
}

#[test]
fn ports_of_an_address() {
    let mut b = Bench::<64>::new();
    b.hear(0, 1, beacon(ANNOUNCE, 5_000, 1, 7));
    b.hear(0, 1, beacon(ANNOUNCE, 5_001, 2, 7));
    b.hear(0, 2, beacon(ANNOUNCE, 5_002, 3, 7));
    let ports: StdVec<u16> = b.l.ports_of(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))).collect();
    assert_eq!(ports, [5_000, 5_001]);
}
