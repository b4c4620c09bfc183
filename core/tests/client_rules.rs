//! Rules of a client's session, one at a time.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod net;

use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::limits::HOST;
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::session::{Channel, ClientError, ClientEvent, ClientSession, FetchPlan, Misuse};
use deaddrop_core::token::Token;
use deaddrop_core::wire::{Answer, Begin, ErrorCode, Request};
use net::harness::{Harness, reply, seal};
use net::{ROOM, id};

const TOKEN: Token = Token::from_bytes([9; 16]);

fn plan() -> FetchPlan {
    FetchPlan { token: TOKEN, id: id(1), record_max: 65_536, offset: 0, digest: None }
}

fn begin(size: u64) -> Begin {
    Begin { kind: Kind::File, name: Name::default(), size, offset: 0, record: 512 }
}

/// A client that has received `begin` of a drop of this size.
fn begun(harness: &mut Harness, size: u64) -> (ClientSession, Channel) {
    let (mut client, mut server) = harness.visit(ROOM);
    client.fetch(harness.now, &plan()).unwrap();
    assert_eq!(requests(&mut server, Harness::asked(&mut client)).len(), 1);
    let message = reply(&mut server, &Answer::Begin(begin(size)), 512);
    assert_eq!(harness.tell(&mut client, &message), Ok(Some(ClientEvent::Begin(begin(size)))));
    (client, server)
}

/// A client that has received a whole drop.
fn whole(harness: &mut Harness) -> (ClientSession, Channel) {
    let (mut client, mut server) = begun(harness, 10);
    client.ready(harness.now).unwrap();
    assert_eq!(
        requests(&mut server, Harness::asked(&mut client)),
        [Request::Ready { token: TOKEN, id: id(1) }]
    );
    let message = seal(&mut server, RecordKind::Final, &[0; 10], 532);
    assert_eq!(harness.tell(&mut client, &message), Ok(Some(ClientEvent::Final { len: 10 })));
    (client, server)
}

fn requests(server: &mut Channel, records: Vec<Vec<u8>>) -> Vec<Request> {
    let open = |mut record: Vec<u8>| {
        let opened = server.opener.open(&mut record).unwrap();
        Request::parse(&record[..opened.len]).unwrap()
    };
    records.into_iter().map(open).collect()
}

#[test]
fn a_close_means_not_a_member_only_after_message_4() {
    let harness = &mut Harness::new(1, &HOST);
    let (mut client, _) = harness.visit(ROOM);
    assert_eq!(client.handle_close(true), ClientError::Reset, "no request was made");
    client.list(harness.now, None).unwrap();
    assert_eq!(client.handle_close(true), ClientError::Reset, "the request is not sent yet");
    Harness::asked(&mut client);
    assert_eq!(client.handle_close(true), ClientError::NotMember);
    assert_eq!(client.handle_close(false), ClientError::Reset);
}

#[test]
fn a_spent_client_budget_costs_the_server_no_guess() {
    let harness = &mut Harness::new(9, &HOST);
    while harness.guard.take(harness.now, net::SERVER) {}
    let mut client = ClientSession::new(harness.now, net::SERVER, None, None);
    let mut server = harness.serving.open(harness.now, net::client(1), &mut harness.rng);
    let greeting = harness.said(&mut server).remove(0);
    assert_eq!(harness.tell(&mut client, &greeting), Err(ClientError::NoBudget));
    // A message 2 without a message 4 would count as a failed guess.
    assert!(Harness::asked(&mut client).is_empty(), "it has sent message 2");
}

#[test]
fn no_deadline_runs_while_the_receiver_makes_ready() {
    let harness = &mut Harness::new(2, &HOST);
    let (mut client, mut server) = begun(harness, 10);
    harness.wait(40_000);
    assert_eq!(client.poll_timeout(), None);
    assert_eq!(client.handle_timeout(harness.now), Ok(()));
    client.ready(harness.now).unwrap();
    assert_eq!(client.poll_timeout().map(|at| at.as_millis()), Some(harness.now.as_millis() + 15_000));
    Harness::asked(&mut client);
    let message = seal(&mut server, RecordKind::Final, &[0; 10], 532);
    assert_eq!(harness.tell(&mut client, &message), Ok(Some(ClientEvent::Final { len: 10 })));
}

