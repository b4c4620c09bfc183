//! How a server's session uses the table of drops while a drop streams.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod net;

use deaddrop_core::exchange::ServerSession;
use deaddrop_core::limits::HOST;
use deaddrop_core::session::{Channel, Close};
use deaddrop_core::token::Token;
use deaddrop_core::wire::{Answer, ErrorCode, FetchRequest, Request};
use net::desk::{Desk, answer, ask};
use net::{ROOM, client, id};

/// A member that has sent `fetch` for a drop of 2,000 bytes in records of 512, and has received only `begin`.
fn begun(desk: &mut Desk) -> (ServerSession, Channel, Token) {
    let token = desk.put(2_000);
    let (mut session, mut channel) = desk.serve(client(1), ROOM);
    let fetch = FetchRequest { token, id: id(1), record_max: 512, offset: 0, digest: None };
    let message = ask(&mut channel, &Request::Fetch(fetch));
    desk.hear(&mut session, &message);
    let mut buffer = vec![0; 532];
    let len = session.poll_transmit(desk.now, &mut desk.serving, &mut buffer).unwrap().unwrap();
    assert!(matches!(answer(&mut channel, &buffer[..len]), Answer::Begin(_)));
    (session, channel, token)
}

fn progress(desk: &mut Desk, session: &mut ServerSession, channel: &mut Channel, token: Token, stored: u64) {
    let message = ask(channel, &Request::Progress { token, id: id(1), stored });
    desk.hear(session, &message);
}

fn claimed(desk: &mut Desk, token: Token) -> u8 {
    desk.serving.drops.handle_timeout(desk.now, &mut desk.rng);
    desk.serving.drops.fetch_counts(&token).unwrap().claimed
}

#[test]
fn a_peer_that_does_not_read_its_answers_gets_backpressure() {
    let desk = &mut Desk::new(1, &HOST);
    let (mut session, mut channel) = desk.serve(client(1), ROOM);
    let token = Token::from_bytes([0; 16]);
    for request in [Request::List { after: None }, Request::Commit { token, id: id(1) }] {
        let message = ask(&mut channel, &request);
        desk.hear(&mut session, &message);
        assert_eq!(session.wants(), None, "{request:?}");
        desk.said(&mut session);
        assert_eq!(session.wants(), Some(512));
    }
}

#[test]
fn a_claim_that_is_lost_before_begin_is_refused_instead() {
    let desk = &mut Desk::new(9, &HOST);
    let token = desk.put(2_000);
    let (mut session, mut channel) = desk.serve(client(1), ROOM);
    let fetch = FetchRequest { token, id: id(1), record_max: 512, offset: 0, digest: None };
    let message = ask(&mut channel, &Request::Fetch(fetch));
    desk.hear(&mut session, &message);
    assert!(desk.serving.drops.withdraw(desk.now, &token, &mut desk.rng));
    let said = desk.said(&mut session);
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
    let desk = &mut Desk::new(2, &HOST);
    let (mut session, mut channel, _) = begun(desk);
    desk.wait(15_000);
    let said = desk.said(&mut session);
    assert_eq!((said.len(), said[0].len()), (1, 532));
    assert_eq!(answer(&mut channel, &said[0]), Answer::Error(ErrorCode::Unknown));
}

#[test]
fn progress_renews_the_lease() {
    let desk = &mut Desk::new(3, &HOST);
    let (mut session, mut channel, token) = begun(desk);
    desk.said(&mut session);
    for _ in 0..3 {
        desk.wait(14_999);
        progress(desk, &mut session, &mut channel, token, 1_536);
        assert!(desk.said(&mut session).is_empty());
        assert_eq!(claimed(desk, token), 1);
    }
    desk.wait(15_000);
    assert_eq!(claimed(desk, token), 0);
}

#[test]
fn progress_beyond_what_was_sent_is_refused() {
    let malformed = Answer::Error(ErrorCode::Malformed);
    let desk = &mut Desk::new(4, &HOST);
    let (mut session, mut channel, token) = begun(desk);
    progress(desk, &mut session, &mut channel, token, 1);
    assert_eq!(answer(&mut channel, &desk.said(&mut session)[0]), malformed);

    let (mut session, mut channel, token) = begun(desk);
    for record in desk.said(&mut session) {
        channel.opener.open(&mut record.clone()).unwrap();
    }
    progress(desk, &mut session, &mut channel, token, 1_536);
    assert!(desk.said(&mut session).is_empty());
    progress(desk, &mut session, &mut channel, token, 1_537);
    assert_eq!(answer(&mut channel, &desk.said(&mut session)[0]), malformed);
}

#[test]
fn ready_is_due_a_minute_after_the_last_data() {
    let desk = &mut Desk::new(5, &HOST);
    let (mut session, mut channel, token) = begun(desk);
    desk.said(&mut session);
    for ms in [14_000, 14_000, 14_000, 14_000, 3_999] {
        desk.wait(ms);
        progress(desk, &mut session, &mut channel, token, 1_536);
        assert_eq!(claimed(desk, token), 1);
    }
    desk.wait(1);
    assert_eq!(claimed(desk, token), 0);
}

#[test]
fn a_stream_serves_its_own_receiver_and_drop_only() {
    for (own_token, who) in [(true, 2), (false, 1)] {
        let desk = &mut Desk::new(6, &HOST);
        let (mut session, mut channel, token) = begun(desk);
        for record in desk.said(&mut session) {
            channel.opener.open(&mut record.clone()).unwrap();
        }
        let token = if own_token { token } else { desk.put(1) };
        let message = ask(&mut channel, &Request::Ready { token, id: id(who) });
        desk.hear(&mut session, &message);
        assert_eq!(answer(&mut channel, &desk.said(&mut session)[0]), Answer::Error(ErrorCode::Malformed));
    }
}
