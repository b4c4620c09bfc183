use std::net::Ipv4Addr;

use deaddrop_core::limits::LINGER_BUSY;
use deaddrop_core::token::TokenPrefix;

use super::*;
use crate::fetch::error::FetchError;
use crate::{Network, Room};

/// A sender on loopback, on ports of its own.
fn sender(udp_port: u16) -> Sender {
    let room = Room { secret: deaddrop_core::crypto::keys::RoomSecret::new([7; 32]) };
    let network = Network { udp_port, interfaces: vec!["lo".into()], mdns: false };
    Sender::message(b"drop".to_vec()).unwrap().tcp_port(0).network(network).offer(&room).unwrap()
}

#[test]
fn a_stop_takes_the_drop_back_and_the_sender_still_answers_for_a_moment() {
    let mut sender = sender(48_720);
    sender.stopper().stop();
    smol::block_on(async {
        let ended = SenderEvent::Ended(Ended::Stopped { unconfirmed: false });
        assert_eq!(sender.next_event().await.unwrap(), ended);
        let begun = clock::now();
        sender.linger().await.unwrap();
        assert!(clock::now() >= begun + LINGER_INTERRUPTED);
    });
}

#[test]
fn a_stop_after_the_end_cuts_the_linger_short() {
    let mut sender = sender(48_721);
    sender.ended = Some(Ended::Fetched);
    sender.stopper().stop();
    let begun = clock::now();
    smol::block_on(sender.linger()).unwrap();
    assert!(clock::now() < begun + LINGER);
}

/// Serves until the end while `receive` runs; returns when the end came, and lingers.
async fn served_until(sender: &mut Sender, receive: impl Future<Output = Receiving>) -> (Receiving, Instant) {
    let serve = async {
        while !matches!(sender.next_event().await.unwrap(), SenderEvent::Ended(_)) {}
        let ended = clock::now();
        sender.linger().await.unwrap();
        ended
    };
    future::zip(receive, serve).await
}

/// When a receiver was told that the drop is busy.
type Receiving = Option<Instant>;

fn receiver(udp_port: u16) -> crate::Receiver {
    let room = Room { secret: deaddrop_core::crypto::keys::RoomSecret::new([7; 32]) };
    let network = Network { udp_port, interfaces: vec!["lo".into()], mdns: false };
    crate::Receiver::new(&room).network(network).wait(Duration::ZERO)
}

#[test]
fn a_sender_that_expects_nobody_back_lingers_for_its_farewells_alone() {
    let mut sender = sender(48_723);
    let (port, token) = (sender.port(), TokenPrefix::from(sender.token()));
    let receive = async {
        let claim = receiver(48_723).claim_from(Ipv4Addr::LOCALHOST.into(), Some(port), token).await.unwrap();
        assert!(claim.message().await.unwrap().confirmed);
        None
    };
    let (_, ended) = smol::block_on(served_until(&mut sender, receive));
    let lingered = clock::now().since(ended);
    assert!((LINGER_MIN..LINGER).contains(&lingered), "{lingered:?}");
    assert!(!sender.server.expects_receivers());
}

#[test]
fn a_receiver_that_was_told_busy_is_expected_back() {
    let mut sender = sender(48_724);
    let (port, token) = (sender.port(), TokenPrefix::from(sender.token()));
    let receive = async {
        let (first, second) = (receiver(48_724), receiver(48_724));
        let claim = first.claim_from(Ipv4Addr::LOCALHOST.into(), Some(port), token).await.unwrap();
        let asked = clock::now();
        let refused = second.claim_from(Ipv4Addr::LOCALHOST.into(), Some(port), token).await.unwrap_err();
        assert!(matches!(refused, Error::Fetch(FetchError::Busy(_))), "{refused}");
        assert!(claim.message().await.unwrap().confirmed);
        Some(asked)
    };
    let (asked, _) = smol::block_on(served_until(&mut sender, receive));
    assert!(clock::now() >= asked.unwrap() + LINGER_BUSY);
}

#[test]
fn a_drop_for_all_is_had_by_more_receivers_than_can_be_counted_and_ends_with_its_time() {
    const RECEIVERS: usize = 70;
    let room = Room { secret: deaddrop_core::crypto::keys::RoomSecret::new([7; 32]) };
    let network = Network { udp_port: 48_725, interfaces: vec!["lo".into()], mdns: false };
    let drop = Sender::message(b"drop".to_vec()).unwrap().tcp_port(0).network(network).fetches(Fetches::All);
    let mut sender = drop.ttl(Duration::from_secs(60)).offer(&room).unwrap();
    let (port, token) = (sender.port(), TokenPrefix::from(sender.token()));
    let server = sender.server.clone();
    let receive = async {
        for _ in 0..RECEIVERS {
            let claim = receiver(48_725).claim_from(Ipv4Addr::LOCALHOST.into(), Some(port), token).await;
            let received = claim.unwrap().message().await.unwrap();
            assert!(received.confirmed && received.content.as_slice() == b"drop");
        }
        // The TTL is over.
        let later = clock::now() + Duration::from_secs(60);
        server.with(|serving| serving.handle_timeout(later, &mut crate::random::system()));
        server.changed.notify(usize::MAX);
    };
    let serve = async {
        let mut fetched = 0;
        loop {
            match sender.next_event().await.unwrap() {
                SenderEvent::Fetched { .. } => fetched += 1,
                SenderEvent::Ended(ended) => break (fetched, ended),
                _ => {}
            }
        }
    };
    let ((), served) = smol::block_on(future::zip(receive, serve));
    assert_eq!(served, (RECEIVERS, Ended::Expired { unconfirmed: false }));
}

#[test]
fn its_futures_run_on_any_executor() {
    fn is_send<T: Send>(_: &T) {}
    let mut sender = sender(48_722);
    is_send(&sender.next_event());
}
