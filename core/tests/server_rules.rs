//! Rules of a server's session, one at a time.

mod net;

use deaddrop_core::crypto::cipher::{Cipher, CipherError, RustCrypto};
use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::exchange::{ServerEvent, ServerSession, SessionEvent};
use deaddrop_core::guard::Standing;
use deaddrop_core::limits::{HOST, Profile};
use deaddrop_core::secret::Secret;
use deaddrop_core::session::{Channel, ClientSession, Close};
use deaddrop_core::token::{FetchId, Token};
use deaddrop_core::wire::{Answer, ErrorCode, FetchRequest, Request};
use net::harness::{Harness, answer, ask, seal};
use net::{ROOM, client, id};

static ONE_GUESS: Profile = Profile { source_burst: 1, ..HOST };

fn fetch(token: Token, id: FetchId) -> Request {
    Request::Fetch(FetchRequest { token, id, record_max: 512, offset: 0, digest: None })
}

/// A member sends a request; returns the control answers.
fn exchange(harness: &mut Harness, member: &mut (ServerSession, Channel), request: &Request) -> Vec<Answer> {
    let message = ask(&mut member.1, request);
    harness.hear(&mut member.0, &message);
    harness.said(&mut member.0).iter().map(|record| answer(&mut member.1, record)).collect()
}

#[test]
fn a_connection_that_timed_out_while_parked_gets_no_answer_any_more() {
    let harness = &mut Harness::new(1, &ONE_GUESS);
    let (one, _) = harness.serve(client(1), ROOM);
    let mut parked = harness.serving.open(harness.now, client(1), &mut harness.rng);
    harness.said(&mut parked);
    let mut hello = [1; 49];
    hello[1..].fill(0);
    harness.hear(&mut parked, &hello);
    assert!(parked.is_parked());
    harness.wait(20_000);
    parked.handle_timeout(harness.now, &harness.serving);
    // Its guess token comes nevertheless.
    harness.serving.guard.closed(harness.now, one.conn());
    assert_eq!(
        harness.serving.poll_event(harness.now, &mut harness.rng),
        Some(ServerEvent::Wake(parked.conn()))
    );
    assert_eq!(harness.serving.guard.standing(parked.conn()), Standing::Granted);
    parked.handle_wake(harness.now, &mut harness.serving, &mut harness.rng);
    assert!(harness.said(&mut parked).is_empty(), "message 3 and then a close would mean \"not a member\"");
    assert_eq!(parked.closing(), Some(Close::Clean));
}

#[test]
fn a_wake_continues_a_granted_connection_and_closes_an_evicted_one() {
    let harness = &mut Harness::new(1, &ONE_GUESS);
    let wake = |harness: &mut Harness, session: &mut ServerSession| {
        session.handle_wake(harness.now, &mut harness.serving, &mut harness.rng);
        (session.closing(), harness.said(session).len())
    };
    let (mut guessing, _) = harness.serve(client(1), ROOM);
    let mut parked = harness.serving.open(harness.now, client(1), &mut harness.rng);
    harness.said(&mut parked);
    let mut hello = [1; 49];
    hello[1..].copy_from_slice(&harness.hello()[1..]);
    harness.hear(&mut parked, &hello);
    assert!(parked.is_parked());
    assert_eq!(wake(harness, &mut parked), (None, 0), "no token yet");
    assert_eq!(wake(harness, &mut guessing), (None, 0), "it has its slot");
    // The connection before it has closed: its token goes to the parked one, and the guard no longer knows
    // it.
    harness.serving.guard.closed(harness.now, guessing.conn());
    assert_eq!(
        harness.serving.poll_event(harness.now, &mut harness.rng),
        Some(ServerEvent::Wake(parked.conn()))
    );
    assert_eq!(wake(harness, &mut parked), (None, 1), "message 3");
    assert_eq!(wake(harness, &mut parked), (None, 0), "once");
    assert_eq!(wake(harness, &mut guessing), (Some(Close::Reset), 0));
}

