//! The sender's side of discovery: announce, answer, farewell (protocol.md, section 3.3).

use core::net::SocketAddr;
use core::time::Duration;

use heapless::Vec;
use rand_core::CryptoRng;

use super::Arrival;
use crate::limits::{
    ANNOUNCE_FIRST, ANNOUNCE_LAST, ANSWER_EVERY, ANSWERS_PER_SECOND, FAREWELL_EVERY, FAREWELLS, LINGER,
};
use crate::random::up_to;
use crate::time::Instant;
use crate::token::Instance;
use crate::trace::{decision, detail};
use crate::wire::{Beacon, BeaconKind};

/// The window of [`ANSWERS_PER_SECOND`].
const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Silent: no drops.
    Quiet,
    /// Drops are live; `next` announcement, and the longest gap after it.
    Live { next: Instant, gap: Duration },
    /// The last drop has ended; `next` farewell, and how many are left.
    Lingering { next: Instant, left: u8, until: Instant },
}

/// The beacons of a sender. Remembers up to `A` answers of the last second.
///
/// `A` also limits the answers per second if it is less than [`ANSWERS_PER_SECOND`].
pub struct Advertiser<const A: usize> {
    instance: Instance,
    state: State,
    port: u16,
    revision: u32,
    /// Destination and time of the answers of the last second.
    answered: Vec<(SocketAddr, Instant), A>,
}

impl<const A: usize> Advertiser<A> {
    /// Silent until there are drops.
    pub fn new(instance: Instance) -> Self {
        Self { instance, state: State::Quiet, port: 0, revision: 0, answered: Vec::new() }
    }

    /// Updates whether drops are live, at which port, and the revision of their set. A new revision is
    /// announced at once. After the end of the last drop come farewells, and answers while the sender
    /// lingers.
    pub fn set(&mut self, now: Instant, live: Option<(u16, u32)>, rng: &mut impl CryptoRng) {
        match (live, self.state) {
            (Some((port, revision)), state) => {
                let same = (port, revision) == (self.port, self.revision);
                if !(same && matches!(state, State::Live { .. })) {
                    (self.port, self.revision) = (port, revision);
                    self.state = State::Live { next: now, gap: ANNOUNCE_FIRST };
                }
            }
            (None, State::Live { .. }) => {
                // The last change of the set.
                self.revision = rng.next_u32();
                self.state = State::Lingering { next: now, left: FAREWELLS, until: now + LINGER };
            }
            (None, _) => {}
        }
    }

    /// Restarts the announcements of live drops, after an interface has come up.
    pub fn reannounce(&mut self, now: Instant) {
        if let State::Live { .. } = self.state {
            self.state = State::Live { next: now, gap: ANNOUNCE_FIRST };
        }
    }

    /// The answer to send to where the beacon came from, if any.
    pub fn handle_beacon(&mut self, now: Instant, via: &Arrival, beacon: &Beacon) -> Option<Beacon> {
        let from = via.from;
        let awake = match self.state {
            State::Quiet => false,
            State::Live { .. } => true,
            State::Lingering { until, .. } => now < until,
        };
        let asked = beacon.kind == BeaconKind::Solicit && beacon.instance != self.instance;
        if !awake || !asked {
            return None;
        }
        if from.port() == 0 || !via.counts() {
            decision!(
                "discovery: solicit from {} is not answered: not one host of an attached network",
                from
            );
            return None;
        }
        self.answered.retain(|(_, at)| now.since(*at) < SECOND);
        let lately =
            |(to, at): &(SocketAddr, Instant)| now.since(*at) < ANSWER_EVERY && same_host_and_port(to, &from);
        if self.answered.iter().any(lately)
            || u32::try_from(self.answered.len()).unwrap_or(u32::MAX) >= ANSWERS_PER_SECOND
            || self.answered.push((from, now)).is_err()
        {
            detail!("discovery: solicit from {} is not answered: asked too often", from);
            return None;
        }
        detail!("discovery: answer to {}", from);
        Some(self.beacon(BeaconKind::Answer))
    }

