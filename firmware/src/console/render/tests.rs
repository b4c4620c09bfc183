extern crate std;

use core::time::Duration;

use super::*;
use crate::console::text_buffer::{TEXT_MAX, TextBuffer};
use crate::mailbox::CommandError;
use crate::store::{NoSpace, Store};
use core::net::Ipv4Addr;
use deaddrop_core::drops::PutError;
use deaddrop_core::offer::EndReason;
use deaddrop_core::offer::Name;
use deaddrop_core::session::{ClientError, HandshakeError};
use deaddrop_core::token::Token;
use deaddrop_core::wire::ErrorCode;
use std::string::String;
use std::vec::Vec;

const TOKEN: Token = Token::from_bytes([0; 16]);
const ZEROS: &str = "00000000000000000000000000";

fn at(last: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, last), port).into()
}

fn summary(name: &str, size: u64) -> OfferSummary {
    let kind = if name.is_empty() { Kind::Message } else { Kind::File };
    OfferSummary { token: TOKEN, kind, name: Label::of(name), size, ttl: Duration::from_millis(119_900) }
}

fn said(happened: &Event) -> String {
    let mut words = TextBuffer::new();
    event(&mut words, happened).unwrap();
    String::from_utf8(words.as_bytes().to_vec()).unwrap()
}

#[test]
fn every_event_has_its_text() {
    let by = Ipv4Addr::new(10, 0, 0, 7).into();
    let name = || Label::of("a.txt");
    for (event, words) in [
        (
            Event::Appeared { offer: summary("a\x1b[2J.txt", 12), from: at(7, 48_556) },
            "file \"a\\u{1b}[2J.txt\", 12 bytes from 10.0.0.7, for 119 s more\r\n  fetch TOKEN\r\n",
        ),
        (
            Event::Offer { offer: summary("", 1), from: at(7, 48_556) },
            "message, 1 byte from 10.0.0.7, for 119 s more\r\n  fetch TOKEN\r\n",
        ),
        (Event::Offers { count: 0, more: false }, "Nothing is offered in this room\r\n"),
        (Event::Offers { count: 2, more: false }, ""),
        (
            Event::Offers { count: 8, more: true },
            "There are more than this board can keep: fetch those with: fetch TOKEN from IP\r\n",
        ),
        (Event::Gone { token: TOKEN, reason: EndReason::Lost }, "Gone (lost): TOKEN\r\n"),
        (
            Event::Fetching { token: TOKEN, kind: Kind::File, name: name(), size: 12, from: at(7, 1) },
            "Fetching file \"a.txt\", 12 bytes from 10.0.0.7\r\n",
        ),
        (
            Event::Offering { drop: summary("a.txt", 12), at: at(9, 48_556) },
            "Offering file \"a.txt\", 12 bytes, for 119 s\r\n  \
             deaddrop fetch --from 10.0.0.9:48556 --token TOKEN\r\n",
        ),
        (
            Event::Fetched { token: TOKEN, name: name(), size: 12, by },
            "Fetched: \"a.txt\", 12 bytes, by 10.0.0.7; wiped here\r\n",
        ),
        (
            Event::Ended { token: TOKEN, name: name(), reason: EndReason::Expired, unconfirmed: false },
            "Expired: \"a.txt\"; wiped here\r\n",
        ),
        (
            Event::Ended { token: TOKEN, name: name(), reason: EndReason::Withdrawn, unconfirmed: true },
            "Taken back: \"a.txt\"; a receiver that did not confirm may have it all the same; wiped here\r\n",
        ),
        (Event::Forgotten { name: name() }, "Wiped: \"a.txt\"\r\n"),
        (Event::Auto(true), "Messages are fetched as they are offered\r\n"),
        (Event::Auto(false), "Nothing is fetched unless you say so\r\n"),
        (Event::Address(Some(Ipv4Addr::new(10, 0, 0, 9))), "On the network as 10.0.0.9\r\n"),
        (
            Event::AddressTaken(Ipv4Addr::new(10, 0, 0, 9)),
            "Address 10.0.0.9 is taken: another device has it too. Give that one or this board another\r\n",
        ),
        (Event::Address(None), "Off the network: check cable or Wi-Fi\r\n"),
        (Event::Notice("In the Wi-Fi network"), "In the Wi-Fi network\r\n"),
        (
            Event::Failed { token: Some(TOKEN), why: CommandError::Refused(ErrorCode::Gone) },
            "Not done: it is gone: ask its sender for another\r\n  TOKEN\r\n",
        ),
        (
            Event::Failed {
                token: None,
                why: CommandError::NoSpace(NoSpace { needed: 20_000, free: 16_000 }),
            },
            "Not done: 20000 bytes do not fit, at most 16000 do: forget something first\r\n",
        ),
        (
            Event::Guessing { source: Some(by), failures: 3 },
            "Warning: 3 wrong guesses at the passphrase from 10.0.0.7: \
             look who is on this network; a strong passphrase holds\r\n",
        ),
        (
            Event::Guessing { source: None, failures: 32 },
            "Warning: 32 wrong guesses at the passphrase from many addresses: \
             look who is on this network; a strong passphrase holds\r\n",
        ),
    ] {
        assert_eq!(said(&event), words.replace("TOKEN\r", &std::format!("{ZEROS}\r")));
    }
}

