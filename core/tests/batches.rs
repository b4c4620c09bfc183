//! Batches: data records sealed and opened outside of their sessions. The bytes on the wire are the same for
//! every order of work, and every end of a stream works.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

mod net;

use deaddrop_core::crypto::record::{OpenError, RecordKind, SealError};
use deaddrop_core::exchange::ServerSession;
use deaddrop_core::limits::{ANSWER_TIMEOUT, HOST};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::session::{
    Batch, Channel, ClientError, ClientEvent, ClientSession, Close, Content, FetchPlan, Misuse,
};
use deaddrop_core::token::Token;
use deaddrop_core::wire::{Answer, Begin, ErrorCode, FetchRequest, Request};
use net::harness::{Harness, answer, ask, reply, seal};
use net::{ROOM, client, id};

const WIRE: usize = 532;
const TOKEN: Token = Token::from_bytes([9; 16]);

/// A member that has sent `fetch` for a drop of `size` bytes in records of 512, and has received only
/// `begin`.
fn served(harness: &mut Harness, size: u64) -> (ServerSession, Channel, Token) {
    let token = harness.put(size);
    let (mut session, mut channel) = harness.serve(client(1), ROOM);
    let fetch = FetchRequest { token, id: id(1), record_max: 512, offset: 0, digest: None };
    let message = ask(&mut channel, &Request::Fetch(fetch));
    harness.hear(&mut session, &message);
    let mut buffer = vec![0; WIRE];
    assert_eq!(session.data_records(), 0, "not before `begin` has been sent");
    let len = session.poll_transmit(harness.now, &mut harness.serving, &mut buffer).unwrap().unwrap();
    assert!(matches!(answer(&mut channel, &buffer[..len]), Answer::Begin(_)));
    (session, channel, token)
}

/// A client that has received `begin` of a drop of `size` bytes in records of 512.
fn fetching(harness: &mut Harness, size: u64) -> (ClientSession, Channel) {
    let (mut session, mut server) = harness.visit(ROOM);
    let plan = FetchPlan { token: TOKEN, id: id(1), record_max: 512, offset: 0, digest: None };
    session.fetch(harness.now, &plan).unwrap();
    for mut message in Harness::asked(&mut session) {
        server.opener.open(&mut message).unwrap();
    }
    assert!(session.batch_opener().is_none(), "not before `begin` has arrived");
    let begin = Begin { kind: Kind::File, name: Name::default(), size, offset: 0, record: 512 };
    let message = reply(&mut server, &Answer::Begin(begin.clone()), 512);
    assert_eq!(harness.tell(&mut session, &message), Ok(Some(ClientEvent::Begin(begin))));
    (session, server)
}

fn take(harness: &mut Harness, session: &mut ServerSession, most: u64) -> Batch {
    session.take_batch(harness.now, &mut harness.serving, most).unwrap().0
}

/// The payload of the record at `offset`.
fn payload(offset: u64) -> [u8; 512] {
    std::array::from_fn(|at| u8::try_from(((offset / 512) % 256) ^ (at as u64 % 256)).unwrap())
}

#[test]
fn batches_sealed_in_any_order_are_the_stream_that_the_session_would_have_sent() {
    let harness = &mut Harness::new(1, &HOST);
    // Nine data records and a final one of 100 bytes.
    let (mut session, mut channel, token) = served(harness, 9 * 512 + 100);
    assert_eq!(session.data_records(), 9);
    let sealer = session.batch_sealer().unwrap();
    let batches = [4, 4, 100].map(|most| take(harness, &mut session, most));
    assert_eq!(batches.each_ref().map(Batch::records), [4, 4, 1]);
    assert_eq!(batches.each_ref().map(Batch::offset), [0, 2_048, 4_096]);
    assert_eq!(session.data_records(), 0);
    assert!(
        session.take_batch(harness.now, &mut harness.serving, 1).is_none(),
        "the final record is in no batch"
    );
    assert!(session.poll_read().is_none(), "and is not sent before `ready`");

    let mut wire = Vec::new();
    for (place, mut batch) in batches.into_iter().enumerate().rev() {
        let mut sealed = Vec::new();
        while batch.records() > 0 {
            let mut record = vec![0; batch.record_len()];
            record[..512].copy_from_slice(&payload(batch.offset()));
            sealer.seal(&mut batch, &mut record).unwrap();
            sealed.push(record);
        }
        assert_eq!(sealer.seal(&mut batch, &mut vec![0; WIRE]), Err(SealError::Exhausted), "each once");
        wire.push((place, sealed));
    }
    wire.sort_by_key(|(place, _)| *place);
    for (at, mut record) in wire.into_iter().flat_map(|(_, sealed)| sealed).enumerate() {
        let opened = channel.opener.open(&mut record).unwrap();
        assert_eq!((opened.kind, opened.len), (RecordKind::Data, 512));
        assert_eq!(record[..512], payload(at as u64 * 512));
    }
    let message = ask(&mut channel, &Request::Ready { token, id: id(1) });
    harness.hear(&mut session, &message);
    let last = harness.said(&mut session);
    let opened = channel.opener.open(&mut last[0].clone()).unwrap();
    assert_eq!((last.len(), opened.kind, opened.len), (1, RecordKind::Final, 100));
}