    /// What to send on every interface now. Call until `None`.
    pub fn poll_transmit(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<Beacon> {
        match self.state {
            State::Live { next, gap } if next <= now => {
                // Jitter: between three quarters of the gap and all of it, so that senders desynchronise.
                let wait = gap - up_to(rng, gap / 4);
                self.state = State::Live { next: now + wait, gap: (gap * 2).min(ANNOUNCE_LAST) };
                Some(self.beacon(BeaconKind::Announce))
            }
            State::Lingering { next, left: left @ 1.., until } if next <= now => {
                self.state = State::Lingering { next: now + FAREWELL_EVERY, left: left - 1, until };
                Some(self.beacon(BeaconKind::Farewell))
            }
            _ => None,
        }
    }

    /// When [`Self::poll_transmit`] next has something to send.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Live { next, .. } | State::Lingering { next, left: 1.., .. } => Some(next),
            _ => None,
        }
    }

    fn beacon(&self, kind: BeaconKind) -> Beacon {
        Beacon { kind, port: self.port, instance: self.instance, revision: self.revision }
    }
}

/// Equality without what a sender can vary freely (the flow label of IPv6).
fn same_host_and_port(a: &SocketAddr, b: &SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::convert::Infallible;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::{SeedableRng, TryCryptoRng, TryRng};
    use std::vec::Vec as StdVec;

    /// Every draw is the same, so that jitter is minimal or maximal.
    struct Constant(u32);
    impl TryRng for Constant {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(self.0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(u64::from(self.0))
        }
        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
            out.fill(0);
            Ok(())
        }
    }
    impl TryCryptoRng for Constant {}

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn me() -> Instance {
        Instance::from_bytes(*b"announce")
    }

    fn other(kind: BeaconKind) -> Beacon {
        Beacon { kind, port: 0, instance: Instance::from_bytes(*b"listener"), revision: 0 }
    }

    fn from(port: u16) -> Arrival {
        Arrival { from: SocketAddr::from(([10, 0, 0, 1], port)), attached: true, loopback: false }
    }

    /// Polls whenever a beacon is due, until `end`.
    fn run(a: &mut Advertiser<256>, rng: &mut impl CryptoRng, end: u64) -> StdVec<(u64, BeaconKind)> {
        let mut out = StdVec::new();
        while let Some(when) = a.poll_timeout().filter(|t| *t <= at(end)) {
            let kind = a.poll_transmit(when, rng).unwrap().kind;
            assert_eq!(a.poll_transmit(when, rng), None);
            out.push((when.as_millis(), kind));
        }
        out
    }

    fn live() -> Advertiser<256> {
        let mut a = Advertiser::new(me());
        a.set(at(0), Some((5_000, 1)), &mut Constant(0));
        a
    }

    #[test]
    fn announces_at_once_then_with_doubling_gaps() {
        let sent = run(&mut live(), &mut Constant(0), 46_000);
        let times: StdVec<u64> = sent.iter().map(|s| s.0).collect();
        assert_eq!(times, [0, 250, 750, 1_750, 3_750, 7_750, 15_750, 30_750, 45_750]);
    }

    #[test]
    fn a_minute_and_an_hour_of_announcements() {
        for (draw, minute, hour) in [(0, 9, 245), (u32::MAX, 11, 325)] {
            assert_eq!(run(&mut live(), &mut Constant(draw), 60_000).len(), minute);
            assert_eq!(run(&mut live(), &mut Constant(draw), 3_600_000).len(), hour);
        }
    }

    #[test]
    fn a_new_revision_restarts_the_burst_and_the_same_does_not() {
        let mut a = live();
        run(&mut a, &mut Constant(0), 20_000);
        a.set(at(20_000), Some((5_000, 1)), &mut Constant(0));
        assert_eq!(a.poll_timeout(), Some(at(30_750)));
        a.set(at(20_000), Some((5_000, 2)), &mut Constant(0));
        let sent = a.poll_transmit(at(20_000), &mut Constant(0)).unwrap();
        assert_eq!((sent.revision, sent.port, sent.instance), (2, 5_000, me()));
        assert_eq!(a.poll_timeout(), Some(at(20_250)));
    }

    #[test]
    fn announcements_missed_while_asleep_are_not_sent_late() {
        let mut a = live();
        assert!(a.poll_transmit(at(3_600_000), &mut Constant(0)).is_some());
        assert_eq!(a.poll_transmit(at(3_600_000), &mut Constant(0)), None);
    }

    #[test]
    fn farewell_at_once_three_times_and_no_more() {
        let mut a = live();
        run(&mut a, &mut Constant(0), 1_000);
        a.set(at(1_000), None, &mut Constant(0));
        a.set(at(1_050), None, &mut Constant(0));
        let f = BeaconKind::Farewell;
        assert_eq!(run(&mut a, &mut Constant(0), 99_000), [(1_000, f), (1_100, f), (1_200, f)]);
        a.set(at(99_000), None, &mut Constant(0));
        assert_eq!(a.poll_timeout(), None);
        a.set(at(99_000), Some((5_000, 1)), &mut Constant(0));
        assert_eq!(
            a.poll_timeout(),
            Some(at(99_000)),
            "live drops are announced again, although the revision is old"
        );
    }

    #[test]
    fn answers_while_live_and_while_lingering() {
        let solicit = other(BeaconKind::Solicit);
        let mut a = Advertiser::<256>::new(me());
        assert_eq!(a.handle_beacon(at(0), &from(1), &solicit), None);
        a.set(at(0), Some((5_000, 1)), &mut Constant(0));
        assert_eq!(a.handle_beacon(at(0), &from(1), &solicit).unwrap().kind, BeaconKind::Answer);
        a.set(at(1_000), None, &mut Constant(0));
        assert_eq!(a.handle_beacon(at(3_999), &from(1), &solicit).unwrap().kind, BeaconKind::Answer);
        assert_eq!(a.handle_beacon(at(4_000), &from(2), &solicit), None);
    }

    #[test]
    fn answers_only_a_solicit_of_another_instance_from_one_host() {
        let mut a = live();
        for kind in [BeaconKind::Announce, BeaconKind::Answer, BeaconKind::Farewell] {
            assert_eq!(a.handle_beacon(at(0), &from(1), &other(kind)), None);
        }
        let solicit = other(BeaconKind::Solicit);
        assert_eq!(a.handle_beacon(at(0), &from(1), &Beacon { instance: me(), ..solicit }), None);
        for many in ["255.255.255.255:9", "224.0.0.1:9", "0.0.0.0:9", "[ff02::1]:9", "10.0.0.1:0"] {
            let via = Arrival { from: many.parse().unwrap(), ..from(1) };
            assert_eq!(a.handle_beacon(at(0), &via, &solicit), None, "{many}");
        }
        let elsewhere = Arrival { attached: false, ..from(1) };
        assert_eq!(a.handle_beacon(at(0), &elsewhere, &solicit), None);
        assert!(a.handle_beacon(at(0), &from(1), &solicit).is_some());
    }

    #[test]
    fn five_answers_a_second_per_source_and_sixty_four_in_all() {
        let solicit = other(BeaconKind::Solicit);
        let mut a = live();
        let mut answered = |ms, port| a.handle_beacon(at(ms), &from(port), &solicit).is_some();
        assert!(answered(0, 1) && !answered(199, 1));
        assert!(answered(199, 2), "another port is another listener");
        assert!(answered(200, 1) && !answered(399, 1) && answered(400, 1));
        let more = (3..200).filter(|port| answered(400, *port));
        assert_eq!(more.count(), 60);
        assert!(!answered(999, 1), "sixty-four within a second");
        assert!(answered(1_000, 300), "one second after the first");
        assert!(!answered(1_000, 301));
        assert!(answered(1_199, 1), "one second after the one at 199");
    }

    #[test]
    fn a_small_table_answers_less_and_never_forgets_too_early() {
        let solicit = other(BeaconKind::Solicit);
        let mut a = Advertiser::<2>::new(me());
        a.set(at(0), Some((5_000, 1)), &mut Constant(0));
        let mut answered = |ms, port| a.handle_beacon(at(ms), &from(port), &solicit).is_some();
        assert!(answered(0, 1) && answered(0, 2) && !answered(0, 3) && !answered(999, 1));
        assert!(answered(1_000, 3));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn gaps_grow_and_stay_within_their_bounds(seed in any::<u64>()) {
            let sent = run(&mut live(), &mut ChaCha8Rng::seed_from_u64(seed), 600_000);
            let mut gap = 250;
            for pair in sent.windows(2) {
                let real = pair[1].0 - pair[0].0;
                prop_assert!(real <= gap && real >= gap - gap / 4, "{real} of {gap}");
                gap = (gap * 2).min(15_000);
            }
        }
    }
}