#[test]
fn the_two_halves_of_an_answer_are_computed_apart() {
    let harness = &mut Harness::new(1, &HOST);
    let (mut session, handshake) = harness.answering(client(1), ROOM);
    assert!(session.is_answering());
    assert_eq!((session.wants(), session.closing()), (None, None), "there is nothing to read in between");
    session.finish_answer(harness.now, &mut harness.serving);
    assert!(!session.is_answering());
    session.finish_answer(harness.now, &mut harness.serving);
    let said = harness.said(&mut session);
    assert_eq!(said.len(), 1, "message 3, once");
    let mut channel = handshake.finish(said[0][..].try_into().unwrap()).unwrap();
    let event = harness.hear(&mut session, &ask(&mut channel, &Request::List { after: None }));
    assert_eq!(event, Some(SessionEvent::Member));
}

#[test]
fn a_connection_that_ends_between_the_halves_gets_no_message_3_and_its_guess_is_spent() {
    static ONE_PLACE: Profile = Profile { unauthenticated: 1, ..ONE_GUESS };
    let evicted: fn(&mut Harness, &mut ServerSession) = |harness, session| {
        // Its place is given away once it owes message 4 for long.
        harness.wait(15_000);
        let _ = harness.serving.open(harness.now, client(2), &mut harness.rng);
        session.handle_wake(harness.now, &mut harness.serving, &mut harness.rng);
    };
    let late: fn(&mut Harness, &mut ServerSession) = |harness, session| {
        harness.wait(20_000);
        session.handle_timeout(harness.now, &harness.serving);
    };
    let gone: fn(&mut Harness, &mut ServerSession) = |_, session| session.handle_close();
    let stopped: fn(&mut Harness, &mut ServerSession) = |_, session| session.stop();
    for (what, end) in [("gone", gone), ("late", late), ("stopped", stopped), ("evicted", evicted)] {
        let harness = &mut Harness::new(1, if what == "evicted" { &ONE_PLACE } else { &ONE_GUESS });
        let (mut session, _) = harness.answering(client(1), ROOM);
        end(harness, &mut session);
        session.finish_answer(harness.now, &mut harness.serving);
        assert!(harness.said(&mut session).is_empty(), "{what}");
        assert_eq!(session.closing(), Some(Close::Reset), "{what}");
        session.closed(harness.now, &mut harness.serving);
        if what == "gone" || what == "stopped" {
            let (next, _) = harness.answering(client(1), ROOM);
            assert!(next.is_parked(), "{what}: it costs a guess, as one that ends after message 3 does");
        }
    }
}

#[test]
fn an_evicted_connection_is_named_once() {
    static ONE_PLACE: Profile = Profile { unauthenticated: 1, ..HOST };
    let harness = &mut Harness::new(1, &ONE_PLACE);
    let mut first = harness.serving.open(harness.now, client(1), &mut harness.rng);
    assert_eq!(harness.serving.poll_event(harness.now, &mut harness.rng), None);
    let second = harness.serving.open(harness.now, client(2), &mut harness.rng);
    assert_eq!(
        harness.serving.poll_event(harness.now, &mut harness.rng),
        Some(ServerEvent::Wake(first.conn()))
    );
    assert_eq!(harness.serving.poll_event(harness.now, &mut harness.rng), None);
    first.handle_wake(harness.now, &mut harness.serving, &mut harness.rng);
    assert_eq!(first.closing(), Some(Close::Reset));
    assert!(second.closing().is_none());
}

#[test]
fn a_deadline_closes_even_if_an_answer_is_unsent() {
    let harness = &mut Harness::new(2, &HOST);
    let mut member = harness.serve(client(1), ROOM);
    let message = ask(&mut member.1, &Request::Ready { token: Token::from_bytes([0; 16]), id: id(1) });
    harness.hear(&mut member.0, &message);
    assert_eq!(member.0.closing(), None, "the answer comes first");
    harness.wait(5_000);
    member.0.handle_timeout(harness.now, &harness.serving);
    assert_eq!(member.0.closing(), Some(Close::Reset));
}

#[test]
fn progress_without_a_claim_ends_the_connection() {
    let harness = &mut Harness::new(3, &HOST);
    let token = harness.put(10);
    for held in [
        Request::Progress { token, id: id(1), stored: 0 },
        Request::Progress { token: Token::from_bytes([0; 16]), id: id(1), stored: 0 },
    ] {
        let mut member = harness.serve(client(1), ROOM);
        assert_eq!(exchange(harness, &mut member, &held), [Answer::Error(ErrorCode::Unknown)]);
        // It has no answer, so none may be left that a later request would get.
        assert_eq!(member.0.closing(), Some(Close::Clean));
    }
}

