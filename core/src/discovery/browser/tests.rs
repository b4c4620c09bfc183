extern crate std;

use core::net::SocketAddr;
use core::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::*;
use crate::offer::{EndReason, Kind, Name, Offer};
use crate::token::Token;
use crate::wire::BeaconKind;

type Small = Browser<8, 2, 16>;

const PEER: Instance = Instance::from_bytes(*b"instance");

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 48_556))
}

fn offer(n: u8) -> Offer {
    Offer {
        token: Token::from_bytes([n; 16]),
        kind: Kind::Message,
        name: Name::default(),
        size: 5,
        ttl_left: Duration::from_secs(60),
        fetches_left: 1,
    }
}

/// A browser with a probe of one peer started.
fn probing() -> (Small, Probe, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut browser = Small::new(at(0), Instance::from_bytes(*b"ourselvs"));
    assert!(browser.poll_transmit(at(0)).is_some());
    let via = Arrival { from: address(), attached: true, loopback: false };
    let beacon = Beacon { kind: BeaconKind::Answer, port: 48_556, instance: PEER, revision: 7 };
    browser.handle_beacon(at(1), &via, &beacon, &mut rng);
    let probe = browser.poll_probe(at(1), &mut rng).unwrap();
    (browser, probe, rng)
}

fn shown(browser: &mut Small) -> std::vec::Vec<OfferEvent> {
    std::iter::from_fn(|| browser.poll_event()).collect()
}

#[test]
fn a_whole_list_is_shown_and_what_the_next_one_lacks_is_withdrawn() {
    let (mut browser, probe, mut rng) = probing();
    browser.handle_line(at(2), &probe, &ListEvent::Offer(offer(1)));
    browser.handle_line(at(2), &probe, &ListEvent::Offer(offer(2)));
    browser.handle_probe(at(3), &probe, Ok(7));
    assert_eq!(shown(&mut browser).len(), 2);
    assert_eq!(browser.offers().count(), 2);
    // After 45 s of silence it is probed again.
    let probe = browser.poll_probe(at(60_000), &mut rng).unwrap();
    browser.handle_line(at(60_000), &probe, &ListEvent::Offer(offer(2)));
    browser.handle_probe(at(60_001), &probe, Ok(8));
    let gone = OfferEvent::Gone { token: offer(1).token, instance: PEER, reason: EndReason::Withdrawn };
    assert_eq!(shown(&mut browser), [gone]);
}

#[test]
fn a_first_list_that_broke_off_is_withdrawn_once_its_sender_is_given_up() {
    for (error, tries) in [
        (ProbeError::Session(ClientError::NotMember), 1),
        (ProbeError::Session(ClientError::Reset), 3),
        (ProbeError::Unreachable, 3),
    ] {
        let (mut browser, mut probe, mut rng) = probing();
        browser.handle_line(at(2), &probe, &ListEvent::Offer(offer(1)));
        for n in 1..=tries {
            browser.handle_probe(at(n * 1_000), &probe, Err(error));
            if n < tries {
                assert_eq!(browser.offers().count(), 1, "it is probed again, so its offer stays");
                probe = browser.poll_probe(at(n * 1_000 + 900), &mut rng).unwrap();
            }
        }
        shown(&mut browser);
        assert_eq!(browser.offers().count(), 0, "{error:?}");
    }
}

#[test]
fn a_list_that_broke_off_withdraws_nothing_of_a_member() {
    let (mut browser, probe, mut rng) = probing();
    browser.handle_line(at(2), &probe, &ListEvent::Offer(offer(1)));
    browser.handle_probe(at(3), &probe, Ok(7));
    let probe = browser.poll_probe(at(60_000), &mut rng).unwrap();
    browser.handle_probe(at(60_001), &probe, Err(ProbeError::Session(ClientError::Reset)));
    let probe = browser.poll_probe(at(61_000), &mut rng).unwrap();
    browser.handle_probe(at(61_001), &probe, Err(ProbeError::Interrupted));
    assert_eq!(browser.offers().count(), 1);
}

#[test]
fn each_end_of_a_probe_has_its_result() {
    let busy = HandshakeError::Busy { retry_after: Duration::from_secs(9) };
    let table = [
        (Ok(4), ProbeResult::Listed { revision: 4 }),
        (Err(ProbeError::Unreachable), ProbeResult::Failed),
        (Err(ProbeError::Interrupted), ProbeResult::Busy { retry_after: PROBE_BUSY_DEFAULT }),
        (Err(ClientError::NotMember.into()), ProbeResult::NotMember),
        (Err(ClientError::NoBudget.into()), ProbeResult::NoBudget),
        (Err(ClientError::Busy.into()), ProbeResult::Busy { retry_after: PROBE_BUSY_DEFAULT }),
        (Err(ClientError::Handshake(busy).into()), ProbeResult::Busy { retry_after: Duration::from_secs(9) }),
        // Not busy: the peer of the beacon is no longer there.
        (Err(ClientError::Handshake(HandshakeError::OtherInstance).into()), ProbeResult::Failed),
        (Err(ClientError::Handshake(HandshakeError::NoSuite).into()), ProbeResult::Failed),
        (Err(ClientError::Silent.into()), ProbeResult::Failed),
        // Not again and again: it would be as broken the next time.
        (Err(ClientError::Protocol.into()), ProbeResult::NotMember),
    ];
    for (end, expected) in table {
        assert_eq!(result(end), expected, "{end:?}");
    }
}

#[test]
fn a_full_table_says_so_until_there_is_room() {
    let (mut browser, probe, mut rng) = probing();
    for n in 1..=3 {
        browser.handle_line(at(2), &probe, &ListEvent::Offer(offer(n)));
    }
    browser.handle_probe(at(3), &probe, Ok(7));
    shown(&mut browser);
    assert!(browser.is_crowded());
    let probe = browser.poll_probe(at(50_000), &mut rng).unwrap();
    browser.handle_line(at(50_000), &probe, &ListEvent::Offer(offer(1)));
    browser.handle_probe(at(50_001), &probe, Ok(8));
    assert_eq!(shown(&mut browser).len(), 1);
    assert!(!browser.is_crowded());
}

#[test]
fn a_member_with_many_offers_hides_no_other_member() {
    let (mut browser, probe, mut rng) = probing();
    for n in 1..=3 {
        browser.handle_line(at(2), &probe, &ListEvent::Offer(offer(n)));
    }
    browser.handle_probe(at(3), &probe, Ok(7));
    assert_eq!(shown(&mut browser).len(), 2);
    let from = SocketAddr::from(([10, 0, 0, 3], 48_556));
    let (via, instance) =
        (Arrival { from, attached: true, loopback: false }, Instance::from_bytes(*b"another1"));
    let beacon = Beacon { kind: BeaconKind::Answer, port: 48_556, instance, revision: 7 };
    browser.handle_beacon(at(4), &via, &beacon, &mut rng);
    let probe = browser.poll_probe(at(4), &mut rng).unwrap();
    browser.handle_line(at(5), &probe, &ListEvent::Offer(offer(9)));
    browser.handle_probe(at(6), &probe, Ok(1));
    let events = shown(&mut browser);
    assert!(
        matches!(&events[0], OfferEvent::Gone { reason: EndReason::Displaced, instance: PEER, .. }),
        "{events:?}"
    );
    assert!(
        matches!(&events[1], OfferEvent::Appeared { offer: known } if known.offer.token == offer(9).token)
    );
    assert!(browser.is_crowded());
}