#[test]
fn a_status_says_what_is_wrong_with_the_network() {
    let mut status = Status {
        link: true,
        address: Some(Ipv4Addr::new(10, 0, 0, 9)),
        port: 48_556,
        offers: 2,
        members: 3,
        drops: 1,
        auto: true,
        up: Duration::from_secs(7_200),
    };
    assert_eq!(
        said(&Event::Status(status)),
        "Network: 10.0.0.9, drops at port 48556\r\nRoom: 3 members heard, 2 offers; 1 of this board's own\r\n\
         Messages are fetched as they are offered; on for 120 min\r\n"
    );
    status.address = None;
    assert!(said(&Event::Status(status)).starts_with("Network: no address yet\r\n"));
    (status.link, status.auto) = (false, false);
    let words = said(&Event::Status(status));
    assert!(words.starts_with("Network: no link\r\n") && words.contains("when you say so"), "{words}");
}

#[test]
fn every_failure_says_what_happened_and_what_to_do() {
    let retry_after = Duration::from_millis(u64::from(u32::MAX));
    let failures = [
        CommandError::NoNetwork,
        CommandError::Unknown,
        CommandError::Ambiguous,
        CommandError::Own,
        CommandError::Fetching,
        CommandError::Folder,
        CommandError::NoSpace(NoSpace { needed: u64::MAX, free: usize::MAX }),
        CommandError::Unreachable,
        CommandError::Client(ClientError::NotMember),
        CommandError::Client(ClientError::Handshake(HandshakeError::Busy { retry_after })),
        CommandError::Refused(ErrorCode::Gone),
        CommandError::Refused(ErrorCode::Expired),
        CommandError::Refused(ErrorCode::Busy { retry_after }),
        CommandError::Refused(ErrorCode::Unknown),
        CommandError::Refused(ErrorCode::Changed),
        CommandError::Refused(ErrorCode::Malformed),
        CommandError::Forgotten,
        CommandError::Put(PutError::Full),
        CommandError::Put(PutError::Randomness),
        CommandError::Offered,
        CommandError::NotWhole,
    ];
    for why in failures {
        let words = said(&Event::Failed { token: Some(TOKEN), why });
        assert!(words.ends_with(&std::format!("\r\n  {ZEROS}\r\n")), "{words}");
        assert!(!words.contains("--"), "no flags of the host: {words}");
    }
}

#[test]
fn the_longest_of_each_fits() {
    // Six bytes for each of its own is the most that escaping makes of a text.
    let worst = std::format!("{}tail", "\u{1}".repeat(44));
    let from = SocketAddr::new(Ipv4Addr::BROADCAST.into(), u16::MAX);
    let by = from.ip();
    let offer = OfferSummary {
        token: TOKEN,
        kind: Kind::Directory,
        name: Label::of(&worst),
        size: u64::MAX,
        ttl: Duration::from_secs(604_800),
    };
    let name = Label::of(&worst);
    for event in [
        Event::Appeared { offer: offer.clone(), from },
        Event::Offering { drop: offer, at: from },
        Event::Fetching { token: TOKEN, kind: Kind::Directory, name: name.clone(), size: u64::MAX, from },
        Event::Fetched { token: TOKEN, name: name.clone(), size: u64::MAX, by },
        Event::Ended { token: TOKEN, name, reason: EndReason::Withdrawn, unconfirmed: true },
    ] {
        let words = said(&event);
        // The line that is being typed is taken off the terminal in front of it.
        assert!(words.len() + 4 <= TEXT_MAX && words.ends_with("\r\n"), "{}", words.len());
    }
}

#[test]
fn entries_are_listed_with_how_far_they_are() {
    let mut store = Store::<1_024, 4>::new();
    let long = "n".repeat(60);
    let slots: Vec<_> = [("a.txt", Kind::File), ("", Kind::Message), (&long, Kind::File)]
        .map(|(name, kind)| store.reserve(&Name::new(name).unwrap(), kind, 1).unwrap())
        .into();
    for slot in &slots[1..] {
        store.write(*slot, 0, b"x").unwrap();
        store.finish(*slot).unwrap();
    }
    store.set_offered(slots[1], Some(TOKEN)).unwrap();
    let mut words = TextBuffer::new();
    for held in store.iter() {
        listed(&mut words, &held).unwrap();
    }
    received(&mut words, &store.get(slots[1]).unwrap()).unwrap();
    received(&mut words, &store.get(slots[0]).unwrap()).unwrap();
    kept(&mut words, &store.get(slots[0]).unwrap()).unwrap();
    let n = "n".repeat(44);
    assert_eq!(
        core::str::from_utf8(words.as_bytes()).unwrap(),
        std::format!(
            "#1 file \"a.txt\", 1 byte, not all here yet\r\n#2 message \"message\", 1 byte, offered\r\n  {ZEROS}\r\n\
             #3 file \"{n}...\", 1 byte\r\nReceived message \"message\", 1 byte, as #2:\r\n\
             Received file \"a.txt\", 1 byte, as #1: show #1\r\nKept file \"a.txt\", 1 byte, as #1: offer #1\r\n"
        )
    );
}
