//! The full table of drops. It is searched linearly under one lock, so this is how long other connections of
//! a server wait.

mod scene;

use divan::{Bencher, black_box};
use scene::table::Table;

fn main() {
    divan::main();
}

/// Claim, `progress`, release.
#[divan::bench]
fn claim(bencher: Bencher<'_, '_>) {
    let mut table = Table::new();
    bencher.bench_local(|| table.claim());
}

/// The check before every record or batch.
#[divan::bench]
fn holds(bencher: Bencher<'_, '_>) {
    let mut table = Table::new();
    bencher.bench_local(|| table.holds());
}

/// From put to commit.
#[divan::bench]
fn exchange(bencher: Bencher<'_, '_>) {
    let mut table = Table::new();
    bencher.bench_local(|| table.exchange());
}

/// The whole list, in order.
#[divan::bench]
fn list(bencher: Bencher<'_, '_>) {
    let table = Table::new();
    bencher.bench_local(|| black_box(&table).list());
}

/// The next deadline, asked for after every call into a server.
#[divan::bench]
fn deadline(bencher: Bencher<'_, '_>) {
    let table = Table::new();
    bencher.bench_local(|| black_box(&table).deadline());
}
