//! The driver over a model of each chip: frames, bursts, and everything that can be wrong on the wires.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod bench;

use std::time::Duration;

use bench::{ALL, Bench, OTHER, OWN, clock, frame, set_up};
use deaddrop_wiznet::Fault as Why;
use deaddrop_wiznet_model::{Fault, Kind, LineFault, Model};

const TICK: Duration = Duration::from_millis(100);

/// On each chip.
fn on_each(test: impl Fn(Bench)) {
    Kind::ALL.into_iter().for_each(|kind| test(Bench::new(kind)));
}

#[test]
fn frames_of_every_length_go_both_ways() {
    on_each(|mut bench| {
        // More bytes than the addresses have bits for.
        for len in 60..=1_514 {
            let there = frame(OWN, 1, len);
            assert!(bench.model.arrive(&there));
            assert_eq!(bench.take_all(), [there]);
            let back = frame(OTHER, 2, len);
            assert!(bench.send(&back));
            bench.turn();
            assert_eq!(bench.model.all_sent(), [back]);
        }
    });
}

#[test]
fn a_short_frame_is_padded_with_zeroes() {
    on_each(|mut bench| {
        // What was in the buffer before is not sent along.
        bench.works();
        for len in [42, 59] {
            let mut request = frame(ALL, 1, len);
            assert!(bench.send(&request));
            bench.turn();
            request.resize(60, 0);
            assert_eq!(bench.model.sent(), Some(request));
        }
    });
}

#[test]
fn only_frames_for_this_port_or_for_all_are_taken_in() {
    on_each(|bench| {
        assert!(bench.model.arrive(&frame(OWN, 1, 60)));
        assert!(bench.model.arrive(&frame(ALL, 2, 60)));
        assert!(!bench.model.arrive(&frame(OTHER, 3, 60)));
        assert!(!bench.model.arrive(&frame([0x01, 0, 0x5E, 0, 0, 0xFB], 4, 60)), "a multicast of mDNS");
    });
}

#[test]
fn a_burst_while_the_cpu_is_away_is_read_to_the_end() {
    on_each(|mut bench| {
        for len in [60, 590, 1_514] {
            // 300 ms of a busy LAN: the driver does not run, and the chip's buffer fills up.
            let before = bench.model.overruns();
            let kept: Vec<_> =
                (0..400).map(|n| frame(ALL, n, len)).filter(|frame| bench.model.arrive(frame)).collect();
            assert!(bench.model.overruns() > before, "it was full");
            let began = clock::now();
            assert_eq!(bench.take_all(), kept);
            assert_eq!(clock::now(), began, "not one for each look at the clock");
            bench.works();
        }
    });
}

#[test]
fn frames_go_out_while_nobody_takes_what_came_in() {
    on_each(|mut bench| {
        let came: Vec<_> = (0..8).map(|n| frame(OWN, n, 600)).collect();
        came.iter().for_each(|frame| assert!(bench.model.arrive(frame)));
        bench.turn();
        for n in 100..120 {
            let back = frame(OTHER, n, 500);
            assert!(bench.send(&back), "frame {n}");
            bench.turn();
            assert_eq!(bench.model.sent(), Some(back));
        }
        assert_eq!(bench.take_all(), came);
    });
}

#[test]
fn the_end_of_a_frame_is_seen_without_its_interrupt() {
    on_each(|mut bench| {
        bench.model.break_chip(Fault::SendInterrupt);
        for n in 0..20 {
            let goes = frame(OTHER, n, 1_514);
            assert!(bench.send(&goes));
            bench.turn();
            assert_eq!(bench.model.sent(), Some(goes), "at once");
        }
    });
}

#[test]
fn frames_go_out_during_a_flood() {
    on_each(|mut bench| {
        for n in 0..100 {
            while bench.model.arrive(&frame(ALL, n, 60)) {}
            let back = frame(OTHER, n, 500);
            assert!(bench.send(&back));
            bench.turn();
            assert_eq!(bench.model.sent(), Some(back));
            bench.take();
        }
    });
}

