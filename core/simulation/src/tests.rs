//! The properties of discovery on a large LAN that scale.md states.

use deaddrop_core::limits::{CONNECTS_TO_DEFAULT_PORTS, CONNECTS_TO_OTHER_PORTS};

use crate::flood::{Flood, Forgery, Starts, Victims};
use crate::network::{COPIES, Net};
use crate::plan::Plan;
use crate::queue::{MILLI, SECOND};
use crate::report::Report;
use crate::world::World;

/// A run that is as short as its figures allow.
fn short(hosts: usize, rooms: usize, net: Net, seed: u64) -> Plan {
    Plan { settle: 20 * SECOND, calm: 20 * SECOND, ..Plan::new(hosts, rooms, net, seed) }
}

fn run(plan: Plan) -> Report {
    Report::of(World::run(plan))
}

/// Whether to run the full-size tests.
fn long() -> bool {
    std::env::var_os("DEADDROP_TEST_LONG").is_some()
}

/// Every listener was shown every offer of its room, and no limit prevented a probe.
fn assert_no_starvation(report: &Report) {
    let figures = &report.figures;
    for (what, waits) in [
        ("at the start", &figures.start),
        ("a new offer", &figures.fresh),
        ("a late listener", &figures.late_all),
        ("a late listener's first", &figures.late_first),
    ] {
        assert!(waits.expected > 0, "{what}: no wait was expected");
        assert_eq!(waits.missing(), 0, "{what}: not shown, of {}", waits.expected);
    }
    assert_eq!(figures.no_room, 0);
    assert_eq!(report.probes.no_budget, 0, "probes without a guess of our own");
    assert_eq!(report.sum.refused, 0, "members and strangers were refused alike");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let of = |seed| {
        let report = run(Plan { messages: 60, ..short(60, 6, Net::Wifi, seed) });
        (report.events, report.traffic(), report.handshakes(), report.times())
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn a_sender_in_steady_state_sends_two_datagrams_in_eleven_seconds() {
    for (hosts, rooms) in [(50, 1), (200, 20)] {
        let report =
            run(Plan { calm: 60 * SECOND, settle: 35 * SECOND, ..short(hosts, rooms, Net::Wired, 3) });
        let calm = report.figures.datagrams_in_calm(&report.plan);
        let senders = report.plan.first_senders() as u64;
        // The longest gap is 15 s less a quarter at most. Plus one each, because of the boundaries of the
        // minute.
        let most = senders * COPIES * (60_000 / 11_250 + 1) * 100 / 60;
        assert!(calm > 0 && calm <= most, "{calm} and not {most} hundredths a second");
    }
}

#[test]
fn the_first_seconds_cost_a_listener_ten_datagrams_and_a_sender_its_answers() {
    let report = run(short(100, 1, Net::Wired, 4));
    let (listeners, senders) = (100, report.plan.first_senders() as u64);
    // In one second: three solicits, three announcements, and 64 answers.
    let most = listeners * COPIES * 3 + senders * (COPIES * 3 + 64);
    let start = report.figures.datagrams_at_start(&report.plan);
    assert!(start <= most, "{start} and not {most} in a second");
}

#[test]
fn no_member_starves_with_200_rooms() {
    let hosts = if long() { 2_000 } else { 1_000 };
    let report = run(short(hosts, 200, Net::Wired, 5));
    assert_no_starvation(&report);
    // Every stranger of the LAN probes once, and a sender has a guess token for each.
    assert!(report.most.failed >= hosts as u64 * 9 / 10, "too few strangers probed");
    assert_eq!(report.sum.parked == 0, hosts <= 1_024, "{} parked", report.sum.parked);
    let (start, fresh) = (&report.figures.start, &report.figures.fresh);
    assert!(start.percentile(100).unwrap() < 5 * SECOND, "{:?}", start.percentile(100));
    assert!(fresh.percentile(100).unwrap() < 3 * SECOND, "{:?}", fresh.percentile(100));
}

#[test]
fn a_room_of_500_does_not_overload_its_sender() {
    let hosts = if long() { 2_000 } else { 500 };
    let report = run(short(hosts, 1, Net::Wired, 6));
    assert_no_starvation(&report);
    // All probe a new offer within the jitter, and the sender has a slot for each of them.
    let in_vain = report.probes.busy + report.probes.failed;
    assert!(in_vain * 100 <= report.probes.all, "{in_vain} of {} probes were in vain", report.probes.all);
}

#[test]
fn in_a_small_room_an_offer_is_shown_in_tens_of_milliseconds() {
    let report = run(short(50, 1, Net::Wired, 7));
    assert_no_starvation(&report);
    let fresh = report.figures.fresh.percentile(100).unwrap();
    assert!(fresh < 60 * MILLI, "{fresh} us");
    let late = report.figures.late_all.percentile(100).unwrap();
    assert!(late < 30 * MILLI, "{late} us");
}

#[test]
fn wifi_losses_only_delay_discovery() {
    let hosts = if long() { 500 } else { 100 };
    for seed in 0..3 {
        assert_no_starvation(&run(short(hosts, 10, Net::Wifi, seed)));
    }
}

#[test]
fn a_listener_with_a_spent_budget_costs_no_sender_a_guess() {
    // Twenty hosts that keep sending: after ten strangers the guess budget of an address is spent.
    let plan = Plan { calm: 400 * SECOND, messages: 3_600, ..short(20, 10, Net::Wired, 8) };
    let report = run(plan);
    assert!(report.probes.no_budget > 0, "the budget was never spent");
    assert_eq!(report.sum.failed, report.probes.strangers, "a guess was spent without a stranger");
    assert_eq!(report.figures.start.missing(), 0);
}

/// Every victim gets at most so many connects a minute: one window can begin in the midst of another.
const TO_ONE: u64 = 2 * (CONNECTS_TO_DEFAULT_PORTS + CONNECTS_TO_OTHER_PORTS) as u64;

#[test]
fn forged_beacons_hide_no_newcomer() {
    let rates: &[u64] = if long() { &[10, 100, 2_000, 30_000] } else { &[10, 100, 2_000] };
    for victims in [Victims::Dead, Victims::Refuse, Victims::Silent] {
        for addresses in [1, 200, 55_000] {
            for &rate in rates {
                let flood = Flood {
                    rate,
                    addresses,
                    victims,
                    forgery: Forgery::Random,
                    starts: Starts::Sender,
                    seed: 9,
                };
                let outcome = flood.run();
                assert!(outcome.median() <= 2_000 && outcome.worst() <= 5_000, "{flood:?} {outcome:?}");
                assert!(outcome.connects <= 1_025, "{flood:?} {outcome:?}");
                assert!(outcome.to_one <= TO_ONE, "{flood:?} {outcome:?}");
            }
        }
    }
}

#[test]
fn forged_beacons_hide_no_sender_from_a_listener_that_starts() {
    let rates: &[u64] = if long() { &[10, 100, 2_000, 30_000] } else { &[100, 2_000] };
    for forgery in [Forgery::Random, Forgery::Answers] {
        for victims in [Victims::Dead, Victims::Refuse, Victims::Silent] {
            for addresses in [1, 200, 55_000] {
                for &rate in rates {
                    let flood =
                        Flood { rate, addresses, victims, forgery, starts: Starts::Listener, seed: 9 };
                    let outcome = flood.run();
                    assert!(outcome.median() <= 300 && outcome.worst() <= 2_000, "{flood:?} {outcome:?}");
                    assert!(outcome.to_one <= 4 * TO_ONE, "{flood:?} {outcome:?}");
                }
            }
        }
    }
}

#[test]
fn forged_instances_at_a_senders_own_address_and_port_hide_it_from_nobody() {
    let rates: &[u64] = if long() { &[10, 100, 2_000, 30_000] } else { &[100, 2_000] };
    for victims in [Victims::Dead, Victims::Refuse] {
        for addresses in [1, 200, 55_000] {
            for &rate in rates {
                let forgery = Forgery::Instances;
                let flood = Flood { rate, addresses, victims, forgery, starts: Starts::Sender, seed: 9 };
                let outcome = flood.run();
                assert!(outcome.median() <= 400 && outcome.worst() <= 3_000, "{flood:?} {outcome:?}");
                assert!(outcome.connects <= 1_025 && outcome.to_one <= TO_ONE, "{flood:?} {outcome:?}");
            }
        }
    }
}

#[test]
fn a_flood_that_mimics_senders_is_bounded_and_hides_no_newcomer_at_another_address() {
    let flood = Flood {
        rate: 300,
        addresses: 200,
        victims: Victims::Dead,
        forgery: Forgery::Repeated,
        starts: Starts::Sender,
        seed: 9,
    };
    let outcome = flood.run();
    // Half of the newcomers have addresses that are not forged.
    assert!(outcome.shown[outcome.shown.len() / 2 - 1] <= 2_000, "{outcome:?}");
    assert!(outcome.connects <= 1_025 && outcome.to_one <= TO_ONE, "{outcome:?}");
}
