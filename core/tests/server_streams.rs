//! How a server's session uses the table of drops while a drop streams.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod net;

use deaddrop_core::exchange::ServerSession;
use deaddrop_core::limits::HOST;
use deaddrop_core::session::{Channel, Close};
use deaddrop_core::token::Token;
use deaddrop_core::wire::{Answer, ErrorCode, FetchRequest, Request};
use net::harness::{Harness, answer, ask};
use net::{ROOM, client, id};

/// A member that has sent `fetch` for a drop of 2,000 bytes in records of 512, and has received only `begin`.
fn begun(harness: &mut Harness) -> (ServerSession, Channel, Token) {
    let token = harness.put(2_000);
    let (mut session, mut channel) = harness.serve(client(1), ROOM);
    let fetch = FetchRequest { token, id: id(1), record_max: 512, offset: 0, digest: None };
    let message = ask(&mut channel, &Request::Fetch(fetch));
    harness.hear(&mut session, &message);
    let mut buffer = vec![0; 532];
    let len = session.poll_transmit(harness.now, &mut harness.serving, &mut buffer).unwrap().unwrap();
    assert!(matches!(answer(&mut channel, &buffer[..len]), Answer::Begin(_)));
    (session, channel, token)
}

fn progress(
    harness: &mut Harness,
    session: &mut ServerSession,
    channel: &mut Channel,
    token: Token,
    stored: u64,
) {
    let message = ask(channel, &Request::Progress { token, id: id(1), stored });
    harness.hear(session, &message);
}

fn claimed(harness: &mut Harness, token: Token) -> u8 {
    harness.serving.drops.handle_timeout(harness.now, &mut harness.rng);
    harness.serving.drops.fetch_counts(&token).unwrap().claimed
}

#[test]
fn a_peer_that_does_not_read_its_answers_gets_backpressure() {
    let harness = &mut Harness::new(1, &HOST);
    let (mut session, mut channel) = harness.serve(client(1), ROOM);
    let token = Token::from_bytes([0; 16]);
    for request in [Request::List { after: None }, Request::Commit { token, id: id(1) }] {
        let message = ask(&mut channel, &request);
        harness.hear(&mut session, &message);
        assert_eq!(session.wants(), None, "{request:?}");
        harness.said(&mut session);
        assert_eq!(session.wants(), Some(512));
    }
}

#[test]
fn a_claim_that_is_lost_before_begin_is_refused_instead() {
    let harness = &mut Harness::new(9, &HOST);
    let token = harness.put(2_000);
    let (mut session, mut channel) = harness.serve(client(1), ROOM);
    let fetch = FetchRequest { token, id: id(1), record_max: 512, offset: 0, digest: None };
    let message = ask(&mut channel, &Request::Fetch(fetch));
    harness.hear(&mut session, &message);
    assert!(harness.serving.drops.withdraw(harness.now, &token, &mut harness.rng));
    let said = harness.said(&mut session);
    assert_eq!((said.len(), said[0].len()), (1, 512), "the client does not know R yet");
    assert_eq!(answer(&mut channel, &said[0]), Answer::Error(ErrorCode::Gone));
    assert_eq!(session.closing(), Some(Close::Clean));
}

#[test]
fn sessions_are_small_enough_for_a_board() {
    let size = size_of::<ServerSession>();
    assert!(size <= 640, "{size} bytes: does one hold a name?");
}

#[test]
fn no_data_goes_out_once_the_claim_has_lapsed() {
    let harness = &mut Harness::new(2, &HOST);
    let (mut session, mut channel, _) = begun(harness);
    harness.wait(15_000);
    let said = harness.said(&mut session);
    assert_eq!((said.len(), said[0].len()), (1, 532));
    assert_eq!(answer(&mut channel, &said[0]), Answer::Error(ErrorCode::Unknown));
}

#[test]
fn progress_renews_the_lease() {
    let harness = &mut Harness::new(3, &HOST);
    let (mut session, mut channel, token) = begun(harness);
    harness.said(&mut session);
    for _ in 0..3 {
        harness.wait(14_999);
        progress(harness, &mut session, &mut channel, token, 1_536);
        assert!(harness.said(&mut session).is_empty());
        assert_eq!(claimed(harness, token), 1);
    }
    harness.wait(15_000);
    assert_eq!(claimed(harness, token), 0);
}

#[test]
fn progress_beyond_what_was_sent_is_refused() {
    let malformed = Answer::Error(ErrorCode::Malformed);
    let harness = &mut Harness::new(4, &HOST);
    let (mut session, mut channel, token) = begun(harness);
    progress(harness, &mut session, &mut channel, token, 1);
    assert_eq!(answer(&mut channel, &harness.said(&mut session)[0]), malformed);

    let (mut session, mut channel, token) = begun(harness);
    for record in harness.said(&mut session) {
        channel.opener.open(&mut record.clone()).unwrap();
    }
    progress(harness, &mut session, &mut channel, token, 1_536);
    assert!(harness.said(&mut session).is_empty());
    progress(harness, &mut session, &mut channel, token, 1_537);
    assert_eq!(answer(&mut channel, &harness.said(&mut session)[0]), malformed);
}

#[test]
fn ready_is_due_a_minute_after_the_last_data() {
    let harness = &mut Harness::new(5, &HOST);
    let (mut session, mut channel, token) = begun(harness);
    harness.said(&mut session);
    for ms in [14_000, 14_000, 14_000, 14_000, 3_999] {
        harness.wait(ms);
        progress(harness, &mut session, &mut channel, token, 1_536);
        assert_eq!(claimed(harness, token), 1);
    }
    harness.wait(1);
    assert_eq!(claimed(harness, token), 0);
}

#[test]
fn a_stream_serves_its_own_receiver_and_drop_only() {
    for (own_token, who) in [(true, 2), (false, 1)] {
        let harness = &mut Harness::new(6, &HOST);
        let (mut session, mut channel, token) = begun(harness);
        for record in harness.said(&mut session) {
            channel.opener.open(&mut record.clone()).unwrap();
        }
        let token = if own_token { token } else { harness.put(1) };
        let message = ask(&mut channel, &Request::Ready { token, id: id(who) });
        harness.hear(&mut session, &message);
        assert_eq!(answer(&mut channel, &harness.said(&mut session)[0]), Answer::Error(ErrorCode::Malformed));
    }
}