#[test]
fn a_length_that_cannot_be_costs_what_is_in_the_buffer_and_no_more() {
    on_each(|mut bench| {
        // None, shorter than its own two bytes, shorter than a frame, longer than what is there.
        for header in [0, 1, 2, 3, 61, 303, 1_600, 16_385, 0x8000, u16::MAX] {
            let before = frame(OWN, 1, 300);
            assert!(bench.model.arrive(&before));
            assert!(bench.model.arrive_as(&frame(OWN, 2, 300), header));
            assert_eq!(bench.take_all(), [before], "header {header}");
            assert!(bench.link(), "header {header}");
            bench.works();
            bench.pass(Duration::from_secs(6));
        }
        assert_eq!(bench.model.resets(), 1, "opening the socket anew was enough");
    });
}

#[test]
fn a_chip_whose_lengths_are_wrong_again_and_again_is_reset() {
    on_each(|mut bench| {
        for n in 0..3 {
            assert_eq!(bench.model.resets(), 1, "after {n}");
            assert!(bench.model.arrive_as(&frame(OWN, n, 300), 0));
            bench.turn();
        }
        assert_eq!(bench.model.resets(), 2);
        bench.pass(Duration::from_secs(1));
        bench.works();
    });
}

#[test]
fn a_size_that_changes_while_it_is_read_is_read_again() {
    on_each(|mut bench| {
        bench.model.tear_sizes(true);
        let came: Vec<_> = (0..20).map(|n| frame(OWN, n, 300)).collect();
        came.iter().for_each(|frame| assert!(bench.model.arrive(frame)));
        assert_eq!(bench.take_all(), came);
    });
}

#[test]
fn a_length_that_is_wrong_and_can_be_ends_well() {
    on_each(|mut bench| {
        for header in [62, 200, 301] {
            assert!(bench.model.arrive_as(&frame(OWN, 1, 300), header));
            assert!(bench.model.arrive(&frame(OWN, 2, 300)));
            bench.take_all();
            bench.works();
            bench.pass(Duration::from_secs(11));
        }
    });
}

#[test]
fn a_frame_longer_than_the_mtu_is_dropped_alone() {
    on_each(|mut bench| {
        let (before, after) = (frame(OWN, 1, 1_514), frame(OWN, 3, 60));
        for too_long in [1_515, 1_518, 1_522, 9_000] {
            assert!(bench.model.arrive(&before));
            assert!(bench.model.arrive(&frame(OWN, 2, too_long)));
            assert!(bench.model.arrive(&after));
            assert_eq!(bench.take_all(), [before.clone(), after.clone()]);
        }
        assert_eq!(bench.model.resets(), 1);
    });
}

#[test]
fn a_chip_that_is_not_there_is_an_error_and_no_wait_without_end() {
    for kind in Kind::ALL {
        for (fault, why) in [
            (Fault::Absent(0x00), Why::Unidentified),
            (Fault::Absent(0xFF), Why::Unidentified),
            (Fault::Noise(1), Why::Unidentified),
            (Fault::Bus, Why::Spi),
            (Fault::Commands, Why::Stuck),
            (Fault::Address, Why::Locked),
        ] {
            let model = Model::new(kind);
            model.break_chip(fault);
            let (made, took) = set_up(kind, &model);
            assert_eq!(made.err(), Some(why), "{fault:?} on {kind:?}");
            assert!(took < Duration::from_secs(1), "{fault:?} on {kind:?}: {took:?}");
        }
    }
}

#[test]
fn a_chip_of_the_other_kind_is_an_error() {
    for (kind, other) in [(Kind::W5500, Kind::W6100), (Kind::W6100, Kind::W5500)] {
        let (made, _) = set_up(kind, &Model::new(other));
        assert_eq!(made.err(), Some(Why::Unidentified));
    }
}

