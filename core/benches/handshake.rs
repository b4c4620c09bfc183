//! The handshake, step by step: the cost of a probe to a listener, and of every guess of a stranger to a
//! server.

mod scene;

use deaddrop_core::crypto::cpace::Exchange;
use deaddrop_core::crypto::keys::{RoomSecret, SessionKeys, transcript};
use divan::{Bencher, black_box};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use scene::handshake::Handshake;

fn main() {
    divan::main();
}

/// Message 1 in, message 2 out.
#[divan::bench]
fn client_start(bencher: Bencher<'_, '_>) {
    let handshake = Handshake::new();
    bencher.bench_local(|| black_box(&handshake).start());
}

/// Message 1 out: the cost of an open connection to a server.
#[divan::bench]
fn server_greet(bencher: Bencher<'_, '_>) {
    let handshake = Handshake::new();
    bencher.bench_local(|| black_box(&handshake).greet());
}

/// Message 2 in, message 3 out: the cost of a guess to a server.
#[divan::bench]
fn server_answer(bencher: Bencher<'_, '_>) {
    let handshake = Handshake::new();
    bencher.with_inputs(|| handshake.greet()).bench_local_values(|waiting| handshake.answer(waiting));
}

/// Message 3 in: derives the client's keys.
#[divan::bench]
fn client_finish(bencher: Bencher<'_, '_>) {
    let handshake = Handshake::new();
    bencher.with_inputs(|| handshake.start()).bench_local_values(|client| handshake.finish(client));
}

/// The key schedule from ISK and transcript: part of the two above.
#[divan::bench]
fn key_schedule(bencher: Bencher<'_, '_>) {
    let handshake = Handshake::new();
    let prs = RoomSecret::new([1; 32]).prs();
    let exchange = |seed| Exchange::start(&prs, b"", &[0; 32], &mut ChaCha8Rng::seed_from_u64(seed));
    let peer = *exchange(1).share();
    bencher.with_inputs(|| exchange(2).finish_initiator(&peer).ok()).bench_local_values(|isk| {
        let [message1, message2, message3] = black_box(&handshake).messages();
        isk.map(|isk| SessionKeys::derive(isk, &transcript(message1, message2, message3)))
    });
}
