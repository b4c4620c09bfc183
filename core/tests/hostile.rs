//! Hostile members and strangers that send anything at any time: no panic, and no connection without a
//! deadline.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod net;

use std::time::Duration;

use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::exchange::ServerSession;
use deaddrop_core::limits::HOST;
use deaddrop_core::offer::{EndReason, Kind, Name, Offer};
use deaddrop_core::session::{ClientEvent, ClientSession, FetchPlan};
use deaddrop_core::token::Token;
use deaddrop_core::wire::{Answer, Begin, Ending, ErrorCode, FetchRequest, Request};
use net::harness::{Harness, ask, reply, seal};
use net::{ROOM, SERVER, client, id};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(0x6861_7264), ..Config::default() }
}

/// The next move of a hostile peer.
#[derive(Clone, Debug)]
enum Move {
    /// A control message: its type, drop, receiver and number.
    Say(u8, u8, u8, u64),
    /// Any payload, sealed, of any kind.
    Seal(u8, Vec<u8>),
    /// Unsealed bytes.
    Garbage(u8),
    Wait(u64),
    Close,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let number = prop_oneof![
        0..3_u64,
        prop::sample::select(vec![9, 10, 511, 512, 1_499, 1_500, 1_501]),
        Just(u64::MAX),
        Just(u64::MAX - 1)
    ];
    let one = prop_oneof![
        12 => (0..8_u8, 0..3_u8, 1..3_u8, number).prop_map(|(a, b, c, d)| Move::Say(a, b, c, d)),
        2 => (0..3_u8, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(k, p)| Move::Seal(k, p)),
        1 => any::<u8>().prop_map(Move::Garbage),
        2 => prop::sample::select(vec![0, 1, 999, 5_000, 15_000, 60_000]).prop_map(Move::Wait),
        1 => Just(Move::Close),
    ];
    prop::collection::vec(one, 1..24)
}

fn kind(n: u8) -> RecordKind {
    [RecordKind::Control, RecordKind::Data, RecordKind::Final][usize::from(n % 3)]
}

/// Asserts that a server's session waits for bytes or a deadline, or closes.
fn server_is_alive(harness: &Harness, session: &ServerSession) {
    assert!(session.poll_timeout(&harness.serving).is_some() || session.closing().is_some());
    if session.wants().is_none() {
        let due = session.poll_timeout(&harness.serving).unwrap();
        assert!(session.is_parked() || session.closing().is_some() || due > harness.now, "stuck");
    }
}

fn server_under(moves: &[Move], harness: &mut Harness, tokens: [Token; 3]) {
    let (mut session, mut channel) = harness.serve(client(1), ROOM);
    for step in moves {
        let message = match step {
            Move::Say(what, token, who, number) => {
                let (token, id) = (tokens[usize::from(*token)], id(*who));
                let digest = (*number > 0).then_some([0; 32]);
                let fetch = FetchRequest { token, id, record_max: 512, offset: *number, digest };
                ask(
                    &mut channel,
                    &match what {
                        0 => Request::List { after: None },
                        1 => Request::Fetch(FetchRequest { offset: 0, digest: None, ..fetch }),
                        2 => Request::Fetch(FetchRequest { record_max: u32::MAX, ..fetch }),
                        3 => Request::Progress { token, id, stored: *number },
                        4 | 5 => Request::Ready { token, id },
                        6 => Request::Commit { token, id },
                        _ => Request::Release { token, id },
                    },
                )
            }
            Move::Seal(as_kind, payload) => seal(&mut channel, kind(*as_kind), payload, 512),
            Move::Garbage(byte) => vec![*byte; 512],
            Move::Wait(ms) => {
                harness.wait(*ms);
                if session.poll_timeout(&harness.serving).is_some_and(|at| at <= harness.now) {
                    session.handle_timeout(harness.now, &harness.serving);
                    assert!(session.closing().is_some(), "a deadline without an effect");
                }
                harness.serving.drops.handle_timeout(harness.now, &mut harness.rng);
                continue;
            }
            Move::Close => {
                session.handle_close();
                Vec::new()
            }
        };
        if session.wants() == Some(message.len()) {
            harness.hear(&mut session, &message);
        } else {
            let mut message = message;
            let (now, serving, rng) = (harness.now, &mut harness.serving, &mut harness.rng);
            assert!(session.handle_message(now, serving, rng, &mut message).is_err());
        }
        let said = harness.said(&mut session);
        assert!(said.len() <= 9, "eight records of a list, or begin and three of data, or fewer");
        server_is_alive(harness, &session);
        if session.closing().is_some() {
            break;
        }
    }
    session.closed(harness.now, &mut harness.serving);
    for token in tokens {
        if let Some(tally) = harness.serving.drops.fetch_counts(&token) {
            let sum = tally.available + tally.claimed + tally.r#final + tally.burned;
            assert!(sum == 1);
        }
    }
}

