//! Rules of a client's session, one at a time.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod net;

use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::limits::HOST;
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::session::{Channel, ClientError, ClientEvent, ClientSession, FetchPlan, Misuse};
use deaddrop_core::token::Token;
use deaddrop_core::wire::{Answer, Begin, ErrorCode, Request};
use net::desk::{Desk, reply, seal};
use net::{ROOM, id};

const TOKEN: Token = Token::from_bytes([9; 16]);

fn plan() -> FetchPlan {
    FetchPlan { token: TOKEN, id: id(1), record_max: 65_536, offset: 0, digest: None }
}

fn begin(size: u64) -> Begin {
    Begin { kind: Kind::File, name: Name::default(), size, offset: 0, record: 512 }
}

/// A client that has received `begin` of a drop of this size.
fn begun(desk: &mut Desk, size: u64) -> (ClientSession, Channel) {
    let (mut client, mut server) = desk.visit(ROOM);
    client.fetch(desk.now, &plan()).unwrap();
    assert_eq!(requests(&mut server, Desk::asked(&mut client)).len(), 1);
    let message = reply(&mut server, &Answer::Begin(begin(size)), 512);
    assert_eq!(desk.tell(&mut client, &message), Ok(ClientEvent::Begin(begin(size))));
    (client, server)
}

/// A client that has received a whole drop.
fn whole(desk: &mut Desk) -> (ClientSession, Channel) {
    let (mut client, mut server) = begun(desk, 10);
    client.ready(desk.now).unwrap();
    assert_eq!(requests(&mut server, Desk::asked(&mut client)), [Request::Ready { token: TOKEN, id: id(1) }]);
    let message = seal(&mut server, RecordKind::Final, &[0; 10], 532);
    assert_eq!(desk.tell(&mut client, &message), Ok(ClientEvent::Final { len: 10 }));
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
    let desk = &mut Desk::new(1, &HOST);
    let (mut client, _) = desk.visit(ROOM);
    assert_eq!(client.handle_close(true), ClientError::Reset, "no request was made");
    client.list(desk.now, None).unwrap();
    assert_eq!(client.handle_close(true), ClientError::Reset, "the request is not sent yet");
    Desk::asked(&mut client);
    assert_eq!(client.handle_close(true), ClientError::NotMember);
    assert_eq!(client.handle_close(false), ClientError::Reset);
}

#[test]
fn a_spent_client_budget_costs_the_server_no_guess() {
    let desk = &mut Desk::new(9, &HOST);
    while desk.guard.take(desk.now, net::SERVER) {}
    let mut client = ClientSession::new(desk.now, net::SERVER, None, None);
    let mut server = desk.serving.open(desk.now, net::client(1), &mut desk.rng);
    let greeting = desk.said(&mut server).remove(0);
    assert_eq!(desk.tell(&mut client, &greeting), Err(ClientError::NoBudget));
    // A message 2 without a message 4 would count as a failed guess.
    assert!(Desk::asked(&mut client).is_empty(), "it has sent message 2");
}

#[test]
fn no_deadline_runs_while_the_receiver_makes_ready() {
    let desk = &mut Desk::new(2, &HOST);
    let (mut client, mut server) = begun(desk, 10);
    desk.wait(40_000);
    assert_eq!(client.poll_timeout(), None);
    assert_eq!(client.handle_timeout(desk.now), Ok(()));
    client.ready(desk.now).unwrap();
    assert_eq!(client.poll_timeout().map(|at| at.as_millis()), Some(desk.now.as_millis() + 15_000));
    Desk::asked(&mut client);
    let message = seal(&mut server, RecordKind::Final, &[0; 10], 532);
    assert_eq!(desk.tell(&mut client, &message), Ok(ClientEvent::Final { len: 10 }));
}

#[test]
fn the_server_may_end_the_exchange_while_the_receiver_makes_ready() {
    let desk = &mut Desk::new(3, &HOST);
    let (mut client, mut server) = begun(desk, 10);
    let message = reply(&mut server, &Answer::Error(ErrorCode::Expired), 532);
    client.ready(desk.now).unwrap();
    assert_eq!(desk.tell(&mut client, &message), Ok(ClientEvent::Refused(ErrorCode::Expired)));
    assert!(Desk::asked(&mut client).is_empty(), "unsent messages about it are dropped");
}

#[test]
fn no_sign_of_life_follows_a_commit() {
    let desk = &mut Desk::new(4, &HOST);
    let (mut client, mut server) = whole(desk);
    client.progress(10).unwrap();
    client.commit(desk.now, TOKEN, id(1)).unwrap();
    let said = Desk::asked(&mut client);
    assert_eq!(requests(&mut server, said).last(), Some(&Request::Commit { token: TOKEN, id: id(1) }));
}

#[test]
fn only_a_claim_before_its_final_record_is_released() {
    let desk = &mut Desk::new(5, &HOST);
    let (mut client, mut server) = begun(desk, 10);
    client.release().unwrap();
    let said = Desk::asked(&mut client);
    assert_eq!(requests(&mut server, said), [Request::Release { token: TOKEN, id: id(1) }]);

    let (mut client, _) = whole(desk);
    assert_eq!(client.release(), Err(Misuse::OutOfTurn));
    client.commit(desk.now, TOKEN, id(1)).unwrap();
    assert_eq!(client.release(), Err(Misuse::OutOfTurn), "a commit is in flight");
    let (mut client, _) = desk.visit(ROOM);
    assert_eq!(client.release(), Err(Misuse::OutOfTurn), "nothing is claimed");
}

#[test]
fn a_plan_that_cannot_be_asked_for_is_refused_at_once() {
    let desk = &mut Desk::new(6, &HOST);
    let (mut client, _) = desk.visit(ROOM);
    for wrong in [
        FetchPlan { record_max: 511, ..plan() },
        FetchPlan { offset: 1, ..plan() },
        FetchPlan { digest: Some([0; 32]), ..plan() },
    ] {
        assert_eq!(client.fetch(desk.now, &wrong), Err(Misuse::Plan));
    }
    assert_eq!(client.fetch(desk.now, &plan()), Ok(()));
}

#[test]
fn a_buffer_too_short_loses_nothing() {
    let desk = &mut Desk::new(7, &HOST);
    let mut client = ClientSession::new(desk.now, net::SERVER, None, None);
    let mut server = desk.serving.open(desk.now, net::client(1), &mut desk.rng);
    let greeting = desk.said(&mut server).remove(0);
    desk.tell(&mut client, &greeting).unwrap();
    assert_eq!(client.poll_transmit(&mut [0; 48]), Err(Misuse::Buffer));
    let hello = Desk::asked(&mut client).remove(0);
    desk.hear(&mut server, &hello);
    let share = desk.said(&mut server).remove(0);
    desk.tell(&mut client, &share).unwrap();
    client.list(desk.now, None).unwrap();
    assert_eq!(client.poll_transmit(&mut [0; 511]), Err(Misuse::Buffer));
    let list = Desk::asked(&mut client).remove(0);
    desk.hear(&mut server, &list);
    assert_eq!(server.poll_transmit(desk.now, &mut desk.serving, &mut [0; 511]), Err(Misuse::Buffer));
    assert_eq!(desk.said(&mut server).len(), 8);
}
