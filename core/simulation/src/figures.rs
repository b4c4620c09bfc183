//! The figures of a run.

use crate::listener::{ADDRESSES, Listener, OFFERS, PEERS, SIGHTINGS};
use crate::network::Airtime;
use crate::plan::Plan;
use crate::queue::{Micros, SECOND};
use crate::sender::{ANSWERED, CONNECTIONS, DROPS, Part, SOURCES, Sender};
use deaddrop_core::discovery::{Advertiser, Browser};
use deaddrop_core::drops::Drops;
use deaddrop_core::guard::{ClientGuard, Guard};
use deaddrop_core::limits::FETCHES_MAX;

/// Waiting times, some of which may not have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    ended: Vec<Micros>,
    /// Their expected number.
    pub(crate) expected: u64,
}

impl Waits {
    fn push(&mut self, wait: Micros) {
        self.ended.push(wait);
    }

    /// Number of waits that have not ended.
    pub(crate) fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.ended.len() as u64)
    }

    /// A percentile of the waits; `None` if too many never ended.
    pub(crate) fn percentile(&self, percent: u64) -> Option<Micros> {
        let rank = (self.expected * percent).div_ceil(100).max(1);
        let mut sorted = self.ended.clone();
        sorted.sort_unstable();
        sorted.get(usize::try_from(rank - 1).unwrap()).copied()
    }
}

/// The counters at the end of one second of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Second {
    datagrams: u64,
    airtime: Airtime,
}

/// Counters of a run.
#[derive(Default)]
pub(crate) struct Figures {
    datagrams: u64,
    seconds: Vec<Second>,
    /// Solicits that a sender did not answer because of its rate limits.
    pub(crate) unanswered: u64,
    /// Offers for which a listener's table had no room.
    pub(crate) no_room: u64,
    /// From the start of both to an offer being shown, for hosts that run from the start.
    pub(crate) start: Waits,
    /// From a new sender to its offer being shown, in steady state.
    pub(crate) fresh: Waits,
    /// From a late listener's start to its first offer.
    pub(crate) late_first: Waits,
    /// From a late listener's start to each of its offers.
    pub(crate) late_all: Waits,
    /// From the start of a short-lived sender to its offer being shown.
    pub(crate) passing: Waits,
}

impl Figures {
    /// Beacons were sent.
    pub(crate) fn datagrams(&mut self, count: u64) {
        self.datagrams += count;
    }

    /// A second has passed.
    pub(crate) fn second(&mut self, airtime: Airtime) {
        self.seconds.push(Second { datagrams: self.datagrams, airtime });
    }

    /// A sender has started; this many listeners should show its offer.
    pub(crate) fn sender_started(&mut self, sender: &Sender, listeners: &[Listener]) {
        let members = listeners.iter().filter(|h| h.is_member_of(sender)).count() as u64;
        match sender.part {
            Part::Start => {}
            Part::Watched => self.fresh.expected += members,
            Part::Passing => self.passing.expected += members,
        }
    }

    /// A listener shows an offer.
    pub(crate) fn shown(&mut self, now: Micros, listener: &mut Listener, sender: &Sender, number: usize) {
        if !listener.see(number) {
            return;
        }
        let wait = now - listener.since.max(sender.ready);
        match (listener.part, sender.part) {
            (Part::Watched, Part::Passing) => {}
            (Part::Watched, _) => {
                if listener.shown == 0 {
                    self.late_first.push(wait);
                }
                self.late_all.push(wait);
                listener.shown += 1;
            }
            (_, Part::Start) => self.start.push(wait),
            (_, Part::Watched) => self.fresh.push(wait),
            (_, Part::Passing) => self.passing.push(wait),
        }
    }

    /// The expected number of waits, as far as the plan determines it.
    pub(crate) fn expect(&mut self, plan: &Plan, listeners: &[Listener], senders: &[Sender]) {
        let mut of_room = vec![(0_u64, 0_u64); plan.rooms];
        for sender in senders {
            let (start, watched) = &mut of_room[sender.room];
            *start += u64::from(sender.part == Part::Start);
            *watched += u64::from(sender.part == Part::Watched);
        }
        for listener in listeners {
            let (start, watched) = of_room[listener.room];
            if listener.part == Part::Start {
                self.start.expected += start;
            } else {
                self.late_first.expected += 1;
                self.late_all.expected += start + watched;
            }
        }
    }

    /// Beacons a second on the wire: the peak from the start to steady state.
    pub(crate) fn datagrams_at_start(&self, plan: &Plan) -> u64 {
        let seconds = self.between(0, plan.settle);
        seconds.map(|(a, b)| b.datagrams - a.datagrams).max().unwrap_or(0)
    }

    /// Beacons a second on the wire in steady state, times 100.
    pub(crate) fn datagrams_in_calm(&self, plan: &Plan) -> u64 {
        let (a, b) = self.ends(plan.settle, plan.calm_end());
        (b.datagrams - a.datagrams) * 100 * SECOND / plan.calm
    }

    /// The peak share of the busiest channel taken by beacons, and by all else, in parts of 10,000. More than
    /// 100 % is queued.
    pub(crate) fn airtime_at_start(&self, plan: &Plan) -> (u64, u64) {
        let share = |of: fn(&Airtime) -> Micros| {
            let seconds = self.between(0, plan.settle);
            let used = seconds.map(|(a, b)| of(&b.airtime).saturating_sub(of(&a.airtime))).max();
            used.unwrap_or(0) * 10_000 / SECOND
        };
        (share(|a| a.beacons), share(|a| a.others))
    }

    /// The same as an average of the steady state.
    pub(crate) fn airtime_in_calm(&self, plan: &Plan) -> (u64, u64) {
        let (a, b) = self.ends(plan.settle, plan.calm_end());
        let share =
            |of: fn(&Airtime) -> Micros| of(&b.airtime).saturating_sub(of(&a.airtime)) * 10_000 / plan.calm;
        (share(|a| a.beacons), share(|a| a.others))
    }

    fn at(&self, time: Micros) -> Second {
        let Some(number) = (time / SECOND).checked_sub(1) else { return Second::default() };
        self.seconds.get(usize::try_from(number).unwrap()).copied().unwrap_or_default()
    }

    fn ends(&self, from: Micros, to: Micros) -> (Second, Second) {
        (self.at(from), self.at(to))
    }

    fn between(&self, from: Micros, to: Micros) -> impl Iterator<Item = (Second, Second)> {
        let seconds = from / SECOND..to / SECOND;
        seconds.map(|n| (self.at(n * SECOND), self.at((n + 1) * SECOND)))
    }
}

/// Bytes of the tables of a listener and of a sender.
pub(crate) const fn tables() -> (usize, usize) {
    let listener = size_of::<Browser<PEERS, OFFERS, SIGHTINGS>>() + size_of::<ClientGuard<ADDRESSES>>();
    let sender = size_of::<Advertiser<ANSWERED>>()
        + size_of::<Guard<SOURCES, CONNECTIONS>>()
        + size_of::<Drops<DROPS, FETCHES_MAX>>();
    (listener, sender)
}