#[test]
fn a_chip_that_goes_away_takes_the_link_along_and_brings_it_back() {
    on_each(|mut bench| {
        let faults = [Fault::Absent(0x00), Fault::Absent(0xFF), Fault::Bus, Fault::Commands];
        for fault in faults {
            bench.model.break_chip(fault);
            // Something to send and something that comes, as on any LAN.
            bench.send(&frame(ALL, 1, 100));
            bench.model.arrive(&frame(ALL, 1, 100));
            bench.pass(Duration::from_secs(10));
            assert!(!bench.link(), "{fault:?}");
            let before = bench.model.transactions();
            bench.send(&frame(ALL, 2, 100));
            bench.pass(Duration::from_secs(10));
            assert!(bench.model.transactions() - before < 5_000, "{fault:?} keeps the CPU busy");
            bench.model.break_chip(Fault::None);
            bench.pass(Duration::from_secs(2));
            bench.take_all();
            assert!(bench.link(), "{fault:?}");
            assert_eq!(bench.model.sent(), None, "what was to be sent meanwhile is old by now");
            bench.works();
        }
    });
}

#[test]
fn whatever_comes_over_spi_nothing_panics_or_spins() {
    on_each(|mut bench| {
        for seed in 0..300 {
            bench.model.break_chip(Fault::Noise(seed));
            bench.send(&frame(ALL, 1, 100));
            bench.pass(Duration::from_millis(1_500));
            bench.take_all();
        }
        bench.model.break_chip(Fault::None);
        bench.pass(Duration::from_secs(2));
        bench.take_all();
        bench.works();
    });
}

#[test]
fn a_chip_that_has_forgotten_its_setup_is_set_up_again() {
    on_each(|mut bench| {
        bench.model.forget();
        bench.pass(TICK);
        assert!(!bench.link(), "the stack asks for an address again");
        bench.pass(3 * TICK);
        assert!(bench.link());
        bench.works();
    });
}

#[test]
fn a_lost_interrupt_costs_a_tick() {
    on_each(|mut bench| {
        bench.model.break_line(LineFault::Open);
        for n in 0..10 {
            let there = frame(OWN, n, 100);
            assert!(bench.model.arrive(&there));
            bench.pass(TICK);
            assert_eq!(bench.take_all(), [there]);
        }
        assert!(bench.link());
    });
}

#[test]
fn a_shorted_interrupt_line_does_not_keep_the_cpu_busy() {
    on_each(|mut bench| {
        bench.model.break_line(LineFault::Shorted);
        bench.turn();
        let before = bench.model.transactions();
        bench.pass(Duration::from_secs(10));
        assert!(bench.model.transactions() - before < 2_000);
        let there = frame(OWN, 1, 100);
        assert!(bench.model.arrive(&there));
        bench.pass(TICK);
        assert_eq!(bench.take_all(), [there]);
        bench.model.break_line(LineFault::None);
        bench.pass(TICK);
        bench.works();
    });
}

#[test]
fn an_idle_chip_is_left_alone_between_ticks() {
    on_each(|mut bench| {
        let before = bench.model.transactions();
        bench.pass(Duration::from_secs(10));
        assert!(bench.model.transactions() - before <= 600);
    });
}

#[test]
fn the_link_is_noticed_within_a_tick() {
    on_each(|mut bench| {
        for _ in 0..3 {
            bench.model.plug(false);
            bench.pass(TICK);
            assert!(!bench.link());
            // Nothing that is old by then is sent when the cable is back.
            assert!(bench.send(&frame(ALL, 1, 100)));
            bench.pass(Duration::from_secs(5));
            bench.model.plug(true);
            bench.pass(TICK);
            assert!(bench.link());
            assert_eq!(bench.model.sent(), None);
            bench.works();
        }
    });
}

#[test]
fn a_transmitter_that_stops_is_started_again_and_in_the_end_reset() {
    on_each(|mut bench| {
        bench.model.break_chip(Fault::Transmitter);
        for n in 0..2 {
            assert!(bench.send(&frame(ALL, n, 100)));
            bench.pass(3 * TICK);
            // What comes in is heard meanwhile.
            let there = frame(OWN, n, 100);
            assert!(bench.model.arrive(&there));
            assert_eq!(bench.take_all(), [there]);
        }
        assert_eq!(bench.model.resets(), 1);
        for n in 0..4 {
            bench.send(&frame(ALL, n, 100));
            bench.pass(3 * TICK);
        }
        assert_eq!(bench.model.resets(), 2);
        bench.model.break_chip(Fault::None);
        bench.pass(Duration::from_secs(1));
        bench.works();
    });
}
