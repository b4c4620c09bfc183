//! A board at a USB host: what the host reads, the network by its alternate setting, hosts that send what they should not,
//! and a person at the serial port.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use deaddrop_core::crypto::keys::{Prs, RoomSecret};
use deaddrop_firmware::app::{App, Memory, SOCKETS, Settings};
use deaddrop_firmware::board::{Board, Neighbours, Network, RetainedRam, Wire};
use deaddrop_firmware::boot::SeedStore;
use deaddrop_firmware::mailbox::Event;
use deaddrop_provisioning::record::Mode;
use deaddrop_provisioning::{Address, ProvisioningRecord, RECORD_LEN};
use deaddrop_usb::{Console, Device};
use deaddrop_usb_model::{Cable, Driver, Host, Manner, Stalled, ntb_of};
use embassy_net::StackResources;
use embassy_net_driver::{Driver as _, LinkState, RxToken, TxToken};
use lan::usb::{attach, device, done};
use lan::{Lan, clock};

const BOARD: [u8; 6] = [2, 0, 0, 0, 0, 7];
const MANNERS: [Manner; 2] = [Manner::AsDocumented, Manner::AsRp];

fn link(device: &mut Device) -> bool {
    device.link_state(&mut Context::from_waker(Waker::noop())) == LinkState::Up
}

/// All frames that the stack would have.
fn taken(lan: &mut Lan, device: &mut Device) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        // What waits for space moves up.
        lan.pass(Duration::from_millis(1));
        let mut context = Context::from_waker(Waker::noop());
        let Some((frame, _)) = device.receive(&mut context) else { return frames };
        frames.push(frame.consume(|frame| frame.to_vec()));
    }
}

fn send(device: &mut Device, frame: &[u8]) -> bool {
    let token = device.transmit(&mut Context::from_waker(Waker::noop()));
    token.is_some_and(|token| {
        token.consume(frame.len(), |to| to.copy_from_slice(frame));
        true
    })
}

