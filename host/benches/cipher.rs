//! ring beside the portable cipher, through the seam under which core seals and opens records. The rates, in bytes
//! of record without its tag, are those that decision 0014 rests on: the two stand in one table of one run,
//! since rates of different runs say little.

use deaddrop::cipher::Ring;
use deaddrop_core::crypto::cipher::{Cipher, RustCrypto};
use deaddrop_core::limits::TAG;
use deaddrop_core::secret::Secret;
use divan::Bencher;
use divan::counter::BytesCount;

const SIZES: [usize; 5] = [512, 1_024, 4_096, 16_384, 65_536];
const NONCE: [u8; 12] = [9; 12];

fn main() {
    divan::main();
}

#[divan::bench(types = [Ring, RustCrypto], args = SIZES)]
fn seal<C: Cipher + Default>(bencher: Bencher<'_, '_>, size: usize) {
    let (cipher, key, mut record) = (C::default(), Secret::new([7; 32]), vec![1; size + TAG]);
    bencher.counter(BytesCount::new(size)).bench_local(|| cipher.seal(&key, &NONCE, &mut record));
}

#[divan::bench(types = [Ring, RustCrypto], args = SIZES)]
fn open<C: Cipher + Default>(bencher: Bencher<'_, '_>, size: usize) {
    let (cipher, key, mut sealed) = (C::default(), Secret::new([7; 32]), vec![1; size + TAG]);
    cipher.seal(&key, &NONCE, &mut sealed).unwrap();
    let bencher = bencher.counter(BytesCount::new(size)).with_inputs(|| sealed.clone());
    bencher.bench_local_refs(|record| cipher.open(&key, &NONCE, record).unwrap());
}
