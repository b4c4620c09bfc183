//! ring beside the portable cipher, and beside OpenSSL's with `--features openssl`, through the seam under which core
//! seals and opens records. The rates, in bytes of record without its tag, are those that decision 0014 rests on: they
//! stand in one table of one run, since rates of different runs say little.

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
    seal_with(bencher, &C::default(), size);
}

#[divan::bench(types = [Ring, RustCrypto], args = SIZES)]
fn open<C: Cipher + Default>(bencher: Bencher<'_, '_>, size: usize) {
    open_with(bencher, &C::default(), size);
}

#[cfg(feature = "openssl")]
#[divan::bench(args = SIZES)]
fn seal_openssl(bencher: Bencher<'_, '_>, size: usize) {
    seal_with(bencher, &deaddrop::cipher::OpenSsl::find().unwrap(), size);
}

#[cfg(feature = "openssl")]
#[divan::bench(args = SIZES)]
fn open_openssl(bencher: Bencher<'_, '_>, size: usize) {
    open_with(bencher, &deaddrop::cipher::OpenSsl::find().unwrap(), size);
}

fn seal_with(bencher: Bencher<'_, '_>, cipher: &dyn Cipher, size: usize) {
    let (key, mut record) = (Secret::new([7; 32]), vec![1; size + TAG]);
    bencher.counter(BytesCount::new(size)).bench_local(|| cipher.seal(&key, &NONCE, &mut record));
}

fn open_with(bencher: Bencher<'_, '_>, cipher: &dyn Cipher, size: usize) {
    let (key, mut sealed) = (Secret::new([7; 32]), vec![1; size + TAG]);
    cipher.seal(&key, &NONCE, &mut sealed).unwrap();
    let bencher = bencher.counter(BytesCount::new(size)).with_inputs(|| sealed.clone());
    bencher.bench_local_refs(|record| cipher.open(&key, &NONCE, record).unwrap());
}