fn frame(len: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

/// A device whose host has enumerated it.
fn enumerated(manner: Manner) -> (Lan, Cable, Device, Host) {
    let mut lan = Lan::new();
    let (cable, _, device) = device(&mut lan, manner, BOARD);
    cable.plug();
    let host = host_of(&mut lan, &cable);
    (lan, cable, device, host)
}

fn host_of(lan: &mut Lan, cable: &Cable) -> Host {
    let cable = cable.clone();
    done(lan, async move { Host::enumerate(&cable).await })
}

fn set_network(lan: &mut Lan, host: &Host, setting: u8) -> Result<(), Stalled> {
    let host = host.clone();
    let set = done(lan, async move { host.set_network(setting).await });
    lan.pass(Duration::from_millis(1));
    set
}

/// A device whose network carries frames.
fn carrying(manner: Manner) -> (Lan, Cable, Device, Host) {
    let (mut lan, cable, device, host) = enumerated(manner);
    set_network(&mut lan, &host, 1).unwrap();
    (lan, cable, device, host)
}

#[test]
fn a_host_finds_a_composite_device_with_a_serial_port_and_a_network() {
    let (.., host) = enumerated(Manner::AsRp);
    let seen = &host.seen;
    assert_eq!((seen.ids, seen.class), ((0x1209, 0x0001), (0xEF, 2, 1)));
    assert_eq!(seen.names, ["deaddrop", "deaddrop on Raspberry Pi Pico 2", "E660010203040507"]);
    assert_eq!(seen.associations, [(0, 2, (2, 2, 0)), (2, 2, (2, 0x0D, 0))]);
    assert_eq!(seen.mac, "02AA00000007", "of the host, not of the board");
    // Format of 16 bits; NTBs of 2,048 bytes both ways, offsets in multiples of 4.
    assert_eq!(
        seen.ntb_parameters,
        [28, 0, 1, 0, 0, 8, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, 8, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0]
    );
    let network = seen.interfaces.iter().find(|interface| interface.class == (2, 0x0D, 0)).unwrap();
    assert_eq!(network.functional[&0x1A], [0x00, 0x01, 0x01], "NCM 1.0 with a packet filter");
}

#[test]
fn requests_that_make_no_sense_are_refused_and_harm_nothing() {
    let (mut lan, cable, mut device, host) = enumerated(Manner::AsRp);
    let (control, data) = host.network.interfaces;
    let to = cable;
    let answers = done(&mut lan, async move {
        let mut answers = Vec::new();
        // A third alternate setting; of an interface that is not there; an unknown request; a string that is not there.
        answers.push(to.control_out([1, 11, 2, 0, data, 0, 0, 0], &[]).await.is_ok());
        answers.push(to.control_out([1, 11, 1, 0, 77, 0, 0, 0], &[]).await.is_ok());
        answers.push(to.control_in([0xA1, 0x77, 0, 0, control, 0, 64, 0]).await.is_ok());
        answers.push(to.control_in([0x80, 6, 99, 3, 9, 4, 255, 0]).await.is_ok());
        // Sizes of NTBs: below the least, cut short, and right. More data than there is space for.
        for (size, data) in [(4, &[0xFF, 0x07, 0, 0][..]), (2, &[0, 8]), (4, &[0, 8, 0, 0])] {
            answers.push(to.control_out([0x21, 0x86, 0, 0, control, 0, size, 0], data).await.is_ok());
        }
        answers.push(to.control_out([0x21, 0x86, 0, 0, control, 0, 0xFF, 0xFF], &[0; 99]).await.is_ok());
        answers.push(to.control_out([0x21, 0x43, 0x0E, 0, control, 0, 0, 0], &[]).await.is_ok());
        answers.push(to.control_in([0xA1, 0x85, 0, 0, control, 0, 4, 0]).await == Ok(vec![0, 8, 0, 0]));
        answers
    });
    assert_eq!(answers, [false, false, false, false, false, false, true, false, true, true]);
    assert!(!link(&mut device));
    set_network(&mut lan, &host, 1).unwrap();
    assert!(link(&mut device));
}

#[test]
fn the_link_is_up_while_the_host_has_chosen_to_carry_frames() {
    for manner in MANNERS {
        let (mut lan, cable, mut device, host) = enumerated(manner);
        assert!(!link(&mut device), "{manner:?}: configured is not enough");
        for _ in 0..3 {
            set_network(&mut lan, &host, 1).unwrap();
            assert!(link(&mut device), "{manner:?}");
            let told = host.clone();
            let notification = done(&mut lan, async move { told.notification().await });
            assert_eq!(notification, [0xA1, 0, 1, 0, host.network.interfaces.0, 0, 0, 0], "each time");
            set_network(&mut lan, &host, 0).unwrap();
            assert!(!link(&mut device), "{manner:?}");
        }
        // As Linux does when it begins: none, then one, at once.
        set_network(&mut lan, &host, 1).unwrap();
        let fast = host.clone();
        let notification = done(&mut lan, async move {
            fast.notification().await;
            fast.set_network(0).await.unwrap();
            fast.set_network(1).await.unwrap();
            fast.notification().await
        });
        assert_eq!(notification.len(), 8);
        // The host sleeps, and wakes up.
        for (suspended, up) in [(true, false), (false, true)] {
            cable.suspend(suspended);
            lan.pass(Duration::from_millis(1));
            assert_eq!(link(&mut device), up, "{manner:?}");
        }
        cable.reset();
        lan.pass(Duration::from_millis(1));
        assert!(!link(&mut device), "{manner:?}");
    }
}

#[test]
fn frames_of_all_lengths_go_both_ways() {
    for manner in MANNERS {
        let (mut lan, _, mut device, host) = carrying(manner);
        // 36 and 1,508 bytes make NTBs of whole packets, which end with an empty one.
        for len in [14, 35, 36, 37, 60, 1_507, 1_508, 1_509, 1_514] {
            let (to, bytes) = (host.clone(), frame(len));
            done(&mut lan, async move { to.send_frames(1, &[&bytes]).await });
            assert_eq!(taken(&mut lan, &mut device), [frame(len)], "{manner:?}");
            assert!(send(&mut device, &frame(len)));
            let from = host.clone();
            assert_eq!(done(&mut lan, async move { from.frames().await }), [frame(len)], "{manner:?}");
        }
        // Many in one NTB, more than the queue holds.
        let to = host.clone();
        lan.spawn(async move {
            let frames: Vec<_> = (0..15).map(|n| frame(60 + n)).collect();
            to.send_frames(2, &frames.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
        });
        let expected: Vec<_> = (0..15).map(|n| frame(60 + n)).collect();
        assert_eq!(taken(&mut lan, &mut device), expected, "{manner:?}");
    }
}

#[test]
fn what_is_no_ntb_is_dropped_and_the_next_one_is_taken() {
    for manner in MANNERS {
        let (mut lan, cable, mut device, host) = carrying(manner);
        let good = ntb_of(7, &[&frame(60)]);
        let too_long_frame = ntb_of(7, &[&frame(1_900)]);
        let mut beyond = good.clone();
        let at = beyond.len() - 8;
        beyond[at + 2] = 0xFF;
        beyond[at + 3] = 0xFF;
        let cut = good[..good.len() - 9].to_vec();
        let mut table_elsewhere = good.clone();
        table_elsewhere[10] = 0xF0;
        table_elsewhere[11] = 0xFF;
        let longer = [frame(2_048), frame(2_048), frame(100)].concat();
        for bad in [&b"x"[..], &[], &frame(64), &too_long_frame, &beyond, &cut, &table_elsewhere, &longer] {
            let (to, bad, out) = (cable.clone(), bad.to_vec(), host.network.endpoints.0);
            done(&mut lan, async move { to.send(out, &bad).await });
            assert_eq!(taken(&mut lan, &mut device), Vec::<Vec<u8>>::new(), "{manner:?}");
            let to = host.clone();
            done(&mut lan, async move { to.send_frames(8, &[&frame(99)]).await });
            assert_eq!(taken(&mut lan, &mut device), [frame(99)], "{manner:?}");
        }
    }
}

#[test]
fn what_was_begun_before_the_host_slept_is_not_gone_on_with() {
    for manner in MANNERS {
        let (mut lan, cable, mut device, host) = carrying(manner);
        let (to, out) = (cable.clone(), host.network.endpoints.0);
        done(&mut lan, async move { to.send_packet(out, &ntb_of(1, &[&frame(500)])[..64]).await });
        // The device sees both at once, as after a long computation.
        cable.suspend(true);
        cable.suspend(false);
        lan.pass(Duration::from_millis(1));
        assert!(link(&mut device));
        done(&mut lan, async move { host.send_frames(2, &[&frame(90)]).await });
        assert_eq!(taken(&mut lan, &mut device), [frame(90)], "{manner:?}");
    }
}

#[test]
fn a_cable_that_is_pulled_out_in_the_middle_of_an_ntb_costs_that_frame_alone() {
    for manner in MANNERS {
        let (mut lan, cable, mut device, host) = carrying(manner);
        // One packet of an NTB each way, and no more.
        let (to, endpoints) = (cable.clone(), host.network.endpoints);
        done(&mut lan, async move { to.send_packet(endpoints.0, &ntb_of(1, &[&frame(500)])[..64]).await });
        assert!(send(&mut device, &frame(500)));
        let from = cable.clone();
        assert_eq!(done(&mut lan, async move { from.received(endpoints.1).await }).len(), 64);
        cable.unplug();
        lan.pass(Duration::from_secs(5));
        assert!(!link(&mut device), "{manner:?}");
        // Without a link frames are dropped, and nothing is stuck.
        for _ in 0..20 {
            assert!(send(&mut device, &frame(300)), "{manner:?}");
            lan.pass(Duration::from_millis(1));
        }
        cable.plug();
        let host = host_of(&mut lan, &cable);
        set_network(&mut lan, &host, 1).unwrap();
        assert!(link(&mut device), "{manner:?}");
        assert!(send(&mut device, &frame(80)));
        let from = host.clone();
        assert_eq!(done(&mut lan, async move { from.frames().await }), [frame(80)], "{manner:?}");
        done(&mut lan, async move { host.send_frames(1, &[&frame(90)]).await });
        assert_eq!(taken(&mut lan, &mut device), [frame(90)], "{manner:?}");
    }
}

struct NoRam;

impl RetainedRam for NoRam {
    fn word(&self, _: usize) -> u32 {
        0
    }

    fn set_word(&self, _: usize, _: u32) {}
}

struct Seed([u8; 32]);

impl SeedStore for Seed {
    type Error = Infallible;

    fn read(&mut self, to: &mut [u8; 32]) -> Result<(), Infallible> {
        *to = self.0;
        Ok(())
    }

    fn replace(&mut self, new: &[u8; 32]) -> Result<(), Infallible> {
        self.0 = *new;
        Ok(())
    }
}

/// Longer than a packet of the cable.
const UNPROVISIONED: &str =
    "nobody provisioned it: this board waits for somebody who does, and takes two packets to say so";

/// Runs a whole board, as a program of a Pico does; `None`: it refuses.
fn run(
    lan: &mut Lan,
    console: Console<Driver>,
    device: Device,
    prs: Option<Prs>,
) -> Rc<Cell<Option<Duration>>> {
    let (wire, started) = (Box::leak(Box::new(Wire::new())), Rc::new(Cell::new(None)));
    let (at, stack_task) = (started.clone(), Rc::new(RefCell::new((None::<Network<Device>>, None::<Waker>))));
    let task = stack_task.clone();
    lan.spawn(async move {
        let mut network = poll_fn(|context| {
            let (network, waker) = &mut *task.borrow_mut();
            *waker = Some(context.waker().clone());
            network.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        network.run().await;
    });
    lan.spawn(async move {
        let mut board = Board::start(console, (), (), NoRam, wire, false).await;
        board.say(UNPROVISIONED).await;
        at.set(Some(clock::now()));
        let Some(prs) = prs else { board.refuse(UNPROVISIONED).await };
        let mut record = [0; RECORD_LEN];
        ProvisioningRecord { prs, address: Address::Dhcp, mode: Mode::default() }.emit(&mut record);
        let mut ready = board.boot_from(&record, &mut Seed([7; 32]), None).await;
        let resources = Box::leak(Box::new(StackResources::<{ SOCKETS + 1 }>::new()));
        let (stack, network) = board.network_of(Neighbours::OneHost, device, &mut ready, resources);
        let memory = Box::leak(Box::new(Memory::new()));
        let mut app = App::new(stack, memory, ready.prs, ready.rng, Settings::default());
        let waker = stack_task.replace((Some(network), None)).1;
        waker.expect("the task of the stack waits").wake();
        board.run(&mut app).await;
    });
    started
}

/// Gathers what the serial port prints, as an open terminal does.
fn terminal(lan: &mut Lan, host: &Host) -> Rc<RefCell<VecDeque<String>>> {
    let (screen, host) = (Rc::new(RefCell::new(VecDeque::new())), host.clone());
    let on = screen.clone();
    lan.spawn(async move {
        host.open_serial(true).await;
        loop {
            let printed = host.printed().await;
            on.borrow_mut().push_back(printed);
        }
    });
    screen
}

fn shows(lan: &mut Lan, screen: &Rc<RefCell<VecDeque<String>>>, what: &str) {
    lan.when(|| {
        screen.borrow().iter().flat_map(|line| line.chars()).collect::<String>().contains(what).then_some(())
    });
}

fn type_in(lan: &mut Lan, host: &Host, text: &'static str) {
    let host = host.clone();
    done(lan, async move { host.type_in(text).await });
}

#[test]
fn a_bare_board_is_a_member_of_its_hosts_room_and_its_console_is_on_the_same_cable() {
    let mut lan = Lan::new();
    // On the host's side of the cable.
    let other = lan.board_without_address(Neighbours::OneHost);
    let port = lan.port();
    let (console, device, shown) = attach(&mut lan, port);
    run(&mut lan, console, device, Some(RoomSecret::new([1; 32]).prs()));
    let host = lan.when(|| shown.borrow().clone());
    let screen = terminal(&mut lan, &host);
    shows(&mut lan, &screen, "On the network as 169.254.");
    type_in(&mut lan, &host, "send over the cable\r");
    let token = lan.until(&other, |event| match event {
        Event::Appeared { offer, .. } => Some(offer.token),
        _ => None,
    });
    other.fetch(token);
    let slot = lan.until(&other, |event| match event {
        Event::Received { slot, .. } => Some(*slot),
        _ => None,
    });
    assert_eq!(other.bytes(slot), b"over the cable");
    shows(&mut lan, &screen, "wiped here");
}

#[test]
fn a_board_starts_without_a_host_and_refuses_again_to_whomever_opens_the_port() {
    for manner in MANNERS {
        let mut lan = Lan::new();
        let (cable, console, device) = device(&mut lan, manner, BOARD);
        let (began, started) = (clock::now(), run(&mut lan, console, device, None));
        lan.pass(Duration::from_secs(10));
        assert_eq!(started.get(), Some(began), "{manner:?}: nothing waits for a host");
        for _ in 0..2 {
            cable.plug();
            let host = host_of(&mut lan, &cable);
            let screen = terminal(&mut lan, &host);
            shows(&mut lan, &screen, "two packets to say so");
            cable.unplug();
            lan.pass(Duration::from_secs(10));
        }
    }
}

#[test]
fn a_terminal_that_is_open_and_takes_nothing_holds_nothing_up() {
    for manner in MANNERS {
        let mut lan = Lan::new();
        let (cable, console, device) = device(&mut lan, manner, BOARD);
        cable.plug();
        let host = host_of(&mut lan, &cable);
        let opened = host.clone();
        done(&mut lan, async move { opened.open_serial(true).await });
        let (began, started) = (clock::now(), run(&mut lan, console, device, None));
        lan.pass(Duration::from_secs(10));
        let waited = started.get().map(|started| started - began);
        assert!(waited.is_some_and(|waited| waited < Duration::from_secs(2)), "{manner:?}: {waited:?}");
        // Once its user types, it is heard again.
        let screen = Rc::new(RefCell::new(VecDeque::new()));
        let (on, from) = (screen.clone(), host.clone());
        lan.spawn(async move {
            loop {
                let printed = from.printed().await;
                on.borrow_mut().push_back(printed);
            }
        });
        lan.pass(Duration::from_secs(1));
        screen.borrow_mut().clear();
        type_in(&mut lan, &host, "\r");
        shows(&mut lan, &screen, "two packets to say so");
    }
}