#[test]
fn batches_opened_in_any_order_are_the_stream_that_was_sent() {
    let harness = &mut Harness::new(2, &HOST);
    let (mut session, mut server) = fetching(harness, 6 * 512 + 1);
    assert_eq!(session.data_records(), 6);
    let records: Vec<_> =
        (0..6).map(|at| seal(&mut server, RecordKind::Data, &payload(at * 512), WIRE)).collect();
    assert_eq!(session.take_batch(harness.now, 7).unwrap_err(), Misuse::OutOfTurn, "more than there are");
    assert_eq!(session.take_batch(harness.now, 0).unwrap_err(), Misuse::OutOfTurn);
    let opener = session.batch_opener().unwrap();
    // The session itself handles the first record, so that one stream uses both ways.
    assert_eq!(harness.tell(&mut session, &records[0]), Ok(Some(ClientEvent::Data { len: 512 })));
    let batches = [2, 3].map(|records| session.take_batch(harness.now, records).unwrap());
    assert!(session.needs_ready());
    for (mut batch, sealed) in batches.into_iter().zip([&records[1..3], &records[3..]]).rev() {
        for record in sealed {
            let (mut record, expected) = (record.clone(), batch.offset());
            assert_eq!(opener.open(&mut batch, &mut record), Ok(Content::Data { offset: expected }));
            assert_eq!(record[..512], payload(expected));
        }
        assert_eq!(opener.open(&mut batch, &mut records[0].clone()), Err(OpenError::Exhausted));
    }
    session.ready(harness.now).unwrap();
    assert_eq!(Harness::asked(&mut session).len(), 1);
    let last = seal(&mut server, RecordKind::Final, b"!", WIRE);
    assert_eq!(harness.tell(&mut session, &last), Ok(Some(ClientEvent::Final { len: 1 })));
}

#[test]
fn a_buffer_of_the_wrong_size_consumes_no_counter() {
    let harness = &mut Harness::new(3, &HOST);
    let (mut session, ..) = served(harness, 2_000);
    let sealer = session.batch_sealer().unwrap();
    let mut batch = take(harness, &mut session, 3);
    for len in [0, 511, 512, 531, 533, 1_044] {
        assert_eq!(sealer.seal(&mut batch, &mut vec![0; len]), Err(SealError::RecordSize), "{len}");
    }
    assert_eq!((batch.records(), batch.offset()), (3, 0));
    let (mut session, _) = fetching(harness, 2_000);
    let opener = session.batch_opener().unwrap();
    let mut batch = session.take_batch(harness.now, 3).unwrap();
    for len in [0, 511, 512, 531, 533, 1_044] {
        assert_eq!(opener.open(&mut batch, &mut vec![0; len]), Err(OpenError::RecordSize), "{len}");
    }
    assert_eq!((batch.records(), batch.offset()), (3, 0));
}

#[test]
fn a_changed_source_is_reported_in_place_of_a_record() {
    let harness = &mut Harness::new(4, &HOST);
    let (mut session, mut channel, _) = served(harness, 5_000);
    let sealer = session.batch_sealer().unwrap();
    let (mut good, changed) = (take(harness, &mut session, 2), take(harness, &mut session, 2));
    let mut wire = Vec::new();
    while good.records() > 0 {
        let mut record = vec![0; WIRE];
        sealer.seal(&mut good, &mut record).unwrap();
        wire.push(record);
    }
    let mut record = vec![7; WIRE];
    sealer.seal_error(changed, ErrorCode::Changed, &mut record).unwrap();
    wire.push(record);
    session.handle_changed(harness.now, &mut harness.serving, &mut harness.rng);
    session.handle_batch_ended();
    assert!(harness.said(&mut session).is_empty(), "it is sent once, and in the batch");
    assert_eq!(session.closing(), Some(Close::Clean));
    assert_eq!(harness.serving.drops.live(), 0);

    let (mut session, mut server) = fetching(harness, 5_000);
    let opener = session.batch_opener().unwrap();
    let mut batch = session.take_batch(harness.now, 4).unwrap();
    for record in &mut wire[..2] {
        channel.opener.open(record).unwrap();
        let mut data = seal(&mut server, RecordKind::Data, &record[..512], WIRE);
        assert!(matches!(opener.open(&mut batch, &mut data), Ok(Content::Data { .. })));
    }
    assert_eq!(answer(&mut channel, &wire[2]), Answer::Error(ErrorCode::Changed));
    let mut error = reply(&mut server, &Answer::Error(ErrorCode::Changed), WIRE);
    assert_eq!(opener.open(&mut batch, &mut error), Ok(Content::Refused(ErrorCode::Changed)));
    assert_eq!(session.handle_refused(ErrorCode::Changed), Ok(ClientEvent::Refused(ErrorCode::Changed)));
    assert_eq!(session.data_records(), 0);
    assert_eq!(session.handle_refused(ErrorCode::Changed), Err(ClientError::Protocol), "once");
}

