//! Throughput of batches taken from real sessions: the rate of the records with the session's overhead. An
//! endless drop streams, and every iteration takes sixteen records.
#![expect(clippy::unwrap_used, reason = "a bench that panics has measured nothing")]

#[path = "../tests/net/mod.rs"]
mod net;
mod scene;

use deaddrop_core::crypto::record::RecordKind;
use deaddrop_core::exchange::ServerSession;
use deaddrop_core::limits::{HOST, RECORD_OVERHEAD};
use deaddrop_core::offer::{Kind, Name};
use deaddrop_core::session::{Channel, ClientEvent, ClientSession, FetchPlan};
use deaddrop_core::token::Token;
use deaddrop_core::wire::{Answer, Begin, FetchRequest, Request};
use divan::Bencher;
use divan::counter::BytesCount;
use net::harness::{Harness, ask, reply};
use net::{ROOM, client, id};
use scene::records::SIZES;

const RECORDS: usize = 16;
/// More bytes than any run seals.
const SIZE: u64 = 1 << 60;

fn main() {
    divan::main();
}

/// A member to whom an endless drop is sent in records of `record` bytes.
fn serving(harness: &mut Harness, record: u32) -> ServerSession {
    let token = harness.put(SIZE);
    let (mut session, mut channel) = harness.serve(client(1), ROOM);
    let fetch = FetchRequest { token, id: id(1), record_max: record, offset: 0, digest: None };
    let message = ask(&mut channel, &Request::Fetch(fetch));
    harness.hear(&mut session, &message);
    let mut begin = vec![0; session.record_len()];
    session.poll_transmit(harness.now, &mut harness.serving, &mut begin).unwrap().unwrap();
    session
}

/// A client that receives one.
fn fetching(harness: &mut Harness, record: u32) -> (ClientSession, Channel) {
    let (mut session, mut server) = harness.visit(ROOM);
    let token = Token::from_bytes([9; 16]);
    let plan = FetchPlan { token, id: id(1), record_max: record, offset: 0, digest: None };
    session.fetch(harness.now, &plan).unwrap();
    for mut message in Harness::asked(&mut session) {
        server.opener.open(&mut message).unwrap();
    }
    let begin = Begin { kind: Kind::File, name: Name::default(), size: SIZE, offset: 0, record };
    let message = reply(&mut server, &Answer::Begin(begin.clone()), 512);
    assert_eq!(harness.tell(&mut session, &message), Ok(Some(ClientEvent::Begin(begin))));
    (session, server)
}

#[divan::bench(args = SIZES)]
fn seal(bencher: Bencher<'_, '_>, size: usize) {
    let harness = &mut Harness::new(1, &HOST);
    let mut session = serving(harness, size.try_into().unwrap());
    let sealer = session.batch_sealer().unwrap();
    let mut buffer = vec![1; RECORDS * (size + RECORD_OVERHEAD)];
    bencher.counter(BytesCount::new(RECORDS * size)).bench_local(|| {
        let (mut batch, _) =
            session.take_batch(harness.now, &mut harness.serving, RECORDS.try_into().unwrap()).unwrap();
        assert_eq!(batch.record(), size);
        for record in buffer.chunks_exact_mut(batch.record_len()) {
            sealer.seal(&mut batch, record).unwrap();
        }
    });
}

#[divan::bench(args = SIZES)]
fn open(bencher: Bencher<'_, '_>, size: usize) {
    let harness = &mut Harness::new(2, &HOST);
    let (mut session, mut server) = fetching(harness, size.try_into().unwrap());
    let opener = session.batch_opener().unwrap();
    let now = harness.now;
    let arrive = || {
        let mut buffer = vec![1; RECORDS * (size + RECORD_OVERHEAD)];
        for record in buffer.chunks_exact_mut(size + RECORD_OVERHEAD) {
            server.sealer.seal(record, RecordKind::Data, size).unwrap();
        }
        buffer
    };
    bencher.counter(BytesCount::new(RECORDS * size)).with_inputs(arrive).bench_local_values(|mut buffer| {
        let mut batch = session.take_batch(now, RECORDS.try_into().unwrap()).unwrap();
        for record in buffer.chunks_exact_mut(size + RECORD_OVERHEAD) {
            opener.open(&mut batch, record).unwrap();
        }
        buffer
    });
}
