//! A run as a row of a table.

use std::fmt;

use crate::figures::{Figures, Waits};
use crate::listener::Listener;
use crate::network::Net;
use crate::plan::Plan;
use crate::queue::{MILLI, Micros};
use crate::sender::{Counts, Sender};
use crate::world::World;

/// The report of a run.
pub(crate) struct Report {
    pub(crate) plan: Plan,
    pub(crate) figures: Figures,
    /// Sum of all senders' counts.
    pub(crate) sum: Counts,
    /// Maximum of each count over all senders.
    pub(crate) most: Counts,
    pub(crate) probes: Probes,
    /// Broadcasts that access points dropped.
    pub(crate) dropped: u64,
    /// Number of events of the run, to compare two runs.
    pub(crate) events: u64,
}

/// Probes of all listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Probes {
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
    /// Adds up a run.
    pub(crate) fn of(world: World) -> Self {
        let World { plan, mut figures, listeners, senders, network, queue, .. } = world;
        figures.expect(&plan, &listeners, &senders);
        let (mut sum, mut most) = (Counts::default(), Counts::default());
        for Sender { counts: c, .. } in &senders {
            sum = sum.with(c, |a, b| a + b);
            most = most.with(c, u64::max);
        }
        let mut probes = Probes::default();
        for Listener { counts: c, .. } in &listeners {
            probes.all += c.probes;
            probes.listed += c.listed;
            probes.strangers += c.strangers;
            probes.busy += c.busy;
            probes.failed += c.failed;
            probes.no_budget += c.no_budget;
            probes.most = probes.most.max(c.listed + c.strangers);
        }
        Self { plan, figures, sum, most, probes, dropped: network.dropped, events: queue.count() }
    }

    fn name(&self) -> String {
        format!("| {} | {} | {} ", self.plan.net.name(), self.plan.hosts, self.plan.rooms)
    }

    /// Row of the network table.
    pub(crate) fn traffic(&self) -> String {
        let (plan, figures) = (&self.plan, &self.figures);
        let calm = figures.datagrams_in_calm(plan);
        let share = |of: u64| format!("{}.{:02} %", of / 100, of % 100);
        let (start, then) = (figures.airtime_at_start(plan), figures.airtime_in_calm(plan));
        let probes = |of: u64| if plan.net == Net::Wired { "-".to_owned() } else { share(of) };
        format!(
            "{}| {} | {} | {} | {} | {} | {} | {} | {} |",
            self.name(),
            plan.first_senders(),
            figures.datagrams_at_start(plan),
            hundredths(calm),
            share(start.0),
            probes(start.1),
            share(then.0),
            probes(then.1),
            self.dropped,
        )
    }

    /// Row of the handshake table.
    pub(crate) fn handshakes(&self) -> String {
        let listeners = self.plan.all_hosts() as u64;
        let mean = (self.probes.listed + self.probes.strangers) / listeners;
        format!(
            "{}| {mean}, {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.name(),
            self.probes.most,
            self.most.taken,
            self.most.failed,
            self.sum.parked,
            self.sum.refused,
            wait(Some(self.most.longest)),
            self.probes.busy,
            self.probes.failed,
            self.probes.no_budget,
        )
    }

    /// Row of the waiting times table.
    pub(crate) fn times(&self) -> String {
        let Figures { start, fresh, late_first, late_all, passing, .. } = &self.figures;
        let all = [start, fresh, late_first, late_all, passing].map(percentiles);
        format!("{}| {} | {} |", self.name(), all.join(" | "), self.figures.no_room)
    }
}

/// The tables of some runs.
pub(crate) struct Tables<'a>(pub(crate) &'a [Report]);

const TRAFFIC: &str = "\
| net | hosts | rooms | senders | beacons/s at start | in steady state | channel at start: beacons | probes \
| in steady state: beacons | probes | beacons dropped |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

const HANDSHAKES: &str = "\
| net | hosts | rooms | per listener: mean, most | per sender, most | failed guesses of one sender | parked | refused \
| longest parked member | probes answered busy | failed | without a guess left |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

const TIMES: &str = "\
| net | hosts | rooms | all start: offer shown | new offer in steady state | late join: first offer | all offers \
| short-lived message | without room in a table |
|---|--:|--:|--:|--:|--:|--:|--:|--:|";

impl fmt::Display for Tables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = [
            (TRAFFIC, Report::traffic as fn(&Report) -> String),
            (HANDSHAKES, Report::handshakes),
            (TIMES, Report::times),
        ];
        for (head, row) in tables {
            writeln!(f, "{head}")?;
            for report in self.0 {
                writeln!(f, "{}", row(report))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn hundredths(of: u64) -> String {
    format!("{}.{:02}", of / 100, of % 100)
}

/// In milliseconds below ten seconds, else in seconds.
fn wait(wait: Option<Micros>) -> String {
    match wait {
        None => "never".to_owned(),
        Some(wait) if wait < 10_000 * MILLI => format!("{} ms", wait / MILLI),
        Some(wait) => format!("{} s", wait / (1_000 * MILLI)),
    }
}

/// Median, 99th percentile and maximum.
fn percentiles(waits: &Waits) -> String {
    if waits.expected == 0 {
        return "-".to_owned();
    }
    let [a, b, c] = [50, 99, 100].map(|percent| wait(waits.percentile(percent)));
    match waits.missing() {
        0 => format!("{a}, {b}, {c}"),
        missing => format!("{a}, {b}, {c}: {missing} of {}", waits.expected),
    }
}
