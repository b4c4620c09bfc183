//! Boards to which nobody gives an address, or one that another device has.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::net::Ipv4Addr;
use std::time::Duration;

use deaddrop_core::offer::Kind;
use deaddrop_firmware::app::Settings;
use deaddrop_firmware::board::Neighbours;
use deaddrop_firmware::mailbox::Event;
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
