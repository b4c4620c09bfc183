//! How discovery scales with the LAN: a discrete-event simulation in virtual time of core's own state
//! machines.
//!
//! Every host listens and some send. Advertisers, browsers, offers, drops and both guards are core's, with
//! the table sizes of the host's program; all randomness follows from a seed. Two things are modelled:
//! handshakes are charged a cost and not computed ([`cost`]), and the network ([`network`]). `docs/scale.md`
//! has the results, and `cargo xtask scale` runs this.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a simulation that panics has failed, and its numbers are small"
)]

mod cost;
mod cpu;
mod figures;
mod flood;
mod handshake;
mod listener;
mod network;
mod plan;
mod probes;
mod queue;
mod report;
mod sender;
mod world;

#[cfg(test)]
mod tests;

use std::time::Instant;

use argh::FromArgs;

use crate::flood::Starts;
use crate::network::Net;
use crate::plan::Plan;
use crate::queue::SECOND;
use crate::report::{Report, Tables};
use crate::world::World;

/// Simulate discovery on a LAN, and print a table.
#[derive(FromArgs)]
struct Scale {
    /// hosts, numbers with commas between (10,100,1000)
    #[argh(option, from_str_fn(numbers))]
    hosts: Option<Vec<usize>>,
    /// rooms side by side, numbers with commas between (1,200)
    #[argh(option, from_str_fn(numbers))]
    rooms: Option<Vec<usize>>,
    /// networks, with commas between: wired, wifi, wifi-slow (wired,wifi)
    #[argh(option, from_str_fn(nets))]
    net: Option<Vec<Net>>,
    /// seed of all randomness (1)
    #[argh(option, default = "1")]
    seed: u64,
    /// hosts that send from the start, in percent (10)
    #[argh(option, default = "10")]
    senders: usize,
    /// messages each host sends in an hour in steady state (0)
    #[argh(option, default = "0")]
    messages: usize,
    /// seconds from the start until the steady state is measured (60)
    #[argh(option, default = "60")]
    settle: u64,
    /// measure on this machine what handshakes are charged, and do nothing else
    #[argh(switch)]
    costs: bool,
    /// flood one listener with forged beacons, and do nothing else
    #[argh(switch)]
    flood: bool,
}

fn main() {
    let scale: Scale = argh::from_env();
    if scale.costs {
        let charged = [cost::MESSAGE_2, cost::MESSAGE_3, cost::MESSAGE_4];
        for (n, (took, charged)) in (2..).zip(cost::measure().into_iter().zip(charged)) {
            println!("message {n}: {} us to compute, charged {charged} us", took.as_micros());
        }
        return;
    }
    if scale.flood {
        for (what, starts) in [("sender", Starts::Sender), ("listener", Starts::Listener)] {
            println!("A {what} starts:\n\n{}", flood::HEAD);
            for flood in flood::table(starts, scale.seed) {
                println!("{}", flood::row(&flood, &flood.run()));
            }
            println!();
        }
        return;
    }
    let (listener, sender) = figures::tables();
    println!("Tables of fixed size: a listener {} KiB, a sender {} KiB.\n", listener / 1_024, sender / 1_024);
    let mut reports = Vec::new();
    let nets = scale.net.unwrap_or_else(|| vec![Net::Wired, Net::Wifi]);
    let rooms = scale.rooms.unwrap_or_else(|| vec![1, 200]);
    let hosts = scale.hosts.unwrap_or_else(|| vec![10, 100, 1_000]);
    for &net in &nets {
        for &rooms in &rooms {
            for &hosts in &hosts {
                let mut plan = Plan::new(hosts, rooms, net, scale.seed);
                (plan.senders, plan.messages) = (scale.senders, scale.messages);
                plan.settle = scale.settle.max(1) * SECOND;
                let begun = Instant::now();
                let report = Report::of(World::run(plan));
                let (took, events) = (begun.elapsed().as_secs_f64(), report.events);
                eprintln!("{}, {hosts} hosts, {rooms} rooms: {took:.1} s, {events} events", net.name());
                reports.push(report);
            }
        }
    }
    println!("{}", Tables(&reports));
}

fn numbers(list: &str) -> Result<Vec<usize>, String> {
    let number = |n: &str| match n.trim().parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(format!("{n:?} is not a number above 0")),
    };
    list.split(',').map(number).collect()
}

fn nets(list: &str) -> Result<Vec<Net>, String> {
    list.split(',').map(|name| Net::named(name.trim())).collect()
}
