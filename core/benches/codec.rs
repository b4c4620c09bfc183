//! Parsing and emitting. Any host of the LAN can make us parse beacons, and any client a greeting, so these
//! figures are the cost of a flood. Requests and answers come one to a record, whose AEAD should cost more
//! than the codec.

mod scene;

use deaddrop_core::wire::{Answer, Beacon, Greeting, Request};
use divan::{Bencher, black_box};
use scene::messages::{Named, answers, beacon, emitted, greeting, requests};

fn main() {
    divan::main();
}

#[divan::bench]
fn beacon_emit(bencher: Bencher<'_, '_>) {
    let beacon = beacon();
    bencher.bench_local(|| black_box(&beacon).emit());
}

#[divan::bench]
fn beacon_parse(bencher: Bencher<'_, '_>) {
    let bytes = beacon().emit();
    bencher.bench_local(|| Beacon::parse(black_box(&bytes)));
}

#[divan::bench]
fn greeting_emit(bencher: Bencher<'_, '_>) {
    let greeting = greeting();
    bencher.bench_local(|| black_box(&greeting).emit());
}

#[divan::bench]
fn greeting_parse(bencher: Bencher<'_, '_>) {
    let bytes = greeting().emit();
    bencher.bench_local(|| Greeting::parse(black_box(&bytes)));
}

#[divan::bench(args = requests())]
fn request_emit(bencher: Bencher<'_, '_>, request: &Named<Request>) {
    let mut out = [0; 492];
    bencher.bench_local(|| black_box(&request.1).emit(black_box(&mut out)));
}

#[divan::bench(args = requests())]
fn request_parse(bencher: Bencher<'_, '_>, request: &Named<Request>) {
    let (bytes, len) = emitted(|out| request.1.emit(out).unwrap_or(0));
    bencher.bench_local(|| Request::parse(black_box(bytes.get(..len).unwrap_or_default())));
}

#[divan::bench(args = answers())]
fn answer_emit(bencher: Bencher<'_, '_>, answer: &Named<Answer>) {
    let mut out = [0; 492];
    bencher.bench_local(|| black_box(&answer.1).emit(black_box(&mut out)));
}

#[divan::bench(args = answers())]
fn answer_parse(bencher: Bencher<'_, '_>, answer: &Named<Answer>) {
    let (bytes, len) = emitted(|out| answer.1.emit(out).unwrap_or(0));
    bencher.bench_local(|| Answer::parse(black_box(bytes.get(..len).unwrap_or_default())));
}
