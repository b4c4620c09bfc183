//! Deadlines of connections, guesses of strangers, and how a server stops.

mod net;

use std::time::Duration;

use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::exchange::ServerSession;
use deaddrop_core::guard::Warning;
use deaddrop_core::limits::{BOARD, HOST, Profile};
use deaddrop_core::session::{ClientError, ClientSession, Close, HandshakeError};
use deaddrop_core::time::Instant;
use deaddrop_core::token::Instance;
use deaddrop_core::wire::{Answer, Request};
use net::harness::{Harness, ask, reply, seal};
use net::{ROOM, SERVER, client};

const LIST: Request = Request::List { after: None };

/// Asserts that nothing happens before `ms`, and that the session closes this way at `ms`.
fn closes(harness: &mut Harness, session: &mut ServerSession, start: Instant, ms: u64, how: Close) {
    let due = start + Duration::from_millis(ms);
    assert_eq!(session.poll_timeout(&harness.serving), Some(due));
    harness.now = Instant::from_millis(due.as_millis() - 1);
    session.handle_timeout(harness.now, &harness.serving);
    assert_eq!(session.closing(), None);
    harness.now = due;
    session.handle_timeout(harness.now, &harness.serving);
    assert_eq!(session.closing(), Some(how));
    session.closed(harness.now, &mut harness.serving);
    assert_eq!(session.poll_timeout(&harness.serving), None);
}

/// Number of failed guesses in the warnings.
fn failures(harness: &mut Harness) -> u32 {
    harness.serving.guard.poll_warning(harness.now).map_or(0, |warning| match warning {
        Warning::Guessing { failures, .. } => failures,
        _ => 0,
    })
}

#[test]
fn message_2_is_due_within_two_seconds() {
    let harness = &mut Harness::new(1, &HOST);
    let start = harness.now;
    let mut session = harness.serving.open(harness.now, client(1), &mut harness.rng);
    harness.said(&mut session);
    closes(harness, &mut session, start, 2_000, Close::Clean);
}

#[test]
fn the_whole_handshake_is_due_within_twenty_and_its_failure_is_a_guess() {
    let harness = &mut Harness::new(2, &HOST);
    let start = harness.now;
    let mut sessions = [(); 3].map(|()| harness.serve(client(1), ROOM).0);
    for session in &mut sessions {
        closes(harness, session, start, 20_000, Close::Reset);
    }
    assert_eq!(failures(harness), 3);
}

#[test]
fn a_stranger_is_closed_in_order_and_counts_as_a_guess() {
    let harness = &mut Harness::new(3, &HOST);
    for _ in 0..3 {
        let (mut session, mut channel) = harness.serve(client(1), 2);
        let message = ask(&mut channel, &LIST);
        assert_eq!(harness.hear(&mut session, &message), None);
        assert!(!session.is_member());
        assert!(harness.said(&mut session).is_empty());
        assert_eq!(session.closing(), Some(Close::Clean));
        session.closed(harness.now, &mut harness.serving);
    }
    assert_eq!(failures(harness), 3);
}

#[test]
fn a_close_before_message_4_counts_as_a_guess() {
    let harness = &mut Harness::new(4, &HOST);
    for _ in 0..3 {
        let (mut session, _) = harness.serve(client(1), ROOM);
        session.handle_close();
        session.closed(harness.now, &mut harness.serving);
    }
    assert_eq!(failures(harness), 3);
}

#[test]
fn an_undecodable_share_is_reset_and_counts_as_a_guess() {
    let harness = &mut Harness::new(5, &HOST);
    for _ in 0..3 {
        let mut session = harness.serving.open(harness.now, client(1), &mut harness.rng);
        harness.said(&mut session);
        let mut hello = [0; 49];
        hello[0] = 1;
        harness.hear(&mut session, &hello);
        assert!(harness.said(&mut session).is_empty());
        assert_eq!(session.closing(), Some(Close::Reset));
        session.closed(harness.now, &mut harness.serving);
    }
    assert_eq!(failures(harness), 3);
}

#[test]
fn members_cost_no_guess() {
    let harness = &mut Harness::new(6, &HOST);
    for _ in 0..100 {
        let (mut session, mut channel) = harness.serve(client(1), ROOM);
        let message = ask(&mut channel, &LIST);
        harness.hear(&mut session, &message);
        session.handle_close();
        session.closed(harness.now, &mut harness.serving);
    }
    assert_eq!(failures(harness), 0);
}

#[test]
fn an_idle_member_is_closed_after_five_seconds_or_one() {
    for (profile, ms) in [(&HOST, 5_000), (&BOARD, 1_000)] {
        let harness = &mut Harness::new(7, profile);
        let (mut session, mut channel) = harness.serve(client(1), ROOM);
        harness.wait(500);
        let start = harness.now;
        let message = ask(&mut channel, &LIST);
        harness.hear(&mut session, &message);
        harness.said(&mut session);
        closes(harness, &mut session, start, ms, Close::Clean);
    }
}

