//! A run as a row of a table.

use std::fmt;

use crate::figures::{Figures, Waits};
use crate::hearer::Hearer;
use crate::network::Net;
use crate::plan::Plan;
use crate::queue::{MILLI, Micros};
use crate::sender::{Counts, Sender};
use crate::world::World;

/// What is said of a run.
pub(crate) struct Report {
    pub(crate) plan: Plan,
    pub(crate) figures: Figures,
    /// All senders' counts together.
    pub(crate) sum: Counts,
    /// The most of each count that one sender had.
    pub(crate) most: Counts,
    pub(crate) looks: Looks,
    /// Broadcasts that access points dropped.
    pub(crate) dropped: u64,
    /// Events of the run, by which two runs can be compared.
    pub(crate) events: u64,
}

/// Looks of all listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looks {
    pub(crate) all: u64,
    pub(crate) listed: u64,
    pub(crate) strangers: u64,
    pub(crate) busy: u64,
    pub(crate) failed: u64,
    pub(crate) no_budget: u64,
    /// The most handshakes, listed or not a member, that one listener took part in.
    pub(crate) most: u64,
}

impl Report {
    /// The two lines above the rows.
    pub(crate) const HEAD: &str = "\
| net | hosts | rooms | senders | beacons/s, start | calm | airtime beacons / looks, start | calm | \
handshakes per listener, mean (most) | per sender, most | failed guesses of a sender, most | parked | refused | \
busy, reset | no guess of its own | longest parked member | start: offer shown 50 / 99 / 100 % | new offer in the calm | \
late join: first offer | all offers |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

    /// Adds up a run.
    pub(crate) fn of(world: World) -> Self {
        let World { plan, mut figures, hearers, senders, network, queue, .. } = world;
        figures.expect(&plan, &hearers, &senders);
        let (mut sum, mut most) = (Counts::default(), Counts::default());
        for Sender { counts: c, .. } in &senders {
            sum = sum.with(c, |a, b| a + b);
            most = most.with(c, u64::max);
        }
        let mut looks = Looks::default();
        for Hearer { counts: c, .. } in &hearers {
            looks.all += c.looks;
            looks.listed += c.listed;
            looks.strangers += c.strangers;
            looks.busy += c.busy;
            looks.failed += c.failed;
            looks.no_budget += c.no_budget;
            looks.most = looks.most.max(c.listed + c.strangers);
        }
        Self { plan, figures, sum, most, looks, dropped: network.dropped, events: queue.count() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, figures) = (&self.plan, &self.figures);
        let listeners = plan.all_hosts() as u64;
        let calm = figures.datagrams_in_calm(plan);
        let airtime = |(beacons, others): (u64, u64)| {
            let percent = |part: u64| format!("{}.{:02} %", part / 100, part % 100);
            if plan.net == Net::Wired {
                percent(beacons)
            } else {
                format!("{} / {}", percent(beacons), percent(others))
            }
        };
        write!(f, "| {} | {} | {} | {} ", plan.net.name(), plan.hosts, plan.rooms, plan.first_senders())?;
        write!(f, "| {} | {}.{:02} ", figures.datagrams_at_start(plan), calm / 100, calm % 100)?;
        write!(
            f,
            "| {} | {} ",
            airtime(figures.airtime_at_start(plan)),
            airtime(figures.airtime_in_calm(plan))
        )?;
        let mean = (self.looks.listed + self.looks.strangers) / listeners;
        write!(f, "| {mean} ({}) | {} | {} ", self.looks.most, self.most.taken, self.most.failed)?;
        write!(f, "| {} | {} | {} ", self.sum.parked, self.sum.refused, self.looks.busy + self.looks.failed)?;
        write!(f, "| {} | {} ", self.looks.no_budget, wait(Some(self.most.longest)))?;
        for waits in [&figures.start, &figures.fresh, &figures.late_first, &figures.late_all] {
            write!(f, "| {} ", percentiles(waits))?;
        }
        write!(f, "|")
    }
}

fn wait(wait: Option<Micros>) -> String {
    match wait {
        None => "never".to_owned(),
        Some(wait) if wait < 10_000 * MILLI => format!("{} ms", wait / MILLI),
        Some(wait) => format!("{} s", wait / (1_000 * MILLI)),
    }
}

fn percentiles(waits: &Waits) -> String {
    let [a, b, c] = [50, 99, 100].map(|percent| wait(waits.percentile(percent)));
    let missing = match waits.missing() {
        0 => String::new(),
        missing => format!(" ({missing} of {} never)", waits.expected),
    };
    format!("{a} / {b} / {c}{missing}")
}
