//! Sealing and opening of single records with the portable cipher, as on boards and for small drops, in bytes
//! of drop. The ciphers of hosts are in `host/benches/cipher.rs`.

mod scene;

use divan::Bencher;
use divan::counter::BytesCount;
use scene::records::{Open, SIZES, Seal};

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn seal(bencher: Bencher<'_, '_>, size: usize) {
    let mut seal = Seal::new(size);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        seal.turn();
    });
}

#[divan::bench(args = SIZES)]
fn open(bencher: Bencher<'_, '_>, size: usize) {
    let (mut seal, mut open) = (Seal::new(size), Open::new());
    let arrive = || seal.turn().to_vec();
    bencher.counter(BytesCount::new(size)).with_inputs(arrive).bench_local_refs(|record| open.turn(record));
}