fn answer_of(what: u8, number: u64) -> Option<Answer> {
    let token = Token::from_bytes([7; 16]);
    let name = Name::new("\u{1b}[2J..\u{202e}CON.").unwrap();
    let record = 1_u32 << (9 + number % 8);
    Some(match what {
        0 => Answer::Offer(Offer {
            token,
            kind: Kind::Directory,
            name,
            size: u64::MAX,
            ttl_left: Duration::from_millis(number.min(1_000)),
            fetches_left: 64,
        }),
        1 => Answer::Ending(Ending { token, reason: EndReason::Withdrawn }),
        2 => Answer::Filler,
        3 => Answer::End { revision: 0, more: number.is_multiple_of(2) },
        4 => Answer::Begin(Begin { kind: Kind::File, name, size: number, offset: 0, record }),
        5 => Answer::Begin(Begin { kind: Kind::File, name, size: u64::MAX, offset: number % 3, record: 512 }),
        6 => Answer::Burned,
        _ => Answer::Error(if number.is_multiple_of(2) { ErrorCode::Gone } else { ErrorCode::Other(99) }),
    })
    .filter(|answer| answer.emit(&mut [0; 492]).is_ok())
}

/// A client that sends every request, `ready` and `commit` as soon as it is legal.
fn client_asks(session: &mut ClientSession, harness: &Harness, first: u8) {
    let token = Token::from_bytes([7; 16]);
    let plan = FetchPlan { token, id: id(1), record_max: 1_024, offset: 0, digest: None };
    if session.needs_ready() {
        session.ready(harness.now).unwrap();
    }
    if session.wants().is_none() {
        let _ = match first % 3 {
            0 => session.list(harness.now, None),
            1 => session.fetch(harness.now, &plan),
            _ => session.commit(harness.now, token, id(1)),
        };
    }
    let _ = session.progress(0);
    for request in Harness::asked(session) {
        assert!(request.len() == 512 || request.len() == 49);
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn a_member_says_anything_to_a_server(all in prop::collection::vec(moves(), 1..4)) {
        let harness = &mut Harness::new(1, &HOST);
        let tokens = [harness.put(0), harness.put(10), harness.put(1_500)];
        for moves in all {
            server_under(&moves, harness, tokens);
        }
    }

    #[test]
    fn a_server_of_the_room_says_anything_to_a_client(first in any::<u8>(), moves in moves()) {
        let harness = &mut Harness::new(2, &HOST);
        let (mut session, mut channel) = harness.visit(ROOM);
        let mut received = 0_u64;
        for (at, step) in moves.iter().enumerate() {
            client_asks(&mut session, harness, first.wrapping_add(u8::try_from(at / 8).unwrap()));
            let Some(wire) = session.wants() else { break };
            prop_assert!((512..=1_024 + 20).contains(&wire));
            prop_assert!(session.poll_timeout().is_some() || session.needs_ready());
            let message = match step {
                Move::Say(what, _, _, number) => match answer_of(*what, *number) {
                    Some(answer) => reply(&mut channel, &answer, wire),
                    None => continue,
                },
                Move::Seal(as_kind, payload) => {
                    // Every other record is full.
                    let full = vec![0; wire - 20];
                    let payload = if payload.len() % 2 == 0 { &full } else { payload };
                    seal(&mut channel, kind(*as_kind), payload, wire)
                }
                Move::Garbage(byte) => vec![*byte; wire],
                Move::Wait(ms) => {
                    harness.wait(*ms);
                    if session.handle_timeout(harness.now).is_err() {
                        break;
                    }
                    continue;
                }
                Move::Close => {
                    let _ = session.handle_close(true);
                    break;
                }
            };
            match harness.tell(&mut session, &message) {
                Ok(Some(ClientEvent::Final { len } | ClientEvent::Data { len })) => {
                    received += len as u64;
                    prop_assert!(len <= 1_024);
                }
                Ok(_) => {}
                Err(_) => {
                    prop_assert_eq!(session.wants(), None, "an error is the end");
                    prop_assert!(Harness::asked(&mut session).is_empty());
                    break;
                }
            }
        }
        prop_assert!(received <= 24 * 1_024);
    }

    #[test]
    fn strangers_send_garbage_of_any_length(bytes in prop::collection::vec(any::<u8>(), 0..700), len in 0..600_usize) {
        let harness = &mut Harness::new(3, &HOST);
        let mut message = bytes;
        message.resize(len, 0);
        // A server before message 2 and before message 4; a client before the greeting and before message 3.
        let mut greeted = harness.serving.open(harness.now, client(1), &mut harness.rng);
        harness.said(&mut greeted);
        let (unproved, _) = harness.serve(client(1), ROOM);
        for mut session in [greeted, unproved] {
            let wants = session.wants();
            let (now, serving, rng) = (harness.now, &mut harness.serving, &mut harness.rng);
            let heard = session.handle_message(now, serving, rng, &mut message.clone());
            prop_assert_eq!(heard.is_ok(), wants == Some(len));
            server_is_alive(harness, &session);
            prop_assert!(!session.is_member());
        }
        for mut exact in [vec![34], vec![34, 32]].map(|lens| lens.into_iter().map(|n| {
            let mut part = message.clone();
            part.resize(n, 0);
            part
        })) {
            let mut session = ClientSession::new(harness.now, SERVER, None, None);
            let _ = exact.try_for_each(|part| harness.tell(&mut session, &part).map(|_| ()));
            prop_assert!(!session.is_confirmed());
        }
    }
}

#[test]
fn data_keeps_the_sizes_that_begin_promised() {
    let plan =
        FetchPlan { token: Token::from_bytes([7; 16]), id: id(1), record_max: 512, offset: 0, digest: None };
    let begin = Begin { kind: Kind::File, name: Name::default(), size: 1_000, offset: 0, record: 512 };
    // (records before, kind, length, legal)
    for (before, kind, len, legal) in [
        (0, RecordKind::Data, 512, true),
        (0, RecordKind::Data, 511, false),
        (0, RecordKind::Final, 488, false),
        (0, RecordKind::Final, 512, false),
        (1, RecordKind::Data, 512, false),
        (1, RecordKind::Final, 488, true),
        (1, RecordKind::Final, 487, false),
        (1, RecordKind::Final, 489, false),
        (1, RecordKind::Final, 0, false),
    ] {
        for says_ready in [true, false] {
            let harness = &mut Harness::new(4, &HOST);
            let (mut session, mut channel) = harness.visit(ROOM);
            session.fetch(harness.now, &plan).unwrap();
            let message = reply(&mut channel, &Answer::Begin(begin.clone()), 512);
            harness.tell(&mut session, &message).unwrap();
            for _ in 0..before {
                let message = seal(&mut channel, RecordKind::Data, &[0; 512], 532);
                harness.tell(&mut session, &message).unwrap();
            }
            if says_ready && session.needs_ready() {
                session.ready(harness.now).unwrap();
            }
            let message = seal(&mut channel, kind, &vec![0; len], 532);
            let legal = legal && (says_ready || kind == RecordKind::Data);
            assert_eq!(harness.tell(&mut session, &message).is_ok(), legal, "{before} {kind:?} {len}");
        }
    }
}

#[test]
fn a_begin_that_was_not_asked_for_is_refused() {
    let begin = Begin { kind: Kind::File, name: Name::default(), size: 1_000, offset: 10, record: 512 };
    for (offset, record, legal) in [(10, 512, true), (9, 512, false), (0, 512, false), (10, 1_024, false)] {
        let harness = &mut Harness::new(5, &HOST);
        let (mut session, mut channel) = harness.visit(ROOM);
        let token = Token::from_bytes([7; 16]);
        let plan = FetchPlan { token, id: id(1), record_max: 512, offset: 10, digest: Some([0; 32]) };
        session.fetch(harness.now, &plan).unwrap();
        let message = reply(&mut channel, &Answer::Begin(Begin { offset, record, ..begin.clone() }), 512);
        assert_eq!(harness.tell(&mut session, &message).is_ok(), legal);
    }
}

#[test]
fn a_list_is_eight_records_with_its_end_in_the_last() {
    let end = Answer::End { revision: 1, more: false };
    for (at, answer, legal) in
        [(7, &end, true), (7, &Answer::Filler, false), (6, &end, false), (3, &Answer::Burned, false)]
    {
        let harness = &mut Harness::new(6, &HOST);
        let (mut session, mut channel) = harness.visit(ROOM);
        session.list(harness.now, None).unwrap();
        for _ in 0..at {
            let message = reply(&mut channel, &Answer::Filler, 512);
            harness.tell(&mut session, &message).unwrap();
        }
        let message = reply(&mut channel, answer, 512);
        assert_eq!(harness.tell(&mut session, &message).is_ok(), legal);
    }
}