#[test]
fn the_server_may_end_the_exchange_while_the_receiver_makes_ready() {
    let harness = &mut Harness::new(3, &HOST);
    let (mut client, mut server) = begun(harness, 10);
    let message = reply(&mut server, &Answer::Error(ErrorCode::Expired), 532);
    client.ready(harness.now).unwrap();
    assert_eq!(harness.tell(&mut client, &message), Ok(Some(ClientEvent::Refused(ErrorCode::Expired))));
    assert!(Harness::asked(&mut client).is_empty(), "unsent messages about it are dropped");
}

#[test]
fn no_sign_of_life_follows_a_commit() {
    let harness = &mut Harness::new(4, &HOST);
    let (mut client, mut server) = whole(harness);
    client.progress(10).unwrap();
    client.commit(harness.now, TOKEN, id(1)).unwrap();
    let said = Harness::asked(&mut client);
    assert_eq!(requests(&mut server, said).last(), Some(&Request::Commit { token: TOKEN, id: id(1) }));
}

#[test]
fn only_a_claim_before_its_final_record_is_released() {
    let harness = &mut Harness::new(5, &HOST);
    let (mut client, mut server) = begun(harness, 10);
    client.release().unwrap();
    let said = Harness::asked(&mut client);
    assert_eq!(requests(&mut server, said), [Request::Release { token: TOKEN, id: id(1) }]);

    let (mut client, _) = whole(harness);
    assert_eq!(client.release(), Err(Misuse::OutOfTurn));
    client.commit(harness.now, TOKEN, id(1)).unwrap();
    assert_eq!(client.release(), Err(Misuse::OutOfTurn), "a commit is in flight");
    let (mut client, _) = harness.visit(ROOM);
    assert_eq!(client.release(), Err(Misuse::OutOfTurn), "nothing is claimed");
}

#[test]
fn a_plan_that_cannot_be_asked_for_is_refused_at_once() {
    let harness = &mut Harness::new(6, &HOST);
    let (mut client, _) = harness.visit(ROOM);
    for wrong in [
        FetchPlan { record_max: 511, ..plan() },
        FetchPlan { offset: 1, ..plan() },
        FetchPlan { digest: Some([0; 32]), ..plan() },
    ] {
        assert_eq!(client.fetch(harness.now, &wrong), Err(Misuse::Plan));
    }
    assert_eq!(client.fetch(harness.now, &plan()), Ok(()));
}

#[test]
fn a_buffer_too_short_loses_nothing() {
    let harness = &mut Harness::new(7, &HOST);
    let mut client = ClientSession::new(harness.now, net::SERVER, None, None);
    let mut server = harness.serving.open(harness.now, net::client(1), &mut harness.rng);
    let greeting = harness.said(&mut server).remove(0);
    harness.tell(&mut client, &greeting).unwrap();
    assert_eq!(client.poll_transmit(&mut [0; 48]), Err(Misuse::Buffer));
    let hello = Harness::asked(&mut client).remove(0);
    harness.hear(&mut server, &hello);
    let share = harness.said(&mut server).remove(0);
    harness.tell(&mut client, &share).unwrap();
    client.list(harness.now, None).unwrap();
    assert_eq!(client.poll_transmit(&mut [0; 511]), Err(Misuse::Buffer));
    let list = Harness::asked(&mut client).remove(0);
    harness.hear(&mut server, &list);
    assert_eq!(server.poll_transmit(harness.now, &mut harness.serving, &mut [0; 511]), Err(Misuse::Buffer));
    assert_eq!(harness.said(&mut server).len(), 8);
}