#[test]
fn sixteen_requests_and_no_more() {
    let harness = &mut Harness::new(4, &HOST);
    let mut member = harness.serve(client(1), ROOM);
    for _ in 0..16 {
        assert_eq!(exchange(harness, &mut member, &Request::List { after: None }).len(), 8);
        assert_eq!(member.0.closing(), None);
    }
    assert!(exchange(harness, &mut member, &Request::List { after: None }).is_empty());
    assert_eq!(member.0.closing(), Some(Close::Clean));
}

#[test]
fn progress_is_not_counted_as_a_request() {
    let harness = &mut Harness::new(5, &HOST);
    let token = harness.put(10);
    let mut member = harness.serve(client(1), ROOM);
    assert_eq!(exchange(harness, &mut member, &fetch(token, id(1))).len(), 1);
    for _ in 0..100 {
        assert!(
            exchange(harness, &mut member, &Request::Progress { token, id: id(1), stored: 0 }).is_empty()
        );
    }
    assert_eq!(member.0.closing(), None);
}

#[test]
fn ready_counts_only_after_all_data_and_where_its_drop_began() {
    let harness = &mut Harness::new(6, &HOST);
    let token = harness.put(2_000);
    let ready = Request::Ready { token, id: id(1) };
    let malformed = Answer::Error(ErrorCode::Malformed);

    // Before all data was sent; an error in a stream has the size of a data record.
    let mut member = harness.serve(client(1), ROOM);
    let message = ask(&mut member.1, &fetch(token, id(1)));
    harness.hear(&mut member.0, &message);
    let mut buffer = vec![0; 532];
    let len = member.0.poll_transmit(harness.now, &mut harness.serving, &mut buffer).unwrap().unwrap();
    assert!(matches!(answer(&mut member.1, &buffer[..len]), Answer::Begin(_)));
    let message = ask(&mut member.1, &ready);
    harness.hear(&mut member.0, &message);
    let said = harness.said(&mut member.0);
    assert_eq!((said.len(), said[0].len()), (1, 532));
    assert_eq!(answer(&mut member.1, &said[0]), malformed);
    assert_eq!(member.0.closing(), Some(Close::Clean));

    // On another connection than the one of its `begin`.
    let mut other = harness.serve(client(2), ROOM);
    assert_eq!(exchange(harness, &mut other, &ready), [malformed]);

    // From another receiver.
    let mut member = harness.serve(client(1), ROOM);
    let message = ask(&mut member.1, &fetch(token, id(1)));
    harness.hear(&mut member.0, &message);
    assert_eq!(harness.said(&mut member.0).len(), 4, "begin and three data records");
    let message = ask(&mut member.1, &Request::Ready { token, id: id(2) });
    harness.hear(&mut member.0, &message);
    assert_eq!(harness.said(&mut member.0).len(), 1);
    assert_eq!(member.0.closing(), Some(Close::Clean));
    assert_eq!(harness.serving.drops.fetch_counts(&token).unwrap().r#final, 0);
}

#[test]
fn a_connection_whose_claim_was_taken_over_gets_no_final_record() {
    let harness = &mut Harness::new(7, &HOST);
    let token = harness.put(10);
    let mut old = harness.serve(client(1), ROOM);
    exchange(harness, &mut old, &fetch(token, id(1)));
    let mut new = harness.serve(client(1), ROOM);
    exchange(harness, &mut new, &fetch(token, id(1)));
    let message = ask(&mut old.1, &Request::Ready { token, id: id(1) });
    harness.hear(&mut old.0, &message);
    let said = harness.said(&mut old.0);
    assert_eq!(answer(&mut old.1, &said[0]), Answer::Error(ErrorCode::Unknown));
    assert_eq!(harness.serving.drops.fetch_counts(&token).unwrap().claimed, 1);
}

#[test]
fn a_commit_before_the_final_record_is_refused() {
    let harness = &mut Harness::new(8, &HOST);
    let token = harness.put(10);
    let mut member = harness.serve(client(1), ROOM);
    exchange(harness, &mut member, &fetch(token, id(1)));
    let mut other = harness.serve(client(1), ROOM);
    let commit = Request::Commit { token, id: id(1) };
    assert_eq!(exchange(harness, &mut other, &commit), [Answer::Error(ErrorCode::Malformed)]);
    let mut other = harness.serve(client(1), ROOM);
    let nobodys = Request::Commit { token, id: id(2) };
    assert_eq!(exchange(harness, &mut other, &nobodys), [Answer::Error(ErrorCode::Unknown)], "no claim");
    let message = ask(&mut member.1, &commit);
    harness.hear(&mut member.0, &message);
    let said = harness.said(&mut member.0);
    assert_eq!((said[0].len(), answer(&mut member.1, &said[0])), (532, Answer::Error(ErrorCode::Malformed)));
    assert_eq!(harness.serving.drops.fetch_counts(&token).unwrap().burned, 0);
}

#[test]
fn only_control_records_are_requests() {
    for kind in [RecordKind::Data, RecordKind::Final] {
        let harness = &mut Harness::new(9, &HOST);
        let mut member = harness.serve(client(1), ROOM);
        let list = b"\xa1\x00\x01";
        let message = seal(&mut member.1, kind, list, 512);
        assert_eq!(harness.hear(&mut member.0, &message), Some(SessionEvent::Member));
        let said = harness.said(&mut member.0);
        assert_eq!(answer(&mut member.1, &said[0]), Answer::Error(ErrorCode::Malformed));
        assert_eq!(member.0.closing(), Some(Close::Clean));
    }
}

#[test]
fn an_unknown_request_is_unsupported_and_the_connection_goes_on() {
    let harness = &mut Harness::new(10, &HOST);
    let mut member = harness.serve(client(1), ROOM);
    // Nothing is looked at behind the type: five unknown keys, text that is not UTF-8, keys that descend.
    for rest in [&b""[..], b"\x01\0\x02\0\x03\0\x04\0\x05\0", b"\x01\x61\xff", b"\x02\0\x01\0"] {
        let mut message = vec![0xa1 + u8::try_from(rest.len() / 2).unwrap(), 0x00, 0x0f];
        message.extend(rest);
        let message = seal(&mut member.1, RecordKind::Control, &message, 512);
        harness.hear(&mut member.0, &message);
        let said = harness.said(&mut member.0);
        assert_eq!(answer(&mut member.1, &said[0]), Answer::Error(ErrorCode::Unsupported), "{rest:?}");
    }
    assert_eq!(exchange(harness, &mut member, &Request::List { after: None }).len(), 8);
}

/// Seals records with another byte at this place of the plaintext.
struct Tampering(usize, u8);

impl Cipher for Tampering {
    fn seal(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError> {
        record.iter_mut().skip(self.0).take(1).for_each(|byte| *byte = self.1);
        RustCrypto.seal(key, nonce, record)
    }

    fn open(&self, key: &Secret<32>, nonce: &[u8; 12], record: &mut [u8]) -> Result<(), CipherError> {
        RustCrypto.open(key, nonce, record)
    }
}

#[test]
fn a_message_4_whose_tag_verifies_and_whose_plaintext_is_wrong_does_not_open() {
    static PADDING: Tampering = Tampering(100, 1);
    static KIND: Tampering = Tampering(492, 3);
    static LENGTH: Tampering = Tampering(494, 2);
    for cipher in [&PADDING, &KIND, &LENGTH] {
        let harness = &mut Harness::new(20, &HOST);
        let mut session = harness.serving.open(harness.now, client(1), &mut harness.rng);
        let mut member = ClientSession::new(harness.now, net::SERVER, None, None).with_cipher(cipher);
        for _ in 0..2 {
            let said = harness.said(&mut session).remove(0);
            harness.tell(&mut member, &said).unwrap();
            for message in Harness::asked(&mut member) {
                harness.hear(&mut session, &message);
            }
        }
        member.list(harness.now, None).unwrap();
        let message4 = Harness::asked(&mut member).remove(0);
        assert_eq!(harness.hear(&mut session, &message4), None, "byte {}", cipher.0);
        assert_eq!(session.closing(), Some(Close::Clean), "not a member");
        assert!(harness.said(&mut session).is_empty());
    }
}

#[test]
fn a_client_that_ends_its_sending_side_is_reset() {
    let harness = &mut Harness::new(21, &HOST);
    let mut member = harness.serve(client(1), ROOM);
    assert_eq!(exchange(harness, &mut member, &Request::List { after: None }).len(), 8);
    member.0.handle_close();
    assert_eq!(member.0.closing(), Some(Close::Reset));
}
