//! Beacons from hosts that are not there.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod lan;

use std::net::Ipv4Addr;
use std::time::Duration;

use deaddrop_core::limits::UDP_PORT;
use deaddrop_core::offer::Kind;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::{Beacon, BeaconKind};
use deaddrop_firmware::app::Settings;
use deaddrop_firmware::mailbox::Event;
use lan::Lan;

/// A solicit as it lies on the cable, from `source`, to everybody.
fn solicit(source: Ipv4Addr, number: u8) -> Vec<u8> {
    let instance = Instance::from_bytes([number; 8]);
    let beacon = Beacon { kind: BeaconKind::Solicit, port: 0, instance, revision: 0 }.emit();
    let len = u16::try_from(28 + beacon.len()).unwrap();
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    ip[2..4].copy_from_slice(&len.to_be_bytes());
    ip[12..16].copy_from_slice(&source.octets());
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&(!sum).to_be_bytes());
    let mut udp = [0; 8];
    udp[..2].copy_from_slice(&40_000_u16.to_be_bytes());
    udp[2..4].copy_from_slice(&UDP_PORT.to_be_bytes());
    udp[4..6].copy_from_slice(&(len - 20).to_be_bytes());
    let ethernet = [255, 255, 255, 255, 255, 255, 2, 9, 9, 9, 9, number, 8, 0];
    [&ethernet[..], &ip, &udp, &beacon].concat()
}

#[test]
fn solicits_from_hosts_that_are_not_there_silence_nobody() {
    let mut lan = Lan::new();
    let board = lan.board(1, Settings::default());
    let first = board.offer(&mut lan, Kind::Message, "", b"one");
    lan.pass(Duration::from_secs(2));
    let stranger = lan.switch.port();
    for number in 200..216 {
        stranger.send(&solicit(Ipv4Addr::new(10, 0, 0, number), number));
        lan.pass(Duration::from_millis(50));
    }
    lan.pass(Duration::from_secs(30));
    // One who comes now, and one who has been there: the one hears an answer, the other what is new.
    let late = lan.board(1, Settings::default());
    let appeared = |token| {
        move |event: &Event| {
            matches!(event, Event::Appeared { offer, .. } if offer.token == token).then_some(())
        }
    };
    let began = lan::clock::now();
    lan.until(&late, appeared(first));
    let second = board.offer(&mut lan, Kind::Message, "", b"two");
    lan.until(&late, appeared(second));
    let took = lan::clock::now() - began;
    assert!(took < Duration::from_secs(5), "{took:?}");
}
