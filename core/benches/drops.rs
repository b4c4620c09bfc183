//! The table of drops when it is full: it is searched from end to end and under one lock, so this is how long all
//! other connections of a server wait.

mod scene;

use divan::{Bencher, black_box};
use scene::table::Table;

fn main() {
    divan::main();
}

/// Claimed, a sign of life, released.
#[divan::bench]
fn claim(bencher: Bencher<'_, '_>) {
    let mut table = Table::new();
    bencher.bench_local(|| table.claim());
}

/// Once for every record or batch that is sent.
#[divan::bench]
fn holds(bencher: Bencher<'_, '_>) {
    let mut table = Table::new();
    bencher.bench_local(|| table.holds());
}

/// From put to committed.
#[divan::bench]
fn exchange(bencher: Bencher<'_, '_>) {
    let mut table = Table::new();
    bencher.bench_local(|| table.exchange());
}

/// All lines, in order.
#[divan::bench]
fn list(bencher: Bencher<'_, '_>) {
    let table = Table::new();
    bencher.bench_local(|| black_box(&table).list());
}

/// Once after every turn of a server.
#[divan::bench]
fn deadline(bencher: Bencher<'_, '_>) {
    let table = Table::new();
    bencher.bench_local(|| black_box(&table).deadline());
}
