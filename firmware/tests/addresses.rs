//! Boards to which nobody gives an address, or one that another device has.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::net::Ipv4Addr;
use std::task::{Context, Waker};
use std::time::Duration;

use deaddrop_core::offer::Kind;
use deaddrop_firmware::app::Settings;
use deaddrop_firmware::board::Neighbours;
use deaddrop_firmware::mailbox::Event;
use embassy_net_driver::{Driver, RxToken};
use lan::switch::Port;
use lan::{Board, Lan, clock, dhcp};

/// Waits until a board has another address than its first `past` events told of.
fn address(lan: &mut Lan, board: &Board, past: usize) -> Ipv4Addr {
    lan.until_after(past, board, |event| match event {
        Event::Address(address) => *address,
        _ => None,
    })
}

/// One gives the other a message.
fn exchange(lan: &mut Lan, from: &Board, to: &Board) {
    let token = from.offer(lan, Kind::Message, "", b"over this address");
    let seen =
        |event: &Event| matches!(event, Event::Appeared { offer, .. } if offer.token == token).then_some(());
    lan.until(to, seen);
    to.fetch(token);
    let received = |event: &Event| match event {
        Event::Received { token: got, slot } if *got == token => Some(*slot),
        Event::Failed { why, .. } => panic!("{why:?}"),
        _ => None,
    };
    let slot = lan.until(to, received);
    assert_eq!(to.bytes(slot), b"over this address");
}

#[test]
fn without_a_dhcp_server_boards_choose_their_addresses_and_exchange_a_message() {
    let mut lan = Lan::new();
    let [a, b] = [(); 2].map(|()| lan.board_without_address(Neighbours::Lan));
    let addresses = [&a, &b].map(|board| address(&mut lan, board, 0));
    assert!(addresses.iter().all(Ipv4Addr::is_link_local), "{addresses:?}");
    assert_ne!(addresses[0], addresses[1]);
    assert!((10..15).contains(&clock::now().as_secs()), "{:?}", clock::now());
    exchange(&mut lan, &a, &b);
    exchange(&mut lan, &b, &a);
}

#[test]
fn on_a_cable_to_one_host_it_waits_for_no_dhcp() {
    let mut lan = Lan::new();
    let board = lan.board_without_address(Neighbours::OneHost);
    assert!(address(&mut lan, &board, 0).is_link_local());
    assert!((4..8).contains(&clock::now().as_secs()), "{:?}", clock::now());
}

#[test]
fn a_dhcp_server_is_told_the_host_name_and_its_lease_is_used() {
    let mut lan = Lan::new();
    let names = dhcp::serve(&mut lan);
    for neighbours in [Neighbours::Lan, Neighbours::OneHost] {
        let board = lan.board_without_address(neighbours);
        assert_eq!(address(&mut lan, &board, 0), dhcp::lease(board.number));
        lan.pass(Duration::from_secs(60));
        assert_eq!(board.count(|event| matches!(event, Event::Address(_))), 1, "and no other is chosen");
        assert_eq!(*names.borrow().last().unwrap(), format!("deaddrop-00000{}", board.number));
    }
}

#[test]
fn a_dhcp_server_that_comes_later_is_found() {
    let mut lan = Lan::new();
    let [a, b] = [(); 2].map(|()| lan.board_without_address(Neighbours::Lan));
    for board in [&a, &b] {
        assert!(address(&mut lan, board, 0).is_link_local());
    }
    dhcp::serve(&mut lan);
    lan.pass(Duration::from_secs(60));
    for board in [&a, &b] {
        let told: Vec<_> =
            board.events.borrow().iter().filter(|e| matches!(e, Event::Address(_))).cloned().collect();
        assert_eq!(told.last(), Some(&Event::Address(Some(dhcp::lease(board.number)))), "{told:?}");
    }
    exchange(&mut lan, &a, &b);
}

#[test]
fn after_the_cable_is_back_an_address_is_chosen_again() {
    let mut lan = Lan::new();
    let board = lan.board_without_address(Neighbours::Lan);
    let first = address(&mut lan, &board, 0);
    lan.switch.plug(board.number, false);
    lan.pass(Duration::from_secs(60));
    assert_eq!(board.events.borrow().last(), Some(&Event::Address(None)));
    lan.switch.plug(board.number, true);
    let events = board.events.borrow().len();
    let second = address(&mut lan, &board, events);
    assert!(first.is_link_local() && second.is_link_local());
}

/// The ARP frames at a port: sender's address, and the address that it is about.
fn asked(port: &mut Port) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let mut asked = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Some((frame, _)) = port.receive(&mut context) {
        let address = |bytes: &[u8]| Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]);
        frame.consume(|frame| {
            if frame[12..14] == [8, 6] {
                asked.push((address(&frame[28..]), address(&frame[38..])));
            }
        });
    }
    asked
}

#[test]
fn an_address_that_is_given_is_asked_for_at_once() {
    let mut lan = Lan::new();
    let mut port = lan.port();
    let (_, address) = lan.stack();
    lan.pass(Duration::from_millis(10));
    assert_eq!(asked(&mut port), [(Ipv4Addr::UNSPECIFIED, address)]);
    lan.pass(Duration::from_secs(600));
    assert_eq!(asked(&mut port).len(), 2, "three times in all");
}

#[test]
fn who_takes_a_chosen_address_is_given_way_to_without_another_wait_for_dhcp() {
    let mut lan = Lan::new();
    let mut port = lan.port();
    let board = lan.board_without_address(Neighbours::Lan);
    let first = address(&mut lan, &board, 0);
    asked(&mut port);
    // An announcement by somebody else.
    let mut frame = vec![0xFF; 6];
    frame.extend([2, 9, 9, 9, 9, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 9, 9, 9, 9, 9]);
    frame.extend([&first.octets()[..], &[0; 6], &first.octets()].concat());
    let (events, before) = (board.events.borrow().len(), clock::now());
    port.send(&frame);
    let second = address(&mut lan, &board, events);
    assert_ne!(first, second);
    assert!(clock::now() - before < Duration::from_secs(8), "{:?}", clock::now() - before);
    // Somebody of the same LAN can ask for it before it is used.
    assert!(asked(&mut port).contains(&(Ipv4Addr::UNSPECIFIED, second)));
}

#[test]
fn silence_among_link_local_addresses_is_no_sign_of_a_deaf_driver() {
    let mut lan = Lan::new();
    let [a, _] = [(); 2].map(|()| lan.board_without_address(Neighbours::OneHost));
    lan.pass(Duration::from_secs(60));
    lan.switch.deafen(a.number);
    lan.pass(Duration::from_secs(20 * 60));
    let fed = a.signs.fed.get();
    lan.pass(Duration::from_secs(60));
    assert!(a.signs.fed.get() > fed + 50, "the watchdog is fed");
}

#[test]
fn that_another_device_has_its_address_is_told_once() {
    let mut lan = Lan::new();
    let first = lan.board(1, Settings::default());
    lan.pass(Duration::from_secs(5));
    let second = lan.board_at(first.address, Settings::default());
    lan.pass(Duration::from_secs(60));
    let told = |event: &Event| *event == Event::AddressTaken(first.address);
    assert_eq!((first.count(told), second.count(told)), (1, 1));
    let third = lan.board(1, Settings::default());
    lan.pass(Duration::from_secs(60));
    assert_eq!(third.count(|event| matches!(event, Event::AddressTaken(_))), 0);
}