#[test]
fn a_lapsed_claim_gives_no_batch() {
    let harness = &mut Harness::new(5, &HOST);
    let (mut session, mut channel, _) = served(harness, 5_000);
    let sealer = session.batch_sealer().unwrap();
    let mut batch = take(harness, &mut session, 1);
    let mut record = vec![0; WIRE];
    sealer.seal(&mut batch, &mut record).unwrap();
    channel.opener.open(&mut record).unwrap();
    harness.wait(15_000);
    assert!(session.take_batch(harness.now, &mut harness.serving, 1).is_none());
    // The session continues after the batches: no counter is lost.
    let said = harness.said(&mut session);
    assert_eq!(said.len(), 1);
    assert_eq!(answer(&mut channel, &said[0]), Answer::Error(ErrorCode::Unknown));
    assert_eq!(session.closing(), Some(Close::Clean));
}

#[test]
fn taken_batches_count_as_sent() {
    let harness = &mut Harness::new(6, &HOST);
    let (mut session, mut channel, token) = served(harness, 5_000);
    let held = |channel: &mut Channel, stored| ask(channel, &Request::Progress { token, id: id(1), stored });
    let _batch = take(harness, &mut session, 2);
    let message = held(&mut channel, 1_024);
    harness.hear(&mut session, &message);
    assert!(harness.said_nothing(&mut session));
    let message = held(&mut channel, 1_025);
    harness.hear(&mut session, &message);
    assert_eq!(session.data_records(), 0, "an answer comes first");
    assert!(session.take_batch(harness.now, &mut harness.serving, 1).is_none());
}

#[test]
fn nothing_but_whole_data_and_errors_opens_in_a_batch() {
    let table: [(RecordKind, &[u8], OpenError); 5] = [
        (RecordKind::Data, &[1; 511], OpenError::Length),
        (RecordKind::Data, &[], OpenError::Length),
        (RecordKind::Final, &[1; 512], OpenError::Kind(2)),
        // `burned`, and bytes that are no message.
        (RecordKind::Control, &[0xa1, 0x00, 0x15], OpenError::Kind(0)),
        (RecordKind::Control, &[0xff], OpenError::Kind(0)),
    ];
    for (kind, payload, error) in table {
        let harness = &mut Harness::new(7, &HOST);
        let (mut session, mut server) = fetching(harness, 5_000);
        let opener = session.batch_opener().unwrap();
        let mut batch = session.take_batch(harness.now, 2).unwrap();
        let mut record = seal(&mut server, kind, payload, WIRE);
        assert_eq!(opener.open(&mut batch, &mut record), Err(error), "{kind:?} {payload:?}");
    }
}

#[test]
fn an_altered_record_opens_nowhere_and_leaves_nothing() {
    let harness = &mut Harness::new(8, &HOST);
    let (mut session, mut server) = fetching(harness, 5_000);
    let opener = session.batch_opener().unwrap();
    let mut batch = session.take_batch(harness.now, 2).unwrap();
    let mut record = seal(&mut server, RecordKind::Data, &[1; 512], WIRE);
    record[100] ^= 1;
    assert_eq!(opener.open(&mut batch, &mut record), Err(OpenError::Forged));
    assert!(record.iter().all(|byte| *byte == 0));
}

#[test]
fn storing_does_not_count_as_silence_of_the_server() {
    let harness = &mut Harness::new(9, &HOST);
    let (mut session, _) = fetching(harness, 5_000);
    harness.now = harness.now + ANSWER_TIMEOUT;
    session.handle_pause(harness.now);
    assert_eq!(session.handle_timeout(harness.now), Ok(()));
    harness.now = harness.now + ANSWER_TIMEOUT;
    assert_eq!(session.handle_timeout(harness.now), Err(ClientError::Silent));
}

#[test]
fn keys_of_batches_are_not_shown() {
    let harness = &mut Harness::new(10, &HOST);
    let (server, ..) = served(harness, 5_000);
    assert_eq!(format!("{:?}", server.batch_sealer().unwrap()), "BatchSealer(..)");
    let (client, _) = fetching(harness, 5_000);
    assert_eq!(format!("{:?}", client.batch_opener().unwrap()), "BatchOpener(..)");
}
