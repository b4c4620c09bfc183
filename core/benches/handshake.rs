//! The handshake, step by step. It is what discovery costs, once for each member that a listener meets, and what
//! a server pays for every guess of a stranger.

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

/// Message 1 out: what an open connection costs a server before anything is asked of it.
#[divan::bench]
fn server_greet(bencher: Bencher<'_, '_>) {
    let handshake = Handshake::new();
    bencher.bench_local(|| black_box(&handshake).greet());
}

/// Message 2 in, message 3 out: what a guess costs a server.
#[divan::bench]
fn server_answer(bencher: Bencher<'_, '_>) {
    let handshake = Handshake::new();
    bencher.with_inputs(|| handshake.greet()).bench_local_values(|waiting| handshake.answer(waiting));
}

/// Message 3 in: after it the client has its keys.
#[divan::bench]
fn client_finish(bencher: Bencher<'_, '_>) {
    let handshake = Handshake::new();
    bencher.with_inputs(|| handshake.start()).bench_local_values(|client| handshake.finish(client));
}

/// From the shared secret and the three messages to the two record keys: part of the two above.
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