#[test]
fn a_stopping_server_resets_what_it_has_not_answered() {
    let harness = &mut Harness::new(8, &HOST);
    let mut greeted = harness.serving.open(harness.now, client(1), &mut harness.rng);
    harness.said(&mut greeted);
    let (mut unproved, _) = harness.serve(client(2), ROOM);
    let (mut idle, mut channel) = harness.serve(client(3), ROOM);
    let message = ask(&mut channel, &LIST);
    harness.hear(&mut idle, &message);
    harness.said(&mut idle);
    let (mut asking, mut channel) = harness.serve(client(4), ROOM);
    let message = ask(&mut channel, &LIST);
    harness.hear(&mut asking, &message);
    let (mut stranger, mut channel) = harness.serve(client(5), 2);
    harness.serving.stop();
    for session in [&mut greeted, &mut unproved, &mut asking, &mut idle] {
        session.stop();
    }
    assert_eq!(greeted.closing(), Some(Close::Reset));
    assert_eq!(unproved.closing(), Some(Close::Reset));
    assert_eq!(asking.closing(), Some(Close::Reset));
    assert_eq!(idle.closing(), Some(Close::Clean));
    let message = ask(&mut channel, &LIST);
    harness.hear(&mut stranger, &message);
    assert_eq!(stranger.closing(), Some(Close::Reset));
}

#[test]
fn a_full_server_greets_with_busy_and_closes() {
    static FULL: Profile = Profile { unauthenticated: 0, ..HOST };
    let harness = &mut Harness::new(9, &FULL);
    let mut session = harness.serving.open(harness.now, client(1), &mut harness.rng);
    let greeting = harness.said(&mut session).remove(0);
    assert_eq!(session.closing(), Some(Close::Clean));
    let mut asking = ClientSession::new(harness.now, SERVER, None, None);
    let error = harness.tell(&mut asking, &greeting).unwrap_err();
    assert!(matches!(error, ClientError::Handshake(HandshakeError::Busy { .. })), "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
}

#[test]
fn a_greeting_of_another_instance_or_our_own_goes_no_further() {
    let harness = &mut Harness::new(10, &HOST);
    let (this, other) = (harness.serving.instance(), Instance::from_bytes([1; 8]));
    for (expected, own, error) in [
        (Some(other), None, Some(HandshakeError::OtherInstance)),
        (None, Some(this), Some(HandshakeError::OwnInstance)),
        (Some(this), Some(other), None),
    ] {
        let mut server = harness.serving.open(harness.now, client(1), &mut harness.rng);
        let greeting = harness.said(&mut server).remove(0);
        let mut asking = ClientSession::new(harness.now, SERVER, expected, own);
        let told = harness.tell(&mut asking, &greeting).err();
        assert_eq!(told, error.map(ClientError::Handshake));
        assert_eq!(Harness::asked(&mut asking).len(), usize::from(error.is_none()));
    }
}

#[test]
fn every_wait_of_a_client_has_a_deadline() {
    let harness = &mut Harness::new(11, &HOST);
    let start = harness.now;
    let mut waiting = ClientSession::new(start, SERVER, None, None);
    assert_eq!(waiting.poll_timeout(), Some(start + Duration::from_secs(4)));
    let mut silent = ClientSession::new(start, SERVER, None, None);
    assert_eq!(silent.handle_timeout(start + Duration::from_secs(4)), Err(ClientError::Silent));
    let mut server = harness.serving.open(harness.now, client(1), &mut harness.rng);
    let greeting = harness.said(&mut server).remove(0);
    harness.tell(&mut waiting, &greeting).unwrap();
    assert_eq!(waiting.poll_timeout(), Some(start + Duration::from_secs(20)));
    assert_eq!(waiting.handle_close(true), ClientError::Busy);
    assert_eq!(waiting.handle_timeout(start + Duration::from_millis(19_999)), Ok(()));
    assert_eq!(waiting.handle_timeout(start + Duration::from_secs(20)), Err(ClientError::Busy));
    let (mut waiting, _) = harness.visit(ROOM);
    waiting.list(harness.now, None).unwrap();
    assert_eq!(waiting.handle_timeout(harness.now + Duration::from_secs(15)), Err(ClientError::Silent));
}

#[test]
fn a_fake_server_gets_ten_sealed_requests_and_no_more() {
    let harness = &mut Harness::new(12, &HOST);
    for round in 0..10 {
        let (mut session, mut channel) = harness.visit(2);
        session.list(harness.now, None).unwrap();
        let said = Harness::asked(&mut session);
        assert_eq!((said.len(), said[0].len()), (1, 512), "and nothing but that");
        let mut record = said[0].clone();
        assert!(channel.opener.open(&mut record).is_err(), "which it cannot open");
        let garbage = match round % 2 {
            0 => vec![round; 512],
            _ => reply(&mut channel, &Answer::Filler, 512),
        };
        assert_eq!(harness.tell(&mut session, &garbage), Err(ClientError::NotMember));
        assert!(Harness::asked(&mut session).is_empty());
    }
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| harness.visit(2)));
    assert!(refused.is_err(), "the eleventh");
    // A handshake with a member costs nothing once it is confirmed.
    let harness = &mut Harness::new(13, &HOST);
    for _ in 0..30 {
        let (mut session, mut channel) = harness.visit(ROOM);
        session.list(harness.now, None).unwrap();
        Harness::asked(&mut session);
        let mut payload = [0; 492];
        let len = Answer::Filler.emit(&mut payload).unwrap();
        let message = seal(&mut channel, RecordKind::Control, &payload[..len], 512);
        assert!(harness.tell(&mut session, &message).is_ok());
        assert!(session.is_confirmed());
    }
}
